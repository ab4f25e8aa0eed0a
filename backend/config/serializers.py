import math
from typing import Any, Self

from rest_framework import serializers
from rest_framework.request import Request


class StrictSerializer(serializers.Serializer):
    """Refuses fields it does not know, by name: a misspelt field must not be silently ignored."""

    unknown_sentence = "There is no such field."

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The valid input. Raises REST framework's ValidationError."""
        return cls._valid(request.data)

    @classmethod
    def _valid(cls, data: Any) -> dict[str, Any]:
        serializer = cls(data=data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def run_validation(self: Self, data: Any = serializers.empty) -> Any:
        if not isinstance(data, dict):
            return super().run_validation(data)
        faults = self.faults_of(data)
        if not faults:
            return super().run_validation(data)
        try:
            super().run_validation(data)
        except serializers.ValidationError as exc:
            raise serializers.ValidationError({**exc.detail, **faults}) from None
        raise serializers.ValidationError(faults)

    def faults_of(self, data: dict[str, Any]) -> dict[str, list[str]]:
        """What is wrong with the names, whatever their values."""
        return {name: [self.unknown_sentence] for name in data if name not in self.fields}


class StrictQuery(StrictSerializer):
    """The parameters of a URL. A list is given by repeating its parameter, and nothing else may be repeated.

    A field that would be a word of Python has an underscore behind its name: `class_` is the parameter `class`.
    """

    unknown_sentence = "There is no such parameter."

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        return cls._valid(request.query_params)

    def get_fields(self) -> dict[str, serializers.Field]:
        return {name.removesuffix("_"): field for name, field in super().get_fields().items()}

    def faults_of(self, data: Any) -> dict[str, list[str]]:
        lists = (serializers.ListField, serializers.MultipleChoiceField)
        repeated = {
            name: ["It may be given only once."]
            for name in data
            if len(data.getlist(name)) > 1 and not isinstance(self.fields.get(name), lists)
        }
        return {**repeated, **super().faults_of(data)}


class FiniteField(serializers.FloatField):
    """A number; REST framework would take NaN and infinity as well, which lie outside all limits and pass them."""

    default_error_messages = {"finite": "It must be a finite number."}

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("finite")
        return float(value)
