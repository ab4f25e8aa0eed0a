import json
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.messages import MOST_CHARACTERS, AnalysisRequest, MessageInvalid
from contract.options import AnalysisOptions
from contract.plans import Plan

ID = UUID("6f1f3c52-9d5e-4a53-8f0e-0a4b8a2a9d11")

options = st.builds(
    AnalysisOptions,
    confidence=st.floats(0.01, 1),
    iou=st.floats(0.01, 1),
    classes=st.none() | st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4).map(tuple),
    image_size=st.none() | st.integers(1, 64).map(lambda sides: sides * 32),
    every_nth=st.integers(1, 10_000),
    track=st.booleans(),
    thumbnails=st.integers(0, 32),
    annotated_video=st.booleans(),
)
requests = st.builds(
    AnalysisRequest,
    analysis_id=st.uuids(),
    video_key=st.text(min_size=1, max_size=80),
    model=st.text(min_size=1, max_size=40),
    plan=st.sampled_from(Plan),
    on_demand=st.booleans(),
    video_seconds=st.none() | st.floats(0, 1e6),
    timeout_seconds=st.none() | st.integers(60, 10**6),
    options=options,
)


def document(**changes: object) -> str:
    fields = json.loads(AnalysisRequest(analysis_id=ID, video_key="uploads/1/v", model="m").to_json())
    return json.dumps({name: value for name, value in (fields | changes).items() if value is not ...})


@given(requests)
def test_what_the_backend_writes_the_job_reads(request):
    """One class writes the document and the same class reads it, twice."""
    assert AnalysisRequest.from_json(request.to_json()) == request


@given(requests)
def test_the_same_request_is_always_the_same_text(request):
    """A message that is sent twice must be recognisable as the same one."""
    assert AnalysisRequest.from_json(request.to_json()).to_json() == request.to_json()


def test_unknown_fields_are_ignored():
    """Writers are deployed last, but a rollback of a reader must still read what a newer writer sent."""
    text = document(colour="blue", options={"confidence": 0.5, "shoe_size": 43})

    assert AnalysisRequest.from_json(text).options == AnalysisOptions(confidence=0.5)


def test_missing_optional_fields_take_their_defaults():
    """Fields are only added with defaults, so an older writer's document stays readable."""
    request = AnalysisRequest.from_json(document(plan=..., options=...))

    assert (request.plan, request.options) == (Plan.FREE, AnalysisOptions())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "not JSON", id="empty"),
        pytest.param("hello", "not JSON", id="prose"),
        pytest.param("[" * 5000, "not JSON", id="nested too deep"),
        pytest.param("[]", "not a JSON object", id="a list"),
        pytest.param("null", "not a JSON object", id="null"),
        pytest.param(document(version=2), "version 2", id="a later version"),
        pytest.param(document(version=...), "version None", id="no version"),
        pytest.param(document(analysis_id="42"), "UUID", id="an id that is no UUID"),
        pytest.param(document(analysis_id=42), "analysis_id", id="an id that is no text"),
        pytest.param(document(video_key=""), "video_key", id="an empty key"),
        pytest.param(document(model=...), "model", id="no model"),
        pytest.param(document(plan="gold"), "gold", id="an unknown plan"),
        pytest.param(document(plan=[]), "Plan", id="a plan that is a list"),
        pytest.param(document(timeout_seconds=59), "timeout_seconds", id="a timeout that AWS Batch refuses"),
        pytest.param(document(timeout_seconds=1e3), "timeout_seconds", id="a timeout that is no whole number"),
        pytest.param(document(options=[]), "options", id="options that are a list"),
        pytest.param(document(options={"confidence": 10**1000}), "confidence", id="a number beyond floats"),
        pytest.param(document(options={"confidence": float("nan")}), "confidence", id="not a number"),
        pytest.param(document(model="m" * MOST_CHARACTERS), "longer", id="longer than a job's variable may be"),
    ],
)
def test_a_malformed_document_is_refused_with_its_fault(text, fault):
    """The Lambda leaves such a message for the dead-letter queue; its log line must say why."""
    with pytest.raises(MessageInvalid, match=fault):
        AnalysisRequest.from_json(text)


@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_rubbish_is_refused_and_nothing_else_happens(text):
    """Anyone with access to the queue can put anything into it."""
    with pytest.raises(MessageInvalid):
        AnalysisRequest.from_json(text)


def test_two_analyses_never_share_a_job_name():
    """The job's name is what keeps a redelivered message from starting a second job."""
    from contract.jobs import analysis_id_of, job_name

    one, other = uuid4(), uuid4()

    assert job_name(one) != job_name(other)
    assert analysis_id_of(job_name(one)) == one
    assert analysis_id_of("nightly-backup") is None
    assert analysis_id_of("analysis-of-the-night") is None
