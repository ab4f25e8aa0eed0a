"""Asking for an analysis: all that is wrong is said before anything is queued."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, OperationalError, connection
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos import services
from backend.videos.models import Analysis, AnalysisEvent, OutboxMessage
from backend.videos.queueing import store_queued
from contract import messages
from contract.messages import AnalysisRequest
from contract.options import AnalysisOptions
from tests.backend.making import DECODE_REPORT, SHAPES, SUMMARY, make_analysis, make_video

pytestmark = pytest.mark.django_db


def request(api: APIClient, **body: Any) -> Any:
    return api.post("/api/analyses", body, format="json")


def nothing_is_queued() -> bool:
    return not (Analysis.objects.exists() or OutboxMessage.objects.exists() or AnalysisEvent.objects.exists())


def test_request_commits_the_analysis_its_message_and_its_history(api: APIClient, owner: User):
    video = make_video(owner)
    answer = request(api, video=str(video.pk), model="shapes", options={"confidence": 0.4, "classes": ["star"]})
    assert answer.status_code == 202
    document = answer.json()
    assert answer["Location"] == f"/api/analyses/{document['id']}" == document["links"]["self"]
    assert int(answer["Retry-After"]) >= 1
    assert document["status"] == "queued"
    assert document["progress"] == 0
    assert document["error"] is None
    assert document["options"] == AnalysisOptions(confidence=0.4, classes=("star",)).to_dict()

    message = AnalysisRequest.from_json(OutboxMessage.objects.get(sent_at=None).body)
    assert str(message.analysis_id) == document["id"]
    assert message.video_key == video.key
    assert message.model == "shapes"
    assert message.options.classes == ("star",)
    assert [event.status for event in Analysis.objects.get().events.all()] == ["queued"]


def test_model_and_options_may_be_left_out(api: APIClient, owner: User):
    answer = request(api, video=str(make_video(owner).pk))
    assert answer.status_code == 202
    assert answer.json()["model"] == "shapes"
    assert answer.json()["options"] == AnalysisOptions().to_dict()


def test_plan_of_the_owner_travels_with_the_request(api: APIClient, owner: User):
    """The Lambda derives share and priority from it."""
    User.objects.filter(pk=owner.pk).update(plan="studio")
    request(api, video=str(make_video(owner).pk))
    assert json.loads(OutboxMessage.objects.get().body)["plan"] == "studio"


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        pytest.param({"model": "yolo9000"}, ["model"], id="unknown model"),
        pytest.param({"model": 7}, ["model"], id="model is a number"),
        pytest.param({"options": {"confidenze": 0.5}}, ["options.confidenze"], id="unknown option"),
        pytest.param({"options": {"confidence": 2}}, ["options.confidence"], id="option outside its limits"),
        pytest.param({"options": {"confidence": "0.5"}}, ["options.confidence"], id="option of a wrong type"),
        pytest.param({"options": {"image_size": 100}}, ["options.image_size"], id="image size not a multiple"),
        pytest.param({"options": {"classes": []}}, ["options.classes"], id="no classes"),
        pytest.param({"options": {"classes": "star"}}, ["options.classes"], id="classes is a text"),
        pytest.param({"options": {"classes": ["star", "dog"]}}, ["options.classes"], id="class the model lacks"),
        pytest.param({"options": ["confidence"]}, ["options"], id="options is a list"),
        pytest.param({"options": None}, ["options"], id="options is null"),
        pytest.param({"video": "7"}, ["video"], id="video is no id"),
        pytest.param({"video": None}, ["video"], id="video is null"),
        pytest.param({"priority": 1}, ["priority"], id="unknown field"),
        pytest.param(
            {"model": "yolo9000", "options": {"iou": 0, "every_nth": 0, "speed": 1}},
            ["model", "options.every_nth", "options.iou", "options.speed"],
            id="all faults at once",
        ),
        pytest.param(
            {"options": {"every_nth": 2, "frames_per_second": 5}},
            ["options.frames_per_second"],
            id="options that exclude each other",
        ),
    ],
)
def test_faulty_request_names_its_fields_and_queues_nothing(
    api: APIClient, owner: User, fields: Any, faulty: list[str]
):
    answer = request(api, **{"video": str(make_video(owner).pk), **fields})
    assert answer.status_code == 400
    assert sorted(answer.json()["errors"]) == faulty
    assert all(sentence for sentences in answer.json()["errors"].values() for sentence in sentences)
    assert nothing_is_queued()


def test_sentence_names_what_the_model_does_not_know(api: APIClient, owner: User):
    answer = request(api, video=str(make_video(owner).pk), options={"classes": ["star", "dog", "cat"]})
    assert answer.json()["errors"] == {"options.classes": ["The model shapes does not know dog, cat."]}


def test_more_classes_than_a_job_can_be_told_are_refused(
    api: APIClient, owner: User, monkeypatch: pytest.MonkeyPatch
):
    video = str(make_video(owner).pk)
    request(api, video=video)
    length = len(json.dumps(OutboxMessage.objects.get().body))
    monkeypatch.setattr(messages, "MOST_CHARACTERS", length + 10)
    assert list(request(api, video=video, options={"classes": SHAPES}).json()["errors"]) == ["options.classes"]
    assert request(api, video=video).status_code == 202


def test_missing_video_field_is_named(api: APIClient):
    answer = request(api, model="shapes")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["video"]


def test_unknown_video_queues_nothing(api: APIClient):
    answer = request(api, video=str(uuid4()))
    assert answer.status_code == 404
    assert answer.json()["code"] == "video_not_found"
    assert answer.json()["errors"]["video"]
    assert nothing_is_queued()


def test_foreign_video_looks_like_an_unknown_one(api: APIClient, stranger: User):
    """Whether somebody else's id exists is nobody's business."""
    foreign = request(api, video=str(make_video(stranger).pk))
    unknown = request(api, video=str(uuid4()))
    assert foreign.status_code == 404
    assert foreign.json() == unknown.json()
    assert nothing_is_queued()


def test_video_that_is_not_uploaded_queues_nothing(api: APIClient, owner: User):
    answer = request(api, video=str(make_video(owner, status="uploading").pk))
    assert answer.status_code == 400
    assert answer.json()["code"] == "video_not_uploaded"
    assert answer.json()["errors"]["video"]
    assert nothing_is_queued()


def test_repeated_class_names_are_taken_once(api: APIClient, owner: User):
    """Otherwise a short list could grow the message beyond what a job's environment holds."""
    answer = request(api, video=str(make_video(owner).pk), options={"classes": ["star"] * 5000})
    assert answer.json()["options"]["classes"] == ["star"]


@pytest.mark.django_db(transaction=True)
def test_analysis_and_message_commit_together_or_not_at_all(owner: User):
    """A row without its message would wait forever; a message without its row would find nothing to do."""
    video = make_video(owner)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE videos_outboxmessage ADD CONSTRAINT nothing_fits CHECK (false)")
    try:
        with pytest.raises(DatabaseError):
            services.request_analysis(owner=owner, video_id=video.pk, model=None, options={})
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE videos_outboxmessage DROP CONSTRAINT nothing_fits")
    assert nothing_is_queued()


def test_database_lost_at_the_last_moment_queues_nothing(
    api: APIClient, owner: User, monkeypatch: pytest.MonkeyPatch
):
    """A client told of a failure asks again, and would pay twice."""
    video = make_video(owner)

    def stores_and_loses(analysis: Analysis, *, message: str) -> None:
        store_queued(analysis, message=message)
        raise OperationalError("gone")

    monkeypatch.setattr(services, "store_queued", stores_and_loses)
    answer = request(api, video=str(video.pk))
    assert answer.status_code == 503
    assert "may or may not have been made" in answer.json()["detail"]
    assert nothing_is_queued()


@pytest.mark.django_db(transaction=True)
def test_nothing_is_asked_of_the_database_after_the_commit(owner: User, django_assert_max_num_queries: Any):
    """What fails then would tell the client of a failure that there was not."""
    video = make_video(owner)
    with django_assert_max_num_queries(20) as queries:
        services.request_analysis(owner=owner, video_id=video.pk, model=None, options={})
    assert queries.captured_queries[-1]["sql"] == "COMMIT"


def test_analysis_says_how_far_it_is(api: APIClient, owner: User):
    analysis = make_analysis(owner, status="running", stage="analysing", frames_done=50, frames_total=200)
    answer = api.get(f"/api/analyses/{analysis.pk}")
    assert answer["Retry-After"] == "1"
    assert answer["Cache-Control"] == "private, no-cache"
    document = answer.json()
    assert (document["stage"], document["frames_done"], document["frames_total"]) == ("analysing", 50, 200)
    assert document["progress"] == 0.25


@pytest.mark.parametrize(
    ("columns", "progress"),
    [
        pytest.param({"status": "running"}, 0.0, id="nothing known"),
        pytest.param({"status": "running", "frames_done": 10, "frames_total": 0}, 0.0, id="empty estimate"),
        pytest.param({"status": "running", "frames_done": 300, "frames_total": 200}, 0.99, id="estimate too low"),
        pytest.param({"status": "succeeded", "frames_done": 90, "frames_total": 100}, 1.0, id="succeeded"),
        pytest.param({"status": "failed", "frames_done": 50, "frames_total": 100}, 0.5, id="failed half way"),
    ],
)
def test_progress_is_between_0_and_1(api: APIClient, owner: User, columns: Any, progress: float):
    analysis = make_analysis(owner, **columns)
    assert api.get(f"/api/analyses/{analysis.pk}").json()["progress"] == progress


def test_finished_analysis_needs_no_more_polling(api: APIClient, owner: User):
    analysis = make_analysis(
        owner,
        status="succeeded",
        summary=SUMMARY,
        decode_report=DECODE_REPORT,
        stage_seconds={"decode": 1.25},
    )
    answer = api.get(f"/api/analyses/{analysis.pk}")
    assert "Retry-After" not in answer
    document = answer.json()
    assert document["summary"] == SUMMARY
    assert document["decode_report"] == DECODE_REPORT
    assert document["stage_seconds"] == {"decode": 1.25}
    assert all(api.get(document["links"][name]).status_code == 200 for name in ("detections", "tracks", "events"))


def test_failure_has_a_code_a_sentence_and_says_whether_to_retry(api: APIClient, owner: User):
    analysis = make_analysis(
        owner, status="failed", error_code="video_empty", error_message="It is empty.", error_retryable=False
    )
    error = api.get(f"/api/analyses/{analysis.pk}").json()["error"]
    assert error == {"code": "video_empty", "message": "It is empty.", "retryable": False}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        pytest.param({"status": "queued"}, "on its way", id="queued"),
        pytest.param({"status": "submitted", "batch_state": "SUBMITTED"}, "accepted", id="submitted"),
        pytest.param({"status": "submitted", "batch_state": "PENDING"}, "free machine", id="an array waits"),
        pytest.param({"status": "submitted", "batch_state": "RUNNABLE"}, "free machine", id="no machine yet"),
        pytest.param(
            {
                "status": "submitted",
                "batch_state": "RUNNABLE",
                "batch_reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - ...",
            },
            "taken at the moment",
            id="no capacity",
        ),
        pytest.param(
            {
                "status": "submitted",
                "batch_state": "RUNNABLE",
                "batch_reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - ...",
            },
            "No machine is set up",
            id="misconfigured",
        ),
        pytest.param(
            {
                "status": "submitted",
                "batch_state": "RUNNABLE",
                "batch_reason": "UNDETERMINED - ...",
            },
            "does not say by what",
            id="nobody knows",
        ),
        pytest.param({"status": "submitted", "batch_state": "STARTING"}, "being prepared", id="starting"),
        pytest.param({"status": "submitted", "batch_state": "RUNNING"}, "about to start", id="container starts"),
        pytest.param(
            {"status": "running", "batch_state": "RUNNABLE", "batch_attempts": 1},
            "stopped early",
            id="waiting for the next attempt",
        ),
        pytest.param({"status": "running", "batch_state": "RUNNING"}, None, id="running"),
        pytest.param({"status": "failed", "batch_state": "FAILED"}, None, id="failed"),
    ],
)
def test_waiting_reason_is_in_plain_words(api: APIClient, owner: User, columns: Any, words: str | None):
    """Users ask why nothing happens, and RUNNABLE is no answer."""
    analysis = make_analysis(owner, **columns)
    reason = api.get(f"/api/analyses/{analysis.pk}").json()["waiting_reason"]
    assert reason is None if words is None else words in reason


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        pytest.param({"status": "submitted"}, "Waiting for a machine", id="submitted"),
        pytest.param({"status": "running", "stage": "analysing"}, "Analysing the frames", id="stage"),
        pytest.param({"status": "running"}, "Running", id="no stage yet"),
        pytest.param({"status": "failed", "stage": "analysing"}, "Failed", id="over"),
    ],
)
def test_status_sentence_is_that_of_the_page(api: APIClient, owner: User, columns: Any, sentence: str):
    """The page that polls shows it as it comes."""
    analysis = make_analysis(owner, **columns)
    assert api.get(f"/api/analyses/{analysis.pk}").json()["status_sentence"] == sentence


def test_analyses_are_listed_newest_first_and_by_video(api: APIClient, owner: User):
    video = make_video(owner)
    first, second = make_analysis(owner, video=video), make_analysis(owner, video=video)
    other = make_analysis(owner)
    everything = [row["id"] for row in api.get("/api/analyses").json()["results"]]
    assert everything == [str(row.pk) for row in (other, second, first)]
    of_video = [row["id"] for row in api.get(f"/api/analyses?video={video.pk}").json()["results"]]
    assert of_video == [str(second.pk), str(first.pk)]
    assert api.get("/api/analyses?video=x").status_code == 400


def test_models_are_those_of_the_manifest(api: APIClient):
    models = api.get("/api/models").json()["results"]
    assert [model["name"] for model in models] == ["shapes", "coco", "poses"]
    assert models[0] == {
        "name": "shapes",
        "task": "detect",
        "classes": ["circle", "square", "triangle", "star"],
        "input_size": [384, 640],
    }
