"""Adapters on matrices that are several of ours, against peft in both directions."""

import json

import pytest
import tiny
import tiny_families
import torch
from safetensors.torch import load_file, save_file

from lowkey.errors import DataError
from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.bert import load_classifier
from lowkey.hf.encoder_families import FAMILIES
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject
from lowkey.nn.layout import SequenceLayout

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
FAMILY = FAMILIES["modernbert"].adapters
IDS = torch.tensor([7, 9, 30, 12, 5, 8, 21, 40])
WQKV = "base_model.model.model.layers.{}.attn.Wqkv"


@pytest.fixture
def base(tmp_path):
    tiny_families.write(tmp_path / "base", "modernbert", num_labels=2)
    return tmp_path / "base"


@torch.no_grad()
def our_logits(model):
    return model.eval()(IDS, SequenceLayout([len(IDS)]))


def adapted(base, **options):
    """Our classifier with an update that is not nothing."""
    model = load_classifier(base)
    config = LoRAConfig(**{"r": 2, "target_modules": "qv"} | options)
    inject(model, config, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                drawn = torch.randn(parameter.shape, generator=generator) * 0.3
                parameter.copy_(drawn.abs() + 1 if "magnitude" in name else drawn)
    return model, config


@torch.no_grad()
def in_peft(base, adapter):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    return PeftModel.from_pretrained(plain, adapter).eval()(input_ids=IDS[None]).logits


OPTIONS = {
    "query and value": {},
    "all": {"target_modules": "all-linear"},
    "value alone": {"target_modules": ["value"]},
    "gate alone": {"target_modules": ["gate"]},
    "rank-stabilised": {"use_rslora": True, "target_modules": "attention"},
    "ranks of their own": {"rank_pattern": {"query": 4}, "target_modules": "attention"},
    "alphas of their own": {"alpha_pattern": {"value": 5, "up": 3}, "target_modules": "all-linear"},
    "ranks, stabilised": {
        "rank_pattern": {"key": 5},
        "use_rslora": True,
        "target_modules": "attention",
    },
    "lengths": {"use_dora": True},
    "lengths of all": {"use_dora": True, "target_modules": "all-linear"},
    "principal": {"init_lora_weights": "pissa"},
    "some layers": {"layers_to_transform": [1, 3], "target_modules": "all-linear"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_peft_computes_what_was_stacked(tmp_path, base, options):
    model, config = adapted(base, **options)
    logits = our_logits(model)
    assert (logits - our_logits(load_classifier(base))).abs().max() > 1e-2
    save_adapter(model, tmp_path / "a", lora_config=config, base_name="base", family=FAMILY)
    torch.testing.assert_close(in_peft(base, tmp_path / "a"), logits, atol=1e-5, rtol=1e-5)
    again = load_classifier(base)
    found = load_adapter(again, tmp_path / "a", FAMILY)
    torch.testing.assert_close(our_logits(again), logits, atol=1e-5, rtol=1e-5)
    if not config.use_dora:
        # Each part has its own update again, and no other part has any.
        before = {name: module.rank for name, module in adapters(model).items()}
        twice = 2 if config.init_lora_weights == "pissa" else 1
        assert {n: m.rank for n, m in adapters(again).items()} == {
            name: twice * rank for name, rank in before.items()
        }
    # Read and written again it is the same file: nothing grows from one to the next.
    save_adapter(again, tmp_path / "b", lora_config=found, base_name="base", family=FAMILY)
    first, second = (load_file(tmp_path / n / "adapter_model.safetensors") for n in "ab")
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)


@pytest.mark.parametrize("rslora", [False, True])
def test_rank_and_alpha_grow_with_the_parts_and_b_is_block_diagonal(tmp_path, base, rslora):
    model, config = adapted(base, lora_alpha=6, use_rslora=rslora)
    save_adapter(model, tmp_path, lora_config=config, base_name="base", family=FAMILY)
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    assert written["target_modules"] == ["Wqkv"]
    assert written["rank_pattern"] == {"Wqkv": 4}
    assert written["alpha_pattern"] == {"Wqkv": pytest.approx(6 * 2**0.5 if rslora else 12)}
    state = load_file(tmp_path / "adapter_model.safetensors")
    a, b = (state[f"{WQKV.format(2)}.lora_{name}.weight"] for name in "AB")
    query, value = (model.encoder.blocks[2].attention.get_submodule(n) for n in ("query", "value"))
    assert a.equal(torch.cat([query.lora_A.weight, value.lora_A.weight]))
    assert b[:16, :2].equal(query.lora_B.weight)
    assert b[32:, 2:].equal(value.lora_B.weight)
    assert not b[:16, 2:].any()
    assert not b[16:32].any()
    assert not b[32:, :2].any()


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_an_adapter_of_peft_shares_its_a_and_comes_back_as_it_was(tmp_path, base, options):
    from transformers import AutoModelForSequenceClassification

    theirs = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    targets = ["Wqkv", "Wi", "Wo"]
    tiny.write_adapter(tmp_path / "a", theirs, target_modules=targets, **options)
    model = load_classifier(base)
    config = load_adapter(model, tmp_path / "a", FAMILY)
    expected = in_peft(base, tmp_path / "a")
    torch.testing.assert_close(our_logits(model), expected, atol=1e-5, rtol=1e-5)
    assert len(adapters(model)) == 7 * 4
    assert {module.rank for module in adapters(model).values()} == {4}
    attention = model.encoder.blocks[0].attention
    assert attention.query.lora_A.weight.equal(attention.value.lora_A.weight)
    assert attention.query.lora_A.weight is not attention.value.lora_A.weight
    save_adapter(model, tmp_path / "b", lora_config=config, base_name="base", family=FAMILY)
    first, second = (load_file(tmp_path / n / "adapter_model.safetensors") for n in "ab")
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    one, other = (json.loads((tmp_path / n / "adapter_config.json").read_text()) for n in "ab")
    for key in ("r", "lora_alpha", "rank_pattern", "alpha_pattern"):
        assert one[key] == other[key]
    assert {name.rpartition(".")[2] for name in other["target_modules"]} == set(targets)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True, "lora_alpha": 7},
        {"use_dora": True},
        {"rank_pattern": {"Wi": 2}, "alpha_pattern": {"Wqkv": 12}},
    ],
)
def test_pissa_is_taken_out_of_the_whole_matrix(tmp_path, base, options):
    from transformers import AutoModelForSequenceClassification

    theirs = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    targets = {"target_modules": ["Wqkv", "Wi", "Wo"], "init_lora_weights": "pissa"}
    tiny.write_adapter(tmp_path / "a", theirs, **targets, **options)
    model = load_classifier(base)
    config = load_adapter(model, tmp_path / "a", FAMILY)
    expected = in_peft(base, tmp_path / "a")
    torch.testing.assert_close(our_logits(model), expected, atol=1e-5, rtol=1e-5)
    # What is written of it no reader has to take apart again.
    save_adapter(model, tmp_path / "b", lora_config=config, base_name="base", family=FAMILY)
    torch.testing.assert_close(in_peft(base, tmp_path / "b"), expected, atol=1e-5, rtol=1e-5)


def test_pissa_of_a_higher_rank_than_the_matrix_is_refused(tmp_path, base):
    model, config = adapted(base, r=17)
    save_adapter(model, tmp_path, lora_config=config, base_name="base", family=FAMILY)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"init_lora_weights": "pissa"}))
    fresh = load_classifier(base)
    with pytest.raises(DataError, match=r"takes 34 singular values of .*Wqkv, which has 16"):
        load_adapter(fresh, tmp_path, FAMILY)
    assert not adapters(fresh)


def test_a_fresh_adapter_stays_as_it_is(tmp_path, base):
    model = load_classifier(base)
    config = LoRAConfig(r=2, target_modules="attention")
    inject(model, config)
    save_adapter(model, tmp_path, lora_config=config, base_name="base", family=FAMILY)
    again = load_classifier(base)
    load_adapter(again, tmp_path, FAMILY)
    assert {module.rank for n, module in adapters(again).items() if "out" not in n} == {6}
    assert our_logits(again).equal(our_logits(load_classifier(base)))


def test_parts_exchanged_is_another_model(tmp_path, base):
    """The negative control: query and value are told apart."""
    model, config = adapted(base)
    save_adapter(model, tmp_path, lora_config=config, base_name="base", family=FAMILY)
    path = tmp_path / "adapter_model.safetensors"
    state = load_file(path)
    key = f"{WQKV.format(0)}.lora_B.weight"
    rows = state[key].chunk(3)
    save_file(state | {key: torch.cat([rows[2], rows[1], rows[0]])}, path, {"format": "pt"})
    again = load_classifier(base)
    load_adapter(again, tmp_path, FAMILY)
    assert (our_logits(again) - our_logits(model)).abs().max() > 1e-3


def test_an_update_of_other_rows_is_refused(tmp_path, base):
    model, config = adapted(base)
    save_adapter(model, tmp_path, lora_config=config, base_name="base", family=FAMILY)
    path = tmp_path / "adapter_model.safetensors"
    state = load_file(path)
    key = f"{WQKV.format(0)}.lora_B.weight"
    save_file(state | {key: state[key][:-1].clone()}, path, {"format": "pt"})
    fresh = load_classifier(base)
    with pytest.raises(DataError, match="has 47 rows, which are not 3 parts") as error:
        load_adapter(fresh, tmp_path, FAMILY)
    assert "\n" not in str(error.value)
    assert not adapters(fresh)
