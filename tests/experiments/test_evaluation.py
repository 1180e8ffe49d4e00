import json

import pytest
import tiny_tasks
from pipelines.bundles import LABELS, TEXTS, classifier, saved, translator, write_base

from lowkey.errors import DataError, MissingInputError
from lowkey.experiments.evaluation import evaluate


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def test_a_classifier_is_scored_on_more_data(base, tmp_path):
    ours = classifier(base, "lora")
    run = saved(ours, tmp_path / "run")
    guesses = [answer["label"] for answer in ours.predict(TEXTS)]
    truth = [*guesses[:3], *(LABELS[LABELS.index(guess) - 1] for guess in guesses[3:])]
    rows = [{"comment": t, "stars": n} for t, n in zip(TEXTS, truth, strict=True)]
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", rows)
    data = str(tmp_path / "rows.jsonl")
    with pytest.raises(DataError, match='has no column "text"'):
        evaluate(run, data, device="cpu")
    # The recipe of the run lies beside its bundle; its data is read the same way.
    recipe = tmp_path / "config.yaml"
    recipe.write_text("data: {columns: {text: comment, label: stars}, limit: 2}\n")
    result = evaluate(run, data, device="cpu")
    assert result["rows"] == 5
    assert result["metrics"]["accuracy"]["value"] == 3 / 5
    assert result["metrics"]["accuracy"].keys() == {"value", "low", "high", "n"}
    json.dumps(result, allow_nan=False)
    moved = base.rename(tmp_path / "moved")
    assert evaluate(run, data, base=str(moved), device="cpu") == result


def test_a_translator_is_scored_on_more_data(tmp_path):
    ours = translator(decode={"max_length": 6})
    run = saved(ours, tmp_path / "run")
    said = ours.translate(["a b", "c", "d"])
    rows = [
        {"source": "a b", "target": said[0]},
        {"source": "c", "target": "x u x u", "alternatives": [said[1]]},
        {"source": "d", "target": "x u x u"},
    ]
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", rows)
    result = evaluate(run, str(tmp_path / "rows.jsonl"), device="cpu")
    assert result["rows"] == 3
    assert result["metrics"]["word_error_rate"]["value"] == 1 / 3


def test_undefined_scores_are_null(base, tmp_path):
    number = classifier(base, "full", kind="regression", task="regress", labels=[])
    run = saved(number, tmp_path / "run")
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", [{"text": "a", "label": "1.5"}])
    result = evaluate(run, str(tmp_path / "rows.jsonl"), device="cpu")
    assert result["metrics"]["pearson"]["value"] is None
    assert result["metrics"]["mse"]["value"] > 0


def test_what_cannot_be_scored_is_told(base, tmp_path):
    run = saved(classifier(base, "full"), tmp_path / "run")
    with pytest.raises(MissingInputError, match=r"--data: no such file .*rows\.jsonl"):
        evaluate(run, str(tmp_path / "rows.jsonl"), device="cpu")
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", [{"text": "a", "label": "goood"}])
    with pytest.raises(DataError, match=r'label "goood" .* did you mean "good"'):
        evaluate(run, str(tmp_path / "rows.jsonl"), device="cpu")
    pair = {"text": "a", "text_pair": "b", "label": "good"}
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", [pair])
    with pytest.raises(DataError, match="trained on single texts"):
        evaluate(run, str(tmp_path / "rows.jsonl"), device="cpu")
