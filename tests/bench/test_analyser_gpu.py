import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_without_a_gpu_it_stops_with_one_sentence() -> None:
    """Nobody shall take figures of a CPU for those of a GPU."""
    hide = "import sys; sys.modules['torch'] = None; sys.argv = ['bench'];"
    command = f"{hide} from bench.analyser_gpu import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert done.stderr == "No GPU is at hand: this measures on a GPU of NVIDIA that torch can use.\n"
    assert done.stdout == ""


def test_a_build_of_torch_without_cuda_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from bench import analyser_gpu

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["bench"])
    with pytest.raises(SystemExit, match="No GPU is at hand"):
        analyser_gpu.main()


def test_folders_that_are_not_named_are_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import analyser_gpu

    monkeypatch.setattr(analyser_gpu, "_gpu_at_hand", lambda: True)
    monkeypatch.delenv("FRAMEBATCH_MODELS", raising=False)
    monkeypatch.setattr(sys, "argv", ["bench"])
    with pytest.raises(SystemExit, match="FRAMEBATCH_VIDEOS and FRAMEBATCH_MODELS must name"):
        analyser_gpu.main()


def test_make_knows_the_target() -> None:
    help_text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "bench-analyser-gpu" in help_text
