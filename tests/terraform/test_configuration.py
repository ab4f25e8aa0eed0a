"""What is true of terraform/ without any account: its form, and `terraform test` with mocked providers."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terraform.running import TERRAFORM, Configuration, required, stage
from tools import terraform_inputs

MODULES = sorted(folder.parent.relative_to(TERRAFORM).as_posix() for folder in TERRAFORM.rglob("tests/"))

# terraform's mocks do not know ephemeral resources, which stand in files of their own.
STUBS = {
    "modules/database/ephemeral.tf": ("new_password", "password"),
    "modules/backend/ephemeral.tf": ("new_secret_key",),
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def mockable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = stage(tmp_path_factory.mktemp("mocked"))
    for path, names in STUBS.items():
        text = "".join(f'  {name} = "mocked"\n' for name in names)
        (folder / path).write_text(f"locals {{\n{text}}}\n", encoding="utf-8")
    yield folder
    shutil.rmtree(folder)


def test_files_have_terraforms_form():
    required("terraform")
    assert Configuration(folder=TERRAFORM)("fmt", "-check", "-diff", "-recursive") == ""


def test_terraform_declares_what_the_contract_says():
    """`make terraform-inputs` writes it."""
    assert terraform_inputs.PATH.read_text(encoding="utf-8") == terraform_inputs.text()


def test_every_module_has_tests():
    configured = {file.parent.relative_to(TERRAFORM).as_posix() for file in TERRAFORM.rglob("versions.tf")}
    assert set(MODULES) == configured


@pytest.mark.parametrize("module", MODULES)
def test_module_does_what_its_runs_say(mockable, module):
    """As many runs pass as there are: a run that terraform does not find would otherwise pass unseen."""
    configuration = Configuration(folder=mockable / module)
    configuration.initialise()
    said = configuration("test")
    runs = len(re.findall(r'^run "', _text(TERRAFORM / module, "tests/*.tftest.hcl"), re.MULTILINE))
    assert f"Success! {runs} passed, 0 failed." in said


@pytest.mark.parametrize("root", ["account", "environments/minimal", "environments/production"])
def test_root_is_valid_as_it_is_committed(tmp_path, root):
    configuration = Configuration(folder=stage(tmp_path) / root)
    configuration.initialise()
    assert "The configuration is valid." in configuration("validate")


@pytest.mark.parametrize("module", MODULES)
def test_every_rule_of_a_variable_refuses_something(module):
    """Each rule has a sentence, and a run of its own that shows what it refuses."""
    rules = Counter[str]()
    for name, body in re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', _text(TERRAFORM / module, "*.tf"), re.M | re.S
    ):
        sentences = re.findall(r'^    error_message = "(.*)"$', body, re.MULTILINE)
        assert len(sentences) == body.count("validation {")
        assert all(re.fullmatch(r"[A-Z$\w].*\.", sentence) for sentence in sentences), sentences
        assert 'description = "' in body, name
        rules[name] += len(sentences)
    runs = _text(TERRAFORM / module, "tests/*.tftest.hcl")
    refused = Counter(re.findall(r"expect_failures = \[var\.(\w+)\]", runs))
    assert rules <= refused


def _text(folder: Path, pattern: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob(pattern)))
