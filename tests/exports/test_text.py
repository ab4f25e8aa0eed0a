"""Numbers keep their value and lose their needless digits."""

from hypothesis import example, given

from exports.text import short
from tests.exports.making import finite, single


@given(finite)
def test_a_short_number_is_the_same_float32(value):
    assert single(short(value)) == value


@given(finite)
@example(1234567936.0)
def test_a_number_has_at_most_nine_digits(value):
    """0.10000000149011612 says no more than 0.1 once it is read as a float32."""
    digits = repr(short(value)).partition("e")[0].replace(".", "").strip("-0")
    assert len(digits) <= 9


def test_the_digits_are_those_a_person_would_write():
    assert [short(single(value)) for value in (0.1, 0.7, 1279.9, 3.0)] == [0.1, 0.7, 1279.9, 3.0]
