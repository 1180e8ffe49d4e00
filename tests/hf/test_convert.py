"""A pickled model becomes the same model in safetensors, or nothing and one line."""

import json
import os
import shutil

import pytest
import tiny
import torch
from pickles import Calls, endless, folder_of, memory_bomb, saved

from lowkey.cli import main
from lowkey.errors import CannotWriteError, ConfigError, DataError, MissingInputError
from lowkey.files import write_tensors
from lowkey.hf.bert import load_encoder
from lowkey.hf.convert import convert

GOOD = {"a": torch.ones(2, 3)}


def tree(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def pickled(folder, state):
    """Puts a pickle in the place of the safetensors file."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(saved(state))


def assert_equal(model, state):
    found = model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


# The same model


def test_a_bert_is_the_same_for_transformers_and_for_us(tmp_path, capsys):
    from transformers import BertModel

    model = tiny.write_bert(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "old")
    state = model.state_dict()
    state["embeddings.position_ids"] = torch.arange(32)[None]  # old files hold it, and ints
    pickled(tmp_path / "old", state)
    for name in ("README.md", "code.py", "training_args.bin", "pickle.model"):
        (tmp_path / "old" / name).write_bytes(b"\x80\x04.")
    (tmp_path / "old" / "runs.json").mkdir()
    capsys.readouterr()
    assert main(["convert", str(tmp_path / "old"), str(tmp_path / "new" / "bert")]) == 0
    out, err = capsys.readouterr()
    assert f"{tmp_path}/new/bert: 40 tensors in model.safetensors, with config.json, " in out
    assert 'left behind: "README.md", "code.py", "pickle.model", "pytorch_model.bin", ' in out
    assert err == ""
    new = tmp_path / "new" / "bert"
    assert tree(new) == tree(tmp_path / "whole")
    for name in tree(new):
        if name != "model.safetensors":
            assert (new / name).read_bytes() == (tmp_path / "old" / name).read_bytes()
    assert_equal(BertModel.from_pretrained(new), model.state_dict())
    ours, theirs = load_encoder(new), load_encoder(tmp_path / "whole")
    assert_equal(ours, theirs.state_dict())


def test_a_marian_in_parts_is_the_same_for_transformers(tmp_path):
    from transformers import MarianConfig, MarianMTModel

    sizes = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 30}
    sizes |= {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
    sizes |= {f"{side}_ffn_dim": 12 for side in ("encoder", "decoder")}
    special = {"pad_token_id": 29, "decoder_start_token_id": 29, "eos_token_id": 0}
    model = MarianMTModel(MarianConfig(**sizes, **special, max_position_embeddings=16))
    tiny.randomise(model)
    snapshot = tmp_path / "hub" / "snapshots" / "abc"  # a folder as the Hub's cache has them
    model.save_pretrained(snapshot)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "source.spm").write_bytes(b"\n\x0e\n\x05<unk>")
    state = model.state_dict()
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    parts = {names[0]: dict(list(state.items())[:7]), names[1]: dict(list(state.items())[7:])}
    places = {tensor: name for name, part in parts.items() for tensor in part}
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (snapshot / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    (tmp_path / "hub" / "blobs").mkdir()
    for name, part in parts.items():
        (tmp_path / "hub" / "blobs" / name).write_bytes(saved(part, old=name == names[0]))
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    convert(snapshot, tmp_path / "new")
    assert tree(tmp_path / "new") == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "source.spm",
    ]
    loaded = MarianMTModel.from_pretrained(tmp_path / "new")
    assert_equal(loaded, state)
    del index["weight_map"]["final_logits_bias"]
    (snapshot / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(DataError, match='disagree about the tensor "final_logits_bias"'):
        convert(snapshot, tmp_path / "other")
    assert tree(tmp_path / "hub" / "blobs") == sorted(names)
    assert not (tmp_path / "other").exists()


# Nothing, and one line


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (memory_bomb(), "asks for more memory than a file of its size needs"),
        (endless(), "took longer than 1 s to open and was stopped"),
        (saved({"a": torch.tensor([1.0, float("nan")])}), 'the tensor "a" holds NaN or infinite'),
    ],
    ids=["memory", "endless", "nan"],
)
def test_a_hostile_or_damaged_pickle_leaves_nothing(tmp_path, data, says):
    folder = folder_of(tmp_path / "in", data)
    with pytest.raises(DataError) as error:
        convert(folder, tmp_path / "new" / "out", seconds=1)
    message = str(error.value)
    assert message.startswith(f"{folder}/pytorch_model.bin")
    assert says in message
    assert message.isprintable()
    assert ".out.tmp" not in message
    assert tree(tmp_path) == ["in", "in/config.json", "in/pytorch_model.bin"]


def test_a_pickle_with_code_is_told_in_one_line_and_not_run(tmp_path, capsys):
    data = saved({"a": Calls(os.system, f"touch {tmp_path}/marker")})
    folder = folder_of(tmp_path / "in", data)
    assert main(["convert", str(folder), str(tmp_path / "out")]) == 65
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f'error: {folder}/pytorch_model.bin asks for "{os.name}.system", which is no tensor and '
        "could run code — do not open it elsewhere unless you know who made it"
    ]
    assert tree(tmp_path) == ["in", "in/config.json", "in/pytorch_model.bin"]


def refusal(kind, folder, out):
    before = tree(folder.parent)
    with pytest.raises(kind) as error:
        convert(folder, out)
    assert tree(folder.parent) == before
    return str(error.value).replace(str(folder.parent), "HERE")


def test_links_lead_nowhere_else(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(saved(GOOD))
    folder = folder_of(tmp_path / "in", b"")
    (folder / "pytorch_model.bin").unlink()
    (folder / "pytorch_model.bin").symlink_to(secret)
    says = "HERE/in/pytorch_model.bin is a link that leads out of the folder"
    assert says in refusal(DataError, folder, tmp_path / "out")
    (folder / "pytorch_model.bin").unlink()
    (folder / "pytorch_model.bin").write_bytes(saved(GOOD))
    (folder / "vocab.txt").symlink_to("../secret")
    assert "HERE/in/vocab.txt is a link" in refusal(DataError, folder, tmp_path / "out")
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to("vocab.txt")
    assert "vocab.txt" in refusal(MissingInputError, folder, tmp_path / "out")
    (folder / "vocab.txt").unlink()
    os.mkfifo(folder / "vocab.txt")
    assert "a pipe" in refusal(MissingInputError, folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("weight_map", "says"),
    [
        (None, "has no table weight_map"),
        ({"a": "../../pytorch_model-00001-of-00001.bin"}, "which is no part of pytorch_model.bin"),
        ({"a": ["x"]}, 'names ["x"], which'),
        ({"a": "pytorch_model-00001-of-00002.bin"}, "no such file HERE/in/pytorch_model-00001-of-"),
    ],
)
def test_an_index_names_parts_that_are_there(tmp_path, weight_map, says):
    folder = folder_of(tmp_path / "in", b"")
    (folder / "pytorch_model.bin").unlink()
    index = json.dumps({"weight_map": weight_map})
    (folder / "pytorch_model.bin.index.json").write_text(index, encoding="utf-8")
    kind = MissingInputError if "no such file" in says else DataError
    assert says in refusal(kind, folder, tmp_path / "new" / "out")


def test_a_folder_that_needs_no_conversion_or_allows_none_is_told(tmp_path):
    folder, out = folder_of(tmp_path / "in", saved(GOOD)), tmp_path / "out"
    (folder / "pytorch_model.bin").rename(folder / "weights.bin")
    says = 'HERE/in holds no pytorch_model.bin; it holds "config.json", "weights.bin"'
    assert says in refusal(MissingInputError, folder, out)
    (folder / "weights.bin").rename(folder / "pytorch_model.bin")
    (folder / "config.json").unlink()
    assert "HERE/in holds no config.json" in refusal(MissingInputError, folder, out)
    write_tensors(folder / "model.safetensors", GOOD)
    says = "HERE/in already holds model.safetensors: there is nothing to do — use that folder"
    assert says in refusal(ConfigError, folder, out)
    assert "does not exist" in refusal(MissingInputError, tmp_path / "no", out)
    file = folder / "pytorch_model.bin"
    assert "is a file, not a folder" in refusal(MissingInputError, file, out)


def test_the_new_folder_is_one_of_its_own(tmp_path):
    folder = folder_of(tmp_path / "in", saved(GOOD))
    assert "lie one in the other" in refusal(ConfigError, folder, folder / "out")
    (tmp_path / "link").symlink_to(folder)
    assert "lie one in the other" in refusal(ConfigError, folder, tmp_path / "link" / "out")
    assert "is not empty" in refusal(ConfigError, folder, folder)
    assert "is not empty" in refusal(ConfigError, folder, folder / "config.json")
    (tmp_path / "file").touch()
    assert "cannot write" in refusal(CannotWriteError, folder, tmp_path / "file" / "out")
