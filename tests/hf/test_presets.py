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
    "modernbert": {"attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"},
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


def found(folder, family: str, preset: str) -> dict[str, list[str]]:
    """Their names of what a preset adapts, in the order of the model, without the block's.

    With each, the last names of ours that it is.
    """
    model = load_classifier(folder, 2)
    whole = tiny_families.head_modules(model)
    inject(model, LoRAConfig(target_modules=preset, modules_to_save=whole))
    names: dict[str, list[str]] = {}
    for name in adapters(model):
        block, _, last = FAMILIES[family].adapters.module(name).rpartition(".0.")
        if block:
            names.setdefault(last, []).append(name.rpartition(".")[2])
    assert sum(map(len, names.values())) * len(model.encoder.blocks) == len(adapters(model))
    return names


def row(folder, family: str) -> str:
    """The family's line of the table: last parts of names, where one map of a block has it."""
    every = found(folder, family, "all-linear")
    lasts = [name.rpartition(".")[2] for name in every]
    cells = []
    for preset in ("qv", "attention", "feed-forward"):
        told = []
        for name, ours in found(folder, family, preset).items():
            last = name.rpartition(".")[2]
            part = "" if ours == every[name] else f" (rows of {' and '.join(ours)})"
            told.append(f"`{last if lasts.count(last) == 1 else name}`{part}")
        cells.append(", ".join(told))
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
    attention = found(tmp_path, family, "attention")
    assert every == attention | found(tmp_path, family, "feed-forward")
    ours = [name for names in found(tmp_path, family, "qv").values() for name in names]
    assert ours == ["query", "value"]
    assert len([name for names in attention.values() for name in names]) == 4
    assert set(TARGET_PRESETS) == {"qv", "attention", "feed-forward", "all-linear"}
