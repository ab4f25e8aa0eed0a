"""Whoever grants more than what is named says beside it why."""

import re
from collections.abc import Iterator

import pytest

from tests.terraform.running import TERRAFORM

_STATEMENT = re.compile(r'((?:^ +#.*\n)*)^( +)(?:dynamic ")?statement"? \{\n([\s\S]*?)^\2\}\n', re.MULTILINE)
_RESOURCES = re.compile(r"^ +resources += (\[[^\]]*\n +\]|.*)", re.MULTILINE)
_WITHIN_ONE = re.compile(
    r'arn\}[:/][^"]*\*'
)  # a log group's streams, a bucket's objects, a definition's revisions


def unexplained(text: str) -> Iterator[str]:
    """The statements whose resources have a wildcard and no comment, neither above them nor within."""
    for above, _, body in _STATEMENT.findall(text):
        resources = "".join(_RESOURCES.findall(body))
        if "*" in _WITHIN_ONE.sub("", resources) and "#" not in above + body:
            yield body


@pytest.mark.parametrize(
    "path", sorted(TERRAFORM.rglob("*.tf")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_wildcard_has_its_reason_beside_it(path):
    assert list(unexplained(path.read_text(encoding="utf-8"))) == []


def test_a_wildcard_without_a_reason_is_found_and_one_with_it_is_not():
    resources = '    resources = [\n      "arn:aws:sqs:::queue",\n      "arn:aws:ec2:::image/*",\n    ]\n'
    bare = f"  statement {{\n{resources}  }}\n"
    assert len(list(unexplained(bare))) == 1
    assert len(list(unexplained(f"  # No id is known before.\n{bare}\n{bare}"))) == 1
    assert list(unexplained(bare.replace("/*", "/ami-1"))) == []
