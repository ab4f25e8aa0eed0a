"""The environment, read once. All faults are reported in one sentence, which repeats no value."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from batch_job.errors import SettingsInvalid
from contract.jobs import REQUEST_VARIABLE, SCRATCH_FOLDER
from contract.messages import AnalysisRequest, MessageInvalid

ENGINES = ("ncnn", "openvino", "onnx", "torch", "tensorrt")  # as preferred on a CPU; each opens its own format
DECODERS = ("cpu", "gpu")
PRECISIONS = ("f32", "native")
MANIFEST_PATH = "/opt/runtime/manifest.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Which attempt at which analysis this process is, and where it can say so."""

    request: AnalysisRequest
    job_id: str
    attempt: int  # from 1
    array: tuple[int, int] | None  # index and size, if this is one job of an array
    database_url: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self | None:
        """None where even this much is faulty, so that nobody can be told."""
        reader = _Reader(environ)
        identity = cls._read(reader)
        return None if reader.faults else identity

    @classmethod
    def _read(cls, reader: "_Reader") -> Self | None:
        request = reader.request()
        job_id = reader.text("AWS_BATCH_JOB_ID")
        attempt = reader.number("AWS_BATCH_JOB_ATTEMPT", default=None, lowest=1)
        database_url = reader.text("DATABASE_URL")
        index = reader.number("AWS_BATCH_JOB_ARRAY_INDEX", default=0, lowest=0)
        size = reader.number("AWS_BATCH_JOB_ARRAY_SIZE", default=0, lowest=0)
        if index and index >= size:
            reader.faults.append("AWS_BATCH_JOB_ARRAY_INDEX is not below AWS_BATCH_JOB_ARRAY_SIZE")
        if request is None:
            return None
        array = (index, size) if size else None
        return cls(request=request, job_id=job_id, attempt=attempt, array=array, database_url=database_url)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    identity: Identity
    media_bucket: str
    runtime_manifest: Path
    scratch_dir: Path
    engine: str | None  # None: the first of `engines.preference` that machine, its GPU and model offer
    precision: str  # "native": half on a GPU, perhaps bfloat16 on a CPU; faster, and less exact
    decoder: str  # where pictures are decoded
    chunk_frames: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsInvalid, naming every fault at once."""
        reader = _Reader(environ)
        identity = Identity._read(reader)
        scratch_dir = Path(environ.get("SCRATCH_DIR") or SCRATCH_FOLDER)
        media_bucket = reader.text("MEDIA_BUCKET")
        engine = reader.choice("ENGINE", ENGINES)
        precision = reader.choice("PRECISION", PRECISIONS)
        decoder = reader.choice("DECODER", DECODERS)
        # At 60 frames per second a user sees progress every two seconds, and a kill costs no more than that.
        chunk_frames = reader.number("CHUNK_FRAMES", default=128, lowest=1)
        if not scratch_dir.is_dir():
            reader.faults.append("SCRATCH_DIR is not a folder")
        elif not os.access(scratch_dir, os.W_OK | os.X_OK):
            reader.faults.append("SCRATCH_DIR cannot be written to")
        if identity is None or reader.faults:
            raise SettingsInvalid("; ".join(reader.faults))
        return cls(
            identity=identity,
            media_bucket=media_bucket,
            runtime_manifest=Path(environ.get("RUNTIME_MANIFEST") or MANIFEST_PATH),
            scratch_dir=scratch_dir,
            engine=engine,
            precision=precision or "f32",
            decoder=decoder or "cpu",
            chunk_frames=chunk_frames,
        )


class _Reader:
    """Reads variables and collects their faults; a faulty one comes back as a harmless placeholder."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def text(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self.faults.append(f"{name} is missing")
        return value

    def number(self, name: str, *, default: int | None, lowest: int) -> int:
        value = self._environ.get(name, "")
        if not value:
            if default is None:
                self.faults.append(f"{name} is missing")
            return default or lowest
        if not value.isascii() or not value.isdigit() or int(value) < lowest:
            self.faults.append(f"{name} is not a whole number of at least {lowest}")
            return lowest
        return int(value)

    def choice(self, name: str, allowed: Sequence[str]) -> str | None:
        value = self._environ.get(name, "")
        if not value:
            return None
        for choice in allowed:
            if value.lower() == choice.lower():
                return choice
        self.faults.append(f"{name} is not one of {', '.join(allowed)}")
        return None

    def request(self) -> AnalysisRequest | None:
        text = self.text(REQUEST_VARIABLE)
        if not text:
            return None
        try:
            return AnalysisRequest.from_json(text)
        except MessageInvalid as exc:
            self.faults.append(f"{REQUEST_VARIABLE}: {exc}")
            return None
