"""The shapes of what the API answers about API keys, each with an example."""

from rest_framework import serializers

from backend.accounts.scopes import ALL
from backend.config.openapi import page_of


class ApiKey(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField(help_text="What the key is for, in its owner's words.")
    prefix = serializers.CharField(help_text="What the key begins with.")
    scopes = serializers.ListField(child=serializers.ChoiceField(ALL), help_text="What it may be used for.")
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    expires_at = serializers.DateTimeField(allow_null=True, help_text="From then on it is refused.")
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewApiKey(ApiKey):
    key = serializers.CharField(help_text="The only time it is shown.")


ApiKeyPage = page_of(ApiKey)

_KEY = {
    "id": 12,
    "name": "nightly import",
    "prefix": "fb_0f3a5d7b9c1e",
    "created_at": "2026-01-01T12:00:00Z",
    "scopes": ["analyses:write", "videos:write"],
    "last_used_at": None,
    "expires_at": "2026-04-01T00:00:00Z",
    "revoked_at": None,
}
NEW = {**_KEY, "key": "fb_0f3a5d7b9c1e_" + "x" * 43}
PAGE = {"results": [_KEY], "next": None}
