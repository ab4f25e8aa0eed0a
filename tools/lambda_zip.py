"""Builds the Lambda's deployment package: `python tools/lambda_zip.py [--out FILE]`, or `make lambda-zip`.

It holds the handler's module and what that imports of ours; boto3 is the runtime's own. Equal sources give equal
bytes: names in order, one time and one mode for all, and no compression, whose result depends on who compresses.
"""

import argparse
import ast
import hashlib
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
HANDLER = "lambda_sqs_to_batch.handler"
PACKAGES = ("contract", "lambda_sqs_to_batch")
OUT = REPOSITORY / "dist" / "lambda_sqs_to_batch.zip"

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
_MODE = 0o100644 << 16  # an ordinary file, readable by the user that Lambda runs as


def files_of(repository: Path) -> list[Path]:
    """What the handler needs, relative to the repository, in order."""
    found: dict[str, Path] = {}
    open_modules = [HANDLER]
    while open_modules:
        name = open_modules.pop()
        path = _file_of(repository, name)
        if path is None or name in found:
            continue
        found[name] = path
        open_modules += _imported((repository / path).read_text(encoding="utf-8"))
        open_modules.append(name.rpartition(".")[0])
    return sorted(found.values())


def build(out: Path, repository: Path = REPOSITORY) -> str:
    """Writes the package, and gives its SHA-256 in hexadecimal digits."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as package:
        for path in files_of(repository):
            entry = zipfile.ZipInfo(path.as_posix(), _TIME)
            entry.create_system, entry.external_attr = 3, _MODE  # 3 is Unix, whatever this machine is
            package.writestr(entry, (repository / path).read_bytes())
    return hashlib.sha256(out.read_bytes()).hexdigest()


def _file_of(repository: Path, name: str) -> Path | None:
    if name.partition(".")[0] not in PACKAGES:
        return None
    path = Path(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if (repository / candidate).is_file()), None)


def _imported(source: str) -> list[str]:
    """Names of modules, and of what may be modules, that are imported absolutely."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    digest = build(out)
    print(f"{out}: {out.stat().st_size:,} bytes, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
