"""Heads on a summary of the tokens: what is loaded of a checkpoint, and names of adapters."""

import pytest
import tiny
import tiny_families
import torch

from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.pooled import load_pooled, pooled_names
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject
from lowkey.nn.layout import SequenceLayout

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
FAMILY = pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"xlm-roberta", "camembert"}))
LENGTHS = [5, 1, 30, 9]


def batch(padding):
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)
    ids = torch.randint(5, len(tiny.VOCABULARY), mask.shape, generator=generator)
    return torch.where(mask, ids, padding), mask


@torch.no_grad()
def their_summary(theirs, how):
    """Pools the last hidden states of transformers, with padding and its mask."""
    ids, mask = batch(theirs.config.pad_token_id)
    hidden = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    mask = mask[:, :, None]
    return {
        "first": hidden[:, 0],
        "mean": (hidden * mask).sum(1) / mask.sum(1),
        "max": hidden.masked_fill(~mask, -torch.inf).amax(1),
    }[how]


@torch.no_grad()
def our_logits(model, padding):
    ids, mask = batch(padding)
    return model.eval()(*SequenceLayout.from_padded(ids, mask))


@FAMILY
@pytest.mark.parametrize("how", ["first", "mean", "max"])
def test_logits_are_a_linear_map_of_the_summary_of_transformers(tmp_path, family, how):
    from transformers import AutoModel

    tiny_families.write(tmp_path, family)
    ours = load_pooled(tmp_path, 3, how, generator=torch.Generator().manual_seed(1))
    assert [type(m).__name__ for m in ours.head] == ["Linear"]
    assert not any("pooler" in name for name, _ in ours.named_parameters())
    theirs = AutoModel.from_pretrained(tmp_path).eval()
    head = ours.classifier
    expected = their_summary(theirs, how) @ head.weight.T + head.bias
    found = our_logits(ours, theirs.config.pad_token_id)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    other = "mean" if how == "first" else "first"
    assert (their_summary(theirs, other) @ head.weight.T - expected).abs().max() > 1e-3


@FAMILY
def test_an_adapter_is_one_of_the_encoder_alone_for_peft(tmp_path, family):
    from peft import PeftModel
    from transformers import AutoModel

    tiny_families.write(tmp_path / "base", family)
    ours = load_pooled(tmp_path / "base", 3, "mean")
    config = LoRAConfig(r=2)
    inject(ours, config)
    tiny.randomise(ours, seed=2, std=0.2)
    plain = load_pooled(tmp_path / "base", 3, "mean").state_dict()
    ours.load_state_dict({k: v for k, v in plain.items() if k.startswith("encoder.")}, strict=False)
    names = pooled_names(family).adapters
    bare = config.model_copy(update={"modules_to_save": []})
    save_adapter(ours, tmp_path / "to", lora_config=bare, base_name="base", family=names)
    theirs = PeftModel.from_pretrained(
        AutoModel.from_pretrained(tmp_path / "base"), tmp_path / "to"
    )
    assert theirs.peft_config["default"].task_type == "FEATURE_EXTRACTION"
    expected = their_summary(theirs.eval(), "mean") @ ours.classifier.weight.T
    expected = expected + ours.classifier.bias
    padding = theirs.config.pad_token_id
    torch.testing.assert_close(our_logits(ours, padding), expected, atol=1e-5, rtol=0)
    again = load_pooled(tmp_path / "base", 3, "mean")
    load_adapter(again, tmp_path / "to", names)
    again.classifier.load_state_dict(ours.classifier.state_dict())
    found = our_logits(again, padding)
    torch.testing.assert_close(found, our_logits(ours, padding), atol=1e-5, rtol=0)


def test_every_family_has_names_for_its_encoder_alone():
    for family, names in FAMILIES.items():
        table = pooled_names(family).adapters.names
        assert not any(theirs.startswith(names.adapters.root) for _, theirs in table.rows)
        assert pooled_names(family).adapters.saved_names(["classifier"]) is None
