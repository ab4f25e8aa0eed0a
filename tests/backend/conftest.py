from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.accounts.services import create_api_key
from backend.webhooks import sending
from backend.webhooks.models import Endpoint, EventType
from backend.webhooks.services import create_webhook
from contract.plans import Plan
from tests.backend.receiving import Receiver, receiving


def client_of(user: User) -> APIClient:
    """Asks as a program does: with an API key."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {create_api_key(user=user, name='test').key}")
    return client


@pytest.fixture(scope="session", autouse=True)
def static_files_found_when_asked_for() -> None:
    """Otherwise every test client lists all static files before its first request."""
    django_settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def owner(db: None) -> User:
    """Of the largest plan: what the smaller ones refuse has tests of its own."""
    return User.objects.create(username="owner", plan="enterprise")


@pytest.fixture
def free(owner: User) -> User:
    """The owner, of the smallest plan."""
    owner.plan = Plan.FREE.value
    owner.save()
    return owner


@pytest.fixture
def stranger(db: None) -> User:
    return User.objects.create(username="stranger", plan="enterprise")


@pytest.fixture
def api(owner: User) -> APIClient:
    return client_of(owner)


@pytest.fixture
def stranger_api(stranger: User) -> APIClient:
    return client_of(stranger)


@pytest.fixture
def anonymous() -> APIClient:
    return APIClient()


@pytest.fixture
def media(settings: Any, media_bucket: str) -> str:
    """The backend uses a fresh bucket."""
    settings.MEDIA_BUCKET = media_bucket
    return media_bucket


@pytest.fixture
def loopback(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhooks may reach this machine, and wait for it however busy it is."""
    settings.WEBHOOKS_ALLOW_LOOPBACK = True
    for limit in ("TOTAL_SECONDS", "_CONNECT_SECONDS"):
        monkeypatch.setattr(sending, limit, 90.0)


@pytest.fixture
def receiver(loopback: None) -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def endpoint(owner: User, receiver: Receiver) -> Endpoint:
    return create_webhook(owner=owner, url=receiver.url, events=EventType.values)
