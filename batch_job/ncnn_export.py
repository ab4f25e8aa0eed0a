"""From a checkpoint to the files `ncnn_engine` opens: `python -m batch_job.ncnn_export WEIGHTS.pt FOLDER`.

Run where models are prepared, never in a job: it needs torch, ultralytics and pnnx, ncnn's own converter.

The network is cut where its last convolutions end, before boxes are decoded and scores squashed: that part is done
for the few places with a high score only, and what is left accepts any input whose sides are multiples of the
stride. It reads BGR from 0 to 255; the order of channels and the division by 255 move into the first weights.
"""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

_TRACED_AT = (384, 640)  # any size will do; a free one is what comes out


def export(weights: Path, folder: Path) -> Path | None:
    """Writes `<stem>.ncnn.param` and `.ncnn.bin` into `folder`, weights in FP32; returns the first.

    None where the network is no detector with anchors: the engine has nothing to decode then. Raises
    CalledProcessError where pnnx fails.
    """
    import torch
    from ultralytics.nn.modules.head import Detect
    from ultralytics.nn.tasks import load_checkpoint

    network, _ = load_checkpoint(str(weights), device="cpu", fuse=True)
    network = network.float().eval()
    head = network.model[-1]
    if type(head) is not Detect or getattr(head, "end2end", False):
        return None
    first = network.model[0].conv
    with torch.no_grad():
        first.weight.copy_(first.weight.flip(1) / 255)

        def raw_maps(levels: list[Any]) -> tuple[Any, ...]:
            """Per level the distribution of each side, (4 x bins, h, w), and the class logits, (classes, h, w)."""
            return tuple(
                branch[number](level) for number, level in enumerate(levels) for branch in (head.cv2, head.cv3)
            )

        head.forward = raw_maps
        traced = torch.jit.trace(network, torch.zeros(1, 3, *_TRACED_AT), strict=False)
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / f"{weights.stem}.pt"
        traced.save(str(script))
        pnnx = Path(sysconfig.get_path("scripts")) / "pnnx"
        shape = ",".join(map(str, (1, 3, *_TRACED_AT)))
        subprocess.run([pnnx, script, f"inputshape=[{shape}]", "fp16=0"], check=True, capture_output=True)
        folder.mkdir(parents=True, exist_ok=True)
        # pnnx makes names of its own of the dots and dashes in a file's name.
        for suffix in (".ncnn.bin", ".ncnn.param"):
            made = next(Path(scratch).glob(f"*{suffix}"))
            (folder / f"{weights.stem}{suffix}").write_bytes(made.read_bytes())
    return folder / f"{weights.stem}.ncnn.param"


if __name__ == "__main__" and export(Path(sys.argv[1]), Path(sys.argv[2])) is None:
    print("nothing to export: ncnn's format is for detectors with anchors", file=sys.stderr)
