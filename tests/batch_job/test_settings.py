import os
from pathlib import Path
from uuid import UUID

import pytest

from batch_job.errors import SettingsInvalid
from batch_job.settings import Identity, Settings
from contract.messages import AnalysisRequest

REQUEST = AnalysisRequest(analysis_id=UUID(int=7), video_key="uploads/1/clip", model="yolov8n")
GOOD = {
    "ANALYSIS_REQUEST": REQUEST.to_json(),
    "AWS_BATCH_JOB_ID": "job-1",
    "AWS_BATCH_JOB_ATTEMPT": "2",
    "DATABASE_URL": "postgresql://somebody:secret@database/framebatch",
    "MEDIA_BUCKET": "media",
}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place a container can write to."""
    monkeypatch.setattr("batch_job.settings.SCRATCH_FOLDER", str(tmp_path))
    return tmp_path


def test_settings_are_read_from_the_environment_alone(scratch: Path) -> None:
    """What a container has not got must not be needed."""
    settings = Settings.from_environ(GOOD)
    assert settings.identity.request == REQUEST
    assert settings.identity.attempt == 2
    assert settings.runtime_manifest == Path("/opt/runtime/manifest.json")
    assert settings.scratch_dir == scratch
    assert (settings.engine, settings.precision, settings.chunk_frames) == (None, "f32", 128)


def test_all_faults_are_told_in_one_sentence() -> None:
    """An operator corrects them in one go, and the log must not show the database's password."""
    faulty = GOOD | {
        "AWS_BATCH_JOB_ATTEMPT": "0",
        "MEDIA_BUCKET": "",
        "ENGINE": "abacus",
        "CHUNK_FRAMES": "many",
        "SCRATCH_DIR": "/no/such/folder",
    }
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environ(faulty)
    message = str(caught.value)
    for name in ("AWS_BATCH_JOB_ATTEMPT", "MEDIA_BUCKET", "ENGINE", "CHUNK_FRAMES", "SCRATCH_DIR"):
        assert name in message
    assert "secret" not in message


def test_a_scratch_folder_nobody_can_write_to_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The container's own file system is read-only; that must not show first when the video is fetched."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SettingsInvalid, match="SCRATCH_DIR cannot be written to"):
        Settings.from_environ(GOOD)


def test_a_fault_elsewhere_leaves_the_identity_readable() -> None:
    """So the user can be told that the settings are faulty."""
    identity = Identity.from_environ(GOOD | {"MEDIA_BUCKET": "", "CHUNK_FRAMES": "-1"})
    assert identity is not None
    assert identity.request.analysis_id == UUID(int=7)


@pytest.mark.parametrize("name", ["ANALYSIS_REQUEST", "AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT", "DATABASE_URL"])
def test_without_its_identity_nobody_can_be_told(name: str) -> None:
    """Then only exit code and log speak, and AWS Batch's event closes the analysis."""
    assert Identity.from_environ(GOOD | {name: ""}) is None


def test_an_unreadable_request_is_a_fault_of_the_settings() -> None:
    """The Lambda has validated it, so it was broken on the way."""
    with pytest.raises(SettingsInvalid, match="ANALYSIS_REQUEST: not JSON"):
        Settings.from_environ(GOOD | {"ANALYSIS_REQUEST": "{"})
