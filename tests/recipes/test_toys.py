"""The toy recipes learn: tiny versions of them, words that the training has never seen."""

import itertools
import json
import random
from pathlib import Path

import pytest
import tiny_tasks

from lowkey.cli import main

RECIPES = Path(__file__).parents[2] / "src" / "lowkey" / "recipes"
TINY = {
    "data.train": "train.jsonl",
    "data.validation": "test.jsonl",
    "data.test": "test.jsonl",
    "model.d_model": 32,
    "model.d_ff": 64,
    "model.num_encoder_layers": 1,
    "model.num_decoder_layers": 1,
    "train.max_steps": 240,
    "train.learning_rate": 0.01,
    "train.batch_tokens": 600,
    "train.eval_steps": 240,
    "track": "[]",
}


def write_words(folder: Path, step: int) -> None:
    """Writes all words of 2 to 4 letters out of five, each forwards or (-1) backwards."""
    words = ["".join(w) for n in (2, 3, 4) for w in itertools.product("abcde", repeat=n)]
    random.Random(0).shuffle(words)
    rows = [{"source": word, "target": word[::step]} for word in words]
    tiny_tasks.write_jsonl(folder / "test.jsonl", rows[:100])
    tiny_tasks.write_jsonl(folder / "train.jsonl", rows[100:])


def exact_match(name: str, out: str, **train: float) -> float:
    settings = TINY | {f"train.{key}": value for key, value in train.items()}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    config = ["--config", str(RECIPES / f"{name}.yaml")]
    assert main(["train", *config, "--out", out, *words]) == 0
    facts = json.loads((Path(out) / "best" / "lowkey.json").read_text(encoding="utf-8"))
    return 1 - facts["metrics"]["word_error_rate"]["value"]


@pytest.mark.parametrize(("name", "step"), [("reverse", -1), ("copy", 1)])
def test_a_tiny_toy_is_solved_on_words_never_seen(
    name: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_words(tmp_path, step)
    assert exact_match(name, "trained") >= 0.99
    # Not by itself: weights that hardly move get next to none right.
    assert exact_match(name, "frozen", learning_rate=1e-9, max_steps=2, eval_steps=2) <= 0.1
