from pathlib import Path

import pytest
import torch
from experiments.tasks import finetuning

import lowkey
from lowkey.config import load_recipe
from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.session import environment, open_session
from lowkey.pipelines.bundle import Facts
from lowkey.training.progress import Progress


class Notes(Progress):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def facts(**metrics):
    return Facts(kind="regression", task="regress", method="full", metrics=metrics)


def test_the_recipe_lies_in_the_folder_and_comes_back(folder):
    recipe = finetuning("train.seed=7")
    with open_session(recipe, Path("run"), Notes(), {}, resume=False) as session:
        session.tracker.log(1, {"train/loss": 0.5})
    assert load_recipe(FinetuneRecipe, Path("run/config.yaml")) == recipe
    assert '"train/loss": 0.5' in Path("run/metrics.jsonl").read_text()


def test_a_run_is_held_by_one_and_let_go_whatever_happens(folder):
    recipe = finetuning()
    first = open_session(recipe, Path("run"), Notes(), {}, resume=False)
    first.__enter__()
    second = open_session(recipe, Path("run"), Notes(), {}, resume=True)
    with pytest.raises(ConfigError, match="run is in use by process"):
        second.__enter__()
    assert not first.__exit__(OSError, OSError("the disk is full"), None)
    with open_session(recipe, Path("run"), Notes(), {}, resume=True):
        pass


def test_a_run_goes_on_with_its_own_recipe_only(folder):
    with pytest.raises(MissingInputError, match="no run to resume in run"):
        open_session(finetuning(), Path("run"), Notes(), {}, resume=True).__enter__()
    with open_session(finetuning(), Path("run"), Notes(), {}, resume=False):
        pass
    before = Path("run/config.yaml").read_bytes()
    with (
        pytest.raises(ConfigError, match=r"cannot resume run: lora\.r was 8, is now 4"),
        open_session(finetuning("lora.r=4"), Path("run"), Notes(), {}, resume=True),
    ):
        pass
    assert Path("run/config.yaml").read_bytes() == before
    with open_session(finetuning("train.max_steps=9"), Path("run"), Notes(), {}, resume=True):
        pass
    assert "max_steps: 9" in Path("run/config.yaml").read_text()
    with pytest.raises(ConfigError, match="run already holds a run"):
        open_session(finetuning(), Path("run"), Notes(), {}, resume=False).__enter__()


def test_other_data_under_the_same_name_is_not_gone_on_with(folder):
    inputs = {"data.train": "a" * 64, "model.path": "b" * 64}
    with open_session(finetuning(), Path("run"), Notes(), inputs, resume=False):
        pass
    with open_session(finetuning(), Path("run"), Notes(), inputs, resume=True):
        pass
    changed = {**inputs, "data.train": "c" * 64}
    with pytest.raises(DataError, match=r"what data\.train names has changed since the run began"):
        open_session(finetuning(), Path("run"), Notes(), changed, resume=True).__enter__()


def test_the_end_is_told_with_intervals_and_undefined_scores_are_not(folder):
    notes = Notes()
    none = {"value": None, "low": None, "high": None, "n": 1}
    with open_session(finetuning(), Path("run"), notes, {}, resume=False) as session:
        session.run.best.mkdir()
        result = facts(mse={"value": 0.25, "low": 0.125, "high": 0.5, "n": 9}, pearson=none)
        session.finish(result)
    report = Path("run/report.html")
    assert notes.notes == [
        "mse 0.2500 (95 % interval 0.1250 to 0.5000)",
        f"report: {report}",
    ]
    assert report.read_text().startswith("<!doctype html>")
    assert "# run" in Path("run/best/README.md").read_text()


def test_the_environment_says_what_computed():
    said = environment(torch.device("cpu"), torch.float32)
    assert said["lowkey"] == lowkey.__version__
    assert said["torch"] == torch.__version__
    assert Facts(kind="regression", task="x", method="full", environment=said)
