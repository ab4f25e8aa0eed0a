"""Whether a network has room on the GPU, asked before it is loaded."""

from pathlib import Path

from batch_job.errors import OutOfMemory
from contract.manifest import ModelEntry

_MEBI = 1024 * 1024
_WORKING_BYTES = 512 * _MEBI  # activations of one picture and the libraries' own workspace, by a generous estimate


def require_room(model: ModelEntry, *, weights: Path, free: int) -> None:
    """`free` in bytes. Raises OutOfMemory, which another machine, or this one later, may not.

    The weights are counted twice, since loading holds them in two places for a moment.
    """
    need = 2 * weights.stat().st_size + _WORKING_BYTES
    if free < need:
        raise OutOfMemory(
            f"the GPU has {free // _MEBI} MiB free, and model {model.name} needs about {need // _MEBI} MiB"
        )
