"""The estimator of pairs: trained from scratch and on, scored by sacrebleu, saved."""

import pytest
import tiny_tasks
from sacrebleu.metrics import CHRF
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import lowkey
from lowkey.errors import ConfigError

ROWS = tiny_tasks.reversed_pairs(64, seed=1)
SOURCES, TARGETS = ([row[side] for row in ROWS] for side in ("source", "target"))
NEW = tiny_tasks.reversed_pairs(16, seed=2)
SIZES = {
    "model.size": None,
    "model.d_model": 16,
    "model.num_heads": 2,
    "model.d_ff": 32,
    "model.num_encoder_layers": 1,
    "model.num_decoder_layers": 1,
}


def translator(**changes):
    parameters = {
        "tokenizer": "whitespace",
        "num_train_epochs": 1,
        "batch_tokens": 256,
        "settings": SIZES,
        "device": "cpu",
    } | changes
    return lowkey.Translator(**parameters)


def test_it_trains_scores_and_comes_back(tmp_path):
    ours = translator(num_train_epochs=3).fit(SOURCES, TARGETS)
    sources, targets = ([row[side] for row in NEW] for side in ("source", "target"))
    outputs = ours.predict(sources)
    chrf = CHRF().corpus_score(outputs, [targets]).score
    assert ours.score(sources, targets) == pytest.approx(chrf, abs=1e-6)
    ours.save(tmp_path / "saved")
    again = lowkey.Translator.load(tmp_path / "saved", device="cpu")
    assert again.predict(sources) == outputs
    assert clone(again).fit(SOURCES, TARGETS).predict(sources) == outputs


def test_a_run_is_trained_on_by_lora_and_words_are_scored(tmp_path):
    run = tmp_path / "run"
    translator(out=run).fit(SOURCES, TARGETS)
    ours = lowkey.Translator(
        start_from=str(run),
        method="lora",
        num_train_epochs=1,
        batch_tokens=256,
        metrics="words",
        device="cpu",
        settings={"lora.r": 2},
    ).fit(SOURCES, TARGETS)
    assert ours.pipeline_.facts.method == "lora"
    outputs = ours.predict(SOURCES)
    right = sum(a == b for a, b in zip(outputs, TARGETS, strict=True)) / len(TARGETS)
    assert ours.score(SOURCES, TARGETS) == pytest.approx(right)
    ours.save(tmp_path / "saved")
    assert lowkey.Translator.load(tmp_path / "saved", device="cpu").predict(SOURCES) == outputs


def test_cross_validation_works_and_mistakes_are_told():
    assert len(cross_val_score(translator(), SOURCES, TARGETS, cv=2)) == 2
    with pytest.raises(NotFittedError):
        translator().predict(SOURCES)
    with pytest.raises(ConfigError, match="Translator: method scratch"):
        translator(start_from="x", method="scratch").fit(SOURCES, TARGETS)
    with pytest.raises(ConfigError, match=r"tokenizer\.source\.kind"):
        translator(tokenizer="words").fit(SOURCES, TARGETS)
