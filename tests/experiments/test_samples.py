import json

import pytest
from pipelines.bundles import LABELS, classifier, write_base

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.experiments.samples import NUM_SAMPLES, label_samples, text_samples


def rows(tmp_path, columns, lines):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_rows(str(path), DataConfig(), columns, key="data.test")


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def test_twenty_rows_from_first_to_last_with_what_the_model_says(base, tmp_path):
    lines = [{"text": "the film " * i, "label": LABELS[i % 3]} for i in range(1, 58)]
    ours = classifier(base, "full")
    samples = label_samples(ours, rows(tmp_path, ("text", "label"), lines))
    assert len(samples) == NUM_SAMPLES == 20
    assert samples[0]["source"] == lines[0]["text"]
    assert samples[-1]["source"] == lines[-1]["text"]
    for sample in samples:
        (answer,) = ours.predict([sample["source"]])
        assert sample["prediction"] == answer["label"]
        assert sample["correct"] is (answer["label"] == sample["target"])
    assert {sample["correct"] for sample in samples} == {True, False}


def test_pairs_are_shown_side_by_side_and_numbers_are_not_judged(base, tmp_path):
    line = {"text": "a", "text_pair": "b", "label": "good"}
    ours = classifier(base, "full", pairs=True, task="pair")
    (sample,) = label_samples(ours, rows(tmp_path, ("text", "label"), [line]))
    assert sample["source"] == "a ‖ b"
    assert sample["prediction"] == ours.predict(["a"], ["b"])[0]["label"]
    number = classifier(base, "full", kind="regression", task="regress", labels=[])
    (sample,) = label_samples(
        number, rows(tmp_path, ("text", "label"), [{"text": "a", "label": 3.5}])
    )
    assert (sample["target"], sample["correct"]) == ("3.5", None)
    assert sample["prediction"] == f"{number.predict(['a'])[0]['score']:.2f}"


def test_an_output_is_right_if_it_may_be_written(tmp_path):
    lines = [{"source": str(i), "target": "x", "alternatives": ["y"]} for i in range(40)]
    outputs = ["y" if i == 0 else "x" if i == 39 else "z" for i in range(40)]
    samples = text_samples(rows(tmp_path, ("source", "target"), lines), outputs)
    assert len(samples) == 20
    assert [s["correct"] for s in samples] == [True, *[False] * 18, True]
    assert samples[0] == {"source": "0", "target": "x", "prediction": "y", "correct": True}
    # Each output stands beside its own source.
    assert samples[1]["source"] == "2"
