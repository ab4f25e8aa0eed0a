"""Column types Django does not bring."""

from typing import Any

from django.db import models


class RealField(models.FloatField):
    """PostgreSQL's four-byte `real`: half of `double precision`, and more than a pixel coordinate needs."""

    def db_type(self, connection: Any) -> str:
        return "real"
