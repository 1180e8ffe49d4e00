"""Some rows with what a model makes of them, for the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowkey.data.labels import label_name
from lowkey.data.rows import Rows
from lowkey.experiments.splits import spread
from lowkey.metrics.squad import is_exact
from lowkey.pipelines.answerer import NO_ANSWER, Answerer
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.sentences import tags_in_words
from lowkey.pipelines.tagger import Tagger
from lowkey.pipelines.text_scores import allowed_targets

NUM_SAMPLES = 20
BETWEEN = " ‖ "
"""Stands between the two texts of a sample."""


def label_samples(
    classifier: TextClassifier | Tagger | Answerer | MaskFiller, rows: Rows
) -> list[dict[str, Any]]:
    """Shows what an encoder makes of rows spread evenly over the set.

    Args:
        classifier: A classifier, a tagger, a finder of answers or a masked-language model.
        rows: Rows with what it reads, and the truth; for the last with text alone.

    Returns:
        source, target, prediction and, but for numbers, whether it is correct.
    """
    chosen = spread(rows, NUM_SAMPLES)
    if isinstance(classifier, Tagger):
        return _tag_samples(classifier, chosen)
    if isinstance(classifier, Answerer):
        return _answer_samples(classifier, chosen)
    if isinstance(classifier, MaskFiller):
        return classifier.samples(classifier.examples(chosen))
    pairs = list(chosen.column("text_pair")) if "text_pair" in rows.columns else None
    answers = classifier.predict(list(chosen.column("text")), pairs)
    samples: list[dict[str, Any]] = []
    for row, answer in zip(chosen, answers, strict=True):
        source = f"{row['text']}{BETWEEN}{row['text_pair']}" if pairs else row["text"]
        sample = {"source": source, "target": _in_words(row["label"]), "correct": None}
        if "score" not in answer:
            said = answer["label"] if "label" in answer else answer["labels"]
            right = _in_words(said) == sample["target"]
            samples.append({**sample, "prediction": _in_words(said), "correct": right})
        else:
            samples.append({**sample, "prediction": f"{answer['score']:.2f}"})
    return samples


def _in_words(label: Any) -> str:
    """Writes a label, or several in one order."""
    if not isinstance(label, list):
        return label_name(label)
    return ", ".join(sorted({label_name(one) for one in label})) or "(none)"


def _tag_samples(tagger: Tagger, rows: Rows) -> list[dict[str, Any]]:
    """Writes each word with its tag behind a slash."""
    samples = []
    for row, answer in zip(rows, tagger.predict(rows.column("tokens")), strict=True):
        truth = [label_name(tag) for tag in row["tags"]]
        samples.append(
            {
                "source": " ".join(row["tokens"]),
                "target": tags_in_words(row["tokens"], truth),
                "prediction": tags_in_words(row["tokens"], answer["tags"]),
                "correct": answer["tags"] == truth,
            }
        )
    return samples


def _answer_samples(answerer: Answerer, rows: Rows) -> list[dict[str, Any]]:
    """Writes each question with its context behind it."""
    samples = []
    for row, answer in zip(rows, answerer.texts(answerer.examples(rows)), strict=True):
        samples.append(
            {
                "source": f"{row['question']}{BETWEEN}{row['context']}",
                "target": (row["answers.text"] or [NO_ANSWER])[0],
                "prediction": answer or NO_ANSWER,
                "correct": is_exact(answer or "", row["answers.text"]),
            }
        )
    return samples


def text_samples(rows: Rows, outputs: Sequence[str]) -> list[dict[str, Any]]:
    """Shows outputs spread evenly over the set.

    Args:
        rows: Rows with source and target.
        outputs: What the model wrote for each.

    Returns:
        source, target, prediction and whether it equals an allowed target.
    """
    allowed = allowed_targets(rows)
    chosen = np.linspace(0, len(rows) - 1, min(NUM_SAMPLES, len(rows))).astype(int)
    return [
        {
            "source": rows[i]["source"],
            "target": allowed[i][0],
            "prediction": outputs[i],
            "correct": outputs[i] in allowed[i],
        }
        for i in chosen.tolist()
    ]
