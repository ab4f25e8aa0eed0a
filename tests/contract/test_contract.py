"""The rules that hold the contract together."""

import contextlib
import dataclasses
import json
import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract import exit_codes
from contract.errors import FAILURES, ErrorCode
from contract.jobs import RETRY_STRATEGY, SCRATCH_FOLDER, job_definition
from contract.manifest import ManifestInvalid, ModelEntry, ModelFormat, RuntimeManifest, RuntimeMismatch
from contract.options import AnalysisOptions, OptionsInvalid
from contract.plans import LIMITS, SHARES, Plan
from contract.statuses import TERMINAL, TRANSITIONS, AnalysisStatus, may_become

MANIFEST = RuntimeManifest(
    abi=1,
    python="3.11.7",
    torch=None,
    cuda=None,
    driver_floor=None,
    engines=("openvino",),
    models=(
        ModelEntry(
            name="shapes",
            task="detect",
            classes=("circle", "star"),
            input_size=(384, 640),
            stride=32,
            root="/opt/models/shapes",
            formats={"openvino": ModelFormat(entry="a.xml", files={"a.xml": "0" * 64, "a.bin": "1" * 64})},
        ),
        ModelEntry(
            name="poses",
            task="pose",
            classes=("person",),
            input_size=(384, 640),
            stride=32,
            root="/opt/models/poses",
            formats={
                "torch": ModelFormat(entry="a.pt", files={"a.pt": "2" * 64}),
                "tensorrt": ModelFormat(entry="a.engine", files={"a.engine": "3" * 64}, compute_capability="8.9"),
            },
            keypoint_shape=(17, 3),
        ),
    ),
)


def test_every_error_code_has_a_sentence_for_the_user():
    """A code without a sentence would show as an empty page to the person who uploaded."""
    assert set(FAILURES) == set(ErrorCode)
    assert all(re.fullmatch(r"[A-Z].*\.", failure.sentence) for failure in FAILURES.values())


def test_nothing_leaves_a_terminal_status():
    """A finished analysis stays finished, whatever arrives late."""
    assert all(not TRANSITIONS[status] for status in TERMINAL)


def test_every_status_can_reach_an_end():
    """No analysis may hang in a status for ever by construction."""
    assert all(TRANSITIONS[status] & TERMINAL for status in set(AnalysisStatus) - TERMINAL)


def test_a_running_analysis_may_be_claimed_again():
    """Otherwise the second attempt of a killed job could never start."""
    assert may_become(AnalysisStatus.RUNNING) == ["queued", "running", "submitted"]


def test_the_retry_strategy_quotes_the_exit_codes():
    """Batch decides by these numbers whether a failed attempt is tried again."""
    actions = {rule.get("onExitCode"): rule["action"] for rule in RETRY_STRATEGY["evaluateOnExit"]}

    assert actions[str(exit_codes.EXIT_TRY_AGAIN)] == "RETRY"
    assert actions[str(exit_codes.EXIT_KILLED)] == "RETRY"
    assert str(exit_codes.EXIT_GIVE_UP) not in actions
    assert RETRY_STRATEGY["evaluateOnExit"][-1] == {"onReason": "*", "action": "EXIT"}
    assert len(RETRY_STRATEGY["evaluateOnExit"]) <= 5  # AWS Batch's limit


@pytest.fixture
def container():
    definition = job_definition(
        image="i", environment={"MEDIA_BUCKET": "b"}, secrets={"DATABASE_URL": "arn:aws:secretsmanager:x"},
        vcpus=2, memory_mib=2048, gpus=1, timeout_seconds=60,
    )  # fmt: skip
    return definition["containerProperties"]


def test_the_job_definition_carries_no_secret_in_plain_text(container):
    """Whoever may describe job definitions must not read the database's password."""
    assert {"name": "DATABASE_URL", "valueFrom": "arn:aws:secretsmanager:x"} in container["secrets"]
    assert "DATABASE_URL" not in {variable["name"] for variable in container["environment"]}
    assert {"type": "GPU", "value": "1"} in container["resourceRequirements"]


def test_the_job_can_write_to_its_scratch_folder_and_nowhere_else(container):
    """The video must lie somewhere although the root is read-only; test_settings holds the job to this place."""
    volumes = {volume["name"] for volume in container["volumes"]}
    writable = [mount for mount in container["mountPoints"] if not mount["readOnly"]]

    assert container["readonlyRootFilesystem"]
    assert [mount["containerPath"] for mount in writable] == [SCRATCH_FOLDER]
    assert {mount["sourceVolume"] for mount in container["mountPoints"]} == volumes


def test_a_dearer_plan_has_the_larger_share_and_the_higher_priority():
    """Batch gives a share identifier compute in proportion to 1 / weight factor."""
    shares = [SHARES[plan] for plan in Plan]  # dearest first

    assert [share.weight_factor for share in shares] == sorted(share.weight_factor for share in shares)
    assert [share.scheduling_priority for share in shares] == sorted(
        (share.scheduling_priority for share in shares), reverse=True
    )
    assert all(0.0001 <= share.weight_factor <= 999.9999 for share in shares)
    assert all(0 <= share.scheduling_priority <= 9999 for share in shares)


def test_a_dearer_plan_allows_more_of_everything():
    """Otherwise a sentence that recommends the next plan would be wrong."""
    dearest_first = [dataclasses.asdict(LIMITS[plan]) for plan in Plan]

    for dearer, cheaper in pairwise(dearest_first):
        kinds, fewer = dearer.pop("media"), cheaper["media"]
        assert all(dearer[name] > cheaper[name] for name in dearer)
        assert kinds is None or all(set(kinds[name]) >= set(fewer[name]) for name in kinds)


def test_the_largest_file_of_a_plan_finds_room():
    for limits in LIMITS.values():
        assert limits.file_bytes < limits.stored_bytes


def test_all_faulty_options_are_named_at_once():
    """A person who mends one field should not be sent back for the next."""
    with pytest.raises(OptionsInvalid) as caught:
        AnalysisOptions(confidence=2, iou="high", image_size=100, classes=(), every_nth=0, thumbnails=99)

    assert set(caught.value.faults) == {"confidence", "iou", "image_size", "classes", "every_nth", "thumbnails"}


def test_two_ways_of_sampling_cannot_be_mixed():
    """Every nth frame and N per second contradict each other; a guess would be wrong half the time."""
    with pytest.raises(OptionsInvalid, match="every_nth"):
        AnalysisOptions(every_nth=2, frames_per_second=5)


def test_the_manifest_reads_what_it_writes():
    """The image build writes it, the job and the backend read it."""
    assert RuntimeManifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert RuntimeManifest.from_json(f"{MANIFEST.packed()}\n") == MANIFEST


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(MANIFEST.packed()[:-9], id="broken off"),
        pytest.param("zlib:é", id="no base64"),
        pytest.param("zlib:AAAA", id="not compressed"),
        pytest.param("zlib:eNr7/x8AAv8B/w==", id="no text"),
        pytest.param("zlib:", id="nothing"),
    ],
)
def test_a_packed_manifest_that_is_damaged_is_refused(text):
    with pytest.raises(ManifestInvalid, match="cannot be unpacked"):
        RuntimeManifest.from_json(text)


def test_another_abi_is_refused_in_one_sentence():
    """New code on an old machine image must stop before it touches a video."""
    with pytest.raises(RuntimeMismatch, match="needs runtime ABI 2; the machine image offers 1"):
        MANIFEST.require_abi(2)


def test_all_faults_of_a_manifest_are_named_at_once():
    """An image build takes an hour; one fault per build would take days."""
    document = json.loads(MANIFEST.to_json())
    document["abi"] = "one"
    document["models"][0]["stride"] = 0
    document["models"][0]["formats"]["openvino"]["entry"] = "elsewhere.xml"
    document["models"][1]["formats"]["tensorrt"]["compute_capability"] = 8.9

    with pytest.raises(ManifestInvalid) as caught:
        RuntimeManifest.from_json(json.dumps(document))

    assert all(word in str(caught.value) for word in ("abi", "stride", "openvino", "compute_capability"))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        pytest.param(1, None, id="none for a pose"),
        pytest.param(1, [17], id="half of it"),
        pytest.param(1, [17, 4], id="points of four values"),
        pytest.param(1, [0, 3], id="no points"),
        pytest.param(0, [17, 3], id="key points of boxes"),
    ],
)
def test_key_points_are_told_for_poses_and_for_nothing_else(model, shape):
    """Without their number a network's output cannot be read; with it for another task something is mixed up."""
    document = json.loads(MANIFEST.to_json())
    document["models"][model]["keypoint_shape"] = shape
    with pytest.raises(ManifestInvalid, match="keypoint_shape"):
        RuntimeManifest.from_json(json.dumps(document))


def test_a_manifest_from_before_key_points_can_be_read():
    """Machine images are older than the code that they carry."""
    document = json.loads(MANIFEST.to_json())
    del document["models"][0]["keypoint_shape"]
    del document["models"][1]
    assert RuntimeManifest.from_json(json.dumps(document)).models == MANIFEST.models[:1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    path=st.sampled_from(
        [
            "abi",
            "engines",
            "models",
            "models.0",
            "models.0.name",
            "models.0.classes",
            "models.0.input_size",
            "models.1.keypoint_shape",
            "models.0.formats",
            "models.0.formats.openvino",
            "models.0.formats.openvino.entry",
            "models.0.formats.openvino.files",
        ]
    ),
    value=json_values,
)
@example(path="models.0.formats.openvino.entry", value=["a.xml"])
def test_a_damaged_manifest_is_refused_or_read_but_never_crashes(path, value):
    """The file is written by another build; the job must end with a sentence, not a traceback."""
    document = json.loads(MANIFEST.to_json())
    *parents, last = path.split(".")
    place = document
    for step in parents:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value

    with contextlib.suppress(ManifestInvalid):
        RuntimeManifest.from_json(json.dumps(document))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{" * 9, id="broken off"),
        pytest.param("[" * 100_000, id="nested too deep"),
    ],
)
def test_a_manifest_that_is_no_json_is_refused(text):
    """Whatever the parser raises, the job must end with a sentence."""
    with pytest.raises(ManifestInvalid, match="not JSON"):
        RuntimeManifest.from_json(text)
