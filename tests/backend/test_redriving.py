"""What was refused can be asked for again, once and by an operator."""

import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from backend.accounts.models import User
from backend.videos.dead_requests import bury_request
from backend.videos.models import Analysis, DeadRequest
from backend.videos.services import retry_analysis
from contract.messages import AnalysisRequest
from tests.backend.making import make_analysis

pytestmark = pytest.mark.django_db


def refused(owner: User, message_id: str) -> Analysis:
    analysis = make_analysis(owner)
    body = AnalysisRequest(analysis_id=analysis.pk, video_key="v", model="shapes").to_json()
    bury_request(message_id=message_id, body=body, fault="no such queue")
    return analysis


def redrive(*arguments: str) -> tuple[list[str], list[str]]:
    out, err = StringIO(), StringIO()
    call_command("redrive_dead_requests", *arguments, stdout=out, stderr=err)
    return out.getvalue().splitlines(), err.getvalue().splitlines()


def test_each_request_is_asked_for_anew_once_and_its_message_kept(owner: User):
    """Two operators, or one who is not sure, start no second analysis."""
    failed = [refused(owner, "m-1"), refused(owner, "m-2")]
    out, _ = redrive("--all")
    assert out[-1] == "2 redriven"
    made = Analysis.objects.filter(retry_of__in=failed)
    assert sorted(analysis.messages.count() for analysis in made) == [1, 1]
    assert {analysis.status for analysis in made} == {"queued"}
    assert DeadRequest.objects.exclude(redriven_at=None).count() == 2
    assert redrive("--all")[0] == ["0 redriven"]
    assert Analysis.objects.filter(retry_of__in=failed).count() == 2


def test_only_what_was_named(owner: User):
    refused(owner, "m-1")
    wanted = refused(owner, "m-2")
    redrive("m-2")
    assert [analysis.retry_of for analysis in Analysis.objects.exclude(retry_of=None)] == [wanted]
    with pytest.raises(CommandError):
        redrive()


@pytest.mark.parametrize("lacking", ["m-3", "m-1"], ids=["mistyped", "redriven already"])
def test_id_under_which_nothing_waits_is_refused_before_anything_is_redriven(owner: User, lacking: str):
    """Whoever mistypes one would take "0 redriven" for an answer."""
    refused(owner, "m-1")
    redrive("m-1")
    wanted = refused(owner, "m-2")
    with pytest.raises(CommandError, match=lacking):
        redrive("m-2", lacking)
    assert not wanted.retries.exists()


def test_what_no_analysis_failed_of_is_said_and_left(owner: User):
    """A job took the request after all, or nobody can read it."""
    running = make_analysis(owner, status="running")
    bury_request(
        message_id="m-1", body=AnalysisRequest(analysis_id=running.pk, video_key="v", model="s").to_json()
    )
    bury_request(message_id="m-2", body="rubbish")
    out, err = redrive("--all")
    assert (out, len(err)) == (["0 redriven"], 2)
    assert Analysis.objects.count() == 1


def test_several_messages_of_one_analysis_are_one_request(owner: User):
    """SQS delivers twice and the worker sends again, so that two may end as dead letters; one is charged for."""
    failed = refused(owner, "m-1")
    bury_request(message_id="m-2", body=DeadRequest.objects.get().body)
    assert redrive("--all")[0][-1] == "1 redriven"
    bury_request(message_id="m-3", body=DeadRequest.objects.first().body)  # type: ignore[union-attr]
    assert redrive("m-3")[0] == ["0 redriven"]
    assert failed.retries.count() == 1
    assert not DeadRequest.objects.filter(message_id__in=["m-1", "m-2"], redriven_at=None).exists()


def test_what_its_owner_has_tried_again_is_not_asked_for_once_more(owner: User):
    failed = refused(owner, "m-1")
    failed.refresh_from_db()
    retry_analysis(owner=owner, analysis=failed)
    assert redrive("--all")[0] == ["0 redriven"]
    assert failed.retries.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_two_operators_with_two_messages_of_one_analysis_ask_once(owner: User):
    failed = refused(owner, "m-1")
    bury_request(message_id="m-2", body=DeadRequest.objects.get().body)
    together = threading.Barrier(2)

    def operator(message_id: str) -> None:
        try:
            together.wait(60)
            redrive(message_id)
        finally:
            connection.close()

    operators = [threading.Thread(target=operator, args=[f"m-{number}"]) for number in (1, 2)]
    for thread in operators:
        thread.start()
    for thread in operators:
        thread.join()
    assert failed.retries.count() == 1
