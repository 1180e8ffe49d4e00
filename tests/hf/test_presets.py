"""The table of presets in the guide is what the presets find in each family."""

from pathlib import Path

import pytest
import tiny_families

from lowkey.hf.bert import load_classifier
from lowkey.hf.encoder_families import FAMILIES
from lowkey.lora.config import TARGET_PRESETS, LoRAConfig
from lowkey.lora.inject import adapters, inject

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "finetune.md"
HEADER = "| family | `qv` | `attention` | `feed-forward` |"
_LIKE_BERT = {
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
}
EXPECTED = {
    "distilbert": {
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "ffn.lin1",
        "ffn.lin2",
    },
    "mpnet": {
        *(f"attention.attn.{name}" for name in "qkvo"),
        "intermediate.dense",
        "output.dense",
    },
    "albert": {
        "attention.query",
        "attention.key",
        "attention.value",
        "attention.dense",
        "ffn",
        "ffn_output",
    },
}
EXPECTED |= {family: _LIKE_BERT for family in FAMILIES if family not in EXPECTED}
"""By hand, from transformers' modelling files: all linear maps of one block."""


def found(folder, family: str, preset: str) -> list[str]:
    """Their names of what a preset adapts, in the order of the model, without the block's."""
    model = load_classifier(folder, 2)
    whole = tiny_families.head_modules(model)
    inject(model, LoRAConfig(target_modules=preset, modules_to_save=whole))
    theirs = [FAMILIES[family].theirs(name) for name in adapters(model)]
    names = list(dict.fromkeys(name.rpartition(".0.")[2] for name in theirs if ".0." in name))
    assert len(theirs) == len(names) * len(model.encoder.blocks)
    return names


def row(folder, family: str) -> str:
    """The family's line of the table: last parts of names, where one map of a block has it."""
    lasts = [name.rpartition(".")[2] for name in found(folder, family, "all-linear")]
    cells = []
    for preset in ("qv", "attention", "feed-forward"):
        names = [(n, n.rpartition(".")[2]) for n in found(folder, family, preset)]
        cells.append(", ".join(f"`{last if lasts.count(last) == 1 else n}`" for n, last in names))
    return f"| `{family}` | {' | '.join(cells)} |"


def test_the_table_of_the_guide_is_what_the_presets_find(tmp_path):
    """Run it after a change of a family: what it prints is what belongs into the guide."""
    for family in FAMILIES:
        tiny_families.write(tmp_path / family, family)
    rows = [row(tmp_path / family, family) for family in FAMILIES]
    table = "\n".join([HEADER, "|---|---|---|---|", *rows])
    assert f"\n\n{table}\n\n" in GUIDE.read_text(encoding="utf-8"), table


@pytest.mark.parametrize("family", list(FAMILIES))
def test_all_linear_is_every_linear_map_of_a_block(tmp_path, family):
    tiny_families.write(tmp_path, family)
    every = found(tmp_path, family, "all-linear")
    assert set(every) == EXPECTED[family]
    halves = [*found(tmp_path, family, "attention"), *found(tmp_path, family, "feed-forward")]
    assert sorted(every) == sorted(halves)
    assert set(found(tmp_path, family, "qv")) < set(found(tmp_path, family, "attention"))
    assert set(TARGET_PRESETS) == {"qv", "attention", "feed-forward", "all-linear"}
