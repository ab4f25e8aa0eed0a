"""Writes the README of each Terraform module from its variables and outputs: `make terraform-docs`.

Only the form that terraform/ has is understood: one block for each variable and output, at the margin.
"""

import re
from pathlib import Path

TERRAFORM = Path(__file__).resolve().parent.parent / "terraform"

_BLOCK = r'^{kind} "([\w-]+)" \{{\n(.*?)^\}}'
_INTRODUCTION = re.compile(r"\A((?:^#.*\n)+)", re.MULTILINE)


def pages() -> dict[Path, str]:
    """What each README shall say, by its path."""
    return {file.parent / "README.md": _page(file.parent) for file in sorted(TERRAFORM.rglob("main.tf"))}


def _page(folder: Path) -> str:
    introduction = _INTRODUCTION.match((folder / "main.tf").read_text(encoding="utf-8"))
    if introduction is None:
        raise ValueError(f"{folder}/main.tf does not begin with a comment that says what the module is.")
    text = " ".join(line.removeprefix("#").strip() for line in introduction[1].splitlines())
    variables = [
        f"| `{name}` | {_type(body)} | {_default(body)} | {_description(body)} |"
        for name, body in _blocks("variable", folder / "variables.tf")
    ]
    outputs = [f"| `{name}` | {_description(body)} |" for name, body in _blocks("output", folder / "outputs.tf")]
    return "\n".join(
        [
            "<!-- Written by `make terraform-docs`. -->",
            f"# {folder.name}",
            "",
            text,
            "",
            "| input | type | default | |",
            "|---|---|---|---|",
            *variables,
            "",
            "| output | |",
            "|---|---|",
            *outputs,
            "",
        ]
    )


def _blocks(kind: str, path: Path) -> list[tuple[str, str]]:
    pattern = re.compile(_BLOCK.format(kind=kind), re.MULTILINE | re.DOTALL)
    return pattern.findall(path.read_text(encoding="utf-8"))


def _description(body: str) -> str:
    found = re.search(r'^  description = "(.*)"$', body, re.MULTILINE)
    if found is None:
        raise ValueError(f"There is no description in: {body.strip()}")
    return found[1].replace('\\"', '"').replace("|", "\\|")


def _type(body: str) -> str:
    found = re.search(r"^  type += (.*?)\n(?=  \w)", body, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"There is no type in: {body.strip()}")
    lines = [line.strip() for line in found[1].splitlines()]
    # Aligned, and one attribute a line, as `terraform fmt` has it; in a table all on one.
    text = "".join(f"{line} " if line.endswith("{") else f"{line}, " for line in lines)
    return f"`{re.sub(' +', ' ', text).replace(', }', ' }').removesuffix(', ')}`"


def _default(body: str) -> str:
    found = re.search(r"^  default += (.*)$", body, re.MULTILINE)
    return f"`{found[1]}`" if found else "required"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
