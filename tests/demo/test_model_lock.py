"""The model lock: a file is known by its digest, and every difference is named."""

import json

import pytest

from demo.model_lock import faults, format_entry, put_model, read_lock

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def source(tmp_path):
    """A model's folder with one file in a folder of its own."""
    folder = tmp_path / "models" / "m"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "m.xml").write_bytes(b"")
    return folder


def model(source, name="m"):
    return {
        "name": name,
        "source": "models/m",
        "formats": {"openvino": format_entry(source, entry="x/m.xml")},
    }


def test_files_stand_with_their_digest(source):
    """The digest is what loaders compare."""
    assert format_entry(source, entry="x/m.xml") == {"files": {"x/m.xml": EMPTY_SHA256}, "entry": "x/m.xml"}


def test_writing_a_model_keeps_the_others(source, tmp_path):
    """Training the demo model anew must not forget models somebody else has added."""
    lock = tmp_path / "models.lock.json"
    put_model(lock, model(source, "b"))
    put_model(lock, model(source, "a"))
    put_model(lock, {**model(source, "b"), "task": "detect"})
    assert [(entry["name"], entry.get("task")) for entry in read_lock(lock)["models"]] == [
        ("a", None),
        ("b", "detect"),
    ]


def test_agreement_has_no_faults(source, tmp_path):
    """Silence is the answer loaders wait for."""
    assert list(faults(tmp_path, {"models": [model(source)]})) == []


def test_a_changed_a_missing_and_an_unlisted_file_are_named(source, tmp_path):
    """Weights are code: whoever swaps them must be caught, with a sentence that says where."""
    changed, missing, unlisted = (model(source, name) for name in ("changed", "missing", "unlisted"))
    missing["formats"]["openvino"]["files"]["gone.bin"] = EMPTY_SHA256
    unlisted["formats"]["openvino"]["entry"] = "other.xml"
    (source / "x" / "m.xml").write_bytes(b"evil")
    found = "\n".join(faults(tmp_path, {"models": [changed, missing, unlisted]}))
    assert "changed: x/m.xml differs" in found
    assert "missing: gone.bin is missing" in found
    assert "unlisted: the entry of openvino is not among its files" in found


def test_a_lock_of_a_later_version_is_refused(tmp_path):
    """Guessing what a newer file means could load the wrong weights."""
    lock = tmp_path / "models.lock.json"
    lock.write_text(json.dumps({"version": 2, "models": []}))
    with pytest.raises(ValueError, match="version 2"):
        read_lock(lock)
