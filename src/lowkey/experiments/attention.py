"""Where a trained model looks: its attention weights over one text, as a page or a picture."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lowkey.data.labelled import LabelledExamples
from lowkey.data.labelled_batch import LabelledBatch
from lowkey.data.pairs import encode_sources, flat_batch
from lowkey.data.questions import QuestionBatch
from lowkey.data.tagged import TaggedBatch
from lowkey.data.windows import Fit
from lowkey.decoding.greedy import greedy
from lowkey.decoding.rules import Ban
from lowkey.errors import ConfigError, DataError
from lowkey.files import write_bytes, write_text
from lowkey.nn.layout import SequenceLayout
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.load import AnyPipeline
from lowkey.pipelines.long_texts import fit_texts
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.tagger import Tagger
from lowkey.pipelines.translator import Translator
from lowkey.reports.attention import attention_maps, collect_attention
from lowkey.reports.attention_page import attention_page, attention_png, attention_svg
from lowkey.reports.heatmaps import AttentionKind, AttentionMap


def attention_of(
    pipeline: AnyPipeline,
    text: str,
    pair: str | None = None,
    *,
    target: str | None = None,
) -> list[AttentionMap]:
    """Lets a model read one text and keeps where each head looked.

    A Transformer writes its output first, greedily, unless a target is given; then it reads source
    and target once more, as in training. Only this one text is computed with its weights kept.

    Args:
        pipeline: The model.
        text: The text, or a question.
        pair: The second text, for a classifier of pairs; the context of a question.
        target: What a Transformer is to have written, in place of its own output.

    Returns:
        One map for each attention. A row of a decoder's cross-attention is named after the token
        that was written there, a row of its self-attention after the token that was read.

    Raises:
        ConfigError: If the model has no use for ``pair`` or ``target``, or needs a ``pair``.
        DataError: If the target is longer than what the model was trained on, or if the text does
            not fit into one window of a model that reads in windows.
    """
    with torch.inference_mode():
        if isinstance(pipeline, Translator):
            if pair is not None:
                fix = "leave it out; --target gives a translation"
                raise ConfigError("a Transformer reads one text", where="--pair", fix=fix)
            return _of_translator(pipeline, text, target)
        if target is not None:
            raise ConfigError("only a Transformer writes", where="--target", fix="leave it out")
        if isinstance(pipeline, Tagger):
            if pair is not None:
                raise ConfigError("a tagger reads one text", where="--pair", fix="leave it out")
            return _of_encoder(pipeline, pipeline.examples_of([text]).batch([0], pipeline.device))
        if isinstance(pipeline, MaskFiller):
            if pair is not None:
                what = "a masked-language model reads one text"
                raise ConfigError(what, where="--pair", fix="leave it out")
            fit = Fit(pipeline.facts.max_length, "truncate", None)
            alone = LabelledExamples.from_texts([text], None, pipeline.tokenizer, fit=fit)
            return _of_encoder(pipeline, alone.batch([0], pipeline.device))
        if isinstance(pipeline, Answerer):
            if pair is None:
                raise ConfigError("a question needs a context", where="--pair", fix="give it there")
            examples = pipeline.examples_of([text], [pair])
        else:
            examples = pipeline.examples_of([text], None if pair is None else [pair])
        if len(examples.tokens) > 1:
            what = f"the text is longer than the {pipeline.facts.max_length} tokens of one window"
            raise DataError(what, fix="give a part of it")
        return _of_encoder(pipeline, examples.batch([0], pipeline.device))


def choose(
    maps: Sequence[AttentionMap],
    *,
    kind: AttentionKind | None = None,
    layer: int | None = None,
    head: int | None = None,
) -> list[AttentionMap]:
    """Keeps the maps that somebody wants to look at.

    Args:
        maps: Those of a model.
        kind: ``encoder``, ``decoder`` or ``cross``; None keeps all.
        layer: Number of the layer, from 1; None keeps all.
        head: Number of the head, from 1; None keeps all.

    Returns:
        The maps that are left, in their order.

    Raises:
        ConfigError: If none is left.
    """
    kept = list(maps)
    if kind is not None:
        kept = _unless_none([one for one in kept if one.kind == kind], "--kind", kind)
    if layer is not None:
        kept = _unless_none([one for one in kept if one.layer == layer], "--layer", layer)
    if head is not None:
        found = [(one, one.numbers.index(head)) for one in kept if head in one.numbers]
        kept = _unless_none(
            [replace(one, weights=one.weights[[i]], numbers=(head,)) for one, i in found],
            "--head",
            head,
        )
    return kept


def _unless_none(kept: list[AttentionMap], where: str, wanted: str | int) -> list[AttentionMap]:
    if not kept:
        what = f"there is no {where.removeprefix('--')} {wanted} to look at"
        raise ConfigError(what, where=where, fix="leave it out to see which there are")
    return kept


def _of_encoder(
    pipeline: TextClassifier | Tagger | Answerer | MaskFiller,
    batch: LabelledBatch | TaggedBatch | QuestionBatch,
) -> list[AttentionMap]:
    # What stands on the encoder looks at nothing.
    segment_ids = None if isinstance(batch, TaggedBatch) else batch.segment_ids
    with collect_attention(pipeline.model) as weights:
        pipeline.model.encoder(batch.input_ids, batch.layout, segment_ids)
    tokens = pipeline.tokenizer.tokens(batch.input_ids.tolist())
    return attention_maps(weights, lambda _: (tokens, tokens))


def _of_translator(pipeline: Translator, text: str, target: str | None) -> list[AttentionMap]:
    model, device, tokenizer = pipeline.model, pipeline.device, pipeline.target_tokenizer
    fix = "give a shorter one"
    fitting = fit_texts([text], pipeline.source_tokenizer, pipeline.longest_source, fix=fix)
    source_ids, source_layout = flat_batch(fitting.sources, device)
    if target is None:
        writing = _written(pipeline, source_ids, source_layout)
    else:
        writing = _given(pipeline, target)
    read = [pipeline.begin_id, *writing[:-1]]
    layout = SequenceLayout([len(read)], device)
    with collect_attention(model) as weights:
        model(source_ids, source_layout, torch.tensor(read, device=device), layout)
    source = pipeline.source_tokenizer.tokens(source_ids.tolist())
    known, written = tokenizer.tokens(read), tokenizer.tokens(writing)

    def tokens(module: str) -> tuple[Sequence[str], Sequence[str]]:
        if module.startswith("encoder_blocks"):
            return source, source
        return (written, source) if module.endswith("cross_attention") else (known, known)

    return attention_maps(weights, tokens)


def _written(pipeline: Translator, source_ids: Tensor, layout: SequenceLayout) -> list[int]:
    """Lets the model write."""
    tokenizer = pipeline.target_tokenizer
    (found,) = greedy(
        pipeline.model.start(source_ids, layout),
        begin_id=pipeline.begin_id,
        end_id=tokenizer.end_id,
        max_length=int(pipeline.decoding.max_length),
        rules=[Ban(pipeline.decoding.banned_ids)],
    )
    # An output that was cut off at its greatest length has no end token.
    return [*found.token_ids, *([tokenizer.end_id] if found.finished else [])]


def _given(pipeline: Translator, target: str) -> list[int]:
    """Takes a target in place of what the model would write; it is never cut."""
    sequences = encode_sources([target], pipeline.target_tokenizer)
    ids = sequences.values.tolist()
    longest = pipeline.facts.max_length
    if longest is not None and len(ids) > longest:
        what = f"the target has {len(ids)} tokens, the model was trained on at most {longest}"
        raise DataError(what, where="--target", fix="give a shorter one")
    return ids


def write_attention(
    maps: Sequence[AttentionMap], text: str, path: Path, *, target: str | None = None
) -> None:
    """Writes attention weights where people can look at them.

    Args:
        maps: The layers.
        text: What the model read.
        path: The file; one that ends in .png or .svg becomes a picture, any other a page.
        target: What the model was to write, if that was given to it.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending == ".png":
        write_bytes(path, attention_png(maps))
    elif ending == ".svg":
        write_text(path, attention_svg(maps))
    else:
        read = text if target is None else f"{text}\nto be written: {target}"
        write_text(path, attention_page(maps, subtitle=read))
