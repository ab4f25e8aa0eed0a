"""What quotes, receipts and the cost tables may rely on in the price file."""

import copy
import datetime
import json

import pytest

from contract.prices import PRICES_FILE, parse, prices


def document() -> dict:
    return json.loads(PRICES_FILE.read_text(encoding="utf-8"))


def test_every_price_says_of_when_it_is_and_where_to_check_it():
    known = prices()

    for entry in [*known.instances.values(), *known.services.values()]:
        assert datetime.date.fromisoformat(entry.date) <= datetime.datetime.now(datetime.UTC).date()
        assert entry.source.startswith("https://aws.amazon.com/")
    assert known.region == "us-east-1"
    assert "check each against its source" in known.note


def test_a_machine_costs_no_more_on_spot_than_on_demand():
    for instance in prices().instances.values():
        assert 0 < instance.spot <= instance.on_demand


def test_a_machine_without_a_price_is_refused_in_a_sentence_that_names_those_with_one():
    with pytest.raises(LookupError, match=r"no price of 'p9\.large'.* g5\.xlarge"):
        prices().instance("p9.large")


@pytest.mark.parametrize(
    ("section", "name", "change"),
    [
        ("instances", "g5.xlarge", {"spot": 2.0}),
        ("instances", "g5.xlarge", {"spot": 0.0}),
        ("services", "alb_hour", {"price": 0}),
    ],
)
def test_a_price_that_cannot_be_is_refused(section, name, change):
    wrong = copy.deepcopy(document())
    wrong[section][name] |= change

    with pytest.raises(ValueError, match=name):
        parse(wrong)


def test_a_price_without_its_source_is_refused():
    wrong = copy.deepcopy(document())
    del wrong["services"]["alb_hour"]["source"]

    with pytest.raises(TypeError, match="source"):
        parse(wrong)


def test_prices_in_another_currency_are_refused():
    with pytest.raises(ValueError, match="EUR"):
        parse(document() | {"currency": "EUR"})
