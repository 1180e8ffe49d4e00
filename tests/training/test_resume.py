"""A run that was stopped and resumed ends with the same bytes as one that was not."""

import json
import shutil
import signal

import pytest
import torch
from training.toy import StopAt, ToyObjective, digest, newest, trainer

from lowkey.errors import ConfigError, StoppedError

pytestmark = pytest.mark.usefixtures("_no_fsync")


@pytest.mark.parametrize("at", [1, 2, 4, 10, 11, 12, 13, 14, 22, 23, 24, 29, 37, 39])
def test_stopped_in_a_batch_and_resumed_it_ends_with_the_same_bytes(at, uninterrupted, tmp_path):
    first, second = StopAt(loss=at), ToyObjective()
    with pytest.raises(StoppedError):
        trainer(tmp_path / "run", first).fit()
    assert len(first.seen) == at
    result = trainer(tmp_path / "run", second, resume=True).fit(resume=True)
    assert digest(tmp_path / "run") == digest(uninterrupted[0])
    assert result.train_tokens == uninterrupted[1].train_tokens
    assert result.best == uninterrupted[1].best


@pytest.mark.parametrize("at", [1, 2, 3])
def test_stopped_in_an_evaluation(at, uninterrupted, tmp_path):
    with pytest.raises(StoppedError) as caught:
        trainer(tmp_path / "run", StopAt(evaluate=at, number=signal.SIGINT)).fit()
    step = (5, 10, 14)[at - 1]
    assert str(caught.value) == (
        f"stopped by SIGINT at step {step} of 14, which is saved — "
        "repeat the command with --resume to go on"
    )
    assert newest(tmp_path / "run").name == f"step-{step:08d}"
    trainer(tmp_path / "run", resume=True).fit(resume=True)
    assert digest(tmp_path / "run") == digest(uninterrupted[0])


def test_stopped_again_and_again(uninterrupted, tmp_path):
    resume = False
    for _ in range(20):
        try:
            trainer(tmp_path / "run", StopAt(loss=5), resume=resume).fit(resume=resume)
            break
        except StoppedError:
            resume = True
    assert digest(tmp_path / "run") == digest(uninterrupted[0])


def test_a_finished_run_resumed_changes_nothing_and_can_be_made_longer(uninterrupted, tmp_path):
    steps = {"lr_scheduler_type": "constant", "logging_steps": 7, "eval_steps": 7, "save_steps": 7}
    trainer(tmp_path / "run", **steps).fit()
    before = digest(tmp_path / "run")
    manifest = tmp_path / "run" / "checkpoints" / "step-00000014" / "manifest.json"
    inode = manifest.stat().st_ino
    # What a process leaves that is killed between saving and deleting.
    shutil.copytree(manifest.parent, manifest.parent.with_name("step-00000007"))
    objective = ToyObjective()
    result = trainer(tmp_path / "run", objective, resume=True, **steps).fit(resume=True)
    assert result.step == 14
    assert result.seconds > json.loads(manifest.with_name("timings.json").read_text())["seconds"]
    assert not objective.seen
    assert digest(tmp_path / "run") == before
    assert manifest.stat().st_ino == inode
    trainer(tmp_path / "run", resume=True, **steps | {"max_steps": 21}).fit(resume=True)
    trainer(tmp_path / "whole", **steps | {"max_steps": 21}).fit()
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_another_recipe_is_not_resumed(tmp_path):
    trainer(tmp_path / "run").fit()
    with pytest.raises(ConfigError, match="made with other settings under train"):
        trainer(tmp_path / "run", resume=True, learning_rate=0.1).fit(resume=True)


def test_another_machine_is_told(tmp_path, capsys, monkeypatch):
    with pytest.raises(StoppedError):
        trainer(tmp_path / "run", StopAt(loss=9)).fit()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    trainer(tmp_path / "run", resume=True).fit(resume=True)
    assert capsys.readouterr().err == (
        "warning: resuming on another machine (threads was 1, is now 2): "
        "the run goes on, but not bit for bit\n"
    )


def test_a_run_killed_before_its_first_checkpoint_begins_anew(uninterrupted, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "run" / "config.yaml").touch()
    ours = trainer(tmp_path / "run", resume=True)
    ours.fit(resume=True)
    assert digest(tmp_path / "run") == digest(uninterrupted[0])
