"""Taggers of every family against transformers and peft: logits, files, adapters."""

import json

import pytest
import tiny
import tiny_families
import torch
from safetensors.torch import load_file

from lowkey.errors import DataError
from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.bert import load_classifier, load_encoder, save_encoder
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.tagger import load_tagger, save_tagger, tagger_names
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject, merge_all
from lowkey.nn.layout import SequenceLayout

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
EACH = pytest.mark.parametrize("family", list(FAMILIES))
# XLM-R and CamemBERT are RoBERTa under other names.
ARCHITECTURES = pytest.mark.parametrize(
    "family", [family for family in FAMILIES if family not in ("xlm-roberta", "camembert")]
)
LENGTHS = [5, 1, 30, 9]


def their_tagger(family, *, num_labels=3, seed=0, **changes):
    from transformers import AutoConfig, AutoModelForTokenClassification

    sizes = {**tiny_families.SIZES[family], "num_labels": num_labels}
    known = AutoConfig.for_model(family).to_dict()
    changes = {key: value for key, value in changes.items() if key in known}
    config = AutoConfig.for_model(family, **sizes, **changes)
    model = AutoModelForTokenClassification.from_config(config)
    tiny.randomise(model, seed=seed)
    return model.eval()


@torch.no_grad()
def both_logits(theirs, ours, seed=0):
    """Logits of every real token: of transformers with padding, of ours without."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)
    ids = torch.randint(5, len(tiny.VOCABULARY), mask.shape, generator=generator)
    ids = torch.where(mask, ids, theirs.config.pad_token_id)
    flat, layout = SequenceLayout.from_padded(ids, mask)
    return theirs(input_ids=ids, attention_mask=mask.long()).logits[mask], ours(flat, layout)


@EACH
def test_logits_equal_transformers_in_both_directions(tmp_path, family):
    from transformers import AutoModelForTokenClassification

    theirs = their_tagger(family)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_tagger(tmp_path / "theirs").eval()
    expected, found = both_logits(theirs, ours)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    save_tagger(ours, tmp_path / "ours", labels=["O", "B-X", "I-X"])
    before, after = (load_file(tmp_path / n / "model.safetensors") for n in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = AutoModelForTokenClassification.from_pretrained(tmp_path / "ours").eval()
    assert type(again) is type(theirs)
    assert list(again.config.id2label.values()) == ["O", "B-X", "I-X"]
    torch.testing.assert_close(both_logits(again, ours)[0], found, atol=1e-5, rtol=0)


@ARCHITECTURES
def test_in_training_without_dropout_they_are_equal_too(tmp_path, family):
    theirs = their_tagger(family, **tiny_families.NO_DROPOUT)
    theirs.save_pretrained(tmp_path)
    expected, found = both_logits(theirs.train(), load_tagger(tmp_path).train())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@ARCHITECTURES
def test_dropout_before_the_head_is_theirs(tmp_path, family):
    rates = {"hidden_dropout_prob": 0.25, "dropout": 0.25, "seq_classif_dropout": 0.5}
    rates |= {"classifier_dropout_prob": 0.25, "classifier_dropout": 0.25}
    theirs = their_tagger(family, **rates)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_tagger(tmp_path / "theirs")
    theirs_drop = theirs.drop if family == "modernbert" else theirs.dropout
    assert ours.dropout.p == theirs_drop.p == 0.25
    save_tagger(ours, tmp_path / "ours", labels=list("abc"))
    assert load_tagger(tmp_path / "ours").dropout.p == 0.25


@ARCHITECTURES
def test_the_logits_of_some_rows_are_those_rows(tmp_path, family):
    their_tagger(family).save_pretrained(tmp_path)
    ours = load_tagger(tmp_path).eval()
    layout, rows = SequenceLayout([4, 6]), torch.tensor([1, 3, 5])
    ids = torch.arange(5, 15)
    torch.testing.assert_close(ours(ids, layout, rows), ours(ids, layout)[rows])
    # Negative control: neighbouring tokens differ.
    assert (ours(ids, layout, rows) - ours(ids, layout)[rows + 1]).abs().max() > 1e-3


@ARCHITECTURES
def test_a_base_without_a_head_or_with_one_for_texts_gets_a_new_one(tmp_path, family):
    theirs = tiny_families.write(tmp_path / "bare", family)
    tiny_families.write(tmp_path / "texts", family, num_labels=3)
    for name in ("bare", "texts"):
        one, same, other = (
            load_tagger(tmp_path / name, 3, generator=torch.Generator().manual_seed(seed))
            for seed in (1, 1, 2)
        )
        assert torch.equal(one.classifier.weight, same.classifier.weight)
        assert not torch.equal(one.classifier.weight, other.classifier.weight)
        assert one.classifier.bias.abs().max() == 0
        with pytest.raises(DataError, match=r"the model is no \w+ForTokenClassification — train"):
            load_tagger(tmp_path / name)
    encoder = load_encoder(tmp_path / "bare").state_dict()
    state = load_tagger(tmp_path / "bare", 3).encoder.state_dict()
    assert {n for n in encoder if not n.startswith("pooler")} == state.keys()
    assert all(torch.equal(state[name], encoder[name]) for name in state)
    assert theirs.num_parameters() >= sum(tensor.numel() for tensor in state.values())


def test_a_head_for_words_is_none_for_texts(tmp_path):
    their_tagger("bert", num_labels=3).save_pretrained(tmp_path)
    trained = load_file(tmp_path / "model.safetensors")["classifier.weight"]
    assert torch.equal(load_tagger(tmp_path, 3).classifier.weight, trained)
    assert load_tagger(tmp_path, 4).classifier.weight.shape[0] == 4
    assert not torch.equal(load_classifier(tmp_path, 3).classifier.weight, trained)


@ARCHITECTURES
def test_adapters_of_peft_are_read(tmp_path, family):
    theirs = their_tagger(family)
    targets = tiny_families.peft_targets(family)
    options = {"task_type": "TOKEN_CLS", "target_modules": targets}
    theirs.save_pretrained(tmp_path / "base")
    wrapped = tiny.write_adapter(tmp_path / "adapter", theirs, **options)
    ours = load_tagger(tmp_path / "base", 3)
    plain = both_logits(wrapped, ours.eval())[1]
    load_adapter(ours, tmp_path / "adapter", tagger_names(family).adapters)
    expected, found = both_logits(wrapped, ours.eval())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (plain - found).abs().max() > 1e-3


@ARCHITECTURES
def test_adapters_are_written_for_peft(tmp_path, family):
    from peft import PeftModel
    from transformers import AutoModelForTokenClassification

    base = tmp_path / "base"
    save_encoder(load_encoder(_written(base, family)), tmp_path / "encoder")
    ours = load_tagger(tmp_path / "encoder", 3)
    whole = tiny_families.head_modules(ours)
    config = LoRAConfig(r=2, target_modules="all-linear", modules_to_save=whole)
    inject(ours, config)
    tiny.randomise(ours, seed=3, std=0.1)
    # The base stays what it is in the file; only what the adapter holds is random.
    fresh = load_tagger(tmp_path / "encoder", 3).state_dict()
    kept = {n: t for n, t in fresh.items() if not n.startswith(("classifier", "transform"))}
    ours.load_state_dict(kept, strict=False)
    family_names = tagger_names(family).adapters
    save_adapter(ours, tmp_path / "a", lora_config=config, base_name="b", family=family_names)
    assert json.loads((tmp_path / "a" / "adapter_config.json").read_text())["task_type"] == (
        "TOKEN_CLS"
    )
    plain = AutoModelForTokenClassification.from_pretrained(tmp_path / "encoder", num_labels=3)
    theirs = PeftModel.from_pretrained(plain, tmp_path / "a").eval()
    expected, found = both_logits(theirs, ours.eval())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    merge_all(ours)
    torch.testing.assert_close(both_logits(theirs, ours)[1], expected, atol=1e-5, rtol=0)


def _written(folder, family):
    tiny_families.write(folder, family)
    return folder


def test_labels_must_be_as_many_as_logits(tmp_path):
    their_tagger("bert").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="2 labels for 3 logits"):
        save_tagger(load_tagger(tmp_path), tmp_path / "out", labels=["a", "b"])
