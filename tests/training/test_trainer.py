"""The loop: what it does at each step, and that it is a pure function of its recipe."""

import itertools
import json
import math
import signal

import pytest
import torch
from training.toy import EXAMPLES, StopAt, ToyObjective, config, digest, records, trainer

from lowkey.errors import ConfigError, StoppedError

pytestmark = pytest.mark.usefixtures("_no_fsync")


def test_the_run_is_what_was_asked_for(uninterrupted):
    folder, result, seen = uninterrupted
    # 11 batches an epoch, 3 to a step: 4 steps an epoch, the last of 2 batches.
    assert (result.step, result.epoch, result.stopped_by) == (14, 3 + 6 / 11, "max_steps")
    assert [i for ids in seen for i in ids][:EXAMPLES] == [
        i for ids in ToyObjective().epoch(0) for i in ids
    ]
    assert result.train_tokens == 5 * sum(map(len, seen))
    logged = [r for r in records(folder) if "train/loss" in r]
    evaluated = [r for r in records(folder) if "eval/loss" in r]
    assert [r["step"] for r in logged] == [4, 8, 12, 14]
    assert [r["step"] for r in evaluated] == [5, 10, 14]
    assert result.best["loss"] == min(r["eval/loss"] for r in evaluated)
    assert logged[0].keys() == {
        "step",
        "train/loss",
        "train/accuracy",
        "train/grad_norm",
        "train/learning_rate",
    }
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000014"]
    assert logged[-1]["train/loss"] < logged[0]["train/loss"]


def test_every_micro_batch_has_dropout_of_its_own(tmp_path):
    seeds = []

    class Listening(ToyObjective):
        def loss(self, ids):
            seeds.append(self.model.dropout.generator.initial_seed())
            return super().loss(ids)

    trainer(tmp_path / "run", Listening()).fit()
    assert len(set(seeds)) == len(seeds) == 39


def test_the_same_run_again_has_the_same_bytes_and_another_seed_has_not(uninterrupted, tmp_path):
    trainer(tmp_path / "again").fit()
    assert digest(tmp_path / "again") == digest(uninterrupted[0])
    trainer(tmp_path / "other", seed=1).fit()  # the same order, other dropout
    ours, theirs = digest(tmp_path / "other"), digest(uninterrupted[0])
    assert ours.keys() == theirs.keys()
    assert not any(ours[name] == theirs[name] for name in ours)


# 39 batches make the 14 steps: here the first and last ones, those around the records, evaluations
# and checkpoints, and those around the end of an epoch.


def test_handlers_and_the_global_random_state_are_left_alone(tmp_path):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    objective = ToyObjective()
    before = torch.random.get_rng_state()
    trainer(tmp_path / "run", objective).fit()
    assert torch.equal(before, torch.random.get_rng_state())
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert objective.model.dropout.generator is None


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_micro_batches_make_one_batch(size, tmp_path):
    """Uneven micro-batches too: what counts is the mean over examples, not over batches."""

    class Split(ToyObjective):
        def epoch(self, epoch):
            ids = list(range(16))
            if size == 1:
                return [ids]
            cuts = [0, *range(1, size), 16]
            return [ids[i:j] for i, j in itertools.pairwise(cuts)]

    def weights(folder, objective, accumulation):
        trainer(folder, objective, max_steps=5, gradient_accumulation_steps=accumulation).fit()
        return torch.cat([p.detach().flatten() for p in objective.model.parameters()])

    class Whole(ToyObjective):
        def epoch(self, epoch):
            return [list(range(16))]

    split = weights(tmp_path / "split", Split(dropout=0.0), size)
    whole = weights(tmp_path / "whole", Whole(dropout=0.0), 1)
    torch.testing.assert_close(split, whole, atol=1e-6, rtol=0)


def test_clipping_equals_torch_and_the_logged_norm_is_that_of_the_mean(tmp_path):
    objective = ToyObjective(dropout=0.0)
    oracle = ToyObjective(dropout=0.0)
    ours = trainer(
        tmp_path / "run",
        objective,
        max_steps=1,
        gradient_accumulation_steps=1,
        max_grad_norm=0.05,
        warmup_steps=0,
    )
    ours.fit()
    loss = oracle.loss(oracle.epoch(0)[0])
    (loss.loss / loss.weight).backward()
    trained = [p for p in oracle.model.parameters() if p.requires_grad]
    norm = torch.nn.utils.clip_grad_norm_(trained, 0.05)
    torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=0.02,
    ).step()
    record = records(tmp_path / "run")[0]
    assert math.isclose(record["train/grad_norm"], float(norm), rel_tol=1e-5)
    assert float(norm) > 0.05
    for a, b in zip(objective.model.parameters(), oracle.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_frozen_parameters_stay_and_a_frozen_model_does_not_learn(tmp_path):
    objective = ToyObjective()
    before = {name: p.clone() for name, p in objective.model.named_parameters()}
    trainer(tmp_path / "run", objective).fit()
    changed = {n for n, p in objective.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == before.keys() - {"embedding.weight"}
    assert not any("embedding" in name for name in json.dumps(digest(tmp_path / "run")))
    frozen = ToyObjective()
    frozen.model.requires_grad_(False)
    with pytest.raises(ConfigError, match="no parameter to train"):
        trainer(tmp_path / "frozen", frozen)


def test_epochs_and_what_is_due_at_their_ends(tmp_path):
    changes = {"max_steps": None, "num_train_epochs": 2, "eval_steps": None, "save_steps": None}
    result = trainer(tmp_path / "run", save_total_limit=5, **changes).fit()
    assert (result.step, result.epoch, result.stopped_by) == (8, 2.0, "num_train_epochs")
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-00000004", "step-00000008"]
    assert [r["step"] for r in records(tmp_path / "run") if "eval/loss" in r] == [4, 8]


def test_early_stopping_counts_across_a_resume(tmp_path):
    class Worse(StopAt):
        def evaluate(self):
            super().evaluate()
            self.evaluations = getattr(self, "evaluations", 0) + 1
            return {"loss": 1.0}  # a draw is no gain

    steps = {"max_steps": 50, "eval_steps": 2, "early_stopping_patience": 3}
    with pytest.raises(StoppedError):
        trainer(tmp_path / "run", Worse(loss=15), **steps).fit()  # in step 5
    result = trainer(tmp_path / "run", Worse(), resume=True, **steps).fit(resume=True)
    assert (result.step, result.stopped_by) == (8, "early_stopping_patience")
    assert result.best_step == 2


def test_the_best_is_saved_not_the_last(tmp_path):
    class Scripted(ToyObjective):
        metric_for_best, greater_is_better = "accuracy", True
        script = iter([0.5, float("nan"), 0.9, 0.9, 0.7])

        def evaluate(self):
            return {"loss": 1.0, "accuracy": next(self.script)}

    ours = trainer(tmp_path / "run", Scripted(), max_steps=5, eval_steps=1)
    saved = []
    ours.save_best = lambda folder, metrics: saved.append((ours.state.step, metrics["accuracy"]))
    result = ours.fit()
    assert saved == [(1, 0.5), (3, 0.9)]
    assert (result.best["accuracy"], result.best_step) == (0.9, 3)


def test_a_metric_nobody_computes_is_told_before_the_first_step(tmp_path):
    objective = ToyObjective()
    with pytest.raises(ConfigError) as caught:
        trainer(tmp_path / "run", objective, metric_for_best_model="bleu").fit()
    assert str(caught.value) == (
        'train.metric_for_best_model "bleu" is never computed for this task — '
        "choose one of loss, accuracy"
    )
    assert not objective.seen


def test_a_time_budget_ends_the_run(tmp_path):
    budget = {"time_budget": 0.3, "max_steps": 1_000_000, "save_steps": 10**6, "eval_steps": 10**6}
    result = trainer(tmp_path / "run", logging_steps=1, **budget).fit()
    assert result.stopped_by == "time_budget"
    logged = [r for r in records(tmp_path / "run") if "train/loss" in r]
    rates = [r["train/learning_rate"] for r in logged]
    assert rates[-1] < 0.1 * max(rates)


def test_a_save_that_fails_costs_a_warning_and_the_next_one_counts(uninterrupted, tmp_path, capsys):
    ours = trainer(tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.rmdir()
    checkpoints.write_text("in the way")
    original = ours._evaluate
    ours._evaluate = lambda: (checkpoints.is_file() and checkpoints.unlink(), original())
    ours.fit()
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].endswith("; the run goes on without this checkpoint")
    assert digest(tmp_path / "run") == digest(uninterrupted[0])


def test_config_refuses_the_impossible():
    for changes in ({"learning_rate": 0}, {"warmup_steps": -1}, {"seed": -1}, {"max_steps": 0}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            config(**changes)
    assert config(warmup_steps=0.1).warmup_steps == 0.1
    assert config(warmup_steps=4000).warmup_steps == 4000
