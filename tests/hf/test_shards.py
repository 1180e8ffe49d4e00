"""Weights in several files: equal to those in one, and each lie of an index is one line."""

import json

import pytest
import tiny
import tiny_families
import tiny_marian
import torch
from safetensors.torch import load_file, save_file

from lowkey.errors import DataError, LowkeyError, MissingInputError
from lowkey.hf.bert import load_classifier, load_encoder
from lowkey.hf.marian import load_marian
from lowkey.hf.model_folder import SHARDS, WEIGHTS, base_identity
from lowkey.hf.tagger import load_tagger
from lowkey.hf.weights import open_weights


@pytest.fixture
def sharded(tmp_path):
    """A classifier in one file and, written by transformers, in several."""
    network = tiny_families.model("roberta", num_labels=3)
    network.save_pretrained(tmp_path / "one")
    network.save_pretrained(tmp_path / "many", max_shard_size=4096)
    return tmp_path / "many"


def test_shards_of_transformers_are_the_same_model_bit_for_bit(sharded):
    assert not (sharded / WEIGHTS).exists()
    assert len(list(sharded.glob("model-*.safetensors"))) > 2
    for load in (load_encoder, load_classifier, lambda folder: load_tagger(folder, 2)):
        torch.manual_seed(0)
        one = load(sharded.parent / "one").state_dict()
        torch.manual_seed(0)
        many = load(sharded).state_dict()
        assert one.keys() == many.keys()
        assert all(one[name].equal(many[name]) for name in one)


def test_marian_in_shards_is_the_same_model(tmp_path):
    network = tiny_marian.write_marian(tmp_path / "one")
    network.save_pretrained(tmp_path / "many", max_shard_size=4096)
    assert not (tmp_path / "many" / WEIGHTS).exists()
    one, many = (load_marian(tmp_path / name).state_dict() for name in ("one", "many"))
    assert one.keys() == many.keys()
    assert all(one[name].equal(many[name]) for name in one)


def test_where_there_is_one_file_too_it_is_read(sharded):
    state = load_file(sharded.parent / "one" / WEIGHTS)
    state["classifier.out_proj.bias"] += 1
    save_file(state, sharded / WEIGHTS, {"format": "pt"})
    bias = load_classifier(sharded).classifier.bias
    assert bias.equal(load_classifier(sharded.parent / "one").classifier.bias + 1)


def test_the_identity_of_shards_is_the_hash_of_what_sha256sum_prints(sharded):
    import hashlib

    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(sharded.glob("model-*.safetensors"))
    ]
    identity = base_identity(sharded)
    assert identity["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    path = sorted(sharded.glob("model-*.safetensors"))[-1]
    changed = {name: tensor + 1 for name, tensor in load_file(path).items()}
    save_file(changed, path, {"format": "pt"})
    assert base_identity(sharded)["sha256"] != identity["sha256"]


def refusal(folder, error=DataError) -> str:
    with pytest.raises(error) as caught:
        load_classifier(folder)
    assert isinstance(caught.value, LowkeyError)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


def rewrite(folder, change):
    """Changes the index."""
    path = folder / SHARDS
    index = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(change(index) or index), encoding="utf-8")


def first(folder) -> tuple[str, str]:
    return next(iter(json.loads((folder / SHARDS).read_text())["weight_map"].items()))


@pytest.mark.parametrize(
    "shard",
    [
        "../one/model.safetensors",
        "/etc/passwd",
        "sub/model-1.safetensors",
        "..",
        "",
        "model.bin",
        ".hidden.safetensors",
        "a\x00.safetensors",
        "a\n.safetensors",
        "C:\\model.safetensors",
        "ä.safetensors",
        "x" * 300 + ".safetensors",
    ],
)
def test_a_shard_is_a_plain_name_in_the_same_folder(sharded, shard):
    key, _ = first(sharded)
    rewrite(sharded, lambda index: index["weight_map"].update({key: shard}))
    assert "which is no name of a safetensors file in this folder" in refusal(sharded)


def test_other_things_than_names_are_refused(sharded):
    key, shard = first(sharded)
    for value in (None, 3, [shard], {"file": shard}):
        rewrite(sharded, lambda index, v=value: index["weight_map"].update({key: v}))
        assert "weight_map" in refusal(sharded)
    for index in ({}, {"weight_map": {}}, {"weight_map": [shard]}, [shard]):
        (sharded / SHARDS).write_text(json.dumps(index))
        refusal(sharded)
    rewrite(sharded, lambda _: {"weight_map": {key: shard}, "auto_map": {"a": "b"}})
    assert 'unknown key "auto_map"' in refusal(sharded)
    many = {f"t{i}": f"s{i}.safetensors" for i in range(1001)}
    rewrite(sharded, lambda _: {"weight_map": many})
    assert "more than 1000 files" in refusal(sharded)


def test_a_tensor_that_is_in_another_shard_or_in_none(sharded):
    key, shard = first(sharded)
    other = next(p.name for p in sorted(sharded.glob("*.safetensors")) if p.name != shard)
    rewrite(sharded, lambda index: index["weight_map"].update({key: other}))
    told = refusal(sharded)
    assert key in told
    assert other in told
    rewrite(sharded, lambda index: index["weight_map"].update({key: shard, "more": shard}))
    assert f'"more" is said to be in {shard}, which does not hold it' in refusal(sharded)
    rewrite(sharded, lambda index: [index["weight_map"].pop(name) for name in ("more", key)] and {})
    assert f'holds the tensor "{key}", but the index does not list it' in refusal(sharded)


def test_a_tensor_that_stands_in_two_shards(sharded):
    key, shard = first(sharded)
    other = next(p for p in sorted(sharded.glob("*.safetensors")) if p.name != shard)
    state = load_file(other) | {key: load_file(sharded / shard)[key]}
    save_file(state, other, {"format": "pt"})
    told = refusal(sharded)
    assert f'{other.name} holds the tensor "{key}", but the index says "{shard}"' in told


def test_a_shard_that_is_missing_or_cut_off(sharded):
    _, shard = first(sharded)
    data = (sharded / shard).read_bytes()
    (sharded / shard).write_bytes(data[:-4])
    assert shard in refusal(sharded)
    (sharded / shard).unlink()
    assert f"lacks {shard}" in refusal(sharded, MissingInputError)
    with pytest.raises(MissingInputError, match="lacks"):
        base_identity(sharded)


def test_the_budget_holds_for_all_shards_together(sharded, monkeypatch):
    infos = open_weights(sharded).infos
    total = sum(torch.Size(info.shape).numel() for info in infos.values())
    monkeypatch.setattr("lowkey.hf.weights.MAX_PARAMETERS", total)
    open_weights(sharded)
    monkeypatch.setattr("lowkey.hf.weights.MAX_PARAMETERS", total - 1)
    with pytest.raises(DataError, match=f"asks for {total} parameters"):
        open_weights(sharded)


def test_nothing_is_read_before_all_of_it_is_checked(sharded, monkeypatch):
    def read(*_args, **_options):
        raise AssertionError("tensors were read")

    monkeypatch.setattr("lowkey.hf.weights.read_tensors", read)
    rewrite(sharded, lambda index: index["weight_map"].update(more=first(sharded)[1]))
    refusal(sharded)


def test_tokenizer_and_weights_in_shards_make_a_whole_folder(tmp_path):
    """The door that every command uses takes such a folder."""
    from lowkey.hf.hub import resolve_model

    tiny_families.model("bert").save_pretrained(tmp_path, max_shard_size=4096)
    tiny.write_tokenizer(tmp_path)
    assert resolve_model(str(tmp_path), key="model.path") == tmp_path
