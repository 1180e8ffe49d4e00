"""Several runs over one base: each text gets the answer that its run gives alone."""

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipelines.bundles import LABELS, TEXTS, classifier, saved, write_base

from lowkey import TextBank
from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.pipelines import bank as room
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.shared_runs import run_name

NUMBERS: dict[str, Any] = {"kind": "regression", "task": "regress", "labels": []}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


WINDOWS: dict[str, Any] = {"max_length": 8, "long_texts": "window", "stride": 2}


@pytest.fixture
def runs(base: Path, tmp_path: Path) -> dict[str, Path]:
    """Runs of other labels, label counts and tasks on one base."""
    options: dict[str, dict[str, Any]] = {
        "mood": {"seed": 1},
        "topic": {"seed": 2, "labels": ["a", "b", "c", "d", "e"], **WINDOWS},
        "stars": {"seed": 3, **NUMBERS},
        "same": {"seed": 4, "labels": ["no", "yes"], "pairs": True, "max_length": 12},
    }
    return {
        name: saved(classifier(base, "lora", **each), tmp_path / name)
        for name, each in options.items()
    }


@cache
def opened(folder: Path) -> TextClassifier:
    return TextClassifier.load(folder)


def alone(folder: Path, text: str, pair: str | None) -> dict[str, Any]:
    pairs = None if pair is None else [pair]
    return opened(folder).predict([text], pairs)[0]


def assert_equal_answers(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    assert found.get("label") == expected.get("label")
    if "scores" in found:
        assert found["scores"] == pytest.approx(expected["scores"], abs=1e-5)
    else:
        assert found["score"] == pytest.approx(expected["score"], abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 25, 8192])
def test_each_text_gets_the_answer_of_its_run(
    runs: dict[str, Path], batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BATCH_TOKENS", batch_tokens)
    bank = TextBank.load(list(runs.values()), device="cpu")
    assert bank.names == list(runs)
    draw = random.Random(batch_tokens)
    names = draw.choices(bank.names, k=17)
    texts = draw.choices(TEXTS, k=17)
    pairs = [draw.choice(TEXTS) if name == "same" else None for name in names]
    found = bank.predict(texts, names, pairs)
    for answer, name, text, pair in zip(found, names, texts, pairs, strict=True):
        assert_equal_answers(answer, alone(runs[name], text, pair))
    assert list(found[names.index("mood")]["scores"]) == LABELS
    json.dumps(found)
    # The control: another run gives another answer.
    ((scores,), (other,)) = (bank.predict(["the film"], n) for n in ("mood", "topic"))
    assert scores["scores"].keys() != other["scores"].keys()


def test_one_name_stands_for_all_texts_and_no_texts_have_no_answers(runs: dict[str, Path]) -> None:
    bank = TextBank.load({"x": runs["mood"]}, device="cpu")
    expected = TextClassifier.load(runs["mood"]).predict(TEXTS)
    for found, one in zip(bank.predict(TEXTS, "x"), expected, strict=True):
        assert_equal_answers(found, one)
    assert bank.predict([], "x") == []
    assert bank.predict([], []) == []
    with pytest.raises(ValueError, match="2 texts, 1 names, 2 pairs"):
        bank.predict(["a", "b"], ["x"])


def test_a_base_without_a_pooler_takes_that_of_each_run(base: Path, tmp_path: Path) -> None:
    runs = {}
    for seed in (1, 2):
        ours = classifier(base, "lora", seed=seed)
        ours.lora_config = ours.lora_config.model_copy(
            update={"modules_to_save": ["classifier", "pooler"]}
        )
        ours.model.encoder.pooler.dense.weight.data.mul_(seed)
        runs[f"run{seed}"] = saved(ours, tmp_path / f"run{seed}")
    bank = TextBank.load(runs, device="cpu")
    names = ["run1", "run2", "run1", "run2", "run2"]
    for answer, name, text in zip(bank.predict(TEXTS, names), names, TEXTS, strict=True):
        assert_equal_answers(answer, alone(runs[name], text, None))


def test_it_computes_in_bf16_too(runs: dict[str, Path]) -> None:
    bank = TextBank.load([runs["mood"], runs["topic"]], device="cpu", precision="bf16")
    names = ["mood", "topic", "mood", "topic", "topic"]
    for answer, name, text in zip(bank.predict(TEXTS, names), names, TEXTS, strict=True):
        expected = alone(runs[name], text, None)["scores"]
        found = list(answer["scores"].values())
        np.testing.assert_allclose(found, list(expected.values()), atol=0.1)


def test_adapters_are_combined_and_removed(runs: dict[str, Path]) -> None:
    bank = TextBank.load([runs["mood"], runs["topic"]], device="cpu")
    bank.combine("only mood", {"mood": 1, "topic": 0}, head="mood")
    bank.combine("both", {"mood": 0.5, "topic": 0.5}, head="mood")
    expected, same, other = (bank.predict(TEXTS, name) for name in ("mood", "only mood", "both"))
    for one, two in zip(expected, same, strict=True):
        assert_equal_answers(two, one)
    assert other[0]["scores"] != pytest.approx(expected[0]["scores"], abs=1e-3)
    assert bank.facts("both").labels == LABELS
    bank.remove("mood")
    assert bank.names == ["topic", "only mood", "both"]
    assert str(bank).startswith("3 adapters on one base: topic (12 modules at rank 2), only mood (")
    with pytest.raises(ConfigError, match="there is no adapter mood"):
        bank.predict(["a"], "mood")
    assert_equal_answers(bank.predict(TEXTS, "both")[2], other[2])


def test_pairs_go_to_those_that_were_trained_on_them(runs: dict[str, Path]) -> None:
    bank = TextBank.load([runs["mood"], runs["same"]], device="cpu")
    with pytest.raises(DataError, match="text 2 for same: this model was trained on pairs"):
        bank.predict(["a", "b"], ["mood", "same"])
    with pytest.raises(DataError, match="f:7 for mood: this model was trained on single texts"):
        bank.predict(["a"], "mood", ["b"], places=["f:7"])


def test_what_cannot_share_a_base_is_refused_before_anything_is_loaded(
    runs: dict[str, Path], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = saved(classifier(write_base(tmp_path / "other", seed=3), "lora"), tmp_path / "far")
    full = saved(classifier(base, "full"), tmp_path / "full")
    tags = saved(classifier(base, "lora", kind="tagging"), tmp_path / "tags")
    (tmp_path / "x").mkdir()
    copied = runs["topic"].rename(tmp_path / "x" / "mood")
    monkeypatch.setattr(room.TextClassifier, "load_model", None)
    cases: list[tuple[list[Path], type[Exception], str]] = [
        ([runs["mood"], other], DataError, r"far builds on other weights \(.*other\) than mood"),
        ([runs["mood"], full], DataError, "full was trained by method full, which leaves no"),
        ([tags], DataError, "tags is a model for tagging"),
        ([runs["mood"], copied], ConfigError, "are both called mood — rename one"),
        ([], ConfigError, "there is no run to open"),
        ([tmp_path / "nowhere"], MissingInputError, "nowhere"),
    ]
    for folders, error, message in cases:
        with pytest.raises(error, match=message):
            TextBank.load(folders)


def test_a_base_that_has_changed_is_noticed(runs: dict[str, Path], base: Path) -> None:
    path = base / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="was trained on other weights"):
        TextBank.load([runs["mood"]])


def test_a_run_is_called_like_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_name(Path()) == tmp_path.name


def test_long_texts_are_told_and_named_as_the_caller_names_them(base: Path, tmp_path: Path) -> None:
    options: dict[str, dict[str, Any]] = {
        "cuts": {"max_length": 6},
        "reads": {"max_length": 30, "seed": 6},
        "refuses": {"max_length": 6, "long_texts": "error", "seed": 7},
    }
    runs = [saved(classifier(base, "lora", **each), tmp_path / n) for n, each in options.items()]
    bank, said = TextBank.load(runs, device="cpu"), []
    texts = ["a", "the film was very good and great", "b"]
    bank.predict(texts, ["reads", "cuts", "cuts"], say=said.append)
    (note,) = said
    assert note.startswith("note: 50.0% of the given texts are longer than 6 tokens and are cut")
    assert note.endswith(", by cuts")
    with pytest.raises(DataError, match=r"x\.jsonl:7 for refuses: this text has 9 tokens"):
        bank.predict(texts, ["reads", "refuses", "cuts"], places=["a", "x.jsonl:7", "b"])
    with pytest.raises(DataError, match="text 2 for refuses: this text has 9 tokens"):
        bank.predict(texts, ["reads", "refuses", "cuts"])
