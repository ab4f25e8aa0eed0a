"""Whose rows they are. Views reach rows through these two methods and in no other way; a test holds them to it."""

from typing import Any, Self

from django.db import models


class Owned(models.QuerySet):
    """`objects = Owned.as_manager()`; the model says what makes a row somebody's, unless it is its `owner`."""

    def owned_by(self, user: Any) -> Self:
        """What this user may see of the model, so that a foreign row looks like one that never existed."""
        whose = getattr(self.model, "owned_where", None)
        return self.filter(models.Q(owner=user) if whose is None else whose(user))

    def of(self, analysis: Any) -> Self:
        """The rows of one analysis, which came from `owned_by`."""
        return self.filter(analysis_id=analysis.pk)
