"""Questions with the contexts that hold their answers, ready for an encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Integer, UInt8
from torch import Tensor

from lowkey.data.answer_places import check_answers
from lowkey.data.flat import FlatSequences
from lowkey.data.labelled import on_device
from lowkey.data.pieces import Pieces, take_apart
from lowkey.data.rows import Rows
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.windows import Fit, refuse_no_room, window_starts
from lowkey.errors import DataError
from lowkey.nn.layout import SequenceLayout

NOWHERE = -1
"""The character of a token that is none of a context."""


@dataclass(frozen=True, eq=False)
class QuestionBatch:
    """Some windows as the model takes them.

    Attributes:
        input_ids: The token ids of all windows, end to end.
        layout: Where each window lies.
        segment_ids: 1 for the tokens of the context, in families that tell the two texts apart so.
        spans: First and last token of the answer in each window, by their position in it; 0 twice
            where the window holds none. None without answers.
    """

    input_ids: Integer[Tensor, " tokens"]
    layout: SequenceLayout
    segment_ids: Integer[Tensor, " tokens"]
    spans: Integer[Tensor, "windows 2"] | None


@dataclass(frozen=True, eq=False)
class QuestionExamples:
    """All questions of a split, tokenized once, each with its context in one or more windows.

    Attributes:
        tokens: The token ids of each window: the question, then a part of the context.
        segments: The segment of each token.
        starts: The character of the context at which each token begins; -1 for any other token.
        ends: The character behind its last one.
        windows: How many windows each question has.
        contexts: The context of each question.
        answers: The right answers to each question, none where there is none; None if not known.
        spans: First and last token of the first answer in each window; None if not known.
        answer_lengths: How many tokens that answer has, in the context; 0 for none.
    """

    tokens: FlatSequences
    segments: UInt8[np.ndarray, " tokens"]
    starts: Int64[np.ndarray, " tokens"]
    ends: Int64[np.ndarray, " tokens"]
    windows: Int64[np.ndarray, " questions"]
    contexts: Sequence[str]
    answers: Sequence[Sequence[str]] | None = None
    spans: Int64[np.ndarray, "windows 2"] | None = None
    answer_lengths: Int64[np.ndarray, " questions"] | None = None

    @classmethod
    def from_rows(cls, rows: Rows, tokenizer: TextTokenizer, fit: Fit) -> "QuestionExamples":
        """Tokenizes rows with questions, contexts and answers.

        Args:
            rows: Rows with the columns of ``lowkey.data.answer_places.ANSWER_COLUMNS``.
            tokenizer: The tokenizer of the model.
            fit: How many tokens the model reads at once, and what becomes of longer contexts.

        Returns:
            The examples, in the order of the rows.

        Raises:
            DataError: If an answer is not where it is said to be, or for a reason of
                ``from_texts``.
        """
        check_answers(rows)
        answers = list(
            zip(rows.column("answers.text"), rows.column("answers.answer_start"), strict=True)
        )
        return cls.from_texts(
            rows.column("question"),
            rows.column("context"),
            tokenizer,
            fit,
            answers=answers,
            places=[rows.where(i) for i in range(len(rows))],
        )

    @classmethod
    def from_texts(
        cls,
        questions: Sequence[str],
        contexts: Sequence[str],
        tokenizer: TextTokenizer,
        fit: Fit,
        *,
        answers: Sequence[tuple[Sequence[str], Sequence[int]]] | None = None,
        places: Sequence[str] | None = None,
    ) -> "QuestionExamples":
        """Tokenizes questions and contexts, with the answers if they are known.

        Args:
            questions: The questions.
            contexts: The context of each.
            tokenizer: The tokenizer of the model.
            fit: How many tokens the model reads at once, and what becomes of longer contexts.
            answers: The right answers to each, and the character each of them begins at.
            places: How messages call each question; None counts them from 1.

        Returns:
            The examples, in the order of the questions.

        Raises:
            DataError: If a context is too long and is to be refused, if a question leaves no room
                for windows of its context, or if a text cannot be written as UTF-8.
        """
        # Many questions are about one context, which is tokenized once.
        known = {text: i for i, text in enumerate(dict.fromkeys(contexts))}
        pieces = take_apart(list(known), tokenizer)
        asked = tokenizer.encode(questions, special_tokens=False).tokens
        parts = np.split(asked.values, np.cumsum(asked.lengths)[:-1])
        frame, rows, spans, lengths, windows = tokenizer.frame, [], [], [], []
        for i, (question, context) in enumerate(zip(parts, contexts, strict=True)):
            part, where = pieces[known[context]], places[i] if places else f"question {i + 1}"
            room = (fit.max_length or 1_000_000) - frame.size(2) - len(question)
            starts = _starts(part, room, fit, where)
            span = _span(part, answers[i]) if answers else None
            before = frame.size(2) - 1 + len(question)
            for start in starts:
                window = slice(start, start + room)
                ids, segments = frame.around(question, part.ids[window])
                rows.append((ids, segments, *_characters(part, window, before)))
                spans.append(_inside(span, start, min(start + room, len(part.ids)), before))
            windows.append(len(starts))
            lengths.append(span[1] - span[0] + 1 if span else 0)
        columns = list(zip(*rows, strict=True))
        sizes = np.array([len(ids) for ids in columns[0]], dtype=np.int64)
        return cls(
            FlatSequences(np.concatenate(columns[0]), sizes),
            *(np.concatenate(column) for column in columns[1:]),
            windows=np.array(windows, dtype=np.int64),
            contexts=contexts,
            answers=[texts for texts, _ in answers] if answers else None,
            spans=np.array(spans, dtype=np.int64) if answers else None,
            answer_lengths=np.array(lengths, dtype=np.int64) if answers else None,
        )

    def __len__(self) -> int:
        """Returns the number of questions."""
        return len(self.windows)

    @property
    def lengths(self) -> Int64[np.ndarray, " windows"]:
        """Tokens of each window, special tokens included."""
        return self.tokens.lengths

    def notes(self, name: str, max_answer_length: int) -> list[str]:
        """Says what is read in windows, and what cannot be found.

        Args:
            name: What the questions are called, such as "train".
            max_answer_length: Most tokens of an answer that is found.

        Returns:
            A line about contexts that are read in several windows, one about answers that are too
            long, and one about questions without an answer; none where there are none.
        """
        said, long = [], int((self.windows > 1).sum())
        if long:
            said.append(
                f"note: {long / len(self):.1%} of the {name} questions have a context that is read"
                f" in several windows ({long} of {len(self)}; up to {self.windows.max()} windows)"
            )
        if self.answer_lengths is None or self.answers is None:
            return said
        longer = int((self.answer_lengths > max_answer_length).sum())
        if longer:
            said.append(
                f"note: {longer} of the {name} answers have more than {max_answer_length} tokens"
                " and cannot be found (data.max_answer_length)"
            )
        none = sum(not texts for texts in self.answers)
        if none:
            said.append(f"note: {none / len(self):.1%} of the {name} questions have no answer")
        return said

    def batch(self, ids: Sequence[int], device: torch.device | str = "cpu") -> QuestionBatch:
        """Lays some windows end to end.

        Args:
            ids: Positions of the windows, at least one.
            device: Where the tensors are to be.

        Returns:
            The batch, in the order of ``ids``.
        """
        chosen = self.tokens.take(ids)
        segments = self.tokens.aligned(self.segments).take(ids)
        return QuestionBatch(
            input_ids=on_device(chosen.values.astype(np.int64), device),
            layout=SequenceLayout(torch.from_numpy(chosen.lengths), device),
            segment_ids=on_device(segments.values.astype(np.int64), device),
            spans=None if self.spans is None else on_device(self.spans[list(ids)], device),
        )


def _starts(part: Pieces, room: int, fit: Fit, where: str) -> list[int]:
    """Lays windows over a context, or refuses it."""
    if len(part.ids) <= room:
        return [0]
    if fit.long_texts == "error":
        raise DataError(
            f"the context has {len(part.ids)} tokens, {max(room, 0)} fit beside the question",
            where=where,
            fix="shorten it, or set data.long_texts: window",
        )
    return window_starts(len(part.ids), refuse_no_room(room, fit, where, "it"), fit.shared)


def _span(part: Pieces, answers: tuple[Sequence[str], Sequence[int]]) -> tuple[int, int] | None:
    """Finds the tokens of the first of the right answers, which is the one that is learned."""
    texts, starts = answers
    return part.span(starts[0], starts[0] + len(texts[0])) if texts else None


def _characters(
    part: Pieces, window: slice, before: int
) -> tuple[Int64[np.ndarray, " tokens"], Int64[np.ndarray, " tokens"]]:
    """Says where in the context each token of a window begins and ends."""
    starts, ends = (
        np.pad(side[window], (before, 1), constant_values=NOWHERE)
        for side in (part.starts, part.ends)
    )
    return starts, ends


def _inside(span: tuple[int, int] | None, start: int, end: int, before: int) -> tuple[int, int]:
    """Says where an answer stands in a window; at the begin token if it is not wholly there."""
    if span is None or span[0] < start or span[1] >= end:
        return 0, 0
    return before + span[0] - start, before + span[1] - start
