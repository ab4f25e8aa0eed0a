#!/usr/bin/env python3
"""Plays the packer command: says what the real one says, and registers the image with EC2."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import boto3


def register(ec2: Any, *, content: str, abi: str, family: str = "g6") -> str:
    """An image as a bake leaves it; gives its id."""
    image: str = ec2.register_image(Name=f"framebatch-{content}", RootDeviceName="/dev/xvda")["ImageId"]
    (described,) = ec2.describe_images(ImageIds=[image])["Images"]
    snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in described["BlockDeviceMappings"]]
    tags = {"framebatch:content": content, "framebatch:runtime-abi": abi, "framebatch:family": family}
    ec2.create_tags(
        Resources=[image, *snapshots], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    return image


def add_newer(ec2: Any, count: int, *, abi: str) -> None:
    for number in range(count):
        register(ec2, content=f"newer-{number}", abi=abi)


def main() -> int:
    given = dict(
        argument.split("=", 1) for argument in sys.argv if "=" in argument and not argument.startswith("-")
    )
    print("1700000000,,ui,say,==> amazon-ebs.framebatch: Prevalidating%!(PACKER_COMMA) then baking", flush=True)
    print("a plugin's own words", flush=True)
    if reason := os.environ.get("FAKE_PACKER_FAULT"):
        print(f"1700000001,amazon-ebs.framebatch,error,{reason}", flush=True)
        return 1
    (variables,) = (argument for argument in sys.argv if argument.startswith("-var-file="))
    (family,) = re.findall(r'instance_type += "(\w+)\.', Path(variables.partition("=")[2]).read_text())
    image = register(
        boto3.client("ec2", given["region"]), content=given["content"], abi=given["runtime_abi"], family=family
    )
    print("1700000002,amazon-ebs.framebatch,artifact,0,builder-id,mitchellh.amazonebs")
    print(f"1700000003,amazon-ebs.framebatch,artifact,0,id,eu-central-1:{image}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
