"""Broken and forged model folders: one line each, before any tensor is read."""

import io
import json
import pickle
import resource

import pytest
import tiny
import torch
from safetensors.torch import save

from lowkey.errors import DataError, LowkeyError
from lowkey.hf.bert import load_classifier, load_encoder
from lowkey.hf.config import read_config


@pytest.fixture
def folder(tmp_path):
    tiny.write_bert(tmp_path, num_labels=2)
    return tmp_path


@pytest.fixture
def nothing_read(monkeypatch):
    """No tensor is read, and memory does not grow."""

    def read(*_args, **_options):
        raise AssertionError("tensors were read")

    monkeypatch.setattr("lowkey.hf.weights.read_tensors", read)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def refused(folder, match=""):
    for load in (load_encoder, load_classifier):
        with pytest.raises(LowkeyError, match=match) as error:
            load(folder)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 600


def edit_config(folder, changes):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v != "(gone)"}))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, 'unknown key "auto_map"'),
        ({"trust_remote_code": True}, 'unknown key "trust_remote_code"'),
        ({"_attn_implementation_internal": "evil/kernel"}, "_attn_implementation_internal"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
        ({"custom_pipelines": {"a": {"impl": "evil.Pipe"}}}, "custom_pipelines"),
        ({"layer_norm_type": "rms_norm"}, "layer_norm_type"),
        ({"a\n\x1b[31mkey": 1}, r"unknown key"),
        ({"model_type": "llama"}, r'model_type "llama" is not supported — lowkey loads bert'),
        ({"model_type": "(gone)"}, "model_type null is not supported"),
        ({"num_hidden_layers": 100_000}, "num_hidden_layers must be less than or equal"),
        ({"num_hidden_layers": 1000}, "says 1000 layers, the weights hold 2"),
        ({"hidden_size": 2**31}, "hidden_size must be less than or equal"),
        ({"hidden_size": 65_536}, "parameters, more than the 2000000000"),
        ({"hidden_size": 18}, "hidden_size 18 is not divisible by num_attention_heads 4"),
        ({"num_attention_heads": 0}, "num_attention_heads must be greater than or equal to 1"),
        ({"num_attention_heads": -4}, "num_attention_heads must be greater"),
        ({"num_attention_heads": 4.0}, "num_attention_heads must be a valid integer, got 4.0"),
        ({"num_attention_heads": "4"}, 'num_attention_heads must be a valid integer, got "4"'),
        ({"num_attention_heads": True}, "num_attention_heads must be a valid integer, got true"),
        ({"vocab_size": "(gone)"}, "vocab_size is missing"),
        ({"vocab_size": 10**9}, "vocab_size must be less"),
        ({"vocab_size": 43}, "has shape"),
        ({"layer_norm_eps": 0}, "layer_norm_eps must be greater than 0"),
        ({"layer_norm_eps": 1e30}, "layer_norm_eps must be less"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob must be less than 1"),
        ({"hidden_act": "mish"}, "hidden_act must be 'gelu', .*, got \"mish\""),
        ({"hidden_act": {"a": 1}}, "hidden_act"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type must be 'absolute'"),
        ({"is_decoder": True}, "is_decoder must be False"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label"),
        ({"architectures": "BertModel"}, "architectures must be a valid list"),
    ],
)
@pytest.mark.usefixtures("nothing_read")
def test_a_forged_config_is_refused_by_name(folder, changes, match):
    edit_config(folder, changes)
    refused(folder, match)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"model_type": "bert", "layer_norm_eps": NaN}',
        '{"model_type": "bert", "layer_norm_eps": 1e999}',
        '{"model_type": "bert", "model_type": "bert"}',
        '{"model_type": "bert", "vocab_size": ' + "9" * 5000 + "}",
        '{"model_type": "bert", "x": ' + "[" * 10_000 + "]" * 10_000 + "}",
        "\x00\x01",
    ],
)
@pytest.mark.usefixtures("nothing_read")
def test_a_config_that_is_no_sound_json_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    refused(folder, r"config\.json")


class _Evil:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


def a_torch_file():
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, buffer)
    return buffer.getvalue()


def many_tensors():
    return save({f"encoder.layer.0.{i}": torch.empty(0) for i in range(5_000)})


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (pickle.dumps(_Evil()), "pickle"),
        (a_torch_file(), r"model\.safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>404</html>", r"model\.safetensors"),
        (b"", "empty"),
        ((2**63).to_bytes(8, "little") + b"{}", r"model\.safetensors"),
        (save({"a": torch.ones(9)})[:-4], r"model\.safetensors"),
        (save({"a": torch.ones(9)}), "says 2 layers, the weights hold 0"),
        (many_tensors(), "says 2 layers, the weights hold 1"),
    ],
)
@pytest.mark.usefixtures("nothing_read")
def test_weights_that_are_something_else_are_refused(folder, data, match):
    (folder / "model.safetensors").write_bytes(data)
    refused(folder, match)


def test_weights_with_a_number_that_is_none_are_refused(folder):
    model = tiny.bert(num_labels=2)
    model.bert.encoder.layer[1].output.dense.bias.data[3] = float("nan")
    model.save_pretrained(folder)
    with pytest.raises(DataError, match=r"layer\.1\.output\.dense\.bias.*NaN"):
        load_encoder(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"_name_or_path": "https://example.com/evil"},
        {"torch_dtype": "os.system"},
        {"auto_map": None},
        {"transformers_version": [1], "use_cache": "no", "label2id": {"x": -1}},
        {"classifier_dropout": None, "pad_token_id": None, "pruned_heads": {}},
        {"architectures": "(gone)", "hidden_act": "(gone)", "position_embedding_type": "absolute"},
    ],
)
def test_keys_that_change_no_number_are_dropped(folder, changes):
    expected = read_config(folder).encoder
    edit_config(folder, changes)
    assert read_config(folder).encoder == expected
    load_classifier(folder)
