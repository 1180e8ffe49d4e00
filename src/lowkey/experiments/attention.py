"""Where a trained model looks: its attention weights over one text, as a page or a picture."""

from collections.abc import Sequence
from pathlib import Path

import torch

from lowkey.data.labelled import LabelledExamples
from lowkey.data.pairs import flat_batch
from lowkey.decoding.greedy import greedy
from lowkey.decoding.rules import Ban
from lowkey.files import write_bytes, write_text
from lowkey.nn.layout import SequenceLayout
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.long_texts import fit_texts
from lowkey.pipelines.translator import Translator
from lowkey.reports.attention import attention_maps, collect_attention
from lowkey.reports.attention_page import attention_page, attention_png
from lowkey.reports.heatmaps import AttentionMap


def attention_of(
    pipeline: TextClassifier | Translator, text: str, pair: str | None = None
) -> list[AttentionMap]:
    """Lets a model read one text and keeps where each head looked.

    A Transformer writes its output first, greedily; then it reads source and output once more, as
    in training.

    Args:
        pipeline: The model.
        text: The text.
        pair: The second text, for a classifier of pairs.

    Returns:
        One map for each attention. A row of a decoder's cross-attention is named after the token
        that was written there, a row of its self-attention after the token that was read.
    """
    with torch.inference_mode():
        if isinstance(pipeline, Translator):
            return _of_translator(pipeline, text)
        return _of_classifier(pipeline, text, pair)


def _of_classifier(pipeline: TextClassifier, text: str, pair: str | None) -> list[AttentionMap]:
    pairs = None if pair is None else [pair]
    examples = LabelledExamples.from_texts(
        [text], pairs, pipeline.tokenizer, max_length=pipeline.facts.max_length
    )
    batch = examples.batch([0], pipeline.device)
    with collect_attention(pipeline.model) as weights:
        pipeline.model(batch.input_ids, batch.layout, batch.segment_ids)
    tokens = pipeline.tokenizer.tokens(batch.input_ids.tolist())
    return attention_maps(weights, lambda _: (tokens, tokens))


def _of_translator(pipeline: Translator, text: str) -> list[AttentionMap]:
    model, device, tokenizer = pipeline.model, pipeline.device, pipeline.target_tokenizer
    fitting = fit_texts([text], pipeline.source_tokenizer, pipeline.longest_source)
    source_ids, source_layout = flat_batch(fitting.sources, device)
    (found,) = greedy(
        model.start(source_ids, source_layout),
        begin_id=pipeline.begin_id,
        end_id=tokenizer.end_id,
        max_length=int(pipeline.decoding.max_length),
        rules=[Ban(pipeline.decoding.banned_ids)],
    )
    # An output that was cut off at its greatest length has no end token.
    writing = [*found.token_ids, *([tokenizer.end_id] if found.finished else [])]
    read = [pipeline.begin_id, *writing[:-1]]
    layout = SequenceLayout([len(read)], device)
    with collect_attention(model) as weights:
        model(source_ids, source_layout, torch.tensor(read, device=device), layout)
    source = pipeline.source_tokenizer.tokens(source_ids.tolist())
    target = tokenizer.tokens(read)
    written = tokenizer.tokens(writing)

    def tokens(module: str) -> tuple[Sequence[str], Sequence[str]]:
        if module.startswith("encoder_blocks"):
            return source, source
        return (written, source) if module.endswith("cross_attention") else (target, target)

    return attention_maps(weights, tokens)


def write_attention(maps: Sequence[AttentionMap], text: str, path: Path) -> None:
    """Writes attention weights where people can look at them.

    Args:
        maps: The layers.
        text: What the model read.
        path: The file; one that ends in .png becomes a picture, any other a page.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    if path.suffix.lower() == ".png":
        write_bytes(path, attention_png(maps))
    else:
        write_text(path, attention_page(maps, subtitle=text))
