import pytest
import torch
from pipelines.bundles import classifier, saved, translator, write_base

import lowkey
from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.load import load
from lowkey.pipelines.translator import Translator


@pytest.fixture
def run(tmp_path):
    """A run folder with a bundle of LoRA."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").touch()
    saved(classifier(write_base(tmp_path / "base"), "lora"), folder / "best")
    return folder


def test_a_run_and_its_bundle_are_the_same_model(run):
    whole, best = load(run, device="cpu"), load(str(run / "best"), device="cpu")
    assert isinstance(whole, TextClassifier)
    assert whole.predict(["the film"]) == best.predict(["the film"])
    assert lowkey.load(run, device="cpu").predict(["the film"]) == whole.predict(["the film"])


def test_the_kind_of_a_bundle_decides_the_pipeline(tmp_path):
    assert isinstance(load(saved(translator(), tmp_path / "best"), device="cpu"), Translator)


def test_a_base_for_what_has_none_is_refused(tmp_path):
    folder = saved(translator(), tmp_path / "best")
    with pytest.raises(ConfigError, match=r"--base: .*best builds on no base model — leave it out"):
        load(folder, base=str(tmp_path))


def test_a_base_that_moved(run, tmp_path):
    moved = (tmp_path / "base").rename(tmp_path / "moved")
    assert load(run, base=str(moved), device="cpu").predict(["a"])
    with pytest.raises(MissingInputError, match="--base"):
        load(run, base=str(tmp_path / "nowhere" / "at" / "all"))


def test_precision_is_that_of_the_activations(run):
    plain, coarse = (load(run, device="cpu", precision=p) for p in ("fp32", "auto"))
    assert plain.model.encoder.embeddings.compute_dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in coarse.model.parameters())
    with pytest.raises(ConfigError):
        load(run, device="abacus")


def test_what_is_no_model_is_told(run, tmp_path):
    with pytest.raises(MissingInputError, match=r"no such run or model folder .*rum — did you"):
        load(tmp_path / "rum")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match="neither a run nor a model folder"):
        load(tmp_path / "empty")
    # A model of somebody else is no bundle.
    with pytest.raises(MissingInputError, match=r"holds no lowkey\.json"):
        load(tmp_path / "base")
    (run / "best" / "lowkey.json").write_text("{}")
    with pytest.raises(DataError, match="kind: "):
        load(run)
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / "config.yaml").touch()
    with pytest.raises(MissingInputError, match="holds no trained model yet"):
        load(tmp_path / "stopped")
