"""The README.md of a bundle: a header the Hub reads, and the scores in words."""

import re
from typing import Any

import yaml

from lowkey.reports.facts import Facts, metric_title, metric_unit
from lowkey.reports.quantities import MISSING, interval, quantity
from lowkey.reports.visible import one_line

_PIPELINES = {
    "translation": "translation",
    "classification": "text-classification",
    "multilabel": "text-classification",
    "regression": "text-classification",
    "tagging": "token-classification",
    "answering": "question-answering",
    "fill-mask": "fill-mask",
}
_LONGER = {
    "truncate": "cut",
    "window": "read in windows that overlap",
    "error": "refused",
}
_COSTS = {
    "trainable_parameters": " parameters trained",
    "training_seconds": " of training",
    "peak_memory_mib": " of memory at most",
}
_MOST_LABELS = 50
_LONGEST_NOTE = 4000
# Whatever Markdown, or the HTML inside it, could take for more than a letter.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|&~$:-])")


def model_card(facts: Facts, *, name: str, library: str = "lowkey", merged: bool = False) -> str:
    """Writes a model card.

    Args:
        facts: What the bundle says about itself.
        name: What the model is called.
        library: The library that loads the folder: ``lowkey``, or ``peft`` or
            ``transformers`` for an export.
        merged: Whether an adapter was merged into the weights, so that none is left.

    Returns:
        Markdown with a YAML header, as the Hugging Face Hub expects it in ``README.md``.
    """
    is_adapter = facts.method == "lora" and not merged
    header = yaml.safe_dump(
        _header(facts, name, library, is_adapter), sort_keys=False, allow_unicode=True
    )
    lines = [f"# {_plain(name)}", ""]
    if facts.base_model:
        how = "A LoRA adapter for" if is_adapter else "Tuned from"
        lines += [f"{how} {_plain(facts.base_model)}.", ""]
    if facts.labels:
        labels = ", ".join(_plain(label) for label in facts.labels[:_MOST_LABELS])
        more = len(facts.labels) - _MOST_LABELS
        lines += [f"Labels: {labels}" + (f" and {more} more." if more > 0 else "."), ""]
    lines += [line for note in _to_know(facts) for line in (_plain(note, _LONGEST_NOTE), "")]
    if facts.metrics:
        lines += ["| score | value | 95 % interval | examples |", "|---|---|---|---|"]
        for key, score in facts.metrics.items():
            unit = metric_unit(key)
            ends = interval(score.low, score.high, unit) or MISSING
            value, n = quantity(score.value, unit), quantity(score.n or None, "count")
            lines.append(f"| {_plain(metric_title(key))} | {value} | {ends} | {n} |")
        lines.append("")
    lines.append("Made with lowkey.")
    return f"---\n{header}---\n\n" + "\n".join(lines) + "\n"


def _to_know(facts: Facts) -> list[str]:
    """Says what the weights alone do not."""
    notes = [*_reads(facts), *_cost(facts)]
    notes += [note[:1].upper() + note[1:] for note in facts.notes]
    if facts.pooling not in ("", "auto"):
        states = {"first": "first last hidden state"}.get(
            facts.pooling, f"{one_line(facts.pooling)} of the last hidden states"
        )
        notes.append(f"The classifier reads the {states} of a text, without a pooler.")
    found = facts.calibration
    if found is not None:
        pairs = facts.thresholds[:_MOST_LABELS]
        each = ", ".join(f"{one_line(name, 40)} from {value:.3g} on" for name, value in pairs)
        notes.append(
            f"Divide the logits by {found.temperature:.3g} for probabilities that can be taken at"
            f" their word{f'; labels hold: {each}' if each else ''}. Fitted on {found.rows}"
            " validation rows."
        )
    return notes


def _reads(facts: Facts) -> list[str]:
    """Says how long a text may be."""
    if facts.max_length is None or facts.kind == "translation":
        return []
    longer = _LONGER.get(facts.long_texts)
    most = f"Reads at most {quantity(facts.max_length, 'count')} tokens at a time"
    return [f"{most}; longer texts are {longer}." if longer else f"{most}."]


def _cost(facts: Facts) -> list[str]:
    """Says what the training took."""
    counts = facts.counts
    parts = [
        f"{quantity(counts[key], metric_unit(key))}{words}"
        for key, words in _COSTS.items()
        if key in counts
    ]
    rows = counts.get("train_rows")
    if not parts:
        return []
    learned = f" from {quantity(rows, 'count')} rows" if rows else ""
    return [f"Learned{learned}: {', '.join(parts)}."]


def _header(facts: Facts, name: str, library: str, is_adapter: bool) -> dict[str, Any]:
    """Fills the metadata, leaving out what is not known."""
    pipeline = _PIPELINES.get(facts.kind)
    relation = "adapter" if is_adapter else "finetune"
    header: dict[str, Any] = {"library_name": library}
    if pipeline:
        header["pipeline_tag"] = pipeline
    if facts.base_model:
        header |= {"base_model": one_line(facts.base_model), "base_model_relation": relation}
    if facts.metrics:
        header["metrics"] = [one_line(key) for key in facts.metrics]
    if pipeline and facts.metrics:
        metrics = [
            {"type": one_line(key), "value": score.value} for key, score in facts.metrics.items()
        ]
        data = {"name": "held-out examples", "type": "custom"}
        result = {"task": {"type": pipeline}, "dataset": data, "metrics": metrics}
        header["model-index"] = [{"name": one_line(name), "results": [result]}]
    return header


def _plain(text: str, limit: int = 80) -> str:
    """Makes a foreign text stay text in Markdown."""
    return (
        _MARKUP.sub(r"\\\1", one_line(text, limit)).replace("\\<", "&lt;").replace("\\&", "&amp;")
    )
