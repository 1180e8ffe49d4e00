"""A fine-tuned encoder on questions: the part of a text that answers each, or that none does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.questions import QuestionExamples
from lowkey.data.rows import Rows
from lowkey.hf.answerer import answerer_names, load_answerer, save_answerer
from lowkey.hf.encoder_families import EncoderNames
from lowkey.metrics.measure import Measure
from lowkey.metrics.null_threshold import best_threshold
from lowkey.metrics.squad import best_f1, squad_measures
from lowkey.models.config import EncoderFamily
from lowkey.models.span_head import SpanClassifier
from lowkey.pipelines.encoder_pipeline import BATCH_TOKENS, EncoderPipeline
from lowkey.pipelines.found import Found, best_answers

NO_ANSWER = "(no answer)"
"""What people read where there is none."""


class Answerer(EncoderPipeline[SpanClassifier, QuestionExamples]):
    """A finder of answers with its tokenizer."""

    @staticmethod
    def load_model(
        folder: Path, num_labels: int = 2, *, generator: torch.Generator | None = None
    ) -> SpanClassifier:
        """Loads the network; see :func:`lowkey.hf.answerer.load_answerer`.

        Args:
            folder: A Hugging Face folder.
            num_labels: Has no effect: there are always two scores.
            generator: Draws what is missing.

        Returns:
            The network.
        """
        return load_answerer(folder, generator=generator)

    @staticmethod
    def names(family: EncoderFamily) -> EncoderNames:
        """Names the modules of the network as other libraries do.

        Args:
            family: The family of its encoder.

        Returns:
            The names.
        """
        return answerer_names(family)

    def save_whole(self, folder: Path) -> None:
        """Writes the whole network as a folder that transformers loads; adapters must be merged.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        save_answerer(self.model, folder)

    def examples(self, rows: Rows) -> QuestionExamples:
        """Tokenizes rows with questions, contexts and answers.

        Args:
            rows: The rows.

        Returns:
            The examples.

        Raises:
            DataError: If an answer is not where it is said to be, or a context cannot be read.
        """
        return QuestionExamples.from_rows(rows, self.tokenizer, self.facts.fit)

    def examples_of(
        self,
        questions: Sequence[str],
        contexts: Sequence[str],
        *,
        places: Sequence[str] | None = None,
    ) -> QuestionExamples:
        """Tokenizes questions and contexts without answers.

        Args:
            questions: The questions.
            contexts: The context of each.
            places: How messages call each question; None counts them from 1.

        Returns:
            The examples.

        Raises:
            DataError: If a question leaves no room for its context, or a context is longer than a
                model reads that was trained to refuse it.
        """
        return QuestionExamples.from_texts(
            questions, contexts, self.tokenizer, self.facts.fit, places=places
        )

    @torch.inference_mode()
    def logits(self, examples: QuestionExamples) -> Float32[np.ndarray, "tokens 2"]:
        """Scores the tokens of all windows, and gives them back in their order.

        Args:
            examples: Tokenized questions.

        Returns:
            How well each token begins an answer, and how well it ends one.
        """
        training = self.model.training
        self.model.eval()
        starts, lengths = examples.tokens.starts, examples.lengths
        output = np.empty((int(lengths.sum()), 2), dtype=np.float32)
        for ids in plan_evaluation_batches(lengths, BATCH_TOKENS):
            batch = examples.batch(ids, self.device)
            logits = self.model(batch.input_ids, batch.layout, batch.segment_ids).cpu().numpy()
            for i, part in zip(ids, np.split(logits, np.cumsum(lengths[ids])[:-1]), strict=True):
                output[starts[i] : starts[i] + lengths[i]] = part
        self.model.train(training)
        return output

    def find(self, examples: QuestionExamples) -> Found:
        """Finds the best answer to each question, over all of its windows.

        Args:
            examples: Tokenized questions.

        Returns:
            One answer for each.
        """
        return best_answers(self.logits(examples), examples, self.facts.max_answer_length)

    def texts(self, examples: QuestionExamples, found: Found | None = None) -> list[str | None]:
        """Answers questions.

        Args:
            examples: Tokenized questions.
            found: What was found for them, if that is known already.

        Returns:
            An answer to each, a part of its context as it stands there; None for no answer.
        """
        return [answer["answer"] for answer in self.answers(examples, found)]

    def fit_threshold(self, examples: QuestionExamples, found: Found) -> None:
        """Chooses from which margin on a question has no answer, so that F1 is highest.

        Args:
            examples: Questions with answers that the model was not trained on.
            found: What was found for them.
        """
        assert examples.answers is not None, "a threshold is chosen by the truth"
        texts = [
            c[s:e] for c, s, e in zip(examples.contexts, found.starts, found.ends, strict=True)
        ]
        answered = [best_f1(*pair) for pair in zip(texts, examples.answers, strict=True)]
        unanswered = [best_f1("", right) for right in examples.answers]
        threshold = best_threshold(found.margins, np.array(answered), np.array(unanswered))
        self.facts = self.facts.model_copy(update={"null_threshold": threshold})

    def measures(
        self, examples: QuestionExamples, found: Found | None = None
    ) -> dict[str, Measure]:
        """Measures how good the model is.

        Args:
            examples: Examples with answers.
            found: What was found for them, if that is known already.

        Returns:
            See :func:`lowkey.metrics.squad.squad_measures`.
        """
        assert examples.answers is not None, "scoring needs answers"
        return squad_measures(self.texts(examples, found), examples.answers)

    def predict(self, questions: Sequence[str], contexts: Sequence[str]) -> list[dict[str, Any]]:
        """Answers questions, in their order.

        Args:
            questions: The questions.
            contexts: The text of each that is to answer it.

        Returns:
            For each ``answer``, the part of the context from the character ``start`` up to ``end``,
            and ``score``, its probability in the window in which it was found. The first three are
            None where a model that was trained on such questions finds no answer; ``score`` is
            then the probability of that.

        Raises:
            DataError: If a question leaves no room for its context, or a context is longer than a
                model reads that was trained to refuse it.
        """
        return self.answers(self.examples_of(questions, contexts)) if len(questions) else []

    def answers(
        self, examples: QuestionExamples, found: Found | None = None
    ) -> list[dict[str, Any]]:
        """Answers what has been tokenized already.

        Args:
            examples: Tokenized questions.
            found: What was found for them, if that is known already.

        Returns:
            See :meth:`predict`.
        """
        found, threshold = found or self.find(examples), self.facts.null_threshold
        absent = found.starts >= found.ends
        if threshold is not None:
            absent |= found.margins > threshold
        answers: list[dict[str, Any]] = []
        for i, context in enumerate(examples.contexts):
            start, end = int(found.starts[i]), int(found.ends[i])
            if absent[i]:
                score = float(found.null_scores[i])
                answers.append({"answer": None, "start": None, "end": None, "score": score})
            else:
                place = {"start": start, "end": end, "score": float(found.scores[i])}
                answers.append({"answer": context[start:end], **place})
        return answers
