"""Opens a `.pt` file of ultralytics for an analysis."""

import os
from pathlib import Path
from typing import Any

from batch_job.errors import ModelUntrusted
from contract.manifest import ModelEntry


def load_network(entry: Path, model: ModelEntry, *, scratch_dir: Path) -> Any:
    """The network in FP32 on the CPU, its batch normalisations folded into the convolutions, ready to run.

    A checkpoint is a pickle, which may run any code: its sha256 must have been checked before it comes here.
    Raises ModelUntrusted where the network is not what the manifest says it is.
    """
    # ultralytics writes settings when it is imported, and would otherwise look for packages to install.
    os.environ.setdefault("YOLO_CONFIG_DIR", os.fspath(scratch_dir))
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    from ultralytics.nn.tasks import load_checkpoint

    network, _ = load_checkpoint(os.fspath(entry), device="cpu")
    if tuple(network.names[index] for index in sorted(network.names)) != model.classes:
        raise ModelUntrusted(f"{model.name} knows other classes than the manifest says")
    return network.fuse(verbose=False).float().eval()  # verbose, it would run the network to count its operations


def outputs_of(result: Any) -> list[Any]:
    """What an export would give; the network itself also gives what that was made of."""
    outputs = result[0] if isinstance(result, list | tuple) else result
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
