"""A fine-tuned encoder on sentences of words: a tag for each word, and the entities they mark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.flat import FlatSequences
from lowkey.data.labels import LabelMap
from lowkey.data.rows import Rows
from lowkey.data.tagged import TaggedExamples
from lowkey.hf.encoder_families import EncoderNames
from lowkey.hf.tagger import load_tagger, save_tagger, tagger_names
from lowkey.metrics.entities import entities, marks_entities
from lowkey.metrics.measure import Measure
from lowkey.metrics.tagging import tag_measures
from lowkey.models.config import EncoderFamily
from lowkey.models.heads import TokenClassifier
from lowkey.pipelines.encoder_pipeline import BATCH_TOKENS, EncoderPipeline
from lowkey.pipelines.sentences import words_of


class Tagger(EncoderPipeline[TokenClassifier, TaggedExamples]):
    """A tagger of words with its tokenizer and its tags."""

    @staticmethod
    def load_model(
        folder: Path, num_labels: int, *, generator: torch.Generator | None = None
    ) -> TokenClassifier:
        """Loads the network; see :func:`lowkey.hf.tagger.load_tagger`.

        Args:
            folder: A Hugging Face folder.
            num_labels: Outputs of the head.
            generator: Draws what is missing.

        Returns:
            The network.
        """
        return load_tagger(folder, num_labels, generator=generator)

    @staticmethod
    def names(family: EncoderFamily) -> EncoderNames:
        """Names the modules of the network as other libraries do.

        Args:
            family: The family of its encoder.

        Returns:
            The names.
        """
        return tagger_names(family)

    def save_whole(self, folder: Path) -> None:
        """Writes the whole network as a folder that transformers loads; adapters must be merged.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        save_tagger(self.model, folder, labels=self.facts.labels)

    def examples(self, rows: Rows) -> TaggedExamples:
        """Tokenizes tagged rows.

        Args:
            rows: Rows with tokens and tags.

        Returns:
            The examples.

        Raises:
            DataError: If a tag is none of those known, or if a sentence is longer than the model
                reads and it was not trained to cut.
        """
        return TaggedExamples.from_rows(
            rows,
            self.tokenizer,
            LabelMap(self.facts.labels),
            max_length=self.facts.max_length,
            truncate=self.facts.long_texts == "truncate",
        )

    def examples_of(
        self,
        sentences: Sequence[Sequence[str] | str],
        pairs: None = None,
        *,
        places: Sequence[str] | None = None,
    ) -> TaggedExamples:
        """Tokenizes sentences without tags.

        Args:
            sentences: The words of each; a text is split at its white space.
            pairs: None; a tagger reads single sentences.
            places: How messages call each sentence; None counts them from 1.

        Returns:
            The examples.

        Raises:
            DataError: If a sentence has no words, or is longer than the model reads and it was not
                trained to cut.
        """
        return TaggedExamples.from_words(
            [words_of(sentence) for sentence in sentences],
            self.tokenizer,
            max_length=self.facts.max_length,
            truncate=self.facts.long_texts == "truncate",
            places=places,
        )

    @torch.inference_mode()
    def logits(self, examples: TaggedExamples) -> Float32[np.ndarray, "words labels"]:
        """Scores the words that are read, and gives them back in their order.

        Args:
            examples: Tokenized sentences.

        Returns:
            One row of logits per word that is read, sentence after sentence.
        """
        training = self.model.training
        self.model.eval()
        first = examples.words.first
        rows = FlatSequences(np.arange(len(first.values)), first.lengths)
        output = torch.empty(len(first.values), self.model.classifier.out_features)
        for ids in plan_evaluation_batches(examples.lengths, BATCH_TOKENS):
            batch = examples.batch(ids, self.device)
            logits = self.model(batch.input_ids, batch.layout, batch.first)
            output[torch.from_numpy(rows.take(ids).values)] = logits.cpu()
        self.model.train(training)
        return output.numpy()

    def tags(self, examples: TaggedExamples) -> list[list[str | None]]:
        """Chooses the likeliest tag of each word.

        Args:
            examples: Tokenized sentences.

        Returns:
            The tags of each sentence; None for words that are cut off.
        """
        return self._per_word(examples, self._names(self.logits(examples)))

    def measures(self, examples: TaggedExamples) -> dict[str, Measure]:
        """Measures how good the model is; a word that is cut off counts as wrong.

        Args:
            examples: Examples with tags.

        Returns:
            See :func:`lowkey.metrics.tagging.tag_measures`.
        """
        assert examples.tags is not None, "scoring needs tags"
        names = self.facts.labels
        cuts = np.cumsum(examples.tags.lengths)[:-1]
        truth = [[names[i] for i in ids] for ids in np.split(examples.tags.values, cuts)]
        return tag_measures(self.tags(examples), truth, names)

    def predict(self, sentences: Sequence[Sequence[str] | str]) -> list[dict[str, Any]]:
        """Predicts, in the order of the sentences.

        Args:
            sentences: The words of each; a text is split at its white space.

        Returns:
            For each ``tokens``, ``tags`` and ``scores``, the probability of each tag (both None for
            words that are cut off); where tags mark entities also ``entities``, each with its
            ``type``, its ``text`` and the words from ``start`` up to ``end``, counted from 0.

        Raises:
            DataError: If a sentence has no words, or is longer than the model reads and it was not
                trained to cut.
        """
        return self.answers(sentences, self.examples_of(sentences)) if len(sentences) else []

    def answers(
        self, sentences: Sequence[Sequence[str] | str], examples: TaggedExamples
    ) -> list[dict[str, Any]]:
        """Predicts what has been tokenized already.

        Args:
            sentences: The words of each sentence.
            examples: The same, tokenized.

        Returns:
            See :meth:`predict`.
        """
        logits = self.logits(examples)
        likeliest = torch.from_numpy(logits).softmax(1).amax(1).tolist()
        spans = marks_entities(self.facts.labels)
        answers: list[dict[str, Any]] = []
        for sentence, tags, scores in zip(
            sentences,
            self._per_word(examples, self._names(logits)),
            self._per_word(examples, likeliest),
            strict=True,
        ):
            words = words_of(sentence)
            answer = {"tokens": words, "tags": tags, "scores": scores}
            if spans:
                answer["entities"] = [
                    {**found._asdict(), "text": " ".join(words[found.start : found.end])}
                    for found in entities(tags)
                ]
            answers.append(answer)
        return answers

    def _names(self, logits: Float32[np.ndarray, "words labels"]) -> list[str]:
        return [self.facts.labels[i] for i in logits.argmax(1)]

    def _per_word(self, examples: TaggedExamples, values: Sequence[Any]) -> list[list[Any]]:
        """Deals values out to the sentences; words that are cut off get None."""
        first, words = examples.words.first, examples.words.num_words
        dealt = []
        for start, read, count in zip(first.starts, first.lengths, words, strict=True):
            dealt.append([*values[start : start + read], *[None] * int(count - read)])
        return dealt
