"""`python -m packer.packer_py_wrapper plan|build|publish|prune|status`."""

import argparse
import sys
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from contract.manifest import RUNTIME_ABI, ManifestInvalid, RuntimeManifest
from packer.packer_py_wrapper import command, images, publication
from packer.packer_py_wrapper.content import REPOSITORY, content_of
from packer.packer_py_wrapper.errors import PackerError

MODEL_LOCK = REPOSITORY / "models" / "models.lock.json"
_BUILT = REPOSITORY / ".local" / "packer"  # <content>.json is the manifest of the image of that content


class Account:
    """The AWS account of the environment, asked only by what needs it."""

    @cached_property
    def session(self) -> boto3.Session:
        return boto3.Session()

    @cached_property
    def ec2(self) -> Any:
        return self.session.client("ec2")

    @cached_property
    def ssm(self) -> Any:
        return self.session.client("ssm")


def main(given: list[str]) -> int:
    arguments = _parser().parse_args(given)
    try:
        arguments.run(arguments, Account())
    except PackerError as exc:
        print(exc, file=sys.stderr)
    except NoRegionError:
        print(
            "No region of AWS is set; AWS_DEFAULT_REGION names one, or `aws configure` writes it.", file=sys.stderr
        )
    except NoCredentialsError:
        print("There are no credentials of AWS; `aws configure` or `aws sso login` gives some.", file=sys.stderr)
    except (BotoCoreError, ClientError) as exc:
        print(f"AWS could not be asked: {exc}", file=sys.stderr)
    except OSError as exc:
        print(f"{exc.filename} cannot be read: {exc.strerror}.", file=sys.stderr)
    else:
        return 0
    return 1


def _plan(arguments: argparse.Namespace, account: Account) -> None:
    content = content_of(REPOSITORY, arguments.variables)
    publication.require_room(MODEL_LOCK.read_text(encoding="utf-8"))
    if arguments.offline:
        print(f"{content}: what an image of this checkout and these variables would be made of")
        return
    image = images.with_content(images.images(account.ec2), content)
    print(f"{content}: {image.id} has it, of {image.created}" if image else f"{content}: no image has it yet")


def _build(arguments: argparse.Namespace, account: Account) -> None:
    content = content_of(REPOSITORY, arguments.variables)
    if image := images.with_content(images.images(account.ec2), content):
        print(f"{image.id} is made of {content} already")
        return
    publication.require_room(MODEL_LOCK.read_text(encoding="utf-8"))
    if arguments.dry_run:
        print(f"would build an image of {content}")
    else:
        _BUILT.mkdir(parents=True, exist_ok=True)
        values = {
            "region": account.ec2.meta.region_name,
            "content": content,
            "runtime_abi": str(RUNTIME_ABI),
            "manifest": str(_manifest_of(content)),
        }
        tell = partial(print, flush=True)  # also where it is no terminal that reads
        made = command.build(REPOSITORY / "packer", arguments.variables, values, tell)
        print(f"{made} is made of {content}")


def _publish(arguments: argparse.Namespace, account: Account) -> None:
    content = content_of(REPOSITORY, arguments.variables)
    image = images.with_content(images.images(account.ec2), content)
    if image is None:
        raise PackerError(f"No image of {content} is available; build it first.")
    present = publication.published(account.ssm)
    path = arguments.manifest or _manifest_of(content)
    if not arguments.manifest and not path.exists():
        if publication.is_published(image, present):
            print(f"{image.id} is published already")
            return
        raise PackerError(
            f"The manifest of {image.id} is on the machine that built it, and here it is not: --manifest names "
            "a copy. Where it is lost, deregister the image and build it anew."
        )
    replaced = publication.published_images(present)
    for name, value in publication.parameters_of(image, _read_manifest(path, image)).items():
        if present.get(name) == value:
            print(f"{name} is up to date")
        elif arguments.dry_run:
            print(f"would write {name}")
        else:
            publication.write(account.ssm, name, value)
            print(f"wrote {name}" + (f" in the place of {present[name]}" if present.get(name) in replaced else ""))


def _read_manifest(path: Path, image: images.Image) -> RuntimeManifest:
    try:
        manifest = RuntimeManifest.from_json(path.read_text(encoding="utf-8"))
    except ManifestInvalid as exc:
        raise PackerError(f"{path} is not the manifest of {image.id}: {exc}.") from exc
    if str(manifest.abi) != image.abi:
        raise PackerError(f"{path} is of ABI {manifest.abi}, and {image.id} of ABI {image.abi}.")
    return manifest


def _prune(arguments: argparse.Namespace, account: Account) -> None:
    taken = images.snapshots(account.ec2)
    found = images.images(account.ec2)
    used = publication.published_images(publication.published(account.ssm)) | images.started_from(account.ec2)
    for image in images.superfluous(found, keep=arguments.keep, used=used):
        print(f"{'would remove' if arguments.dry_run else 'removing'} {image.id} of {image.created}")
        if not arguments.dry_run:
            images.remove(account.ec2, image)
    for snapshot in images.orphans(taken, found):
        print(f"{'would remove' if arguments.dry_run else 'removing'} {snapshot}, whose image is gone")
        if not arguments.dry_run:
            images.remove_snapshot(account.ec2, snapshot)


def _status(arguments: argparse.Namespace, account: Account) -> None:
    published = publication.published_images(publication.published(account.ssm))
    found = images.images(account.ec2)
    for image in found:
        state = "published" if image.id in published else "available" if image.available else "in the making"
        print(f"{image.id}  ABI {image.abi}  {image.family}  {image.content}  {image.created}  {state}")
    if missing := published - {image.id for image in found}:
        raise PackerError(f"Published, but not there: {', '.join(sorted(missing))}.")


def _manifest_of(content: str) -> Path:
    return _BUILT / f"{content}.json"


def _at_least_one(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError("at least one image must stay")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m packer.packer_py_wrapper", description="Machine images by content."
    )
    commands = parser.add_subparsers(required=True)
    about = {
        _plan: "say whether an image of this content exists",
        _build: "bake it, if none exists",
        _publish: "tell the other parts of it",
        _prune: "remove old images and their snapshots",
        _status: "list images",
    }
    for run, help_text in about.items():
        one = commands.add_parser(run.__name__[1:], help=help_text)
        one.set_defaults(run=run)
        if run in (_plan, _build, _publish):
            one.add_argument("--variables", type=Path, required=True, help="the bake's own .pkrvars.hcl")
        if run is _plan:
            one.add_argument("--offline", action="store_true", help="only say the content, and do not ask AWS")
        if run in (_build, _publish, _prune):
            one.add_argument("--dry-run", action="store_true", help="say what would be done")
        if run is _publish:
            one.add_argument("--manifest", type=Path, help="the image's manifest, where another machine built it")
        if run is _prune:
            one.add_argument(
                "--keep", type=_at_least_one, default=3, help="how many stay of each ABI and family (3)"
            )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
