from dataclasses import replace
from pathlib import Path

import pytest

from batch_job.errors import AnalysisError, ModelUnknown, ModelUntrusted, OptionUnsuitable, RuntimeMismatch
from batch_job.models import read_manifest, trusted_model
from contract.manifest import ModelEntry, ModelFormat
from contract.options import AnalysisOptions
from tests.batch_job.models import COLOURS, manifest_of, save_colour_network

NO_OPTIONS = AnalysisOptions()


@pytest.fixture
def entry(tmp_path: Path) -> ModelEntry:
    return save_colour_network(tmp_path / "colours")


def test_a_model_whose_files_are_right_is_trusted(entry: ModelEntry) -> None:
    trusted = trusted_model(manifest_of(entry), "colours", NO_OPTIONS)
    assert (trusted.engine, trusted.entry) == ("openvino", Path(entry.root) / "colours.xml")
    assert trusted.wanted_classes is None


def test_class_names_become_the_models_ids(entry: ModelEntry) -> None:
    options = AnalysisOptions(classes=("blue", "red"))
    assert trusted_model(manifest_of(entry), "colours", options).wanted_classes == (0, 2)


@pytest.mark.parametrize("name", ["colours.xml", "colours.bin"])
def test_one_changed_byte_in_any_file_is_noticed(entry: ModelEntry, name: str) -> None:
    """Weights are code until proven otherwise, and the network's description too."""
    path = Path(entry.root) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelUntrusted, match=name):
        trusted_model(manifest_of(entry), "colours", NO_OPTIONS)


def test_a_missing_file_is_noticed(entry: ModelEntry) -> None:
    (Path(entry.root) / "colours.bin").unlink()
    with pytest.raises(ModelUntrusted, match="cannot be read"):
        trusted_model(manifest_of(entry), "colours", NO_OPTIONS)


def test_weights_without_a_hash_are_not_trusted(entry: ModelEntry) -> None:
    """OpenVINO opens the .bin beside the .xml whether the manifest names it or not."""
    form = entry.formats["openvino"]
    only_xml = ModelFormat(entry=form.entry, files={form.entry: form.files[form.entry]})
    with pytest.raises(ModelUntrusted, match="no sha256"):
        trusted_model(manifest_of(replace(entry, formats={"openvino": only_xml})), "colours", NO_OPTIONS)


def test_files_outside_the_models_folder_are_refused(entry: ModelEntry) -> None:
    form = ModelFormat(entry="../x.pt", files={"../x.pt": "0" * 64})
    with pytest.raises(ModelUntrusted, match="outside"):
        trusted_model(manifest_of(replace(entry, formats={"torch": form})), "colours", NO_OPTIONS)


@pytest.mark.parametrize(
    ("name", "options", "engine", "error"),
    [
        pytest.param("unheard-of", NO_OPTIONS, None, ModelUnknown, id="unknown model"),
        pytest.param("colours", AnalysisOptions(classes=("pink",)), None, OptionUnsuitable, id="unknown class"),
        pytest.param("colours", NO_OPTIONS, "torch", RuntimeMismatch, id="engine without files"),
    ],
)
def test_what_does_not_fit_the_model_has_an_error_of_its_own(
    entry: ModelEntry, name: str, options: AnalysisOptions, engine: str | None, error: type[AnalysisError]
) -> None:
    with pytest.raises(error):
        trusted_model(manifest_of(entry), name, options, engine=engine)


def test_the_user_is_told_which_class_is_unknown(entry: ModelEntry) -> None:
    with pytest.raises(OptionUnsuitable) as caught:
        trusted_model(manifest_of(entry), "colours", AnalysisOptions(classes=("pink", "red")))
    assert "does not know the classes pink; it knows red, green, blue." in caught.value.sentence


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("{", id="not JSON"),
        pytest.param(manifest_of(abi=99).to_json(), id="another ABI"),
    ],
)
def test_a_machine_image_that_does_not_fit_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RuntimeMismatch):
        read_manifest(path)


def test_the_manifest_comes_back_as_it_was_written(tmp_path: Path, entry: ModelEntry) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(manifest_of(entry).to_json())
    assert read_manifest(path).model("colours") == entry
    assert entry.classes == COLOURS
