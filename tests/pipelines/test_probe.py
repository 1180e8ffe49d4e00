"""Probes: what is kept of a model equals what its pipeline says, and damage is told."""

import json

import numpy as np
import pytest
from pipelines.bundles import SENTENCES, TAGS, classifier, saved, tagger, translator, write_base

from lowkey.data.config import DataConfig
from lowkey.data.rows import select_rows
from lowkey.data.table import table_of_records
from lowkey.errors import DataError, MissingInputError
from lowkey.pipelines.probe import difference, main, write_probe


def rows(records):
    table = table_of_records("x.jsonl", records, range(1, len(records) + 1))
    return select_rows(table, DataConfig(), list(records[0]))


TEXTS = rows([{"text": "the film", "label": "bad"}, {"text": "great !", "label": "good"}])
TAGGED = rows([{"tokens": words, "tags": TAGS[: len(words)]} for words in SENTENCES])
PAIRS = rows([{"source": "a b", "target": "u v"}, {"source": "c", "target": "w"}])


@pytest.mark.parametrize("kind", ["lora", "tagger", "translator"])
def test_a_bundle_computes_its_probe_again(kind, tmp_path, capsys):
    base = write_base(tmp_path / "base")
    pipeline = {
        "lora": lambda: classifier(base, "lora"),
        "tagger": lambda: tagger(base, "full"),
        "translator": translator,
    }[kind]()
    data = {"lora": TEXTS, "tagger": TAGGED, "translator": PAIRS}[kind]
    run = saved(pipeline, tmp_path / "run")
    write_probe(pipeline, data, run)
    numbers = json.loads((run / "probe.json").read_text())["numbers"]
    if kind == "translator":
        assert numbers[1] == pytest.approx(
            pipeline.nll(pipeline.examples(rows([{"source": "c", "target": "w"}])))
        )
    else:
        expected = pipeline.logits(pipeline.examples(data))
        np.testing.assert_array_equal(numbers, expected.astype(np.float64).ravel())
    assert difference(run) == 0
    main([str(run)])
    assert json.loads(capsys.readouterr().out) == {"difference": 0.0}
    text = (run / "probe.json").read_text()
    (run / "probe.json").write_text(text.replace(str(numbers[0]), str(numbers[0] + 1)))
    assert difference(run) > 0.1


def test_damage_is_told(tmp_path):
    base = write_base(tmp_path / "base")
    run = saved(classifier(base, "head"), tmp_path / "run")
    with pytest.raises(MissingInputError, match=r"probe\.json"):
        difference(run)
    (run / "probe.json").write_text('{"rows": [], "numbers": [], "device": "cpu"}')
    with pytest.raises(DataError, match="rows"):
        difference(run)
