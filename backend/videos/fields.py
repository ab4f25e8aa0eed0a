"""Column types Django does not bring."""

from typing import Any

from django.db import models


class RealField(models.FloatField):
    """PostgreSQL's four-byte `real`: half of `double precision`, and more than a pixel coordinate needs."""

    def db_type(self, connection: Any) -> str:
        return "real"


class TransactionIdField(models.Field):
    """PostgreSQL's `xid8`: rises from transaction to transaction, and is never used again."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def get_prep_value(self, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value  # which PostgreSQL does not compare with integers


class CurrentTransaction(models.Func):
    function = "pg_current_xact_id"
    arity = 0
    output_field = TransactionIdField()
