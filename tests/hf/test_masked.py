"""Masked-language models of every family say what those of transformers say."""

import pytest
import tiny
import tiny_families
import torch
from safetensors.torch import load_file, save_file

from lowkey.errors import DataError
from lowkey.hf.masked import holds_prediction, load_masked, save_masked
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject, merge_all
from lowkey.nn.layout import SequenceLayout

UNKNOWN = ["albert", "mpnet", "modernbert"]
KNOWN = [family for family in tiny_families.SIZES if family not in UNKNOWN]
FAMILIES = pytest.mark.parametrize("family", KNOWN)
SENTENCES = [[2, 9, 4, 11, 3], [2, 4, 3], [2, 30, 31, 4, 33, 4, 8, 3]]


def theirs_of(family, **changes):
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.for_model(family, **tiny_families.SIZES[family] | changes)
    model = AutoModelForMaskedLM.from_config(config)
    tiny.randomise(model, seed=1)
    return model.eval()


def their_logits(model):
    with torch.no_grad():
        return torch.cat([model(input_ids=torch.tensor([ids])).logits[0] for ids in SENTENCES])


def our_logits(model, rows=None):
    flat = torch.tensor([i for ids in SENTENCES for i in ids])
    with torch.no_grad():
        return model(flat, SequenceLayout([len(ids) for ids in SENTENCES]), rows)


@FAMILIES
def test_logits_are_those_of_transformers(family, tmp_path):
    from transformers import AutoConfig

    known = AutoConfig.for_model(family).to_dict()
    rates = {key: 0.0 for key in tiny_families.NO_DROPOUT if key in known}
    theirs = theirs_of(family, **rates)
    theirs.save_pretrained(tmp_path)
    ours = load_masked(tmp_path)
    expected = their_logits(theirs)
    for model in (ours.eval(), ours.train()):  # without dropout training computes the same
        torch.testing.assert_close(our_logits(model), expected, atol=1e-5, rtol=0)
    rows = torch.tensor([2, 6, 11])
    torch.testing.assert_close(our_logits(ours, rows), expected[rows], atol=1e-5, rtol=0)
    # The negative control: the bias of the outputs belongs to the head, and so does its norm.
    for parameter in (ours.prediction.bias, ours.prediction.norm.weight):
        with torch.no_grad():
            parameter[0] += 1
        assert (our_logits(ours) - expected).abs().max() > 0.01


@FAMILIES
def test_what_is_saved_is_what_was_loaded_and_transformers_opens_it(family, tmp_path):
    from transformers import AutoModelForMaskedLM

    theirs = theirs_of(family)
    theirs.save_pretrained(tmp_path / "theirs")
    save_masked(load_masked(tmp_path / "theirs"), tmp_path / "ours")
    before = load_file(tmp_path / "theirs" / "model.safetensors")
    after = load_file(tmp_path / "ours" / "model.safetensors")
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)
    again = AutoModelForMaskedLM.from_pretrained(tmp_path / "ours").eval()
    assert type(again) is type(theirs)
    torch.testing.assert_close(their_logits(again), their_logits(theirs), atol=1e-5, rtol=0)


@FAMILIES
def test_a_head_that_is_not_there_begins_anew(family, tmp_path):
    network = tiny_families.write(tmp_path, family)
    assert not holds_prediction(tmp_path, family)
    first, second = (
        load_masked(tmp_path, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1)
    )
    head = first.prediction
    assert torch.equal(head.dense.weight, second.prediction.dense.weight)
    assert 0.01 < float(head.dense.weight.detach().std()) < 0.03
    assert (float(head.norm.weight.detach().min()), float(head.bias.detach().abs().max())) == (
        1.0,
        0.0,
    )
    table = network.get_input_embeddings().weight
    assert torch.equal(first.encoder.embeddings.token.weight, table)


def test_a_model_for_both_tasks_of_pretraining_is_read(tmp_path):
    from transformers import BertConfig, BertForPreTraining

    model = BertForPreTraining(BertConfig(**tiny.BERT_SIZES))
    tiny.randomise(model, seed=3)
    model.eval().save_pretrained(tmp_path)
    assert holds_prediction(tmp_path, "bert")
    with torch.no_grad():
        parts = [model(input_ids=torch.tensor([i])).prediction_logits[0] for i in SENTENCES]
    found = our_logits(load_masked(tmp_path).eval())
    torch.testing.assert_close(found, torch.cat(parts), atol=1e-5, rtol=0)


def test_a_table_that_is_held_twice_must_be_one(tmp_path):
    theirs_of("bert").save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    table = state["bert.embeddings.word_embeddings.weight"]
    twice = {"cls.predictions.decoder.weight": table.clone()}
    twice["cls.predictions.decoder.bias"] = state["cls.predictions.bias"].clone()
    save_file(state | twice, path, {"format": "pt"})
    load_masked(tmp_path)
    twice["cls.predictions.decoder.weight"][3, 3] += 1
    save_file(state | twice, path, {"format": "pt"})
    with pytest.raises(DataError, match=r"decoder\.weight is another table than that of the embed"):
        load_masked(tmp_path)


def test_adapters_are_merged_before_the_model_is_written(tmp_path):
    from transformers import AutoModelForMaskedLM

    theirs_of("bert").save_pretrained(tmp_path / "base")
    model = load_masked(tmp_path / "base").eval()
    inject(model, LoRAConfig(r=2, target_modules="qv", modules_to_save=[]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="merge the adapters first"):
        save_masked(model, tmp_path / "out")
    expected = our_logits(model)
    merge_all(model)
    save_masked(model, tmp_path / "out")
    opened = AutoModelForMaskedLM.from_pretrained(tmp_path / "out").eval()
    torch.testing.assert_close(their_logits(opened), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", UNKNOWN)
def test_a_family_whose_head_is_not_known_is_told(tmp_path, family):
    theirs_of(family).save_pretrained(tmp_path)
    with pytest.raises(
        DataError, match=rf"head of {family} .* not supported — task mlm knows bert, roberta"
    ):
        load_masked(tmp_path)
