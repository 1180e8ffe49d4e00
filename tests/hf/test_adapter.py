"""Adapter folders that are broken, forged, or use what lowkey does not have."""

import json

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from lowkey.errors import DataError, MissingInputError
from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.bert import load_classifier
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture
def base(tmp_path):
    tiny.write_bert(tmp_path / "base", num_labels=3)
    return tmp_path / "base"


def their_base():
    """The model that ``base`` wrote."""
    return tiny.bert(num_labels=3)


def edit_config(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder, change):
    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)


def refused(base, folder, match):
    """The adapter is refused in one line, and the model is left as it was."""
    model = load_classifier(base)
    with pytest.raises((DataError, MissingInputError), match=match) as error:
        load_adapter(model, folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    assert not adapters(model)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"peft_type": "IA3"}, 'peft_type "IA3" is not supported'),
        ({"r": 10**9}, "r must be less than or equal to 1024, got 1000000000"),
        ({"r": -1}, "r must be greater than or equal to 1"),
        ({"r": "4"}, "r must be a valid integer"),
        ({"r": True}, "r must be a valid integer"),
        ({"lora_alpha": 1e30}, "lora_alpha must be less than"),
        ({"lora_alpha": 0}, "lora_alpha must be greater than 0"),
        ({"lora_dropout": 1.5}, "lora_dropout must be less than 1"),
        ({"target_modules": "(([a-z.0-9_])+)+!"}, "regular expression"),
        ({"target_modules": "all-linear"}, "regular expression"),
        ({"target_modules": [r".*\.query"]}, "target_modules.0"),
        ({"target_modules": []}, "target_modules"),
        ({"target_modules": ["q_lin", "v_lin"]}, r"q_lin, v_lin \(0 places\); this model has none"),
        ({"target_modules": ["query", "value", "q"]}, "wants modules q "),
        ({"target_modules": ["classifier"]}, "wants modules classifier "),  # it is held whole
        ({"target_modules": ["query"]}, "holds 4 tensors .* no place here"),
        ({"target_modules": ["query", "value", "key"]}, "lacks 4 tensors"),
        ({"r": 8}, r"has shape \[4, 16\], the model needs \[8, 16\]"),
        ({"use_dora": True}, "lacks 4 tensors .*query"),
        ({"use_qalora": True}, "use_qalora"),
        ({"lora_bias": True}, "lora_bias"),
        ({"rank_pattern": {"query": 8}}, r"query.* has shape .*, the model needs \[8, 16\]"),
        ({"rank_pattern": {"query": 0}}, "rank_pattern.query must be greater than or equal to 1"),
        ({"rank_pattern": {"^bert.*query": 8}}, "rank_pattern holds .* regular expression"),
        ({"rank_pattern": {"(([a-z.])+)+!": 8}}, "rank_pattern holds .* regular expression"),
        ({"rank_pattern": ["query"]}, "rank_pattern must be a valid dictionary"),
        ({"alpha_pattern": {r".*\.query": 8}}, "alpha_pattern holds .* regular expression"),
        ({"alpha_pattern": {"query": 1e30}}, "alpha_pattern.query must be less than"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"layers_to_transform": [0]}, "holds 4 tensors .* no place here"),
        ({"layers_to_transform": [-1]}, "layers_to_transform"),
        ({"layers_to_transform": 1, "layers_pattern": "layers"}, "holds 8 tensors"),
        ({"layers_to_transform": 1, "layers_pattern": ".*"}, "layers_pattern"),
        ({"exclude_modules": ["query"]}, "exclude_modules"),
        ({"megatron_config": {"a": 1}}, "megatron_config"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"a_key_of_tomorrow": 0.5}, "a_key_of_tomorrow"),
        ({"bias": "some"}, "bias must be"),
        ({"bias": "all"}, "lacks 18 tensors .*LayerNorm.bias"),
        ({"bias": "lora_only"}, "lacks 4 tensors"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out must be"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights must be .*pissa_niter_4"),
        ({"init_lora_weights": "olora"}, "init_lora_weights must be"),
        ({"init_lora_weights": "pissa", "r": 600}, "r or lora_alpha of a pissa is more than half"),
        ({"modules_to_save": ["classifier", "embeddings"]}, 'modules_to_save holds "embeddings"'),
        ({"modules_to_save": None}, "holds 2 tensors .* no place here"),
        ({"modules_to_save": ["classifier", "pooler"]}, "lacks 2 tensors .*bert.pooler"),
    ],
)
def test_what_would_change_the_result_is_refused_by_name(base, tmp_path, changes, match):
    tiny.write_adapter(tmp_path / "adapter", their_base())
    edit_config(tmp_path / "adapter", **changes)
    refused(base, tmp_path / "adapter", match)


@pytest.mark.parametrize(
    "changes",
    [
        {"auto_mapping": {"parent_library": "os", "base_model_class": "system"}},
        {"megatron_core": "os.system"},
        {"base_model_name_or_path": "https://example.com/../../etc/passwd"},
        {"a_key_of_tomorrow": None, "another": False, "a_third": {}},
    ],
)
def test_what_cannot_change_the_result_is_ignored(base, tmp_path, changes):
    tiny.write_adapter(tmp_path / "adapter", their_base())
    expected, model = load_classifier(base), load_classifier(base)
    load_adapter(expected, tmp_path / "adapter")
    edit_config(tmp_path / "adapter", **changes)
    load_adapter(model, tmp_path / "adapter")
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


HEAD = "base_model.model.classifier"
QUERY = "base_model.model.bert.encoder.layer.0.attention.self.query"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: {k: v for k, v in s.items() if "layer.1" not in k}, "lacks 4 tensors"),
        (lambda s: s | {f"{QUERY}.lora_C.weight": torch.ones(1)}, "no place here"),
        (lambda s: s | {"classifier.weight": torch.ones(3, 16)}, "no place here"),
        (lambda s: s | {f"{QUERY}.bias": torch.ones(16)}, "no place here"),
        (lambda s: s | {f"{HEAD}.original_module.bias": torch.ones(3)}, "no place here"),
        (lambda s: s | {f"{QUERY}.base_layer.bias": torch.ones(16)}, "no place here"),
        (lambda s: s | {f"{QUERY}.weight": torch.ones(16, 16)}, "no place here"),
        (lambda s: s | {f"{QUERY}.lora_A.weight": torch.ones(16, 4)}, r"shape \[16, 4\]"),
        (lambda s: s | {f"{QUERY}.lora_A.weight": torch.ones(4, 16) / 0}, "NaN or infinit"),
        (lambda s: s | {"base_model.model.classifier.bias": torch.ones(2)}, r"shape \[2\]"),
    ],
)
def test_tensors_must_be_the_ones_the_config_tells(base, tmp_path, change, match):
    tiny.write_adapter(tmp_path / "adapter", their_base())
    edit_weights(tmp_path / "adapter", change)
    refused(base, tmp_path / "adapter", match)


def test_a_pickled_adapter_is_not_opened(base, tmp_path):
    tiny.write_adapter(tmp_path, their_base())
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    refused(base, tmp_path, "pickle")


def test_a_pickle_by_another_name_is_not_opened(base, tmp_path):
    tiny.write_adapter(tmp_path, their_base())
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x80\x04\x95cos\nsystem\n.")
    refused(base, tmp_path, "adapter_model.safetensors")


def test_a_folder_without_an_adapter(base, tmp_path):
    refused(base, tmp_path / "nowhere", "no such file")


def test_a_second_adapter_is_refused(base, tmp_path):
    tiny.write_adapter(tmp_path, their_base())
    model = load_classifier(base)
    load_adapter(model, tmp_path)
    with pytest.raises(ValueError, match="already"):
        load_adapter(model, tmp_path)


def test_only_what_can_be_loaded_again_is_saved(base, tmp_path):
    model = load_classifier(base)
    with pytest.raises(ValueError, match="0 adapted modules"):
        save_adapter(model, tmp_path, lora_config=LoRAConfig(), base_name="base")
    config = LoRAConfig(target_modules="qv", modules_to_save=["embeddings"])
    inject(model, config)
    with pytest.raises(ValueError, match="embeddings"):
        save_adapter(model, tmp_path, lora_config=config, base_name="base")
