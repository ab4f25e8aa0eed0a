"""Owners manage their webhooks on pages: what stands there, and what their forms do.

What their buttons ask of the API and when a page is loaded again is in test_page_scripts.py.
"""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from backend.accounts.models import User
from backend.webhooks.errors import MOST_WEBHOOKS
from backend.webhooks.models import Attempt, Delivery, DeliveryState, Endpoint, EventType
from backend.webhooks.pages import DELIVERIES_SHOWN
from backend.webhooks.services import change_webhook, create_webhook, ping
from tests.backend.making import make_analysis
from tests.backend.receiving import Receiver, deliver_once, end

pytestmark = pytest.mark.django_db

ADDRESS = "https://hooks.example/a?b=c&d=e"
FORM = {"url": ADDRESS, "events": ["analysis.failed", "analysis.succeeded"]}


@pytest.fixture
def browser(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def webhook(owner: User) -> Endpoint:
    return create_webhook(owner=owner, url=ADDRESS, events=EventType.values)


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def answered(delivery: Delivery, *outcomes: int | str, **columns: Any) -> Delivery:
    """With an attempt for each status, or for each reason why none came."""
    for outcome in outcomes:
        came = {"status": outcome} if isinstance(outcome, int) else {"error": outcome}
        Attempt.objects.create(delivery=delivery, milliseconds=7, **came)
    Delivery.objects.filter(pk=delivery.pk).update(**columns)
    delivery.refresh_from_db()
    return delivery


def buttons(page: str) -> list[tuple[str, str]]:
    """Method and address of what the page's buttons ask of the API."""
    found = re.findall(r'data-ask="([^"]*)"(?: data-method="([^"]*)")?', page)
    return [(method or "POST", address) for address, method in found]


def test_page_shows_the_secret_of_a_new_webhook_once(browser: Client):
    page = browser.post("/webhooks", FORM)
    assert page["Cache-Control"] == "no-store"
    made = Endpoint.objects.get()
    assert (made.url, made.events, made.enabled) == (ADDRESS, FORM["events"], True)
    assert f'<code class="key">{made.secret}</code>' in page.content.decode()
    assert made.secret.removeprefix("whsec_")[:8] not in text(browser, "/webhooks")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({**FORM, "url": "http://hooks.example"}, "It must begin with https://.", id="no https"),
        pytest.param({**FORM, "url": "https://10.0.0.1/"}, "reachable from the public internet.", id="private"),
        pytest.param({**FORM, "url": ""}, "This field is required.", id="no address"),
        pytest.param({"url": ADDRESS}, "Tick what should be told.", id="no events"),
        pytest.param({**FORM, "events": ["analysis.begun"]}, "analysis.begun is not one", id="unknown event"),
    ],
)
@pytest.mark.parametrize("change", [False, True], ids=["made", "changed"])
def test_faulty_input_is_refused_in_the_words_of_the_api(
    browser: Client, webhook: Endpoint, change: bool, given: Any, said: str
):
    page = browser.post(f"/webhooks/{webhook.pk}/change" if change else "/webhooks", given)
    assert said in page.content.decode()
    assert list(Endpoint.objects.values_list("url", "events")) == [(ADDRESS, EventType.values)]


def test_page_says_how_many_webhooks_one_may_have(browser: Client, owner: User):
    for _ in range(MOST_WEBHOOKS):
        create_webhook(owner=owner, url=ADDRESS, events=EventType.values)
    page = browser.post("/webhooks", FORM)
    assert "You have as many webhooks as you may; delete one first." in page.content.decode()
    assert Endpoint.objects.count() == MOST_WEBHOOKS


def test_list_says_how_each_webhook_stands(browser: Client, webhook: Endpoint):
    assert "nothing delivered yet" in text(browser, "/webhooks")
    answered(ping(webhook), 204, state=DeliveryState.DELIVERED)
    Endpoint.objects.update(last_success_at="2026-01-01T12:02:41Z")
    answered(ping(webhook), 503, state=DeliveryState.FAILED)
    change_webhook(webhook, {"enabled": False})
    page = text(browser, "/webhooks")
    assert f'<a href="/webhooks/{webhook.pk}">https://hooks.example/a?b=c&amp;d=e</a>' in page
    assert '<span class="badge cancelled">Disabled</span>' in page
    assert "1 Jan 2026, 12:02:41 UTC" in page
    assert '<span class="badge failed">Failed</span>' in page
    assert "Answered with 503 Service Unavailable." in page
    assert "204" not in page  # of the newest delivery alone


def test_list_takes_few_queries_however_many_webhooks(
    browser: Client, owner: User, django_assert_max_num_queries: Any
):
    for _ in range(MOST_WEBHOOKS):
        answered(ping(create_webhook(owner=owner, url=ADDRESS, events=EventType.values)), 500)
    browser.get("/")  # grants the month's credits
    # Session, user, webhooks, their newest deliveries, attempts of these, the month's grant, the balance.
    with django_assert_max_num_queries(7):
        browser.get("/webhooks")


def test_empty_pages_say_what_to_do(browser: Client, webhook: Endpoint):
    assert "Nothing was sent yet" in text(browser, f"/webhooks/{webhook.pk}")
    assert "None of these." in text(browser, f"/webhooks/{webhook.pk}?state=failed")
    webhook.delete()
    assert "No webhooks yet." in text(browser, "/webhooks")


@pytest.mark.parametrize("enabled", [True, False])
def test_page_offers_what_can_be_asked_of_the_api(browser: Client, webhook: Endpoint, enabled: bool):
    delivery = ping(webhook)
    change_webhook(webhook, {"enabled": enabled})
    page = text(browser, f"/webhooks/{webhook.pk}")
    api = f"/api/webhooks/{webhook.pk}"
    change, delete = ("PATCH", api), ("DELETE", api)
    sending = [("POST", f"{api}/ping"), change, delete, ("POST", f"{api}/deliveries/{delivery.pk}/replay")]
    assert buttons(page) == (sending if enabled else [change, delete])
    assert ("Its owner has disabled it." in page) is not enabled
    assert f"data-body='{{\"enabled\": {str(not enabled).lower()}}}'" in page


@pytest.mark.parametrize(
    ("outcomes", "columns", "badge", "said"),
    [
        pytest.param([], {}, "About to be sent", "0 attempts", id="new"),
        pytest.param([204], {"state": "delivered"}, "Delivered", "Answered with 204 No Content.", id="delivered"),
        pytest.param([302], {"state": "failed"}, "Failed", "302 Found. Redirects are not followed.", id="moved"),
        pytest.param([599], {"state": "failed"}, "Failed", "Answered with 599.", id="a status without a name"),
        pytest.param(
            ["The name of the host could not be looked up."],
            {"not_before": "2999-01-01T12:00:05Z"},
            "Will be tried again",
            ">1 Jan, 12:00:05</time> UTC.",
            id="waits",
        ),
        pytest.param(
            ["The name of the host could not be looked up.", 500],
            {"not_before": "2999-01-01T12:00:05Z"},
            "Will be tried again",
            "The name of the host could not be looked up.",
            id="both attempts are in the log",
        ),
    ],
)
def test_delivery_is_told_in_words(
    browser: Client, webhook: Endpoint, outcomes: Any, columns: Any, badge: str, said: str
):
    delivery = answered(ping(webhook), *outcomes, **columns)
    page = text(browser, f"/webhooks/{webhook.pk}")
    assert f'<span class="badge {delivery.state}">{badge}</span>' in page
    assert said in page
    assert delivery.message_id in page
    assert f"{len(outcomes)} attempt" in page


def test_delivery_to_a_disabled_webhook_says_what_it_waits_for(browser: Client, webhook: Endpoint):
    ping(webhook)
    change_webhook(webhook, {"enabled": False})
    page = text(browser, f"/webhooks/{webhook.pk}")
    assert "Waits until the webhook is enabled" in page
    assert "data-delivery" not in page  # nothing will come of it while one looks


@pytest.mark.parametrize(("seconds", "followed"), [(0, True), (45, True), (135, False)])
def test_what_is_about_to_be_sent_is_followed(browser: Client, webhook: Endpoint, seconds: int, followed: bool):
    delivery = answered(ping(webhook), 500, not_before=timezone.now() + timedelta(seconds=seconds))
    page = text(browser, f"/webhooks/{webhook.pk}")
    assert (f'data-delivery="{delivery.pk}" data-attempts="1"' in page) is followed
    assert f'data-pending="/api/webhooks/{webhook.pk}/deliveries?state=pending"' in page


def test_page_shows_the_newest_deliveries_or_those_of_a_state(browser: Client, webhook: Endpoint):
    failed = answered(ping(webhook), 500, state=DeliveryState.FAILED)
    for _ in range(DELIVERIES_SHOWN):
        newest = ping(webhook)
    page = text(browser, f"/webhooks/{webhook.pk}")
    assert page.count("<details>") == DELIVERIES_SHOWN
    assert newest.message_id in page
    assert failed.message_id not in page
    assert "Only the newest deliveries are shown here" in page
    page = text(browser, f"/webhooks/{webhook.pk}?state=failed")
    assert page.count("<details>") == 1
    assert failed.message_id in page
    assert '?state=failed" aria-current="page"' in page


def test_webhook_is_changed_on_its_page(browser: Client, webhook: Endpoint):
    assert f'value="{ADDRESS.replace("&", "&amp;")}"' in text(browser, f"/webhooks/{webhook.pk}/change")
    answer = browser.post(
        f"/webhooks/{webhook.pk}/change",
        {"url": "https://new.example", "events": ["analysis.failed"]},
        follow=True,
    )
    assert answer.redirect_chain == [(f"/webhooks/{webhook.pk}", 302)]
    assert "The webhook was changed." in answer.content.decode()
    webhook.refresh_from_db()
    assert (webhook.url, webhook.events) == ("https://new.example", ["analysis.failed"])


def test_page_shows_a_new_secret_once(browser: Client, webhook: Endpoint):
    old = webhook.secret
    answer = browser.post(f"/webhooks/{webhook.pk}/rotate-secret")
    assert answer["Cache-Control"] == "no-store"
    webhook.refresh_from_db()
    assert webhook.old_secret == old != webhook.secret
    assert webhook.secret in answer.content.decode()
    for path in ("", "/change"):
        assert "whsec_" not in text(browser, f"/webhooks/{webhook.pk}{path}")


def test_whoever_has_to_sign_in_before_a_new_secret_is_made_ends_up_where_it_is_asked_for(
    owner: User, webhook: Endpoint
):
    """A session may have ended since the page was opened."""
    browser = Client()
    sent = browser.post(f"/webhooks/{webhook.pk}/rotate-secret")
    browser.force_login(owner)
    after = browser.get(parse_qs(urlsplit(sent["Location"]).query)["next"][0])
    assert (after.status_code, after["Location"]) == (302, f"/webhooks/{webhook.pk}/change")
    assert Endpoint.objects.get().secret == webhook.secret


@pytest.mark.django_db(transaction=True)  # senders are threads with connections of their own
def test_delivery_that_is_sent_again_from_the_page_shows_both_attempts(
    browser: Client, owner: User, endpoint: Endpoint, receiver: Receiver
):
    """The button's request, as test_page_scripts.py has it made."""
    analysis = make_analysis(owner)
    end(analysis)
    deliver_once()
    page = text(browser, f"/webhooks/{endpoint.pk}")
    assert f'<a href="/analyses/{analysis.pk}">An analysis has succeeded</a>' in page
    (replay,) = [address for method, address in buttons(page) if address.endswith("/replay")]
    receiver.otherwise = 500
    assert browser.post(replay, {}, content_type="application/json").status_code == 202
    deliver_once()
    page = text(browser, f"/webhooks/{endpoint.pk}")
    assert re.findall(r"Answered with (\d+) [\w ]+\. <span", page) == ["204", "500"]
    body = receiver.received[1].body.decode()
    assert body == receiver.received[0].body.decode()
    assert f">{body}</pre>" in page.replace("&quot;", '"')
