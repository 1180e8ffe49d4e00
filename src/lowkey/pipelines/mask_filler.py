"""An encoder that guesses masked tokens: how well it knows a kind of text, what it would say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Integer
from torch import Tensor

from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.config import MaskingConfig
from lowkey.data.masked import MaskedExamples
from lowkey.data.masking import Masking
from lowkey.data.rows import Rows
from lowkey.errors import DataError
from lowkey.hf.encoder_families import EncoderNames
from lowkey.hf.masked import load_masked, masked_names, save_masked
from lowkey.metrics.masked import masked_measures
from lowkey.metrics.measure import Measure
from lowkey.models.config import EncoderFamily
from lowkey.models.masked import MaskedLanguageModel
from lowkey.nn.layout import SequenceLayout
from lowkey.pipelines.encoder_pipeline import EncoderPipeline

# The logits of a masked token are as many as the vocabulary: fewer tokens than for other tasks.
BATCH_TOKENS = 2048
NUM_GUESSES = 5


class MaskFiller(EncoderPipeline[MaskedLanguageModel, MaskedExamples]):
    """A masked-language model with its tokenizer."""

    @staticmethod
    def load_model(
        folder: Path, num_labels: int, *, generator: torch.Generator | None = None
    ) -> MaskedLanguageModel:
        """Loads the network; see :func:`lowkey.hf.masked.load_masked`.

        Args:
            folder: A Hugging Face folder.
            num_labels: Not used: the outputs are the vocabulary.
            generator: Draws what is missing.

        Returns:
            The network.
        """
        return load_masked(folder, generator=generator)

    @staticmethod
    def names(family: EncoderFamily) -> EncoderNames:
        """Names the modules of the network as other libraries do.

        Args:
            family: The family of its encoder.

        Returns:
            The names.
        """
        return masked_names(family)

    def save_whole(self, folder: Path) -> None:
        """Writes the whole network as a folder that transformers loads; adapters must be merged.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        save_masked(self.model, folder)

    def examples(self, rows: Rows, config: MaskingConfig | None = None) -> MaskedExamples:
        """Tokenizes texts and cuts the long ones into pieces.

        Args:
            rows: Rows with text.
            config: How tokens are hidden; None hides them as BERT did, by which models are
                compared.

        Returns:
            The examples.

        Raises:
            DataError: If no text holds a token to mask, or the tokenizer has no mask.
        """
        return self._examples(rows.column("text"), config, rows.where)

    def examples_of(self, texts: Sequence[str], pairs: None = None) -> MaskedExamples:
        """Tokenizes texts.

        Args:
            texts: The texts.
            pairs: None; texts come alone.

        Returns:
            The examples.

        Raises:
            DataError: If no text holds a token to mask, or the tokenizer has no mask.
        """
        return self._examples(texts, None, "text {}".format)

    def _examples(
        self, texts: Sequence[str], config: MaskingConfig | None, where: Any
    ) -> MaskedExamples:
        masking = Masking.of(self.tokenizer, config or MaskingConfig())
        limit = self.facts.max_length or self.model.encoder.config.max_positions
        return MaskedExamples.from_texts(
            texts, self.tokenizer, masking, max_length=limit, where=where
        )

    def logits(self, examples: MaskedExamples) -> Float32[np.ndarray, "chosen vocab"]:
        """Scores the vocabulary for every masked token; for few texts, as there are many numbers.

        Args:
            examples: Tokenized texts.

        Returns:
            One row of logits per masked token, piece after piece, under the masks that models are
            compared by.
        """
        batches = (examples.batch([i], None) for i in range(len(examples)))
        found = [self._of_rows(batch.input_ids, batch.rows) for batch in batches]
        return torch.cat(found).numpy()

    @torch.inference_mode()
    def counts(self, examples: MaskedExamples) -> Float[np.ndarray, "texts 3"]:
        """Guesses the masked tokens under the masks that models are compared by.

        Args:
            examples: Tokenized texts.

        Returns:
            For each text the sum of the negative log-likelihoods of its masked tokens, how many of
            them were guessed right, and how many there are.
        """
        training = self.model.training
        self.model.eval()
        counts = np.zeros((examples.num_texts, 3))
        for ids in plan_evaluation_batches(examples.lengths, BATCH_TOKENS):
            batch = examples.batch(ids, None, self.device)
            logits = self.model(batch.input_ids, batch.layout, batch.rows)
            nll = F.cross_entropy(logits, batch.targets, reduction="none").cpu()
            hits = (logits.argmax(1) == batch.targets).cpu()
            owners = np.repeat(examples.texts[ids], batch.counts)
            for column, values in enumerate((nll.numpy(), hits.numpy(), np.ones(len(owners)))):
                counts[:, column] += np.bincount(owners, values, examples.num_texts)
        self.model.train(training)
        return counts

    def measures(self, examples: MaskedExamples) -> dict[str, Measure]:
        """Measures how well the model guesses masked tokens.

        Args:
            examples: Tokenized texts.

        Returns:
            nll, perplexity and accuracy over the masked tokens of all texts, the masks being the
            same for every model.
        """
        return masked_measures(self.counts(examples))

    def samples(self, examples: MaskedExamples) -> list[dict[str, Any]]:
        """Shows what the model guesses in the first piece of each text.

        Args:
            examples: Tokenized texts.

        Returns:
            For each the masked text as source, the tokens that belong there as target, those that
            are guessed as prediction, and whether all are correct.
        """
        library, samples = self.tokenizer.library, []
        first = np.unique(examples.texts, return_index=True)[1]
        for piece in first.tolist():
            batch = examples.batch([piece], None)
            logits = self._of_rows(batch.input_ids, batch.rows)
            guesses = self.tokenizer.tokens(logits.argmax(1).tolist())
            truth = self.tokenizer.tokens(batch.targets.tolist())
            source = library.decode(batch.input_ids[1:-1].tolist(), skip_special_tokens=False)
            samples.append(
                {
                    "source": source,
                    "target": " ".join(truth),
                    "prediction": " ".join(guesses),
                    "correct": guesses == truth,
                }
            )
        return samples

    @torch.inference_mode()
    def _of_rows(
        self, ids: Integer[Tensor, " tokens"], rows: Integer[Tensor, " chosen"]
    ) -> Float[Tensor, "chosen vocab"]:
        """Scores the vocabulary for some tokens of one text."""
        training = self.model.training
        layout = SequenceLayout([len(ids)], self.device)
        logits = self.model.eval()(ids.to(self.device), layout, rows.to(self.device))
        self.model.train(training)
        return logits.cpu()

    def predict(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        places: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Fills the masks that stand in texts.

        Args:
            texts: The texts, each with a mask at least: ``[MASK]``, or ``<mask>`` for RoBERTa.
            pairs: None; texts come alone.
            places: How messages call each text; None counts them from 1.

        Returns:
            For each ``text``, with the likeliest tokens in place of the masks, and ``masks``: for
            each mask the likeliest ``token``s with the ``score`` of each, its probability.

        Raises:
            DataError: If a text has no mask, is longer than the model reads, or comes with another.
        """
        if pairs is not None:
            raise DataError("this model reads single texts")
        places = places or [f"text {i + 1}" for i in range(len(texts))]
        return [self._fill(text, where) for text, where in zip(texts, places, strict=True)]

    def _fill(self, text: str, where: str) -> dict[str, Any]:
        ids = self.tokenizer.encode([text]).tokens.values.tolist()
        masking = Masking.of(self.tokenizer, MaskingConfig())
        rows, limit = masking.asked(ids), self.facts.max_length
        if not rows:
            mask = self.tokenizer.tokens([masking.mask_id])[0]
            raise DataError("there is nothing to guess", where=where, fix=f"write {mask} somewhere")
        if limit is not None and len(ids) > limit:
            what = f"this text has {len(ids)} tokens, the model reads {limit} at most"
            raise DataError(what, where=where, fix="shorten it")
        logits = self._of_rows(torch.tensor(ids), torch.tensor(rows))
        best = [row.topk(min(NUM_GUESSES, len(row))) for row in logits.softmax(1)]
        for row, guesses in zip(rows, best, strict=True):
            ids[row] = int(guesses.indices[0])
        masks = []
        for guesses in best:
            tokens = self.tokenizer.tokens(guesses.indices.tolist())
            pairs = zip(tokens, guesses.values.tolist(), strict=True)
            masks.append([{"token": token, "score": score} for token, score in pairs])
        return {"text": self.tokenizer.decode(ids), "masks": masks}
