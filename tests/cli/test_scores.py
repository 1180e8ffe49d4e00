import pytest

from lowkey.cli.scores import comparison_in_words, scores_in_words

SIGNED = {"value": 31.5, "low": 30.0, "high": 33.25, "n": 9, "signature": "nrefs:1|tok:13a"}
UNDEFINED = {"value": None, "low": None, "high": None, "n": 9}


def difference(**changes):
    numbers = {
        "value": -1.5,
        "low": -3.0,
        "high": 0.25,
        "p_bootstrap": 0.06,
        "p_randomization": 0.07,
    }
    return {**numbers, "n": 9, **changes}


def comparison(**changes):
    return {
        "rows": 9,
        "systems": [{"name": name, "metrics": {"bleu": SIGNED}} for name in ("a", "b\x1b[1m")],
        "differences": [{"name": "b\x1b[1m", "minus": "a", "metrics": {"bleu": difference()}}],
        "apart": {"metric": "chrf", "rows": []},
        **changes,
    }


def test_a_score_is_told_with_interval_and_signature():
    lines = scores_in_words({"rows": 9, "metrics": {"bleu": SIGNED, "pearson": UNDEFINED}})
    assert lines.splitlines() == [
        "bleu 31.5000 (95 % interval 30.0000 to 33.2500)",
        "  nrefs:1|tok:13a",
        "pearson undefined",
        "on 9 rows",
    ]


def test_a_comparison_is_told_with_names_that_do_no_harm():
    lines = comparison_in_words(comparison()).splitlines()
    assert lines[0] == "a"
    assert r"b\x1b[1m minus a" in lines
    [told] = [line for line in lines if line.startswith("  bleu -1.5000")]
    assert "(95 % interval -3.0000 to +0.2500)" in told
    assert told.endswith("p 0.0600 by bootstrap, 0.0700 by randomization")
    assert lines[-2:] == ["bleu is nrefs:1|tok:13a", "on 9 rows"]


@pytest.mark.parametrize(
    ("metric", "told"), [("ter", True), ("word_error_rate", True), ("chrf", False)]
)
def test_it_is_told_where_less_is_better(metric, told):
    metrics = {metric: difference(), "pearson": difference(value=None)}
    words = comparison_in_words(
        comparison(differences=[{"name": "b", "minus": "a", "metrics": metrics}])
    )
    assert ("lower is better" in words) == told
    assert "  pearson undefined" in words.splitlines()


def test_rows_and_counts_are_told():
    row = {
        "where": "t:3",
        "input": "x\ny",
        "truth": 1,
        "outputs": ["p" * 500, "q"],
        "scores": [0.5, None],
    }
    test = {"only_a": 4, "only_b": 1, "p_value": 0.375}
    metrics = {"accuracy": difference(mcnemar=test)}
    words = comparison_in_words(
        comparison(
            differences=[{"name": "b", "minus": "a", "metrics": metrics}],
            apart={"metric": "accuracy", "rows": [row]},
        )
    )
    assert "counted for b alone: 4 rows, for a alone: 1; p 0.3750 by McNemar's test" in words
    assert words.splitlines()[-4].strip() == r't:3: "x\ny"'
    assert "a (0.5): " in words
    assert r"(undefined): " in words
    assert max(map(len, words.splitlines())) < 150
