"""Extracted adapters in peft, beside a decomposition by numpy."""

import copy

import numpy as np
import pytest
import tiny
import tiny_families
import torch
from experiments.tuning import HEAD, disturbed, is_map, write

from lowkey.experiments.extract import extract

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

IDS = torch.tensor([[2, 7, 9, 3, 0], [2, 11, 30, 5, 3], [2, 3, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])


@torch.no_grad()
def their_logits(model):
    return model.eval()(input_ids=IDS, attention_mask=MASK).logits


@torch.no_grad()
def cut(base, tuned, rank):
    """The base with numpy's best approximations of what changed, and the tuned model's head."""
    expected, after = copy.deepcopy(base), dict(tuned.named_parameters())
    for name, parameter in expected.named_parameters():
        if any(part in name for part in HEAD):
            parameter.copy_(after[name])
        elif is_map(name):
            left, values, right = np.linalg.svd((after[name] - parameter).numpy())
            k = slice(rank)
            parameter.add_(torch.from_numpy((left[:, k] * values[k]) @ right[k]))
    return expected


@pytest.fixture
def base(tmp_path):
    return tiny.write_bert(tmp_path / "base", num_labels=3)


@pytest.mark.parametrize("rank", [1, 5, 16])
@pytest.mark.parametrize("pooled", [True, False])
def test_peft_computes_what_base_and_the_best_approximation_do(base, tmp_path, rank, pooled):
    from peft import PeftModel

    head = HEAD if pooled else ("classifier",)
    tuned = disturbed(base, lambda name: is_map(name) or any(part in name for part in head))
    found = extract(
        str(tmp_path / "base"), write(tuned, tmp_path / "tuned"), rank=rank, out=tmp_path / "out"
    )
    theirs = their_logits(PeftModel.from_pretrained(copy.deepcopy(base), tmp_path / "out"))
    expected = their_logits(cut(base, tuned, rank))
    torch.testing.assert_close(theirs, expected, atol=1e-5, rtol=1e-5)
    lost = float((theirs - their_logits(tuned)).abs().max())
    assert lost < 1e-5 if rank == 16 else lost > 1e-3
    assert float((theirs - their_logits(base)).abs().max()) > 1e-2
    assert found["carried_whole"] == list(head)
    assert found["not_carried"] == []
    assert (
        found["not_scored"] == f"{tmp_path / 'tuned'} is no run of lowkey, so that its data is"
        " not known"
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra"])
def test_other_families_keep_their_heads_and_names(tmp_path, family):
    from peft import PeftModel

    base = tiny_families.write(tmp_path / "base", family, num_labels=3)

    def moved(name):
        tail = name.rpartition(".")[2] == "weight" and "norm" not in name.lower()
        return "classifier" in name or (tail and "layer." in name)

    tuned = disturbed(base, moved)
    extract(str(tmp_path / "base"), write(tuned, tmp_path / "tuned"), rank=16, out=tmp_path / "out")
    theirs = PeftModel.from_pretrained(copy.deepcopy(base), tmp_path / "out")
    ids, mask = IDS.clamp(min=3), torch.ones_like(IDS)

    def logits(model):
        with torch.no_grad():
            return model.eval()(input_ids=ids, attention_mask=mask).logits

    torch.testing.assert_close(logits(theirs), logits(tuned), atol=1e-5, rtol=1e-5)
    assert float((logits(tuned) - logits(base)).abs().max()) > 1e-2
