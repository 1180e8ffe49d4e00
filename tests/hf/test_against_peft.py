"""PEFT adapters in both directions, with updates that are not zero."""

import json

import pytest
import tiny
import torch
from hf.adapted import adapted, our_logits, their_base, their_logits, write_base

from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.bert import load_classifier
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, merge_all

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

LAYER_1 = "bert.encoder.layer.1"


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True, "r": 3, "lora_alpha": 7},
        {"modules_to_save": ["classifier"]},
        {"modules_to_save": ["classifier", "pooler"], "target_modules": ["query", "dense"]},
        {"target_modules": ["dense"], "lora_dropout": 0.3},
        {"target_modules": ["1.attention.self.key", "bert.encoder.layer.0.output.dense"]},
        {"task_type": None},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "orthogonal"},
        {"init_lora_weights": "pissa", "target_modules": ["query", "value", "dense"]},
        {"init_lora_weights": "pissa", "use_rslora": True},
        {"use_dora": True},
        {"bias": "lora_only"},
        {"bias": "lora_only", "target_modules": ["dense"], "use_dora": True},
        {"bias": "all"},
        {"bias": "all", "target_modules": ["key"], "modules_to_save": ["pooler"]},
        {"use_dora": True, "init_lora_weights": "pissa", "use_rslora": True},
        {"use_dora": True, "rank_pattern": {"query": 2}, "lora_dropout": 0.3},
        {"init_lora_weights": "pissa", "rank_pattern": {"query": 2}},
        {"rank_pattern": {"query": 3}},
        {"rank_pattern": {"layer.1.attention.self.query": 3, "value": 2}, "use_rslora": True},
        # Both entries match one query, and peft takes the first.
        {"rank_pattern": {"0.attention.self.query": 5, "query": 3}},
        pytest.param(
            {"rank_pattern": {"query": 3, "word_embeddings": 7}},
            marks=pytest.mark.filterwarnings("ignore:The following rank_pattern keys did not"),
        ),
        {"layers_to_transform": 1},
        {"layers_to_transform": [1, 0], "layers_pattern": ["layers", "layer"]},
        {"layers_to_transform": [0], "layers_pattern": "encoder.layer"},
        # A module that is named whole is a target in any layer.
        {"layers_to_transform": [0], "target_modules": ["key", f"{LAYER_1}.attention.self.value"]},
        {"alpha_pattern": {"value": 3, "1.attention.self.query": 40}, "rank_pattern": {"value": 2}},
    ],
)
def test_an_adapter_of_peft_computes_the_same_here(base, tmp_path, options):
    theirs = tiny.write_adapter(tmp_path / "adapter", their_base(base), **options)
    model = load_classifier(base)
    plain = our_logits(model)
    config = load_adapter(model, tmp_path / "adapter")
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    assert (our_logits(model) - plain).abs().max() > 1e-2
    assert config.use_rslora == options.get("use_rslora", False)
    merge_all(model)
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("use_rslora", [False, True])
@pytest.mark.parametrize("modules_to_save", [["classifier"], ["classifier", "pooler"]])
@pytest.mark.parametrize(
    ("targets", "endings"),
    [
        ("qv", ["query", "value"]),
        ("attention", ["attention.output.dense", "key", "query", "value"]),
        ("feed-forward", ["0.output.dense", "1.output.dense", "intermediate.dense"]),
        (["blocks.1.attention.query"], ["1.attention.self.query"]),
    ],
)
def test_peft_computes_the_same_with_our_adapter(
    base, tmp_path, targets, endings, modules_to_save, use_rslora
):
    from peft import PeftModel

    config = LoRAConfig(
        r=4, target_modules=targets, modules_to_save=modules_to_save, use_rslora=use_rslora
    )
    model = adapted(base, config)
    save_adapter(model, tmp_path / "out", lora_config=config, base_name=str(base))
    theirs = PeftModel.from_pretrained(their_base(base), tmp_path / "out").eval()
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    difference = our_logits(model) - our_logits(load_classifier(base))
    assert difference.abs().max() > 1e-2
    written = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert written["target_modules"] == endings
    matched = {n for n, m in theirs.named_modules() if type(m).__name__ == "Linear" and "." in n}
    assert sum(n.endswith("lora_A.default") for n in matched) == len(adapters(model))


def test_an_adapter_that_covers_every_linear_map(base, tmp_path):
    from peft import PeftModel

    config = LoRAConfig(r=2, lora_alpha=3.5, lora_dropout=0.25)
    model = adapted(base, config)
    save_adapter(model, tmp_path, lora_config=config, base_name="base")
    theirs = PeftModel.from_pretrained(their_base(base), tmp_path).eval()
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    assert len(adapters(model)) == 12


def test_load_then_save_gives_the_same_bytes(base, tmp_path):
    tiny.write_adapter(tmp_path / "in", their_base(base), modules_to_save=["pooler"])
    model = load_classifier(base)
    config = load_adapter(model, tmp_path / "in")
    assert config.modules_to_save == ["pooler", "classifier"]
    save_adapter(model, tmp_path / "out", lora_config=config, base_name="base")
    first, second = (
        (tmp_path / folder / "adapter_model.safetensors").read_bytes() for folder in ("in", "out")
    )
    assert first == second
    again = load_classifier(base)
    assert load_adapter(again, tmp_path / "out") == config
    assert torch.equal(our_logits(again), our_logits(model))
