"""Each option of LoRA against PEFT: what it loads of ours, with updates that are not zero."""

import json

import pytest
import torch
from hf.adapted import adapted, our_logits, their_base, their_logits, write_base

from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.bert import load_classifier
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


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


@pytest.mark.parametrize("start", [True, "pissa"])
def test_peft_turns_and_stretches_as_our_dora(base, tmp_path, start):
    from peft import PeftModel

    config = LoRAConfig(r=4, target_modules=["query", "up"], use_dora=True, init_lora_weights=start)
    fresh = load_classifier(base)
    inject(fresh, config)
    plain = our_logits(load_classifier(base))
    torch.testing.assert_close(our_logits(fresh), plain, atol=1e-5, rtol=1e-5)
    model = adapted(base, config)
    save_adapter(model, tmp_path / "out", lora_config=config, base_name=str(base))
    theirs = PeftModel.from_pretrained(their_base(base), tmp_path / "out").eval()
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    again = load_classifier(base)
    load_adapter(again, tmp_path / "out")
    torch.testing.assert_close(our_logits(again), our_logits(model), atol=1e-5, rtol=1e-5)
    # The control: without the lengths it is another model.
    for module in adapters(again).values():
        module.lora_magnitude_vector = None
    assert (our_logits(again) - our_logits(model)).abs().max() > 1e-2


@pytest.mark.parametrize(("bias", "count"), [("lora_only", 4), ("all", 18)])
@pytest.mark.parametrize("whole", [["classifier"], ["classifier", "pooler"]])
def test_peft_finds_the_biases_we_trained(base, tmp_path, bias, count, whole):
    from peft import PeftModel

    config = LoRAConfig(r=4, target_modules=["query", "up"], bias=bias, modules_to_save=whole)
    model = adapted(base, config)
    save_adapter(model, tmp_path / "out", lora_config=config, base_name=str(base))
    theirs = PeftModel.from_pretrained(their_base(base), tmp_path / "out").eval()
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    again = load_classifier(base)
    loaded = load_adapter(again, tmp_path / "out")
    assert torch.equal(our_logits(again), our_logits(model))
    trained = [n for n, p in again.named_parameters() if p.requires_grad and "lora_" not in n]
    inside = ("classifier.", "encoder.pooler.")
    assert sum(not name.startswith(inside) for name in trained) == count - (bias == "all")
    save_adapter(again, tmp_path / "twice", lora_config=loaded, base_name=str(base))
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    # The control: without the biases it is another model.
    plain = load_classifier(base)
    for name, parameter in again.named_parameters():
        if name.endswith(".bias") and not name.startswith(inside):
            parameter.data.copy_(plain.get_parameter(name))
    assert (our_logits(again) - our_logits(model)).abs().max() > 1e-2


PISSA = {"target_modules": ["query", "up"], "init_lora_weights": "pissa"}


@pytest.mark.parametrize(
    "options",
    [
        {"r": 4},
        {"r": 4, "use_rslora": True, "lora_alpha": 7},
        {"r": 3, "rank_pattern": {"query": 2}, "alpha_pattern": {"up": 2.5}},
    ],
)
def test_peft_finds_our_pissa_as_a_difference_from_the_base(base, tmp_path, options):
    from peft import PeftModel

    config = LoRAConfig(**PISSA, **options)
    fresh = load_classifier(base)
    inject(fresh, config)
    plain = our_logits(load_classifier(base))
    torch.testing.assert_close(our_logits(fresh), plain, atol=1e-5, rtol=1e-5)
    model = adapted(base, config)
    save_adapter(model, tmp_path / "out", lora_config=config, base_name=str(base))
    theirs = PeftModel.from_pretrained(their_base(base), tmp_path / "out").eval()
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    written = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (written["r"], written["init_lora_weights"]) == (2 * options["r"], True)
    again = load_classifier(base)
    loaded = load_adapter(again, tmp_path / "out")
    assert loaded.init_lora_weights is True
    torch.testing.assert_close(our_logits(again), our_logits(model), atol=1e-5, rtol=1e-5)
    save_adapter(again, tmp_path / "twice", lora_config=loaded, base_name=str(base))
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_what_peft_made_of_its_pissa_computes_the_same_here(base, tmp_path):
    from peft import LoraConfig, get_peft_model

    # Without a task: with one there is a head, which peft forgets when it saves in this way.
    settings = LoraConfig(r=3, target_modules=["query"], init_lora_weights="pissa")
    theirs = get_peft_model(their_base(base), settings)
    theirs.peft_config["default"].init_lora_weights = True
    theirs.save_pretrained(tmp_path / "start")
    for name, parameter in theirs.named_parameters():
        if "lora_" in name:
            parameter.data.add_(torch.randn_like(parameter) * 0.3)
    # The way that peft's documentation shows: the start is kept, and subtracted on saving.
    theirs.save_pretrained(
        tmp_path / "out", path_initial_model_for_weight_conversion=str(tmp_path / "start")
    )
    model = load_classifier(base)
    config = load_adapter(model, tmp_path / "out")
    assert config.r == 6
    torch.testing.assert_close(our_logits(model), their_logits(theirs.eval()), atol=1e-5, rtol=1e-5)
