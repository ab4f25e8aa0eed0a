"""The shape of the network's input, once for a whole video."""

from batch_job.errors import OptionUnsuitable
from batch_job.letterbox import Shape
from batch_job.tasks import fit_of
from contract.manifest import ModelEntry


def canvas_for(model: ModelEntry, frame: Shape, *, fixed: Shape | None, image_size: int | None) -> Shape:
    """`fixed` where the network's input has only that shape, and else the one that fits frames of this shape.

    Raises OptionUnsuitable where another `image_size` is asked for than the network works at.
    """
    if fixed is None:
        size = image_size or max(model.input_size)
        return fit_of(model).rectangle(frame, image_size=size, stride=model.stride).canvas
    if image_size is not None and image_size != max(fixed):
        raise OptionUnsuitable(f"image_size {image_size} is asked for, and the model only works at {max(fixed)}")
    return fixed
