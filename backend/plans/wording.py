"""Limits and plans in plain words."""

from collections.abc import Callable

from contract.plans import LIMITS, Limits, Media, Plan

_TIMES = ((3600, "h"), (60, "min"), (1, "s"))
_SIZES = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "bytes"))


# FFmpeg's names, as people say them; the others are said as they are.
_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "MP4 or MOV", "matroska,webm": "WebM or Matroska"}
_CODECS = {
    "h264": "H.264",
    "hevc": "H.265",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "mpeg4": "MPEG-4",
}


def kind(container: str, codec: str) -> str:
    return f"{_name_of(container, _CONTAINERS)} with {_name_of(codec, _CODECS)}"


def kinds(media: Media | None) -> str:
    """What a plan allows."""
    if media is None:
        return "all that can be decoded"
    containers = ", ".join(_name_of(each, _CONTAINERS) for each in media.containers)
    *others, last = (_name_of(each, _CODECS) for each in media.codecs)
    codecs = f"{', '.join(others)} or {last}" if others else last
    return f"{containers} with {codecs}"


def _name_of(each: str, names: dict[str, str]) -> str:
    return names.get(each, each)


def length(seconds: float) -> str:
    """In the two largest units that say something: `1 h 5 min`, `12 min`, `0 s`."""
    left, parts = round(seconds), []
    for unit, name in _TIMES:
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def size(count: int) -> str:
    unit, name = next((pair for pair in _SIZES if count >= pair[0]), _SIZES[-1])
    return f"{round(count / unit, 1):g} {name}"


def another_plan(allows: Callable[[Limits], bool], says: Callable[[Limits], str]) -> str:
    """What to do besides asking for less: the cheapest plan that allows it, if there is one."""
    enough = next((plan for plan in reversed(Plan) if allows(LIMITS[plan])), None)
    return "" if enough is None else f" The plan {enough.name.title()} allows {says(LIMITS[enough])}."
