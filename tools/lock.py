"""Writes constraints.txt: the version of every package that any dependency group brings, and no index's address.

Run by `make lock`. pip itself resolves, so the file holds what pip would install.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_HEADER = "# Every dependency of every group in pyproject.toml, pinned; written by `make lock`.\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report_path = Path(folder) / "report.json"
        arguments = ("--dry-run", "--ignore-installed", "--report", str(report_path), "--group", "test", "pip")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *arguments], cwd=REPOSITORY, check=True)
        report = json.loads(report_path.read_text(encoding="utf-8"))
    found = (item["metadata"] for item in report["install"])
    # A local build tag such as +cpu names one index's build; users elsewhere have another of the same version.
    pins = sorted(f"{item['name'].lower()}=={item['version'].partition('+')[0]}\n" for item in found)
    (REPOSITORY / "constraints.txt").write_text(_HEADER + "".join(pins), encoding="utf-8")


if __name__ == "__main__":
    main()
