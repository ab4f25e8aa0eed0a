"""The formats by the name that URLs and command lines use."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from exports import coco, comma_separated, json_lines, motchallenge, parquet
from exports.values import Write


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportFormat:
    name: str
    title: str  # for people
    suffix: str  # of the file's name
    media_type: str
    write: Write
    needs: str | None = None  # a module that may not be installed

    @property
    def available(self) -> bool:
        return self.needs is None or find_spec(self.needs) is not None


FORMATS: Mapping[str, ExportFormat] = {
    form.name: form
    for form in (
        ExportFormat(
            name="jsonl",
            title="JSON Lines",
            suffix=".jsonl",
            media_type="application/x-ndjson",
            write=json_lines.write,
        ),
        ExportFormat(
            name="csv",
            title="CSV",
            suffix=".csv",
            media_type="text/csv; charset=utf-8; header=present",
            write=comma_separated.write,
        ),
        ExportFormat(
            name="coco",
            title="COCO",
            suffix=".coco.json",
            media_type="application/json",
            write=coco.write,
        ),
        ExportFormat(
            name="motchallenge",
            title="MOTChallenge",
            suffix=".mot.txt",
            media_type="text/plain; charset=utf-8",
            write=motchallenge.write,
        ),
        ExportFormat(
            name="parquet",
            title="Parquet",
            suffix=".parquet",
            media_type="application/vnd.apache.parquet",
            write=parquet.write,
            needs="pyarrow",
        ),
    )
}
