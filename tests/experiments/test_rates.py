from pathlib import Path

import pytest
import torch
from experiments.tasks import finetuning

from lowkey.experiments.finetune import finetune
from lowkey.experiments.method import make_trainable, parts_to_begin
from lowkey.experiments.rates import finetuning_rates
from lowkey.hf.bert import load_classifier
from lowkey.training.resume import Trained

DECAYED = ("method=full", "train.layer_decay=0.5", "train.head_learning_rate=1e-2")
# By hand, for two blocks at the rate 1e-3: what a name begins with, and its rate.
TABLE = {
    "encoder.embeddings.": 0.000125,
    "encoder.blocks.0.": 0.00025,
    "encoder.blocks.1.": 0.0005,
    "encoder.pooler.": 0.001,
    "classifier.": 0.01,
}


def prepared(folder, *settings):
    model = load_classifier(folder / "bert", 2, generator=torch.Generator().manual_seed(0))
    recipe = finetuning("train.learning_rate=1e-3", *settings)
    make_trainable(model, recipe, folder / "bert", torch.Generator().manual_seed(1), print)
    begin = parts_to_begin(model, folder / "bert")
    rate_of = finetuning_rates(model, model.encoder, begin, recipe)
    return model, recipe, rate_of


def rates(model, recipe, rate_of):
    trained = Trained.of(model, recipe.train, rate_of)
    found = {p: group["lr"] for group in trained.optimizer.param_groups for p in group["params"]}
    return trained, {name: found[p] for name, p in trained.parameters.items()}


def test_blocks_learn_slower_the_deeper_they_lie(folder):
    _, found = rates(*prepared(folder, *DECAYED))
    for name, rate in found.items():
        (expected,) = (each for start, each in TABLE.items() if name.startswith(start))
        assert rate == pytest.approx(expected, rel=1e-12), name
    assert len(set(found.values())) == len(TABLE)


def test_two_steps_are_those_of_adamw_with_the_rates_of_the_table(folder):
    model, recipe, rate_of = prepared(folder, *DECAYED, "train.weight_decay=0.1")
    trained, _ = rates(model, recipe, rate_of)
    copies = {name: p.detach().clone() for name, p in trained.parameters.items()}
    for copy in copies.values():
        copy.requires_grad_(True)
    oracle = torch.optim.AdamW(
        [
            {
                "params": [copy],
                "lr": next(rate for start, rate in TABLE.items() if name.startswith(start)),
                "weight_decay": 0.1 if copy.ndim > 1 else 0.0,
            }
            for name, copy in copies.items()
        ],
        foreach=False,
    )
    generator = torch.Generator().manual_seed(2)
    for step, factor in ((1, 1.0), (2, 0.25)):
        for name, parameter in trained.parameters.items():
            copies[name].grad = torch.randn(parameter.shape, generator=generator)
            parameter.grad = copies[name].grad.clone()
        trained.step(1e-3 * factor, step)
        oracle.step()
        for group in oracle.param_groups:
            group["lr"] *= 0.25
    for name, copy in copies.items():
        torch.testing.assert_close(trained.parameters[name], copy, atol=1e-7, rtol=1e-5)


def test_updates_and_head_have_rates_of_their_own(folder):
    lora = ("lora.loraplus_lr_ratio=16", "lora.target_modules=qv", "train.head_learning_rate=1e-2")
    _, found = rates(*prepared(folder, *lora))
    for name, rate in found.items():
        expected = 0.016 if "lora_B" in name else 0.001 if "lora_A" in name else 0.01
        assert rate == pytest.approx(expected, rel=1e-12), name
    # A factor of the depth and one of LoRA+ are multiplied.
    _, found = rates(*prepared(folder, *lora, "train.layer_decay=0.5"))
    name = "encoder.blocks.0.attention.query.lora_{}.weight"
    assert found[name.format("B")] == pytest.approx(16 * found[name.format("A")])
    assert found[name.format("A")] == pytest.approx(0.00025)


def test_a_pooler_that_the_base_lacks_learns_as_the_head_does(folder):
    from safetensors.torch import load_file, save_file

    path = folder / "bert" / "model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if "pooler" not in k}, path)
    _, found = rates(*prepared(folder, *DECAYED))
    assert found["encoder.pooler.dense.weight"] == pytest.approx(0.01)


def test_one_rate_for_all_unless_the_recipe_says_so(folder):
    _, found = rates(*prepared(folder, "method=full"))
    assert set(found.values()) == {1e-3}


def test_the_run_tells_its_rates(folder, capsys):
    finetune(finetuning(*DECAYED, "train.learning_rate=1e-3"), Path("run"))
    said = [x for x in capsys.readouterr().err.splitlines() if "learning rate" in x]
    assert [line.strip() for line in said] == [
        "learning rate 0.01: head, 66 parameters",
        "learning rate 0.001: pooler, 1,056 parameters",
        "learning rate 0.0005: block 1, 8,544 parameters",
        "learning rate 0.00025: block 0, 8,544 parameters",
        "learning rate 0.000125: embeddings, 2,656 parameters",
    ]
