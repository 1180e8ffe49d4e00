"""What a BERT folder may hold, what is taken from it, and what is written."""

import json
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from lowkey.errors import DataError
from lowkey.hf.bert import load_classifier, load_encoder, save_classifier, save_encoder
from lowkey.hf.bert_names import BERT_NAMES
from lowkey.hf.config import read_config
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject, merge_all
from lowkey.nn.layout import SequenceLayout


def test_load_then_save_gives_the_same_bytes(tmp_path):
    tiny.write_bert(tmp_path / "classifier", num_labels=3)
    tiny.write_bert(tmp_path / "encoder", seed=1)
    model = load_classifier(tmp_path / "classifier")
    save_classifier(model, tmp_path / "classifier_again", labels=["a", "b", "c"])
    save_encoder(load_encoder(tmp_path / "encoder"), tmp_path / "encoder_again")
    for kind in ("classifier", "encoder"):
        first = (tmp_path / kind / "model.safetensors").read_bytes()
        assert (tmp_path / f"{kind}_again" / "model.safetensors").read_bytes() == first
        config = read_config(tmp_path / kind).encoder
        assert read_config(tmp_path / f"{kind}_again").encoder == config


def rewrite(folder: Path, change) -> None:
    """Passes the weights of a folder through a function."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})


@pytest.mark.parametrize("num_labels", [None, 3])
def test_every_key_is_needed_and_named_when_missing(tmp_path, num_labels):
    theirs = tiny.write_bert(tmp_path, num_labels=num_labels)
    load = load_encoder if num_labels is None else load_classifier
    state = load_file(tmp_path / "model.safetensors")
    assert len(state) == len(theirs.state_dict())
    for key in state:
        rest = {k: v for k, v in state.items() if k != key}
        save_file(rest, tmp_path / "model.safetensors", {"format": "pt"})
        with pytest.raises(DataError, match="lacks the tensor") as error:
            load(tmp_path)
        assert key in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s | {"encoder.layer.0.extra.weight": torch.ones(1)}, "no place here"),
        (lambda s: s | {"encoder.embeddings.token.weight": torch.ones(42, 16)}, "no place here"),
        (lambda s: s | {"roberta.pooler.dense.bias": torch.ones(16)}, "no place here"),
        (lambda s: s | {"bert.pooler.dense.bias": torch.ones(16)}, "are the same tensor"),
        (lambda s: s | {"embeddings.LayerNorm.gamma": torch.ones(16)}, "are the same tensor"),
        (lambda s: s | {"pooler.dense.bias": torch.ones(15)}, r"shape \[15\], .* needs \[16\]"),
        (lambda s: s | {"pooler.dense.bias": torch.ones(16).int()}, "int32, none of float32"),
    ],
)
def test_a_key_without_a_place_is_refused(tmp_path, change, message):
    tiny.write_bert(tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(DataError, match=message):
        load_encoder(tmp_path)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (3, r"says 3 layers, the weights hold 2 \(missing: encoder.layer.2.\*, 16 tensors\)"),
        (12, r"\(missing: encoder.layer.2-11.\*, 160 tensors\)"),
        (1, r"says 1 layers, the weights hold 2 \(too many: encoder.layer.1.\*, 16 tensors\)"),
    ],
)
def test_config_and_weights_must_agree_on_the_layers(tmp_path, layers, message):
    tiny.write_bert(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
    with pytest.raises(DataError, match=message):
        load_encoder(tmp_path)


def test_old_names_buffers_and_other_heads_are_understood(tmp_path):
    tiny.write_bert(tmp_path)
    expected = load_encoder(tmp_path).state_dict()

    def age(state):
        old = {}
        for key, tensor in state.items():
            key = key.replace("LayerNorm.weight", "LayerNorm.gamma")
            old["bert." + key.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
        extra = {"bert.embeddings.position_ids": torch.arange(32), "cls.bias": torch.ones(3)}
        return old | extra

    rewrite(tmp_path, age)
    loaded = load_encoder(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_half_precision_files_are_read_into_fp32(tmp_path):
    tiny.write_bert(tmp_path)
    rewrite(tmp_path, lambda state: {k: v.half() for k, v in state.items()})
    loaded = load_encoder(tmp_path).state_dict()
    halves = load_file(tmp_path / "model.safetensors")
    for name, tensor in loaded.items():
        key = BERT_NAMES.theirs(f"encoder.{name}").removeprefix("bert.")
        assert torch.equal(tensor, halves[key].float())


def test_a_head_of_another_size_is_drawn_anew_and_the_encoder_kept(tmp_path):
    tiny.write_bert(tmp_path, num_labels=3)
    kept = load_classifier(tmp_path)
    drawn, same, other = (
        load_classifier(tmp_path, 5, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert load_classifier(tmp_path, 3).classifier.weight.equal(kept.classifier.weight)
    assert drawn.classifier.weight.shape == (5, 16)
    assert drawn.classifier.weight.equal(same.classifier.weight)
    assert not drawn.classifier.weight.equal(other.classifier.weight)
    assert 0.01 < drawn.classifier.weight.std() < 0.04
    assert drawn.classifier.bias.abs().sum() == 0
    pairs = zip(drawn.encoder.parameters(), kept.encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_missing_pooler_is_drawn_anew(tmp_path):
    tiny.write_bert(tmp_path)
    rewrite(tmp_path, lambda s: {k: v for k, v in s.items() if not k.startswith("pooler")})
    model = load_classifier(tmp_path, 2)
    assert 0.01 < model.encoder.pooler.dense.weight.std() < 0.04
    assert all(p.requires_grad and not p.is_meta for p in model.parameters())


def test_a_head_is_needed_where_no_number_of_labels_is_given(tmp_path):
    tiny.write_bert(tmp_path)
    with pytest.raises(DataError, match="no BertForSequenceClassification"):
        load_classifier(tmp_path)


def test_the_head_of_a_tagger_is_not_taken_for_a_classifier(tmp_path):
    tiny.write_bert(tmp_path, num_labels=3)
    config = json.loads((tmp_path / "config.json").read_text())
    tagger = config | {"architectures": ["BertForTokenClassification"]}
    (tmp_path / "config.json").write_text(json.dumps(tagger))
    saved = load_file(tmp_path / "model.safetensors")["classifier.weight"]
    assert not load_classifier(tmp_path, 3).classifier.weight.equal(saved)
    with pytest.raises(DataError, match="no BertForSequenceClassification"):
        load_classifier(tmp_path)


def test_a_merged_adapter_is_saved_as_a_plain_model_and_an_unmerged_one_refused(tmp_path):
    tiny.write_bert(tmp_path / "base", num_labels=2)
    model = load_classifier(tmp_path / "base").eval()
    inject(model, LoRAConfig(r=2))
    tiny.randomise(model, seed=5)
    with pytest.raises(ValueError, match="merge"):
        save_classifier(model, tmp_path / "out", labels=["a", "b"])
    ids, layout = torch.tensor([2, 7, 9, 3]), SequenceLayout([4])
    expected = model(ids, layout)
    merge_all(model)
    save_classifier(model, tmp_path / "out", labels=["a", "b"])
    logits = load_classifier(tmp_path / "out").eval()(ids, layout)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_as_many_labels_as_logits(tmp_path):
    tiny.write_bert(tmp_path, num_labels=2)
    with pytest.raises(ValueError, match="3 labels for 2 logits"):
        save_classifier(load_classifier(tmp_path), tmp_path / "out", labels=["a", "b", "c"])
