"""From source texts to target texts: tokens, batches, the search that is asked for, and back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from lowkey import runtime
from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.pairs import flat_batch
from lowkey.errors import DataError, shown
from lowkey.pipelines.batch_search import BatchSearch
from lowkey.pipelines.decoding import Decoding, refuse_nbest
from lowkey.pipelines.long_texts import Long, fit_texts

if TYPE_CHECKING:
    from lowkey.pipelines.translator import Translator

# Source tokens times rows: what one batch of the search holds in its caches.
SEARCH_TOKENS = 4096


class Output(NamedTuple):
    """One output for a text.

    Attributes:
        text: The target text.
        score: Log probability over the length penalty.
    """

    text: str
    score: float


@dataclass(frozen=True)
class Request:
    """What is wanted of some texts.

    Attributes:
        decoding: How they are decoded.
        nbest: Outputs of each text: the best that the beams found, or so many samples.
        long: What to do with texts longer than the model reads.
        prefixes: What the output of each text is made to begin with; None: nothing.
        numbers: The number of each text, from which its samples depend; None counts from 1.
        places: How messages call each text; None goes by the numbers.
        tell: Called after each batch with the number of texts, or pieces, that are done.
    """

    decoding: Decoding
    nbest: int = 1
    long: Long = "error"
    prefixes: Sequence[str] | None = None
    numbers: Sequence[int] | None = None
    places: Sequence[str] | None = None
    tell: Callable[[int], None] | None = None


@dataclass(frozen=True)
class Generated:
    """What came of some texts.

    Attributes:
        outputs: For each text its outputs, best first; samples in the order they were drawn.
        num_long: How many texts were cut or split.
    """

    outputs: list[list[Output]]
    num_long: int


@torch.inference_mode()
def generate(translator: "Translator", texts: Sequence[str], request: Request) -> Generated:
    """Translates, in the order of the texts.

    Args:
        translator: The model.
        texts: Source texts.
        request: What is wanted.

    Returns:
        The outputs.

    Raises:
        ConfigError: If the parts of the request do not fit each other or the model.
        DataError: If a text is too long and is to be refused, or a prefix cannot be written in
            the model's tokens or is too long.
    """
    decoding, nbest = request.decoding, request.nbest
    refuse_nbest(decoding, nbest, split=request.long == "split")
    translator.refuse_unnumbered(decoding)
    numbers = request.numbers or range(1, len(texts) + 1)
    places = request.places or [f"text {number}" for number in numbers]
    prefixes = _prefixes(request, translator.target_tokenizer, places)
    fitting = fit_texts(
        texts,
        translator.source_tokenizer,
        translator.longest_source,
        long=request.long,
        places=places,
    )
    # The first piece of a text carries its prefix, and its number as it is.
    given = [
        prefixes[owner] if part == 0 else []
        for owner, part in zip(fitting.owners, fitting.parts, strict=True)
    ]
    sentence_ids = [
        numbers[owner] if part == 0 else runtime.seed_for("piece", numbers[owner], part)
        for owner, part in zip(fitting.owners, fitting.parts, strict=True)
    ]
    found: dict[int, list[Output]] = {}
    rows = nbest if decoding.sample else decoding.num_beams
    for ids in plan_evaluation_batches(fitting.sources.lengths, max(1, SEARCH_TOKENS // rows)):
        source_ids, layout = flat_batch(fitting.sources.take(ids), translator.device)
        search = BatchSearch(
            decoding,
            translator.begin_id,
            translator.target_tokenizer.end_id,
            layout,
            [given[i] for i in ids],
            nbest,
        )
        start = translator.model.start(source_ids, layout)
        hypotheses = search.run(start, [sentence_ids[i] for i in ids])
        for i, some in zip(ids, hypotheses, strict=True):
            decode = translator.target_tokenizer.decode
            found[i] = [Output(decode(one.token_ids), one.score) for one in some]
        if request.tell:
            request.tell(len(ids))
    return Generated(_joined(found, fitting.owners, len(texts)), fitting.num_long)


def answer(outputs: Sequence[Output], *, nbest: int, scores: bool) -> dict[str, Any]:
    """Writes the outputs of a text as a JSON-ready answer.

    Args:
        outputs: The outputs.
        nbest: How many were asked for.
        scores: Whether each says its score.

    Returns:
        ``{"text"}`` of the first, with scores ``"score"`` too; where more than one was asked for
        ``"nbest"`` is a list of such answers, one for each output.
    """
    each = [{"text": o.text, **({"score": o.score} if scores else {})} for o in outputs]
    return {**each[0], "nbest": each} if nbest > 1 else each[0]


def _prefixes(request: Request, tokenizer: PairTokenizer, places: Sequence[str]) -> list[list[int]]:
    """Tokenizes the prefixes; one that the model cannot say, or not in time, is refused."""
    if request.prefixes is None:
        return [[] for _ in places]
    flat = tokenizer.encode(request.prefixes, special_tokens=False).tokens
    tokens = [flat.take([i]).values.tolist() for i in range(len(flat))]
    for place, text, ids in zip(places, request.prefixes, tokens, strict=True):
        if tokenizer.unknown_id in ids:
            what = f"the prefix {shown(text)} holds what the target vocabulary lacks"
            raise DataError(what, where=place, fix="write it as the targets are written")
        if len(ids) >= request.decoding.max_length:
            what = f"the prefix {shown(text)} has {len(ids)} tokens"
            fix = f"max_length {request.decoding.max_length} leaves no room for more"
            raise DataError(what, where=place, fix=fix)
    return tokens


def _joined(
    found: Mapping[int, list[Output]], owners: Sequence[int], num_texts: int
) -> list[list[Output]]:
    """Puts the outputs of the pieces of a text together: their texts, and their scores summed."""
    pieces: list[list[list[Output]]] = [[] for _ in range(num_texts)]
    for i, owner in enumerate(owners):
        pieces[owner].append(found[i])
    return [
        some[0]
        if len(some) == 1
        else [Output(" ".join(b[0].text for b in some), sum(b[0].score for b in some))]
        for some in pieces
    ]
