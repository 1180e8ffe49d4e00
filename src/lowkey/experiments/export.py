"""Hands a trained model to other libraries: as a PEFT adapter, or whole, adapters merged."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from lowkey.errors import ConfigError
from lowkey.experiments.export_translator import (
    write_adapter,
    write_marian,
    write_whole,
)
from lowkey.experiments.samples import BETWEEN
from lowkey.files import refuse_full_folder, staged_folder, write_text
from lowkey.lora.inject import adapters, merge_all, unmerge_all
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.head import HEAD_FILE
from lowkey.pipelines.load import load
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.tagger import Tagger
from lowkey.pipelines.translator import Translator
from lowkey.reports.facts import facts_from
from lowkey.reports.model_card import model_card

Format = Literal["peft", "merged", "marian"]


def export(run: Path, *, format: Format, out: Path, base: str | None = None) -> str:
    """Writes the model of a run in a format that other libraries read.

    Args:
        run: The run folder, or a bundle.
        format: "peft" for an adapter that peft loads; "merged" for an encoder, "marian" for a
            translation model, that transformers loads; "merged" of a translation model for one
            that lowkey loads.
        out: The folder to write; must not exist, or be empty.
        base: Where the base model is, if not where it was in training.

    Returns:
        What was written, and how far the merged model's logits are from the adapted one's.

    Raises:
        ConfigError: If the model has no such form, or the folder holds something.
        LowkeyError: If the model is not usable.
    """
    refuse_full_folder(out, where="--out")
    pipeline = load(run, base=base)
    if isinstance(pipeline, Translator):
        return _export_translator(pipeline, format, out)
    if format == "marian":
        raise ConfigError(
            f"{run} is an encoder for {pipeline.facts.kind}, and marian a form of translators",
            where="--format",
            fix="use --format merged",
        )
    adapted = adapters(pipeline.model)
    pooling = pipeline.facts.pooling
    if pooling != "auto" and (format == "merged" or not adapted):
        raise ConfigError(
            f"{run} was trained with model.pooling: {pooling}, for which transformers has no class",
            where="--format",
            fix="use --format peft for the encoder's part" if adapted else "open it with lowkey",
        )
    if format == "peft" and not adapted:
        raise ConfigError(
            f"{run} was trained by the method {pipeline.facts.method} and has no adapter",
            where="--format",
            fix="use --format merged",
        )
    with staged_folder(out) as folder:
        write = _write_adapter if format == "peft" else _write_merged
        said = write(pipeline, folder)
        pipeline.save_tokenizer(folder)
        facts = facts_from(pipeline.facts.model_dump(mode="json"))
        library = "peft" if format == "peft" else "transformers"
        card = model_card(facts, name=out.name, library=library, merged=format == "merged")
        write_text(folder / "README.md", card)
    return f"{out}: {said}"


def _export_translator(pipeline: Translator, format: Format, out: Path) -> str:
    forms = {
        "peft": (write_adapter, "peft"),
        "merged": (write_whole, "lowkey"),
        "marian": (write_marian, "transformers"),
    }
    write, library = forms[format]
    with staged_folder(out) as folder:
        said = write(pipeline, folder)
        facts = facts_from(pipeline.facts.model_dump(mode="json"))
        card = model_card(facts, name=out.name, library=library, merged=format != "peft")
        write_text(folder / "README.md", card)
    return f"{out}: {said}"


def _write_adapter(pipeline: TextClassifier | Tagger | Answerer | MaskFiller, folder: Path) -> str:
    pipeline.save_adapter(folder)
    count, base = len(adapters(pipeline.model)), pipeline.facts.base_model or ""
    said = f"a PEFT adapter of {count} modules for {base}"
    if pipeline.facts.pooling != "auto":
        said += (
            f"; model.pooling: {pipeline.facts.pooling} is none of peft's tasks, so that it adapts"
            f" the encoder alone (FEATURE_EXTRACTION) and {HEAD_FILE} holds the head"
        )
    return said


def _write_merged(pipeline: TextClassifier | Tagger | Answerer | MaskFiller, folder: Path) -> str:
    """Merges in fp32, from the original base, and measures what the merging changed."""
    texts = [str(sample["source"]) for sample in pipeline.facts.samples] or ["a", "b c"]
    logits = _logits_of(pipeline, texts)
    before = logits()
    merge_all(pipeline.model)
    difference = float(np.abs(logits() - before).max())
    pipeline.save_whole(folder)
    unmerge_all(pipeline.model)
    return (
        "a whole model for transformers; merging moved the logits of"
        f" {len(texts)} texts by at most {difference:.1e}"
    )


def _logits_of(
    pipeline: TextClassifier | Tagger | Answerer | MaskFiller, texts: Sequence[str]
) -> Callable[[], np.ndarray]:
    """Tokenizes some texts once, to compute their logits as often as wanted."""
    if isinstance(pipeline, MaskFiller):
        masked = pipeline.examples_of(texts)
        return lambda: pipeline.logits(masked)
    if isinstance(pipeline, Tagger):
        sentences = pipeline.examples_of(texts)
        return lambda: pipeline.logits(sentences)
    # A sample shows both texts of a pair in one.
    parts = [text.partition(BETWEEN) for text in texts]
    first, second = [part[0] for part in parts], [part[2] for part in parts]
    if isinstance(pipeline, Answerer):
        asked = pipeline.examples_of(first, second)
        return lambda: pipeline.logits(asked)
    if pipeline.facts.pairs:
        pairs = pipeline.examples_of(first, second)
        return lambda: pipeline.logits(pairs)
    examples = pipeline.examples_of(texts)
    return lambda: pipeline.logits(examples)
