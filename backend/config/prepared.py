"""Queries of hot paths, made and planned once instead of at every request, which takes longer than running them.

What Django's `ModelIterable` does with a compiled query is done here with one that is kept (Django 5.2), and each
connection keeps PostgreSQL's plan of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Self, TypeVar

import psycopg
from django.db import NotSupportedError, connection
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators
from django.db.models.sql.compiler import SQLCompiler
from psycopg.types.datetime import TimestamptzLoader

Row = TypeVar("Row", bound=Model)
Other = TypeVar("Other", bound=Model)
Found = TypeVar("Found")


class _Preparing(psycopg.Cursor[Any]):
    """Prepares whatever it executes, at once; Django's own cursors write values into the text instead, which
    PostgreSQL then parses and plans every time.

    Each connection keeps one: making a cursor, and what turns columns into Python's values, takes longer than
    running a small statement.
    """

    @classmethod
    def of(cls, connection: psycopg.Connection[Any]) -> "_Preparing":
        kept = vars(connection)
        if "preparing" not in kept:
            cursor = kept["preparing"] = cls(connection)
            # Django's does the same in Python. The connection's time zone is UTC.
            cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        return kept["preparing"]

    def execute(self, query: Any, params: Any = None) -> Self:  # type: ignore[override]  # Django gives no more
        return super().execute(query, params, prepare=True)


def run_prepared(statement: str, values: Sequence[Any] | Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The first row of a statement that each connection prepares at its first use; None where there is none.

    Psycopg drops all prepared statements of a connection with every ROLLBACK, also one to a savepoint: a request
    that is refused within a transaction costs the plans, which are made again at their next use.

    Raises Django's database errors.
    """
    for _ in range(_most_connections()):
        try:
            return _run(statement, values)
        except NotSupportedError:
            # A migration has changed a column's type: PostgreSQL refuses the old plan while the connection lives,
            # and all of the pool may have it. A transaction has failed as a whole; its ROLLBACK drops the plans.
            if connection.in_atomic_block:
                raise
            connection.connection.close()  # the pool makes another in its place
            connection.close()
    return _run(statement, values)


def _most_connections() -> int:
    pool = connection.settings_dict["OPTIONS"].get("pool")
    return int(pool["max_size"]) if pool else 1


def _run(statement: str, values: Sequence[Any] | Mapping[str, Any]) -> tuple[Any, ...] | None:
    connection.ensure_connection()
    cursor = connection._prepare_cursor(_Preparing.of(connection.connection))
    cursor.execute(statement, values)
    row: tuple[Any, ...] | None = cursor.fetchone()
    return row


class Prepared(Generic[Row]):
    """`make(*examples)` is the query; `first(*values)` runs it with other values of the same types.

    Each example has to be different from every other constant of the query, so that it is found again in the SQL's
    parameters. Raises ValueError, at first use, where one is not.
    """

    def __init__(self, make: Callable[..., QuerySet[Row]], *examples: Any) -> None:
        self._make = make
        self._examples = examples

    def first(self, *values: Any) -> Row | None:
        """The first row in whatever order the database gives. Raises Django's database errors."""
        return self.compiled.first(values)

    @cached_property
    def compiled(self) -> "Compiled[Row]":
        query = self._make(*self._examples).order_by()[:1].query
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        places = {
            place: number
            for place, parameter in enumerate(parameters)
            for number, example in enumerate(self._examples)
            if type(parameter) is type(example) and parameter == example
        }
        if sorted(places.values()) != list(range(len(self._examples))):
            raise ValueError("each example must stand in the query once")
        return Compiled(sql, parameters, places, len(compiler.select), _builder(compiler))


class Both(Generic[Row, Other]):
    """The row of `first` and the row of `then`, or neither, by one statement.

    The first value of `then` is a column of the row of `first`: whoever that row speaks for gets what is theirs.
    """

    def __init__(self, first: Prepared[Row], column: str, then: Prepared[Other]) -> None:
        self._first, self._column, self._then = first, column, then

    def first(self, *values: Any) -> tuple[Row, Other] | None:
        """With the values of `first`, and then those of `then` but its first. Raises Django's database errors."""
        return self.compiled.first(values)

    @cached_property
    def compiled(self) -> "Compiled[tuple[Row, Other]]":
        one, other = self._first.compiled, self._then.compiled
        (joint,) = (place for place, number in other.places.items() if number == 0)
        holes = ["%s"] * len(other.parameters)
        holes[joint] = f"(SELECT {self._column} FROM one)"
        beyond = {
            len(one.parameters) + place - (place > joint): len(one.places) + number - 1
            for place, number in other.places.items()
            if number > 0
        }
        return Compiled(
            f"WITH one AS ({one.sql}) SELECT one.*, other.* FROM one, ({_with(other.sql, holes)}) AS other",
            (*one.parameters, *other.parameters[:joint], *other.parameters[joint + 1 :]),
            one.places | beyond,
            one.width + other.width,
            lambda row: (one.build(row), other.build(row[one.width :])),
        )


@dataclass(frozen=True, slots=True)
class Compiled(Generic[Found]):
    sql: str
    parameters: tuple[Any, ...]
    places: dict[int, int]  # which value takes which parameter's place
    width: int  # columns of a row
    build: Callable[[Any], Found]

    def first(self, values: Sequence[Any]) -> Found | None:
        row = run_prepared(self.sql, self.given(values))
        return None if row is None else self.build(row)

    def given(self, values: Sequence[Any]) -> list[Any]:
        """The statement's parameters with these values in their places."""
        given = list(self.parameters)
        for place, number in self.places.items():
            given[place] = values[number]
        return given


def _with(sql: str, placeholders: Sequence[str]) -> str:
    """The statement with these in place of its own; percent signs that are none stay doubled."""
    return sql.replace("%%", "%%%%") % tuple(placeholders)


def _builder(compiler: SQLCompiler) -> Callable[[Any], Any]:
    """What makes a model's instance of a row."""
    info, select, annotations = compiler.klass_info, compiler.select, compiler.annotation_col_map
    columns = info["select_fields"]
    start, stop = columns[0], columns[-1] + 1
    names = [column[0].target.attname for column in select[start:stop]]
    converters = compiler.get_converters([column[0] for column in select])
    related = get_related_populators(info, select, connection.alias)

    def build(row: Any) -> Any:
        (converted,) = compiler.apply_converters([row], converters) if converters else (row,)
        made = info["model"].from_db(connection.alias, names, converted[start:stop])
        for populator in related:
            populator.populate(converted, made)
        for name, place in annotations.items():
            setattr(made, name, converted[place])
        return made

    return build
