import json
import shutil

import numpy as np
import pytest
import sacrebleu
import tiny_tasks
from pipelines.bundles import LABELS, TEXTS, classifier, saved, translator, write_base

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.experiments.evaluation import compare, compare_outputs, evaluate


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def test_a_classifier_is_scored_on_more_data(base, tmp_path):
    ours = classifier(base, "lora")
    (tmp_path / "run").mkdir()
    run = saved(ours, tmp_path / "run" / "best")
    guesses = [answer["label"] for answer in ours.predict(TEXTS)]
    truth = [*guesses[:3], *(LABELS[LABELS.index(guess) - 1] for guess in guesses[3:])]
    rows = [{"comment": t, "stars": n} for t, n in zip(TEXTS, truth, strict=True)]
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", rows)
    data = str(tmp_path / "rows.jsonl")
    with pytest.raises(DataError, match='has no column "text"'):
        evaluate(run, data, device="cpu")
    # The recipe of the run lies beside its bundle; its data is read the same way.
    recipe = tmp_path / "run" / "config.yaml"
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


@pytest.fixture
def translators(tmp_path):
    """Two translators, and rows whose targets are what the first one says."""
    first, second = translator(decode={"max_length": 6}), translator(d_model=24)
    sources = ["a b", "c", "d e f", "g", "h a", "b c", "e", "f g h"]
    rows = [
        {"source": s, "target": t} for s, t in zip(sources, first.translate(sources), strict=True)
    ]
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", rows)
    runs = [saved(one, tmp_path / name) for one, name in ((first, "first"), (second, "second"))]
    return runs, str(tmp_path / "rows.jsonl"), rows


def test_two_translators_are_compared_on_the_same_rows(translators, tmp_path):
    runs, data, rows = translators
    found = compare(runs, data, device="cpu", outputs=tmp_path / "out")
    assert (found["rows"], [s["name"] for s in found["systems"]]) == (8, [str(run) for run in runs])
    for system, run in zip(found["systems"], runs, strict=True):
        assert system["metrics"] == evaluate(run, data, device="cpu")["metrics"]
    [difference] = found["differences"]
    assert (difference["name"], difference["minus"]) == (str(runs[1]), str(runs[0]))
    assert difference["metrics"].keys() == {"exact_match", "word_error_rate", "token_error_rate"}
    rate = difference["metrics"]["token_error_rate"]
    assert rate["value"] == found["systems"][1]["metrics"]["token_error_rate"]["value"] > 0
    assert rate["low"] > 0
    assert rate["p_randomization"] < 0.05
    test = difference["metrics"]["exact_match"]["mcnemar"]
    assert (test["only_a"], test["only_b"]) == (
        0,
        round(8 * difference["metrics"]["word_error_rate"]["value"]),
    )
    assert found["apart"]["metric"] == "token_error_rate"
    assert all(row["scores"][0] == 0 < row["scores"][1] for row in found["apart"]["rows"])
    json.dumps(found, allow_nan=False)
    written = [json.loads(x) for x in (tmp_path / "out" / "first.jsonl").read_text().splitlines()]
    assert [line["output"] for line in written] == [row["target"] for row in rows]
    assert written[0].keys() == {"source", "target", "output", "scores"}
    assert {line["scores"]["token_error_rate"] for line in written} == {0}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["first.jsonl", "second.jsonl"]


def test_a_run_does_not_differ_from_itself(translators, tmp_path):
    runs, data, _ = translators
    found = compare([runs[1]] * 3, data, device="cpu", outputs=tmp_path / "out")
    for difference in found["differences"][0]["metrics"].values():
        assert (difference["value"], difference["low"], difference["high"]) == (0, 0, 0)
        assert (difference["p_bootstrap"], difference["p_randomization"]) == (1, 1)
    assert found["apart"]["rows"] == []
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_two_classifiers_are_compared(base, tmp_path):
    ours, other = classifier(base, "lora"), classifier(base, "full", seed=8)
    runs = [saved(ours, tmp_path / "a"), saved(other, tmp_path / "b")]
    says = [[a["label"] for a in one.predict(TEXTS)] for one in (ours, other)]
    assert says[0] != says[1]
    rows = [{"text": t, "label": label} for t, label in zip(TEXTS, says[0], strict=True)]
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", rows)
    found = compare(runs, str(tmp_path / "rows.jsonl"), device="cpu", base=str(base))
    difference = found["differences"][0]["metrics"]["accuracy"]
    wrong = sum(x != y for x, y in zip(*says, strict=True))
    assert difference["value"] == pytest.approx(-wrong / 5)
    assert difference["mcnemar"] == {
        "only_a": 0,
        "only_b": wrong,
        "p_value": 2 * 0.5**wrong if wrong > 1 else 1,
    }
    assert len(found["apart"]["rows"]) == wrong
    assert "f1_macro" in found["differences"][0]["metrics"]


def test_outputs_of_any_system_are_compared(tmp_path):
    rows = [{"source": f"{i} x", "target": f"the number {i} is written here"} for i in range(6)]
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", rows)
    read = read_rows(
        str(tmp_path / "rows.jsonl"), DataConfig(), ("source", "target"), key="data.test"
    )
    targets = [row["target"] for row in rows]
    worse = [*targets[:4], "the number is written here", "something else"]
    found = compare_outputs({"good": targets, "worse": worse}, read)
    bleu = sacrebleu.corpus_bleu(worse, [targets]).score
    assert found["systems"][1]["metrics"]["bleu"]["value"] == pytest.approx(bleu)
    assert "nrefs:1" in found["systems"][1]["metrics"]["bleu"]["signature"]
    assert found["differences"][0]["metrics"]["bleu"]["value"] == pytest.approx(bleu - 100)
    assert [row["where"][-1] for row in found["apart"]["rows"]] == ["6", "5"]
    turned = np.array([5, 4, 3, 2, 1, 0])
    tiny_tasks.write_jsonl(tmp_path / "turned.jsonl", [rows[i] for i in turned])
    again = read_rows(
        str(tmp_path / "turned.jsonl"), DataConfig(), ("source", "target"), key="data.test"
    )
    other = compare_outputs({"good": targets[::-1], "worse": worse[::-1]}, again)
    for name, difference in found["differences"][0]["metrics"].items():
        same = other["differences"][0]["metrics"][name]
        assert (same["value"], same["p_randomization"]) == pytest.approx(
            (difference["value"], difference["p_randomization"])
        )
    with pytest.raises(DataError, match=r"short has 2 outputs for the 6 rows of .*rows\.jsonl"):
        compare_outputs({"good": targets, "short": targets[:2]}, read)


def test_baselines_are_compared_with_the_run(translators, tmp_path):
    _, data, _ = translators
    run = tmp_path / "run"
    run.mkdir()
    saved(translator(d_model=24), run / "best")
    # The rows themselves are the training rows here: the nearest one is the row itself.
    (run / "config.yaml").write_text(f"data: {{train: {data}, validation: {data}}}\n")
    found = compare([run], data, baselines=True, device="cpu")
    names = [str(run), "copy of the source", "nearest training pair"]
    assert [system["name"] for system in found["systems"]] == names
    assert [one["minus"] for one in found["differences"]] == names[:1] * 2
    errors = [system["metrics"]["word_error_rate"]["value"] for system in found["systems"]]
    assert errors[2] == 0 < errors[0]
    assert errors[1] == 1


def test_baselines_of_a_streamed_run_are_refused(translators, tmp_path):
    _, data, _ = translators
    (tmp_path / "run").mkdir()
    saved(translator(d_model=24), tmp_path / "run" / "best")
    settings = "streaming: true, empty: drop, truncate: true, max_length: 20"
    (tmp_path / "run" / "config.yaml").write_text(
        f"data: {{train: {data}, validation: {data}, {settings}}}\ntrain: {{max_steps: 5}}\n"
    )
    with pytest.raises(ConfigError, match=r"^--baselines: .*run streams its training rows"):
        compare([tmp_path / "run"], data, baselines=True, device="cpu")


def test_what_cannot_be_compared_is_told(translators, base, tmp_path):
    runs, data, _ = translators
    labels = saved(classifier(base, "full"), tmp_path / "labels")
    with pytest.raises(
        ConfigError, match=r"first is a model of translation, .*labels one of class"
    ):
        compare([runs[0], labels], data, device="cpu")
    with pytest.raises(ConfigError, match=r"--baselines: .*labels is a model of classification"):
        compare([labels], data, baselines=True, device="cpu")
    with pytest.raises(MissingInputError, match=r"--baselines: .*first lies in no run"):
        compare([runs[0]], data, baselines=True, device="cpu")
    tiny_tasks.write_jsonl(tmp_path / "bare.jsonl", [{"source": "a"}])
    with pytest.raises(DataError, match='has no column "target"'):
        compare(runs, str(tmp_path / "bare.jsonl"), device="cpu")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for scored in (
        lambda **more: compare(runs, data, **more),
        lambda **more: evaluate(runs[0], data, **more),
    ):
        with pytest.raises(ConfigError, match=r"--outputs: .*full is not empty"):
            scored(device="cpu", outputs=tmp_path / "full")


def test_a_foreign_config_beside_a_published_folder_is_none_of_ours(translators, tmp_path):
    runs, data, _ = translators
    alone = tmp_path / "elsewhere" / "model"
    shutil.copytree(runs[0], alone)
    (tmp_path / "elsewhere" / "config.yaml").write_text("data: [a]\n")
    expected = evaluate(runs[0], data, device="cpu")
    assert evaluate(alone, data, device="cpu") == expected
