"""Queries of the ORM that keep their SQL, alone and two in one statement."""

import pytest
from django.db.models import TextField
from django.db.models.expressions import RawSQL

from backend.accounts.models import User
from backend.config.prepared import Both, Prepared

pytestmark = pytest.mark.django_db

# A percent sign in SQL is doubled, or psycopg would take it for the beginning of a placeholder.
SAID = RawSQL("'50%%'", (), output_field=TextField())
BY_NAME = Prepared(lambda name: User.objects.filter(username=name).annotate(said=SAID), "a name")
BY_ID = Prepared(
    lambda pk, name: User.objects.filter(pk=pk).exclude(username=name).annotate(said=SAID), -1, "a name"
)


def test_rows_of_two_queries_are_those_of_each_alone(owner: User):
    found = Both(BY_NAME, "id", BY_ID).first("owner", "somebody")
    assert found == (BY_NAME.first("owner"), BY_ID.first(owner.pk, "somebody")) == (owner, owner)
    assert [row.said for row in found] == ["50%", "50%"]


@pytest.mark.parametrize("values", [("nobody", "somebody"), ("owner", "owner")])
def test_without_one_of_the_rows_there_is_neither(owner: User, values: tuple[str, str]):
    assert Both(BY_NAME, "id", BY_ID).first(*values) is None


def test_query_that_could_not_tell_its_values_apart_is_refused(owner: User):
    alike = Prepared(lambda name, other: User.objects.filter(username__in=[name, other]), "a name", "a name")
    with pytest.raises(ValueError, match="once"):
        alike.first("owner", "somebody")
