"""What `prune` removes, and what it leaves: what machines start from, and what is still being made."""

import pytest

from contract.manifest import RUNTIME_ABI
from packer.packer_py_wrapper import images as wrapped
from packer.packer_py_wrapper.images import images, remove
from tests.packer.fake_packer import add_newer, register


@pytest.mark.usefixtures("fake_packer")
def test_pruning_keeps_the_newest_and_the_published(call, ec2, variables, manifest):
    """Snapshots cost money each month; the image that jobs start from must never go."""
    call("build", "--variables", variables)
    call("publish", "--variables", variables, "--manifest", manifest)
    (published,) = images(ec2)
    add_newer(ec2, 3, abi=str(RUNTIME_ABI))
    newest = images(ec2)[0]

    assert call("prune", "--keep", "1")[0] == 0

    left = images(ec2)
    assert {image.id for image in left} == {published.id, newest.id}
    assert _snapshots(ec2) == {snapshot for image in left for snapshot in image.snapshots}
    assert call("prune", "--keep", "1") == (0, "", "")


@pytest.mark.parametrize("version", ["$Default", "$Latest"])
def test_pruning_keeps_what_machines_start_from(call, ec2, version):
    """A launch template names the image of before until somebody rolls out the one that was published since."""
    old = register(ec2, content="old", abi=str(RUNTIME_ABI))
    first, second = (old, "ami-0123") if version == "$Default" else ("ami-0123", old)
    ec2.create_launch_template(LaunchTemplateName="jobs", LaunchTemplateData={"ImageId": first})
    ec2.create_launch_template_version(LaunchTemplateName="jobs", LaunchTemplateData={"ImageId": second})
    ec2.create_launch_template(LaunchTemplateName="other", LaunchTemplateData={"InstanceType": "t3.micro"})
    add_newer(ec2, 3, abi=str(RUNTIME_ABI))
    newest = images(ec2)[0]

    assert call("prune", "--keep", "1")[0] == 0

    assert {image.id for image in images(ec2)} == {old, newest.id}


def test_pruning_leaves_an_image_that_is_made_meanwhile(call, ec2, monkeypatch):
    """A bake of another family ends between its two looks at EC2."""
    made = []

    def images_after_a_bake(client):
        made.append(register(client, content="just-made", abi=str(RUNTIME_ABI), family="g4dn"))
        return images(client)

    def snapshots_after_a_bake(client):
        made.append(register(client, content="made-before", abi=str(RUNTIME_ABI), family="g5"))
        return snapshots(client)

    snapshots = wrapped.snapshots
    monkeypatch.setattr(wrapped, "images", images_after_a_bake)
    monkeypatch.setattr(wrapped, "snapshots", snapshots_after_a_bake)

    assert call("prune") == (0, "", "")

    kept = {snapshot for image in images(ec2) for snapshot in image.snapshots}
    assert {image.id for image in images(ec2)} == set(made)
    assert kept == _snapshots(ec2)


def test_what_another_pruning_was_faster_with_is_gone_all_the_same(call, ec2):
    """Bakes of two families end at the same time, and each of them prunes."""
    for content in "ab":
        register(ec2, content=content, abi=str(RUNTIME_ABI), family="g6")
    first, second = (image for image in images(ec2))

    remove(ec2, second)
    remove(ec2, second)

    assert images(ec2) == [first]
    assert _snapshots(ec2) == set(first.snapshots)


def test_pruning_counts_each_family_for_itself(call, ec2):
    """Bakes for one family must not push out what machines of another would go back to."""
    for number in range(3):
        for family in ("g6", "g4dn"):
            register(ec2, content=f"{family}-{number}", abi=str(RUNTIME_ABI), family=family)

    assert call("prune", "--keep", "2")[0] == 0

    assert sorted(image.family for image in images(ec2)) == ["g4dn", "g4dn", "g6", "g6"]


@pytest.mark.usefixtures("fake_packer")
def test_pruning_finishes_what_an_interrupted_one_left(call, ec2, variables):
    """Killed between image and snapshot, it leaves a snapshot that nobody would look for."""
    call("build", "--variables", variables)
    (image,) = images(ec2)
    ec2.deregister_image(ImageId=image.id)
    assert set(image.snapshots) <= _snapshots(ec2)

    call("prune")

    assert not set(image.snapshots) & _snapshots(ec2)


def _snapshots(ec2) -> set[str]:
    """Those of ours; moto brings many of its own."""
    filters = [{"Name": "tag-key", "Values": ["framebatch:content"]}]
    found = ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return {snapshot["SnapshotId"] for snapshot in found}
