"""The spectra of whole models, beside dense decompositions of what their files hold."""

import pytest
import torch
from pipelines.bundles import classifier, saved, translator, write_base

from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.experiments.spectrum import spectrum
from lowkey.files import read_tensors
from lowkey.lora.inject import adapters
from lowkey.lora.spectrum import Spectrum


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def test_the_updates_of_a_lora_run(base, tmp_path):
    ours = classifier(base, "lora")
    found = spectrum(saved(ours, tmp_path / "run"))
    assert found["method"] == "lora"
    deltas = {n: m.delta_weight().detach().double() for n, m in adapters(ours.model).items()}
    assert [one["name"] for one in found["modules"]] == list(deltas)
    for one in found["modules"]:
        values = torch.linalg.svdvals(deltas[one["name"]])[:2]
        assert one["singular_values"] == pytest.approx(values.tolist(), rel=1e-5)
        assert one["norm"] == pytest.approx(float(deltas[one["name"]].norm()), rel=1e-5)
        weight = ours.model.get_submodule(one["name"]).weight
        assert one["of_weight"] == pytest.approx(one["norm"] / float(weight.norm()), rel=1e-5)
        assert one["effective_rank"] == pytest.approx(Spectrum(values).effective_rank, rel=1e-5)
        assert one["rank"] == 2
    first, last = found["ranks"]
    assert (first["rank"], last) == (1, {"rank": 2, "kept": pytest.approx(1), "least": 1})
    squares = [torch.linalg.svdvals(delta).square() for delta in deltas.values()]
    kept = sum(float(s[0]) for s in squares) / sum(float(s.sum()) for s in squares)
    assert first["kept"] == pytest.approx(kept, rel=1e-5)
    assert first["least"] == pytest.approx(min(float(s[0] / s.sum()) for s in squares), rel=1e-5)


def test_the_differences_of_a_full_fine_tune(base, tmp_path):
    found = spectrum(saved(classifier(base, "full"), tmp_path / "run"))
    assert found["method"] == "full"
    assert len(found["modules"]) == 12
    before = read_tensors(base / "model.safetensors")
    after = read_tensors(tmp_path / "run" / "model.safetensors")
    key = "encoder.layer.1.attention.self.value.weight"
    values = torch.linalg.svdvals(after[f"bert.{key}"].double() - before[key].double())
    (one,) = (m for m in found["modules"] if m["name"] == "encoder.blocks.1.attention.value")
    assert one["singular_values"] == pytest.approx(values.tolist(), rel=1e-6)
    assert [rank["rank"] for rank in found["ranks"]] == [1, 2, 4, 8, 16]
    assert not any("pooler" in m["name"] or "classifier" in m["name"] for m in found["modules"])


def test_what_has_no_update_is_told(base, tmp_path):
    with pytest.raises(ConfigError, match="trained its head alone"):
        spectrum(saved(classifier(base, "head"), tmp_path / "head"))
    with pytest.raises(ConfigError, match="trained its biases and its head alone"):
        spectrum(saved(classifier(base, "bitfit"), tmp_path / "bitfit"))
    with pytest.raises(ConfigError, match="there is no base that it differs from"):
        spectrum(saved(translator(), tmp_path / "scratch"))
    with pytest.raises(MissingInputError, match=r"holds no lowkey\.json"):
        spectrum(base)


def test_another_base_is_refused(base, tmp_path):
    other = write_base(tmp_path / "other", seed=7)
    for method in ("lora", "full"):
        run = saved(classifier(base, method), tmp_path / method)
        with pytest.raises(DataError, match="was trained on other weights"):
            spectrum(run, base=str(other))
