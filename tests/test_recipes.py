"""The recipes that come with lowkey are whole and explained, and tiny ones reach a known score."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_tasks
import yaml

from lowkey.cli import main
from lowkey.config import Config, load_recipe
from lowkey.errors import ConfigError
from lowkey.experiments.compare_config import CompareConfig, CompareRecipe
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe

RECIPES = Path(__file__).parents[1] / "src" / "lowkey" / "recipes"
SCHEMAS: dict[str, type[Config]] = {
    "classify": FinetuneRecipe,
    "tag": FinetuneRecipe,
    "answer": FinetuneRecipe,
    "mlm": FinetuneRecipe,
    "sentiment": FinetuneRecipe,
    "compare": CompareRecipe,
    "translate": TranslationRecipe,
    "pronounce": TranslationRecipe,
    "reverse": TranslationRecipe,
    "copy": TranslationRecipe,
    "dates": TranslationRecipe,
}
# "#key:" without a space is a key that may be put in force; "# word" is a remark.
EXAMPLE = re.compile(r"^( *)#(?=\w+:)", re.MULTILINE)


def flat(data: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in data.items():
        # these map names that the user chooses
        if isinstance(value, dict) and name not in ("columns", "rank_pattern", "alpha_pattern"):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_recipe_is_looked_at() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} == SCHEMAS.keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_shipped_recipe_is_one(name: str) -> None:
    load_recipe(SCHEMAS[name], RECIPES / f"{name}.yaml")


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_planted_key_is_refused(name: str, tmp_path: Path) -> None:
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    planted = tmp_path / "planted.yaml"
    planted.write_text(text.replace("train:\n", "train:\n  learning_rte: 1.0\n"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"unknown key train\.learning_rte — did you mean"):
        load_recipe(SCHEMAS[name], planted)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_of_a_shipped_recipe_is_explained(name: str) -> None:
    text = EXAMPLE.sub(r"\1", (RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    for line in text.splitlines():
        is_group = re.fullmatch(r" *\w+:", line)
        assert not line or is_group or "# " in line, line


@pytest.mark.parametrize("name", ["classify", "tag", "answer", "mlm", "translate"])
def test_the_recipes_to_fill_in_show_every_key(name: str, tmp_path: Path) -> None:
    text = EXAMPLE.sub(r"\1", (RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    assert set(flat(yaml.safe_load(text))) == set(tiny_tasks.keys_of(SCHEMAS[name]))
    everything = tmp_path / "everything.yaml"
    everything.write_text(text, encoding="utf-8")
    load_recipe(SCHEMAS[name], everything)  # each example is a value that is allowed


def test_the_recipe_of_a_comparison_shows_every_key_of_its_own() -> None:
    text = EXAMPLE.sub(r"\1", (RECIPES / "compare.yaml").read_text(encoding="utf-8"))
    assert yaml.safe_load(text)["compare"].keys() == CompareConfig.model_fields.keys()
    load_recipe(CompareRecipe, RECIPES / "compare.yaml")
    bare = CompareConfig()
    shown = load_recipe(CompareRecipe, RECIPES / "compare.yaml").compare
    assert shown == bare


@pytest.mark.parametrize("name", ["classify", "tag", "answer", "mlm", "translate"])
def test_a_recipe_to_fill_in_shows_the_defaults_that_hold(name: str, tmp_path: Path) -> None:
    # Without them the file may be shortened by its user and means the same; translate.yaml
    # departs on purpose from what is safe for tiny runs.
    bare = tmp_path / "bare.yaml"
    model = "model: {path: google-bert/bert-base-uncased}\n" if name != "translate" else ""
    bare.write_text(f"data: {{train: data/train.jsonl}}\n{model}", encoding="utf-8")
    shown = load_recipe(SCHEMAS[name], RECIPES / f"{name}.yaml").model_dump()
    default = load_recipe(SCHEMAS[name], bare).model_dump()
    different = {
        f"{group}.{key}"
        for group in shown
        if isinstance(shown[group], dict)
        for key in shown[group]
        if shown[group][key] != default[group][key]
    }
    departures = {
        "data.max_length",
        "model.norm",
        "model.size",
        *(f"train.{key}" for key in ("learning_rate", "lr_scheduler_type", "warmup_steps")),
        *(f"train.{key}" for key in ("num_train_epochs", "adam_beta2", "adam_epsilon")),
        "train.label_smoothing_factor",
    }
    assert different == (departures if name == "translate" else set())


# Recipes of test size, through the whole program


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_tasks.write_tasks(tmp_path, rows=400)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**train: Any) -> list[str]:
    words = [("--set", f"train.{key}={value}") for key, value in train.items()]
    return [word for pair in words for word in pair]


def score_of(run: Path, metric: str) -> float:
    facts = json.loads((run / "best" / "lowkey.json").read_text(encoding="utf-8"))
    return facts["metrics"][metric]["value"]


# Only a trained encoder can say "good and great mean the same": a head on random features cannot.
@pytest.mark.parametrize(
    ("method", "rate", "low", "high"),
    [("lora", 0.01, 0.9, 1.0), ("full", 0.003, 0.9, 1.0), ("head", 0.01, 0.4, 0.85)],
)
def test_keywords_are_learned_unless_the_encoder_is_frozen(
    folder: Path, method: str, rate: float, low: float, high: float
) -> None:
    steps = settings(max_steps=60, learning_rate=rate, lr_scheduler_type="constant")
    words = ["--config", "classify.yaml", "--set", f"method={method}", "--out", "run"]
    assert main(["finetune", *words, *steps]) == 0
    assert low <= score_of(folder / "run", "accuracy") <= high


def test_a_transformer_learns_to_reverse(folder: Path) -> None:
    tiny_tasks.write_jsonl(folder / "pairs" / "train.jsonl", tiny_tasks.reversed_pairs(2000, 1))
    steps = settings(max_steps=400, learning_rate=0.005, batch_tokens=600, warmup_steps=20)
    model = ["--set", "model.d_model=32", "--out", "run"]
    assert main(["train", "--config", "translate.yaml", *model, *steps]) == 0
    assert score_of(folder / "run", "word_error_rate") < 0.2
    # A model that was not trained gets hardly one right: the score above is no accident.
    untrained = ["--set", "model.d_model=32", "--out", "new"]
    assert main(["train", "--config", "translate.yaml", *untrained, *settings(max_steps=1)]) == 0
    assert score_of(folder / "new", "word_error_rate") > 0.9


@pytest.mark.parametrize("verb", ["train", "finetune"])
def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_bytes(
    folder: Path, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lowkey.experiments.finetune
    import lowkey.experiments.translation

    config = ["--config", {"train": "translate.yaml", "finetune": "classify.yaml"}[verb]]
    steps = settings(max_steps=24, eval_steps=6, save_steps=9, logging_steps=4)
    assert main([verb, *config, *steps, "--out", "whole"]) == 0

    module = {"train": lowkey.experiments.translation, "finetune": lowkey.experiments.finetune}[
        verb
    ]
    loss, calls = module.Learner.loss, []

    def loss_then_signal(learner: Any, ids: Any) -> Any:
        calls.append(ids)
        if len(calls) == 14:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(learner, ids)

    with monkeypatch.context() as patch:
        patch.setattr(module.Learner, "loss", loss_then_signal)
        assert main([verb, *config, *steps, "--out", "parts"]) == 75
    assert "error: stopped by SIGTERM at step" in capsys.readouterr().err
    assert not (folder / "parts" / "report.html").exists()
    assert main([verb, "--resume", "--out", "parts"]) == 0
    assert "step 12/24" not in capsys.readouterr().err  # it did go on, from step 13

    def content(run: str) -> dict[str, bytes]:
        files = ["metrics.jsonl", "checkpoints/step-00000024/model.safetensors"]
        best = sorted((folder / run / "best").rglob("*.safetensors"))
        paths = [folder / run / name for name in files] + best
        return {path.relative_to(folder / run).as_posix(): path.read_bytes() for path in paths}

    whole, parts = content("whole"), content("parts")
    assert len(whole) >= 3
    assert whole == parts
