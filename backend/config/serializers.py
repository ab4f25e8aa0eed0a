import math
from typing import Any, Self

from rest_framework import serializers
from rest_framework.request import Request

# REST framework would take a number for a string, "5" for 5 and "yes" for true.
_JSON_TYPES: tuple[tuple[tuple[type[serializers.Field], ...], tuple[type, ...], str], ...] = (
    ((serializers.BooleanField,), (bool,), "It must be true or false."),
    ((serializers.IntegerField, serializers.FloatField), (int, float), "It must be a number."),
    (
        (serializers.CharField, serializers.UUIDField, serializers.DateTimeField),
        (str,),
        "It must be a string.",
    ),
)


class StrictSerializer(serializers.Serializer):
    """Refuses fields it does not know, by name, and values of another JSON type than the field's.

    A misspelt field must not be silently ignored, and what the API takes is what its description says.
    """

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
        """What is wrong with names and types; the fields themselves judge the values."""
        typed = {
            name: _type_fault(self.fields[name], value) for name, value in data.items() if name in self.fields
        }
        return {**self.unknown(data), **{name: [fault] for name, fault in typed.items() if fault}}

    def unknown(self, data: dict[str, Any]) -> dict[str, list[str]]:
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
        # REST framework would take these for absent ones, and a filter without a value would find everything.
        empty = {
            name: ["It must not be empty."]
            for name, value in data.items()
            if not value and not isinstance(self.fields.get(name), lists)
        }
        repeated = {
            name: ["It may be given only once."]
            for name in data
            if len(data.getlist(name)) > 1 and not isinstance(self.fields.get(name), lists)
        }
        return {**empty, **repeated, **self.unknown(data)}


def _type_fault(field: serializers.Field, value: Any) -> str | None:
    if value is None:
        return None
    types, sentence = next(
        ((types, sentence) for fields, types, sentence in _JSON_TYPES if isinstance(field, fields)),
        ((object,), ""),
    )
    # Python holds true for a number.
    fits = isinstance(value, types) and not (isinstance(value, bool) and types == (int, float))
    return None if fits else sentence


_SMALLEST_REAL = 1.2e-38


class FiniteField(serializers.FloatField):
    """A number; REST framework would take NaN and infinity as well, which lie outside all limits and pass them."""

    default_error_messages = {"finite": "It must be a finite number."}

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("finite")
        # PostgreSQL fails to compare a real with a number that is too near to zero for one.
        return float(value) if abs(value) > _SMALLEST_REAL else 0.0
