"""Some rows with what a model makes of them, for the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowkey.data.rows import Rows
from lowkey.experiments.splits import spread
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.text_scores import allowed_targets

NUM_SAMPLES = 20


def label_samples(classifier: TextClassifier, rows: Rows) -> list[dict[str, Any]]:
    """Shows what a classifier makes of rows spread evenly over the set.

    Args:
        classifier: The classifier.
        rows: Rows with text and label.

    Returns:
        source, target, prediction and, for classes, whether it is correct.
    """
    chosen = spread(rows, NUM_SAMPLES)
    pairs = list(chosen.column("text_pair")) if "text_pair" in rows.columns else None
    answers = classifier.predict(list(chosen.column("text")), pairs)
    samples: list[dict[str, Any]] = []
    for row, answer in zip(chosen, answers, strict=True):
        source = f"{row['text']} ‖ {row['text_pair']}" if pairs else row["text"]
        sample = {"source": source, "target": str(row["label"]), "correct": None}
        if "label" in answer:
            right = answer["label"] == sample["target"]
            samples.append({**sample, "prediction": answer["label"], "correct": right})
        else:
            samples.append({**sample, "prediction": f"{answer['score']:.2f}"})
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
