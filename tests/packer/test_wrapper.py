"""An operator's commands about machine images: what they say, what they change, and that they can be repeated."""

import dataclasses
import json
import os
import secrets
import subprocess
import sys

import pytest

from contract.manifest import RUNTIME_ABI, RuntimeManifest
from packer.packer_py_wrapper.content import REPOSITORY, content_of
from packer.packer_py_wrapper.images import images
from tests.packer.fake_packer import add_newer

IMAGE_ID = f"/framebatch/runtime/{RUNTIME_ABI}/g6/image-id"


@pytest.mark.usefixtures("fake_packer")
def test_an_image_is_built_once_for_equal_content(call, ec2, variables):
    """A bake costs minutes of a GPU machine; repeating the command must not."""
    assert "no image has it yet" in call("plan", "--variables", variables)[1]

    code, said, _ = call("build", "--variables", variables)
    again = call("build", "--variables", variables)

    (image,) = images(ec2)
    assert code == 0
    assert f"{image.id} is made of {image.content}\n" in said
    assert again == (0, f"{image.id} is made of {image.content} already\n", "")
    assert f"{image.content}: {image.id} has it" in call("plan", "--variables", variables)[1]


@pytest.mark.usefixtures("fake_packer")
def test_what_packer_says_is_passed_on_readably(call, ec2, variables):
    """A person watches a bake for minutes."""
    said = call("build", "--variables", variables)[1].splitlines()

    assert said[:2] == ["==> amazon-ebs.framebatch: Prevalidating, then baking", "a plugin's own words"]


@pytest.mark.usefixtures("account")
def test_what_packer_says_is_passed_on_while_it_works(fake_packer, variables, monkeypatch):
    """Also into a log: whoever watches a bake on GitHub for an hour must see how far it is."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    ended, goes_on = fake_packer.with_name("ended"), fake_packer.with_name("goes_on")
    os.mkfifo(goes_on)  # which nobody writes to
    fake_packer.write_text(f"#!/bin/sh\necho 1700000000,,ui,say,begun\nread _ < {goes_on}\ntouch {ended}\n")
    command = [sys.executable, "-m", "packer.packer_py_wrapper", "build", "--variables", variables]

    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        assert not ended.exists()
        process.terminate()


@pytest.mark.usefixtures("fake_packer", "account")
def test_a_failed_bake_gives_packers_reason(call, variables, monkeypatch):
    """An exit code alone helps nobody."""
    monkeypatch.setenv("FAKE_PACKER_FAULT", "Build 'x' errored: the driver is 535.1%!(PACKER_COMMA) too old")

    code, _, complaint = call("build", "--variables", variables)

    assert code == 1
    assert complaint == ("packer could not build the image: Build 'x' errored: the driver is 535.1, too old\n")


@pytest.mark.usefixtures("account")
def test_a_missing_packer_is_one_sentence(call, variables, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    code, _, complaint = call("build", "--variables", variables)

    assert code == 1
    assert complaint.startswith("packer is not installed")


def test_missing_credentials_are_one_sentence(call, account, variables, monkeypatch):
    """boto3 says it with a traceback of forty lines."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    code, _, complaint = call("plan", "--variables", variables)

    assert (code, complaint) == (
        1,
        "There are no credentials of AWS; `aws configure` or `aws sso login` gives some.\n",
    )


@pytest.mark.parametrize(
    "command",
    [
        ["plan", "--variables"],
        ["build", "--dry-run", "--variables"],
        ["publish", "--variables"],
        ["status"],
        ["prune"],
    ],
    ids=lambda command: command[0],
)
def test_a_missing_region_is_one_sentence(call, variables, monkeypatch, command):
    """The first thing a newcomer meets."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    code, _, complaint = call(*command, *([variables] if command[-1] == "--variables" else []))

    assert code == 1
    assert complaint == "No region of AWS is set; AWS_DEFAULT_REGION names one, or `aws configure` writes it.\n"


@pytest.mark.parametrize("command", ["plan", "build", "publish"])
def test_missing_variables_are_told_before_aws_is_asked(call, tmp_path, command):
    code, _, complaint = call(command, "--variables", tmp_path / "nowhere.hcl")

    assert (code, complaint) == (1, f"{tmp_path}/nowhere.hcl cannot be read: No such file or directory.\n")


def test_a_plan_without_an_account_says_the_content(call, variables, monkeypatch):
    """For a reviewer of a change: equal content is equal input, here and where it is baked."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    code, said, _ = call("plan", "--offline", "--variables", variables)

    assert (code, said.partition(":")[0]) == (0, content_of(REPOSITORY, variables))


def test_a_change_of_variables_asks_for_another_image(call, ec2, variables, fake_packer):
    """What the image starts from is part of what it is made of."""
    call("build", "--variables", variables)
    variables.write_text(variables.read_text().replace("ami-0123", "ami-4567"))

    assert "no image has it yet" in call("plan", "--variables", variables)[1]


@pytest.mark.usefixtures("fake_packer")
def test_publishing_twice_changes_nothing(call, ec2, ssm, variables, manifest):
    """Other parts find image and manifest by the ABI they need and the family they start."""
    call("build", "--variables", variables)

    first = call("publish", "--variables", variables, "--manifest", manifest)
    second = call("publish", "--variables", variables, "--manifest", manifest)

    (image,) = images(ec2)
    assert first[0] == second[0] == 0
    assert first[1].count("wrote") == 2
    assert second[1].count("is up to date") == 2
    assert ssm.get_parameter(Name=IMAGE_ID)["Parameter"]["Value"] == image.id
    text = ssm.get_parameter(Name=f"/framebatch/runtime/{RUNTIME_ABI}/g6/manifest")["Parameter"]["Value"]
    assert RuntimeManifest.from_json(text) == RuntimeManifest.from_json(manifest.read_text())
    assert "published" in call("status")[1]


@pytest.mark.usefixtures("fake_packer")
def test_an_image_is_made_where_the_other_commands_look_for_it(call, ec2, variables):
    """Baked in a region that the variables alone name, it would be there, and never found."""
    variables.write_text(f'{variables.read_text()}region = "us-west-2"\n')

    call("build", "--variables", variables)

    (image,) = images(ec2)
    assert f"{image.id} has it" in call("plan", "--variables", variables)[1]


@pytest.mark.usefixtures("fake_packer", "account")
def test_what_is_published_needs_no_manifest_to_be_so(call, variables, manifest):
    """A workflow runs for a change that the image does not depend on, where nothing was built."""
    call("build", "--variables", variables)
    call("publish", "--variables", variables, "--manifest", manifest)
    image = call("build", "--variables", variables)[1].split()[0]

    assert call("publish", "--variables", variables) == (0, f"{image} is published already\n", "")


@pytest.mark.usefixtures("fake_packer")
def test_a_manifest_that_another_machine_has_is_asked_for(call, ssm, variables):
    """The image is there, so that nothing bakes it again: whoever reads this must know what to do."""
    call("build", "--variables", variables)

    code, _, complaint = call("publish", "--variables", variables)

    assert code == 1
    assert "is on the machine that built it, and here it is not: --manifest names a copy." in complaint
    assert ssm.describe_parameters()["Parameters"] == []


@pytest.mark.usefixtures("fake_packer")
def test_the_image_of_another_gpu_family_takes_nobodys_place(call, ec2, ssm, variables, manifest):
    """Its TensorRT engines do not open on the machines that start from the first."""
    other = variables.with_name("g4dn.pkrvars.hcl")
    other.write_text(variables.read_text().replace("g6", "g4dn"))
    for each in (variables, other):
        call("build", "--variables", each)
        assert call("publish", "--variables", each, "--manifest", manifest)[1].count("wrote") == 2

    by_family = {image.family: image.id for image in images(ec2)}
    assert len(set(by_family.values())) == 2
    for family, image in by_family.items():
        name = f"/framebatch/runtime/{RUNTIME_ABI}/{family}/image-id"
        assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == image
    assert "is up to date" in call("publish", "--variables", variables, "--manifest", manifest)[1]
    assert call("status")[1].count("published") == 2


@pytest.mark.usefixtures("fake_packer")
def test_publishing_says_which_image_it_replaces(call, ec2, ssm, variables, manifest):
    call("build", "--variables", variables)
    call("publish", "--variables", variables, "--manifest", manifest)
    (before,) = images(ec2)
    variables.write_text(variables.read_text().replace("ami-0123", "ami-4567"))
    call("build", "--variables", variables)

    code, said, _ = call("publish", "--variables", variables, "--manifest", manifest)

    assert (code, said.splitlines()[-1]) == (0, f"wrote {IMAGE_ID} in the place of {before.id}")


@pytest.mark.usefixtures("account")
def test_nothing_can_be_published_that_was_not_built(call, variables, manifest):
    code, _, complaint = call("publish", "--variables", variables, "--manifest", manifest)

    assert code == 1
    assert complaint.endswith("is available; build it first.\n")


@pytest.mark.usefixtures("fake_packer")
def test_the_manifest_of_another_abi_is_not_published(call, ec2, ssm, variables, manifest):
    """It would send code to machines it cannot run on."""
    call("build", "--variables", variables)
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"abi": RUNTIME_ABI + 1}))

    code, _, complaint = call("publish", "--variables", variables, "--manifest", manifest)

    assert code == 1
    assert f"is of ABI {RUNTIME_ABI + 1}, and ami-" in complaint
    assert ssm.describe_parameters()["Parameters"] == []


@pytest.mark.usefixtures("fake_packer")
def test_a_manifest_of_many_models_is_published_packed(call, ssm, variables, manifest):
    """A parameter holds three of COCO's classes otherwise."""
    made = RuntimeManifest.from_json(manifest.read_text())
    more = [dataclasses.replace(made.models[0], name=f"model-{number}") for number in range(12)]
    made = dataclasses.replace(made, models=tuple(more))
    manifest.write_text(made.to_json())
    call("build", "--variables", variables)

    assert call("publish", "--variables", variables, "--manifest", manifest)[0] == 0

    text = ssm.get_parameter(Name=f"/framebatch/runtime/{RUNTIME_ABI}/g6/manifest")["Parameter"]["Value"]
    assert len(text) <= 8192
    assert RuntimeManifest.from_json(f"{text}\n") == made  # as a task of the backend lays it out


@pytest.mark.usefixtures("fake_packer")
@pytest.mark.parametrize(
    "command", [["plan"], ["plan", "--offline"], ["build", "--dry-run"], ["build"]], ids=" ".join
)
def test_a_manifest_too_large_to_be_published_is_told_before_the_bake(
    call, ec2, variables, tmp_path, monkeypatch, command
):
    """Afterwards there would be an image that took an hour, and that nothing can start from."""
    lock = json.loads((REPOSITORY / "models" / "models.lock.json").read_text())
    files = {f"{number}.bin": secrets.token_hex(32) for number in range(256)}
    for form in lock["models"][0]["formats"].values():
        form["files"].update(files)
    (tmp_path / "models.lock.json").write_text(json.dumps(lock))
    monkeypatch.setattr("packer.packer_py_wrapper.__main__.MODEL_LOCK", tmp_path / "models.lock.json")

    code, _, complaint = call(*command, "--variables", variables)

    assert code == 1
    assert complaint.endswith("packed, and a parameter holds 8192; an image with fewer models fits.\n")
    assert images(ec2) == []


@pytest.mark.usefixtures("fake_packer")
def test_a_dry_run_changes_nothing(call, ec2, ssm, variables, manifest):
    assert "would build" in call("build", "--variables", variables, "--dry-run")[1]
    assert images(ec2) == []

    call("build", "--variables", variables)
    assert "would write" in call("publish", "--variables", variables, "--manifest", manifest, "--dry-run")[1]
    assert ssm.describe_parameters()["Parameters"] == []

    add_newer(ec2, 2, abi=str(RUNTIME_ABI))
    assert "would remove" in call("prune", "--keep", "1", "--dry-run")[1]
    assert len(images(ec2)) == 3


@pytest.mark.usefixtures("fake_packer")
def test_a_published_image_that_is_gone_is_told(call, ec2, variables, manifest):
    """The next job would wait for a machine that cannot start."""
    call("build", "--variables", variables)
    call("publish", "--variables", variables, "--manifest", manifest)
    (image,) = images(ec2)
    ec2.deregister_image(ImageId=image.id)

    code, _, complaint = call("status")

    assert (code, complaint) == (1, f"Published, but not there: {image.id}.\n")
