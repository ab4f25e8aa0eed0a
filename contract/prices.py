"""What AWS charges, from one dated file (`prices.json`), for quotes, receipts and `python -m costs`."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PRICES_FILE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class InstancePrice:
    """What a machine costs in an hour of running, in US dollars.

    `spot` is one plausible value of a price that moves. `date` (ISO 8601) is when both were written down; `source`
    names the vendor's pages to check them against.
    """

    on_demand: float
    spot: float
    date: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ServicePrice:
    """What one unit (`per`) of a service costs, in US dollars."""

    price: float
    per: str
    date: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    region: str
    note: str
    instances: dict[str, InstancePrice]
    services: dict[str, ServicePrice]

    def instance(self, instance_type: str) -> InstancePrice:
        """Raises LookupError, with a sentence, for a type that the file does not hold."""
        try:
            return self.instances[instance_type]
        except KeyError:
            known = ", ".join(sorted(self.instances))
            raise LookupError(f"There is no price of {instance_type!r}; prices.json holds {known}.") from None

    def of(self, service: str) -> float:
        """US dollars for one unit of `service`; KeyError for one that the file does not hold."""
        return self.services[service].price


@cache
def prices() -> Prices:
    """The prices that this release knows, read once.

    The file is ours and comes with the code, so a fault in it is ours: ValueError, KeyError, TypeError.
    """
    return parse(json.loads(PRICES_FILE.read_text(encoding="utf-8")))


def parse(document: dict[str, Any]) -> Prices:
    """Raises ValueError for another currency than US dollars and for a price that is not above zero."""
    if document["currency"] != "USD":
        raise ValueError(f"Prices are in US dollars, not in {document['currency']}.")
    instances = {name: InstancePrice(**entry) for name, entry in document["instances"].items()}
    services = {name: ServicePrice(**entry) for name, entry in document["services"].items()}
    for name, instance in instances.items():
        if not 0 < instance.spot <= instance.on_demand:
            raise ValueError(f"The Spot price of {name} is not between zero and its On-Demand price.")
    for name, service in services.items():
        if service.price <= 0:
            raise ValueError(f"The price of {name} is not above zero.")
    return Prices(region=document["region"], note=document["note"], instances=instances, services=services)
