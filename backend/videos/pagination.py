"""Page by page by the last row seen: as fast on page 10,000 as on the first, and stable while rows are added."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from backend.config.serializers import StrictQuery
from backend.videos.errors import RequestInvalid

CURSOR = "cursor"


class PageQuery(StrictQuery):
    """What every list takes: where it goes on. A list adds `page_size`, with its own limits, and its filters."""

    cursor = serializers.CharField(
        required=False, help_text="Where the page begins: take the link `next` as it is given."
    )


def page_size_field(*, default: int, most: int) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=1, max_value=most, default=default, help_text="How many rows a page has at most."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    rows: list[Any]
    next: str | None  # path and query of the following page

    def document(self, represent: Callable[[Any], Any]) -> dict[str, Any]:
        return {"results": [represent(row) for row in self.rows], "next": self.next}


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyset:
    """The columns that order the rows; together they are unique. A leading minus means descending, for all."""

    columns: tuple[str, ...]

    @property
    def descending(self) -> bool:
        return self.columns[0].startswith("-")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.removeprefix("-") for column in self.columns)

    def page(self, request: Request, rows: QuerySet[Any], query: Mapping[str, Any]) -> Page:
        """The page that a valid PageQuery asks for. Raises RequestInvalid for a faulty cursor."""
        size = query["page_size"]
        rows = rows.order_by(*self.columns)
        if given := query.get(CURSOR):
            try:
                rows = rows.filter(self._after(_Cursor.from_text(given, self.columns).values))
                found = list(rows[: size + 1])
            except (ValueError, TypeError, ValidationError, OverflowError) as exc:
                raise RequestInvalid({CURSOR: ["Use the link to the next page as it was given."]}) from exc
        else:
            found = list(rows[: size + 1])
        shown = found[:size]
        return Page(rows=shown, next=self._link(request, shown[-1]) if len(found) > size else None)

    def _after(self, values: Sequence[Any]) -> Q:
        """(a, b) > (x, y) as `a >= x AND (a > x OR (a = x AND b > y))`, of which an index can use the first."""
        beyond = "lt" if self.descending else "gt"
        condition = Q()
        for name, value in reversed(list(zip(self.names, values, strict=True))):
            here = Q(**{f"{name}__{beyond}": value})
            condition = here | (Q(**{name: value}) & condition) if condition else here
        return Q(**{f"{self.names[0]}__{beyond}e": values[0]}) & condition

    def _link(self, request: Request, last: Any) -> str:
        cursor = _Cursor(columns=self.columns, values=[getattr(last, name) for name in self.names])
        query = [(name, value) for name, values in request.query_params.lists() for value in values]
        query = [(name, value) for name, value in query if name != CURSOR]
        return f"{request.path}?{urlencode([*query, (CURSOR, cursor.to_text())])}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cursor:
    columns: tuple[str, ...]
    values: Sequence[Any]

    def to_text(self) -> str:
        plain = [value if isinstance(value, int) else _text(value) for value in self.values]
        document = [",".join(self.columns), *plain]
        return base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str, columns: tuple[str, ...]) -> Self:
        """Raises ValueError, also for a cursor of a list in another order."""
        try:
            document = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        except (binascii.Error, ValueError, RecursionError) as exc:
            raise ValueError("not a cursor") from exc
        if not isinstance(document, list) or document[:1] != [",".join(columns)]:
            raise ValueError("not a cursor of this list")
        values = document[1:]
        if len(values) != len(columns) or not all(isinstance(value, int | str) for value in values):
            raise ValueError("not a cursor")
        return cls(columns=columns, values=values)


def _text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
