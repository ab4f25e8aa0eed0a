"""What does not fit is told at once, in a sentence of its own, and never tried again.

No test here uploads its video: a job that had looked for it would say so.
"""

import dataclasses
from collections.abc import Callable

import pytest

from contract.errors import FAILURES, ErrorCode
from contract.exit_codes import EXIT_GIVE_UP
from contract.jobs import RETRY_STRATEGY
from contract.manifest import RUNTIME_ABI, RuntimeManifest
from local.batch.retry import AttemptEnd, is_retried
from tests.images.running import run_job

# One worker, so that everything is made once; the first test of them waits for all of it.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("images"), pytest.mark.timeout(900)]

Change = Callable[[RuntimeManifest], RuntimeManifest]


def _older(manifest: RuntimeManifest) -> RuntimeManifest:
    return dataclasses.replace(manifest, abi=RUNTIME_ABI - 1)


def _for_a_gpu(manifest: RuntimeManifest) -> RuntimeManifest:
    return dataclasses.replace(manifest, driver_floor="570.00")


def _without_models(manifest: RuntimeManifest) -> RuntimeManifest:
    return dataclasses.replace(manifest, models=())


def _with_a_missing_file(manifest: RuntimeManifest) -> RuntimeManifest:
    (model,) = manifest.models
    form = model.formats["openvino"]
    more = dataclasses.replace(form, files={**form.files, "lost.bin": "0" * 64})
    return dataclasses.replace(manifest, models=(dataclasses.replace(model, formats={"openvino": more}),))


def _with_another_sha256(manifest: RuntimeManifest) -> RuntimeManifest:
    (model,) = manifest.models
    form = model.formats["openvino"]
    spoilt = dataclasses.replace(form, files=dict.fromkeys(form.files, "0" * 64))
    return dataclasses.replace(manifest, models=(dataclasses.replace(model, formats={"openvino": spoilt}),))


@pytest.mark.parametrize(
    ("change", "without", "code", "sentence"),
    [
        pytest.param(
            _older,
            (),
            ErrorCode.RUNTIME_MISMATCH,
            f"this code needs runtime ABI {RUNTIME_ABI}; the machine image offers {RUNTIME_ABI - 1}",
            id="another ABI",
        ),
        pytest.param(
            _for_a_gpu,
            (),
            ErrorCode.RUNTIME_MISMATCH,
            "the machine image is for machines with a GPU, and this container sees none",
            id="no GPU",
        ),
        pytest.param(
            _without_models,
            (),
            ErrorCode.MODEL_UNKNOWN,
            "The runtime manifest does not name this model: demo-shapes",
            id="no such model",
        ),
        pytest.param(
            _with_a_missing_file,
            (),
            ErrorCode.MODEL_UNTRUSTED,
            "lost.bin of model demo-shapes cannot be read: No such file or directory",
            id="a model file missing",
        ),
        pytest.param(
            _with_another_sha256,
            (),
            ErrorCode.MODEL_UNTRUSTED,
            "of model demo-shapes has another sha256 than the manifest says",
            id="another sha256",
        ),
        pytest.param(
            None,
            ("/opt/models",),
            ErrorCode.MODEL_UNTRUSTED,
            "/opt/models/demo-shapes of model demo-shapes is not there; the machine's models are not mounted",
            id="no models mounted",
        ),
        pytest.param(
            None,
            ("/scratch",),
            ErrorCode.SETTINGS_INVALID,
            "SCRATCH_DIR cannot be written to",
            id="no scratch mounted",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_the_video_is_touched(
    podman,
    image,
    furnished,
    bench,
    tmp_path,
    change: Change | None,
    without: tuple[str, ...],
    code: ErrorCode,
    sentence: str,
):
    more = []
    if change is not None:
        manifest = RuntimeManifest.from_json((furnished.runtime / "manifest.json").read_text())
        changed = tmp_path / "manifest.json"
        changed.write_text(change(manifest).to_json())
        more = ["--volume", f"{changed}:/opt/runtime/manifest.json:ro"]
    request = bench.add_analysis("uploads/1/never-uploaded", model="demo-shapes")

    folders = furnished.folders | {"/scratch": bench.scratch}
    done = run_job(podman, image, folders, bench.environment(request), *more, without=without)

    said = done.stdout + done.stderr
    assert done.returncode == EXIT_GIVE_UP, said
    assert sentence in said
    row = bench.analysis(request)
    assert (row["status"], row["error_code"], row["error_retryable"]) == ("failed", code, False)
    assert row["error_message"] == FAILURES[code].sentence


def test_a_machine_without_a_runtime_is_no_reason_to_try_again(podman, image, furnished, bench):
    """There is no Python that could say anything: AWS Batch gets the engine's own words.

    What the backend makes of them is tried in tests/backend.
    """
    request = bench.add_analysis("uploads/1/never-uploaded", model="demo-shapes")
    folders = furnished.folders | {"/scratch": bench.scratch}

    done = run_job(podman, image, folders, bench.environment(request), without=("/opt/runtime",))

    assert done.returncode == 127
    assert "executable file" in done.stderr
    end = AttemptEnd(exit_code=127, reason=f"CannotStartContainerError: {done.stderr}")
    assert not is_retried(RETRY_STRATEGY, attempts_made=1, end=end)
