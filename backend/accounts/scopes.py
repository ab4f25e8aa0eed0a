"""What an API key may do. A key has the scopes that its owner gave it, and no scope implies another."""

from enum import StrEnum


class Scope(StrEnum):
    VIDEOS_READ = "videos:read"
    VIDEOS_WRITE = "videos:write"
    ANALYSES_READ = "analyses:read"
    ANALYSES_WRITE = "analyses:write"
    RESULTS_READ = "results:read"
    ACCOUNT_READ = "account:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"


SENTENCES: dict[Scope, str] = {
    Scope.VIDEOS_READ: "See your videos",
    Scope.VIDEOS_WRITE: "Upload videos and delete them",
    Scope.ANALYSES_READ: "See your analyses and their progress",
    Scope.ANALYSES_WRITE: "Ask for analyses, cancel them, try again, and delete them",
    Scope.RESULTS_READ: "Read and download what was found",
    Scope.ACCOUNT_READ: "See your plan, credits and use",
    Scope.WEBHOOKS_READ: "See your webhooks and their deliveries",
    Scope.WEBHOOKS_WRITE: "Make, change and delete webhooks",
}
ALL = tuple(scope.value for scope in Scope)
