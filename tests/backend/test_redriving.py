"""What was refused can be asked for again, once and by an operator."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from backend.accounts.models import User
from backend.videos.dead_requests import bury_request
from backend.videos.models import Analysis, DeadRequest
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
