"""PEFT adapters in both directions, with updates that are not zero."""

import json

import pytest
import tiny
import torch

from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.bert import load_classifier
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject, merge_all
from lowkey.nn.layout import SequenceLayout

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

LAYER_1 = "bert.encoder.layer.1"
IDS = torch.tensor([[2, 7, 9, 3, 0], [2, 11, 30, 5, 3], [2, 3, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture
def base(tmp_path):
    tiny.write_bert(tmp_path / "base", num_labels=3)
    return tmp_path / "base"


def their_base(base):
    from transformers import BertForSequenceClassification

    return BertForSequenceClassification.from_pretrained(base).eval()


def their_logits(model):
    return model(input_ids=IDS, attention_mask=MASK).logits


def our_logits(model):
    return model.eval()(*SequenceLayout.from_padded(IDS, MASK))


def adapted(base, config):
    """Our model with a random update; norms and all frozen weights stay those of the base."""
    model = load_classifier(base)
    inject(model, config)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


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


@pytest.mark.parametrize("layers", [1, [1], [0, 1]])
def test_peft_adapts_the_layers_we_did(base, tmp_path, layers):
    from peft import PeftModel

    config = LoRAConfig(r=2, target_modules=["query", "up"], layers_to_transform=layers)
    model = adapted(base, config)
    save_adapter(model, tmp_path / "out", lora_config=config, base_name=str(base))
    theirs = PeftModel.from_pretrained(their_base(base), tmp_path / "out").eval()
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    again = load_classifier(base)
    load_adapter(again, tmp_path / "out")
    assert adapters(again).keys() == adapters(model).keys()
    assert len(adapters(again)) == 2 * len(config.layers)


@pytest.mark.parametrize("use_rslora", [False, True])
def test_peft_gives_each_module_the_rank_and_alpha_we_gave_it(base, tmp_path, use_rslora):
    from peft import PeftModel

    config = LoRAConfig(
        r=4,
        target_modules="all-linear",
        rank_pattern={"blocks.1.attention.query": 2, "query": 3, "up": 1, "down": 1},
        alpha_pattern={"blocks.0.feed_forward.down": 2.5, "value": 40},
        use_rslora=use_rslora,
    )
    model = adapted(base, config)
    save_adapter(model, tmp_path / "out", lora_config=config, base_name=str(base))
    theirs = PeftModel.from_pretrained(their_base(base), tmp_path / "out").eval()
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    written = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert written["rank_pattern"] == {
        "1.attention.self.query": 2,
        "0.attention.self.query": 3,
        "intermediate.dense": 1,
        "0.output.dense": 1,
        "1.output.dense": 1,
    }
    assert written["alpha_pattern"] == {"0.output.dense": 2.5, "value": 40}
    again = load_classifier(base)
    config = load_adapter(again, tmp_path / "out")
    assert torch.equal(our_logits(again), our_logits(model))
    assert {name: m.rank for name, m in adapters(again).items()} == {
        name: m.rank for name, m in adapters(model).items()
    }
    save_adapter(again, tmp_path / "twice", lora_config=config, base_name=str(base))
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


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
