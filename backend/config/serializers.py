from typing import Any, Self

from rest_framework import serializers
from rest_framework.request import Request


class StrictSerializer(serializers.Serializer):
    """Refuses fields it does not know, by name: a misspelt field must not be silently ignored."""

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The valid input. Raises REST framework's ValidationError."""
        serializer = cls(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def run_validation(self: Self, data: Any = serializers.empty) -> Any:
        if not isinstance(data, dict):
            return super().run_validation(data)
        unknown = {name: ["There is no such field."] for name in data if name not in self.fields}
        if not unknown:
            return super().run_validation(data)
        try:
            super().run_validation(data)
        except serializers.ValidationError as exc:
            raise serializers.ValidationError({**exc.detail, **unknown}) from None
        raise serializers.ValidationError(unknown)
