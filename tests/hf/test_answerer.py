"""Finders of answers of every family against transformers and peft: logits, files, adapters."""

import json

import pytest
import tiny
import tiny_families
import torch
from safetensors.torch import load_file

from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.answerer import answerer_names, load_answerer, save_answerer
from lowkey.hf.bert import load_encoder, save_encoder
from lowkey.hf.encoder_families import FAMILIES
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


def their_model(family, *, seed=0, **changes):
    from transformers import AutoConfig, AutoModelForQuestionAnswering

    known = AutoConfig.for_model(family).to_dict()
    changes = {key: value for key, value in changes.items() if key in known}
    config = AutoConfig.for_model(family, **tiny_families.SIZES[family], **changes)
    model = AutoModelForQuestionAnswering.from_config(config)
    tiny.randomise(model, seed=seed)
    return model.eval()


@torch.no_grad()
def both_logits(theirs, ours, seed=0):
    """Both scores of every real token: of transformers with padding, of ours without."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)
    ids = torch.randint(5, len(tiny.VOCABULARY), mask.shape, generator=generator)
    ids = torch.where(mask, ids, theirs.config.pad_token_id)
    flat, layout = SequenceLayout.from_padded(ids, mask)
    out = theirs(input_ids=ids, attention_mask=mask.long())
    expected = torch.stack([out.start_logits[mask], out.end_logits[mask]], dim=1)
    return expected, ours(flat, layout)


@EACH
def test_logits_equal_transformers_in_both_directions(tmp_path, family):
    from transformers import AutoModelForQuestionAnswering

    theirs = their_model(family)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_answerer(tmp_path / "theirs").eval()
    expected, found = both_logits(theirs, ours)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    save_answerer(ours, tmp_path / "ours")
    before, after = (load_file(tmp_path / n / "model.safetensors") for n in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "ours").eval()
    assert type(again) is type(theirs)
    torch.testing.assert_close(both_logits(again, ours)[0], found, atol=1e-5, rtol=0)


@ARCHITECTURES
def test_in_training_without_dropout_they_are_equal_too(tmp_path, family):
    theirs = their_model(family, **tiny_families.NO_DROPOUT, qa_dropout=0.0)
    theirs.save_pretrained(tmp_path)
    expected, found = both_logits(theirs.train(), load_answerer(tmp_path).train())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@ARCHITECTURES
def test_dropout_before_the_head_is_theirs(tmp_path, family):
    rates = {"qa_dropout": 0.25, "classifier_dropout": 0.25}
    their_model(family, **rates).save_pretrained(tmp_path / "theirs")
    ours = load_answerer(tmp_path / "theirs")
    assert ours.dropout.p == (0.25 if family in ("distilbert", "modernbert") else 0.0)
    save_answerer(ours, tmp_path / "ours")
    assert load_answerer(tmp_path / "ours").dropout.p == ours.dropout.p


@ARCHITECTURES
def test_a_base_without_a_head_or_with_one_for_texts_gets_a_new_one(tmp_path, family):
    tiny_families.write(tmp_path / "bare", family)
    tiny_families.write(tmp_path / "texts", family, num_labels=2)
    for name in ("bare", "texts"):
        one, same, other = (
            load_answerer(tmp_path / name, generator=torch.Generator().manual_seed(seed))
            for seed in (1, 1, 2)
        )
        assert torch.equal(one.classifier.weight, same.classifier.weight)
        assert not torch.equal(one.classifier.weight, other.classifier.weight)
        assert one.classifier.bias.abs().max() == 0
    encoder = load_encoder(tmp_path / "bare").state_dict()
    state = load_answerer(tmp_path / "bare").encoder.state_dict()
    assert all(torch.equal(state[name], encoder[name]) for name in state)


@ARCHITECTURES
def test_adapters_of_peft_are_read(tmp_path, family):
    theirs = their_model(family)
    targets = tiny_families.peft_targets(family)
    options = {"task_type": "QUESTION_ANS", "target_modules": targets}
    theirs.save_pretrained(tmp_path / "base")
    wrapped = tiny.write_adapter(tmp_path / "adapter", theirs, **options)
    ours = load_answerer(tmp_path / "base")
    plain = both_logits(wrapped, ours.eval())[1]
    load_adapter(ours, tmp_path / "adapter", answerer_names(family).adapters)
    expected, found = both_logits(wrapped, ours.eval())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (plain - found).abs().max() > 1e-3


@ARCHITECTURES
def test_adapters_are_written_for_peft(tmp_path, family):
    from peft import PeftModel
    from transformers import AutoModelForQuestionAnswering

    tiny_families.write(tmp_path / "base", family)
    save_encoder(load_encoder(tmp_path / "base"), tmp_path / "encoder")
    ours = load_answerer(tmp_path / "encoder")
    whole = tiny_families.head_modules(ours)
    config = LoRAConfig(r=2, target_modules="all-linear", modules_to_save=whole)
    inject(ours, config)
    tiny.randomise(ours, seed=3, std=0.1)
    # The base stays what it is in the file; only what the adapter holds is random.
    fresh = load_answerer(tmp_path / "encoder").state_dict()
    kept = {n: t for n, t in fresh.items() if not n.startswith(("classifier", "transform"))}
    ours.load_state_dict(kept, strict=False)
    names = answerer_names(family).adapters
    save_adapter(ours, tmp_path / "a", lora_config=config, base_name="b", family=names)
    written = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert written["task_type"] == "QUESTION_ANS"
    head = "classifier" if family == "modernbert" else "qa_outputs"
    assert head in written["modules_to_save"]
    plain = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "encoder")
    theirs = PeftModel.from_pretrained(plain, tmp_path / "a").eval()
    expected, found = both_logits(theirs, ours.eval())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    merge_all(ours)
    torch.testing.assert_close(both_logits(theirs, ours)[1], expected, atol=1e-5, rtol=0)
