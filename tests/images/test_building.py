"""How the engine is asked, where what it answers on this machine would not show it."""

from pathlib import Path

import pytest

from tools import images


@pytest.mark.parametrize("image", images.IMAGES.values(), ids=images.IMAGES)
def test_an_image_is_for_what_runs_it_whatever_builds_it(
    image: images.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an Arm processor docker takes the base for Arm, and the packages in it are for x86_64."""
    engine = tmp_path / "docker"
    engine.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\n')
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    images.build(image, "docker", "there:1", context=tmp_path)

    assert "--platform linux/amd64" in (tmp_path / "asked").read_text()
