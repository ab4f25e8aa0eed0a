"""The function's environment, read once per container."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from lambda_sqs_to_batch.errors import SettingsInvalid


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    job_queue: str  # name or ARN
    job_definition: str  # name, name:revision or ARN

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsInvalid, naming every missing variable at once."""
        missing = [name for name in ("JOB_QUEUE", "JOB_DEFINITION") if not environ.get(name)]
        if missing:
            raise SettingsInvalid(f"missing from the environment: {', '.join(missing)}")
        return cls(job_queue=environ["JOB_QUEUE"], job_definition=environ["JOB_DEFINITION"])
