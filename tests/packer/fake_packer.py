#!/usr/bin/env python3
"""Plays the packer command: says what the real one says, and registers the image with EC2."""

import os
import sys

import boto3

values = dict(argument.split("=", 1) for argument in sys.argv if "=" in argument and not argument.startswith("-"))
print("1700000000,,ui,say,==> amazon-ebs.framebatch: Prevalidating%!(PACKER_COMMA) then baking", flush=True)
print("a plugin's own words", flush=True)
if reason := os.environ.get("FAKE_PACKER_FAULT"):
    print(f"1700000001,amazon-ebs.framebatch,error,{reason}", flush=True)
    sys.exit(1)
ec2 = boto3.client("ec2")
image = ec2.register_image(Name=f"framebatch-{values['content']}", RootDeviceName="/dev/xvda")["ImageId"]
(described,) = ec2.describe_images(ImageIds=[image])["Images"]
snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in described["BlockDeviceMappings"]]
tags = [
    {"Key": "framebatch:content", "Value": values["content"]},
    {"Key": "framebatch:runtime-abi", "Value": values["runtime_abi"]},
]
ec2.create_tags(Resources=[image, *snapshots], Tags=tags)
print("1700000002,amazon-ebs.framebatch,artifact,0,builder-id,mitchellh.amazonebs")
print(f"1700000003,amazon-ebs.framebatch,artifact,0,id,eu-central-1:{image}")
