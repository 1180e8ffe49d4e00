import json

import pytest

from lowkey.errors import DataError, MissingInputError
from lowkey.metrics.intervals import Score
from lowkey.pipelines.bundle import FACTS_FILE, Decoding, Facts, as_metrics, folder_bytes

FACTS = Facts(
    kind="classification",
    task="pair",
    method="lora",
    pairs=True,
    labels=["nein", "ja, „doch“"],
    max_length=128,
    base_model="models/bert",
    base_sha256="0123456789abcdef" * 4,
    metrics={"accuracy": {"value": 0.5, "low": None, "high": 1.0, "n": 2, "signature": "s"}},
    counts={"parameters": 10**9, "training_seconds": 0.25},
    samples=[{"source": "a", "target": "b", "prediction": "c", "correct": None}],
    environment={"torch": "2", "threads": 1},
)


def test_facts_come_back_as_they_were(tmp_path):
    FACTS.write(tmp_path)
    assert Facts.read(tmp_path) == FACTS
    before = (tmp_path / FACTS_FILE).read_bytes()
    Facts.read(tmp_path).write(tmp_path)
    assert (tmp_path / FACTS_FILE).read_bytes() == before
    spoken = Facts(
        kind="translation", task="words", method="scratch", decode=Decoding(max_ratio=2.5)
    )
    spoken.write(tmp_path)
    assert Facts.read(tmp_path) == spoken


def test_a_folder_without_facts_is_no_bundle(tmp_path):
    with pytest.raises(MissingInputError, match=r"holds no lowkey\.json — give a run of lowkey"):
        Facts.read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format: "),
        ({"kind": "spell"}, "kind: "),
        ({"method": None}, "method: "),
        ({"labels": "ab"}, "labels: "),
        ({"labels": [1, 2]}, "labels.0: "),
        ({"labels": []}, "classification with 0 labels"),
        ({"labels": ["one"]}, "classification with 1 labels"),
        ({"kind": "regression"}, "regression with 2 labels"),
        ({"max_length": 0}, "max_length: "),
        ({"max_length": 10**12}, "max_length: "),
        ({"base_sha256": "../../etc/passwd"}, "base_sha256: "),
        ({"base_model": "x" * 200_000}, "base_model: "),
        ({"decode": {"num_beams": 0}}, "decode.num_beams: "),
        ({"decode": {"num_beams": 10**9}}, "decode.num_beams: "),
        ({"decode": {"max_length": -1}}, "decode.max_length: "),
        ({"decode": {"max_ratio": 1e300}}, "decode.max_ratio: "),
        ({"decode": {"length_penalty": "long"}}, "decode.length_penalty: "),
        ({"decode": {"heat": 1}}, "decode.heat: "),
        ({"metrics": {"accuracy": [1]}}, "metrics.accuracy: "),
        ({"counts": {"parameters": "many"}}, "counts.parameters"),
        ({"samples": [{"source": {"a": 1}}]}, "samples.0.source"),
        ({"auto_map": {"AutoModel": "evil.py"}}, "auto_map: "),
        ({"a\nb\x1b[31m" + "c" * 10_000: 1}, r"a\nb\x1b[31mccc"),
    ],
)
def test_hostile_facts_get_one_short_line(changes, words, tmp_path):
    path = tmp_path / FACTS_FILE
    path.write_text(json.dumps(FACTS.model_dump(mode="json") | changes))
    with pytest.raises(DataError) as caught:
        Facts.read(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {words}")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 250


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"format": NaN}', "[" * 9999, '{"format": 1, "format": 1}']
)
def test_what_is_no_strict_json_object_is_refused(text, tmp_path):
    (tmp_path / FACTS_FILE).write_text(text)
    with pytest.raises(DataError) as caught:
        Facts.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_undefined_score_is_written_as_null(tmp_path):
    nan = float("nan")
    scores = {"pearson": Score(nan, nan, nan, 3), "bleu": Score(1.0, 0.5, 2.0, 3, "nrefs:1")}
    metrics = as_metrics(scores)
    assert metrics == {
        "pearson": {"value": None, "low": None, "high": None, "n": 3},
        "bleu": {"value": 1.0, "low": 0.5, "high": 2.0, "n": 3, "signature": "nrefs:1"},
    }
    facts = FACTS.model_copy(update={"metrics": metrics})
    facts.write(tmp_path)  # JSON has no NaN; writing one would raise
    assert Facts.read(tmp_path) == facts


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "inside" / "b").write_bytes(b"45")
    assert folder_bytes(tmp_path) == 5


@pytest.mark.parametrize(
    ("kind", "truncate", "long_texts"),
    [
        ("tagging", True, "truncate"),
        ("tagging", False, "error"),
        ("classification", False, "truncate"),
    ],
)
def test_bundles_from_before_there_were_windows_are_read(kind, truncate, long_texts, tmp_path):
    facts = Facts(kind=kind, task="x", method="full", labels=["a", "b"]).model_dump(mode="json")
    del facts["long_texts"], facts["stride"]
    (tmp_path / FACTS_FILE).write_text(json.dumps(facts | {"truncate": truncate}))
    assert Facts.read(tmp_path).long_texts == long_texts
