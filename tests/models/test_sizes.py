"""Sizes by name: what they stand for, how many parameters, and that another key wins."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from pydantic import ValidationError

from lowkey.models.config import TransformerConfig
from lowkey.models.sizes import SIZES, SizeName, TransformerSizes
from lowkey.models.transformer import Transformer

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "translate.md"
VOCABULARY = 37_000  # the paper's, one for both sides


def count(sizes: TransformerSizes, vocabulary: int) -> int:
    config = TransformerConfig(
        source_vocab_size=vocabulary,
        target_vocab_size=vocabulary,
        **sizes.config_values(joint=True),
    )
    with torch.device("meta"):
        return sum(p.numel() for p in Transformer(config).parameters())


def formula(d_model: int, d_ff: int, encoder: int, decoder: int, vocabulary: int) -> int:
    """Post-norm, one table for all."""
    attention = 4 * (d_model * d_model + d_model)
    feed_forward = d_model * d_ff + d_ff + d_ff * d_model + d_model
    norm = 2 * d_model
    encoder_block = attention + feed_forward + 2 * norm
    decoder_block = 2 * attention + feed_forward + 3 * norm
    return vocabulary * d_model + encoder * encoder_block + decoder * decoder_block


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("vocabulary", [100, VOCABULARY])
def test_parameters_are_what_the_formula_says(name: SizeName, vocabulary: int) -> None:
    size = SIZES[name]
    layers = size.num_encoder_layers, size.num_decoder_layers
    expected = formula(size.d_model, size.d_ff, *layers, vocabulary)
    assert count(TransformerSizes(size=name), vocabulary) == expected


@pytest.mark.parametrize(
    ("name", "shape", "millions"),
    [("base", (6, 512, 2048, 8, 0.1), 65), ("big", (6, 1024, 4096, 16, 0.3), 213)],
)
def test_base_and_big_are_the_papers(name: SizeName, shape: tuple, millions: int) -> None:
    sizes = TransformerSizes(size=name)
    # Table 3: N, d_model, d_ff, h, P_drop, and parameters in millions.
    assert (
        sizes.num_encoder_layers,
        sizes.d_model,
        sizes.d_ff,
        sizes.num_heads,
        sizes.dropout,
    ) == shape
    assert sizes.num_decoder_layers == sizes.num_encoder_layers
    assert count(sizes, VOCABULARY) / 1e6 == pytest.approx(millions, rel=0.04)
    assert (sizes.norm, sizes.positions, sizes.activation) == ("post", "sinusoidal", "relu")
    assert (sizes.gated, sizes.tie_embeddings, sizes.scale_embeddings) == (False, True, True)
    # The control: with a table for each side the count would not be the paper's.
    apart = sizes.model_copy(update={"share_embeddings": False})
    assert count(apart, VOCABULARY) / 1e6 > 1.15 * millions


def test_every_name_has_a_size_and_none_means_small() -> None:
    assert get_args(SizeName) == tuple(SIZES)
    small = TransformerSizes(size="small")
    assert TransformerSizes() == small.model_copy(update={"size": None})
    counts = [count(TransformerSizes(size=name), 8000) for name in SIZES]
    assert counts == sorted(counts)


@pytest.mark.parametrize("name", SIZES)
def test_any_other_key_overrides_the_size_and_it_is_told(name: SizeName) -> None:
    sizes = TransformerSizes(size=name)
    assert {key: getattr(sizes, key) for key in type(SIZES[name]).model_fields} == SIZES[
        name
    ].model_dump()
    assert sizes.remark() == f", size {name}"
    changed = TransformerSizes(size=name, num_heads=2, dropout=0.25, norm="pre")
    assert changed.model_dump(exclude={"num_heads", "dropout", "norm"}) == sizes.model_dump(
        exclude={"num_heads", "dropout", "norm"}
    )
    assert (changed.num_heads, changed.dropout, changed.norm) == (2, 0.25, "pre")
    assert changed.remark() == f", size {name} but num_heads 2, dropout 0.25"
    assert TransformerSizes(num_heads=2).remark() == ""


@pytest.mark.parametrize("size", ["bsae", 7, ["base"], {"base": 1}])
def test_a_name_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(ValidationError, match=r"size\n.*'tiny', 'small', 'iwslt', 'base' or 'big'"):
        TransformerSizes(size=size)  # type: ignore[arg-type] # that is the mistake


def test_one_table_follows_the_tokenizer_unless_the_recipe_says() -> None:
    for joint in (False, True):
        assert TransformerSizes().config_values(joint=joint)["share_embeddings"] is joint
    said = TransformerSizes(share_embeddings=False)
    assert said.config_values(joint=True)["share_embeddings"] is False


def test_the_guide_lists_the_sizes_as_they_are() -> None:
    rows = []
    for name, size in SIZES.items():
        layers = f"{size.num_encoder_layers} + {size.num_decoder_layers}"
        numbers = [size.d_model, size.num_heads, layers, size.d_ff, size.dropout]
        counts = [f"{count(TransformerSizes(size=name), v) / 1e6:.1f} M" for v in (8000, 37_000)]
        rows.append([f"`{name}`", *(str(n) for n in numbers), *counts])
    names = "|".join(SIZES)
    row = rf"^\| (`(?:{names})`.*) \|$"
    lines = re.findall(row, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [[cell.strip() for cell in line.split("|")] for line in lines] == rows


def test_reading_sizes_imports_no_torch() -> None:
    program = "import sys, lowkey.models.sizes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
