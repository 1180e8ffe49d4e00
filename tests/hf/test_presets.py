"""The table of presets in the guide is what the presets find in each family."""

from pathlib import Path

import pytest
import tiny_families

from lowkey.hf.bert import load_classifier
from lowkey.hf.encoder_families import FAMILIES
from lowkey.lora.config import TARGET_PRESETS, LoRAConfig
from lowkey.lora.inject import adapters, inject

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "finetune.md"
BLOCK = ".0."
EXPECTED = {
    "bert": {
        "query",
        "key",
        "value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    },
    "distilbert": {"q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"},
}
EXPECTED |= {family: EXPECTED["bert"] for family in FAMILIES if family not in EXPECTED}
"""By hand, from transformers' modelling files: all linear maps of one block."""


def found(folder, family: str, preset: str) -> list[str]:
    """Their names of what a preset adapts in the first block, in the order of the model."""
    model = load_classifier(folder, 2)
    inject(
        model,
        LoRAConfig(
            target_modules=preset,
            modules_to_save=["transform", "classifier"]
            if model.transform is not None
            else ["classifier"],
        ),
    )
    ours = list(adapters(model))
    blocks = model.encoder.config.num_layers
    assert len(ours) % blocks == 0
    theirs = [FAMILIES[family].theirs(name) for name in ours if BLOCK in name]
    assert len(theirs) == len(ours) // blocks
    names = [name.partition(BLOCK)[2] for name in theirs]
    return [name if name.endswith("dense") else name.rpartition(".")[2] for name in names]


def row(folder, family: str) -> str:
    """The family's line of the table."""
    cells = []
    for preset in ("qv", "attention", "feed-forward"):
        cells.append(", ".join(f"`{name}`" for name in found(folder, family, preset)))
    return f"| `{family}` | {' | '.join(cells)} |"


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_guide_says_what_each_preset_finds(tmp_path, family):
    tiny_families.write(tmp_path, family)
    assert row(tmp_path, family) in GUIDE.read_text(encoding="utf-8")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_all_linear_is_every_linear_map_of_a_block(tmp_path, family):
    tiny_families.write(tmp_path, family)
    every = found(tmp_path, family, "all-linear")
    assert set(every) == EXPECTED[family]
    halves = [*found(tmp_path, family, "attention"), *found(tmp_path, family, "feed-forward")]
    assert sorted(every) == sorted(halves)
    assert set(TARGET_PRESETS) == {"qv", "attention", "feed-forward", "all-linear"}
