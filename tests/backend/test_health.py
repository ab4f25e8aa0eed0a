"""Load balancers ask each task by its own address and without TLS."""

import pytest

TASK = "10.40.3.7:8000"


@pytest.mark.parametrize(("path", "status"), [("/healthz", "alive"), ("/readyz", "ready")])
def test_health_check_by_a_tasks_address_over_http_is_answered(db, client, settings, path, status):
    settings.SECURE_SSL_REDIRECT = True
    answer = client.get(path, headers={"host": TASK})
    assert (answer.status_code, answer.json()) == (200, {"status": status})


def test_everything_else_is_asked_for_by_an_allowed_host(client):
    assert client.get("/api/videos", headers={"host": TASK}).status_code == 400


def test_health_check_takes_no_other_method(client):
    assert client.post("/healthz", headers={"host": TASK}).status_code == 405
