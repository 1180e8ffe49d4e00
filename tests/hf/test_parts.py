"""Tensors that are several of ours: taken apart and put together without a number changed."""

import pytest
import tiny_families
import torch
from safetensors.torch import load_file, save_file

from lowkey.errors import DataError
from lowkey.hf.bert import load_classifier
from lowkey.hf.names import NameMap
from lowkey.hf.parts import joined, part_number, parts_of, whole_name
from lowkey.hf.weights import Weights

PARTS = {"Wqkv": 3, "Wi": 2}
ROWS = NameMap(
    [
        (("blocks.{}.query", "blocks.{}.key", "blocks.{}.value"), "layers.{}.attn.Wqkv"),
        ("blocks.{}.out", "layers.{}.attn.Wo"),
    ]
)


def test_one_row_names_the_parts_in_both_directions():
    assert ROWS.parts == {"Wqkv": 3}
    for i, part in enumerate(("query", "key", "value")):
        theirs = f"layers.7.attn.Wqkv[{i}].weight"
        assert ROWS.theirs(f"blocks.7.{part}.weight") == theirs
        assert ROWS.ours(theirs) == f"blocks.7.{part}.weight"
    for stranger in ("layers.7.attn.Wqkv.weight", "layers.7.attn.Wqkv[3].weight"):
        with pytest.raises(KeyError):
            ROWS.ours(stranger)
    with pytest.raises(ValueError, match="one layer index on both sides"):
        NameMap([(("blocks.{}.gate", "blocks.up"), "layers.{}.Wi")])
    with pytest.raises(ValueError, match="match the same names"):
        NameMap([(("blocks.{}.gate", "blocks.{}.gate"), "layers.{}.Wi")])


def test_names_of_parts_and_wholes():
    names = parts_of("model.layers.0.mlp.Wi.weight", PARTS)
    assert names == ["model.layers.0.mlp.Wi[0].weight", "model.layers.0.mlp.Wi[1].weight"]
    assert {whole_name(name) for name in names} == {"model.layers.0.mlp.Wi.weight"}
    assert [part_number(name) for name in names] == [0, 1]
    assert parts_of("model.layers.0.mlp.Wo.weight", PARTS) == ["model.layers.0.mlp.Wo.weight"]
    assert parts_of("Wiring.weight", PARTS) == ["Wiring.weight"]
    assert part_number("model.layers.0.mlp.Wo.weight") is None


def test_what_is_taken_apart_is_put_together_again(tmp_path):
    generator = torch.Generator().manual_seed(0)
    state = {
        "a.Wqkv.weight": torch.randn(12, 4, generator=generator),
        "a.Wqkv.bias": torch.randn(12, generator=generator),
        "a.Wi.weight": torch.randn(6, 4, generator=generator),
        "a.Wo.weight": torch.randn(4, 4, generator=generator),
    }
    save_file(state, tmp_path / "file.safetensors")
    weights = Weights.of_file(tmp_path / "file.safetensors").in_parts(PARTS)
    read = weights.read(list(weights.infos))
    for i in range(3):
        assert read[f"a.Wqkv[{i}].weight"].equal(state["a.Wqkv.weight"][4 * i : 4 * i + 4])
    assert {name: tuple(tensor.shape) for name, tensor in read.items()} == {
        name: info.shape for name, info in weights.infos.items()
    }
    again = joined(dict(reversed(read.items())))
    assert again.keys() == state.keys()
    assert all(again[name].equal(state[name]) for name in state)
    only = weights.read(["a.Wqkv[1].weight"])
    assert only["a.Wqkv[1].weight"].untyped_storage().nbytes() == 4 * 4 * 4


@pytest.fixture
def modernbert(tmp_path):
    tiny_families.write(tmp_path, "modernbert", num_labels=2)
    return tmp_path / "model.safetensors"


def refusal(path, state) -> str:
    save_file(state, path, {"format": "pt"})
    with pytest.raises(DataError) as error:
        load_classifier(path.parent)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_rows_that_are_no_parts_are_refused(modernbert):
    state = load_file(modernbert)
    key = "model.layers.1.attn.Wqkv.weight"
    told = refusal(modernbert, state | {key: state[key][:-1].clone()})
    assert f'"{key}" has 47 rows, which are not 3 parts' in told
    told = refusal(modernbert, state | {key: state[key][:-3].clone()})
    assert "has shape [15, 16], the model needs [16, 16]" in told
    refusal(modernbert, state | {key: torch.tensor(1.0)})


def test_a_file_cannot_hold_a_part_by_its_own_name(modernbert):
    state = load_file(modernbert)
    whole = state.pop("model.layers.0.mlp.Wi.weight")
    state |= {f"model.layers.0.mlp.Wi[{i}].weight": half for i, half in enumerate(whole.chunk(2))}
    told = refusal(modernbert, {name: tensor.clone() for name, tensor in state.items()})
    assert "Wi[0].weight" in told
    assert "with no place here" in told
