"""An estimator of pairs of texts: a Transformer from scratch, or one that is trained already."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from lowkey.config import make_recipe
from lowkey.estimators.estimator import Estimator, refuse_bare, rows_of
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.translation import train
from lowkey.pipelines.text_scores import text_scores
from lowkey.pipelines.translator import Translator as Pipeline
from lowkey.training.progress import Progress


class Translator(Estimator):
    """A Transformer that ``fit`` trains to write a text for a text.

    Args:
        start_from: A Marian folder or a run to start with; None begins with random weights.
        method: "scratch"; with ``start_from`` "full" or "lora". None takes scratch or full.
        size: Size by name, for a new model: tiny, small, iwslt, base or big.
        tokenizer: Kind of both tokenizers of a new model: bpe, unigram, wordpiece, whitespace or
            character.
        vocab_size: Most entries of each.
        joint: Whether one tokenizer serves both sides.
        learning_rate: At its peak; None takes 1e-3 from scratch, else the default of the method.
        num_train_epochs: Passes over the pairs.
        batch_tokens: Source and target tokens in a batch.
        num_beams: Hypotheses kept for each text.
        metrics: "text", or "words" for whole outputs that are right or wrong.
        seed: Where all randomness comes from.
        device: "auto", "cpu", "cuda" ...
        settings: Any other keys of a recipe, such as ``{"train.ema_decay": 0.999}``.
        out: Folder of the run, with its report; None keeps the model in memory alone.
        verbose: Whether the training is shown.

    Attributes:
        pipeline_: The trained model, as ``lowkey.load`` opens it.
    """

    kind = "translation"
    pipeline_: Pipeline

    def __init__(
        self,
        *,
        start_from: str | None = None,
        method: str | None = None,
        size: str = "small",
        tokenizer: str = "bpe",
        vocab_size: int = 8000,
        joint: bool = False,
        learning_rate: float | None = None,
        num_train_epochs: int = 10,
        batch_tokens: int = 4096,
        num_beams: int = 4,
        metrics: str = "text",
        seed: int = 42,
        device: str = "auto",
        settings: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
        verbose: bool = False,
    ):
        self.start_from = start_from
        self.method = method
        self.size = size
        self.tokenizer = tokenizer
        self.vocab_size = vocab_size
        self.joint = joint
        self.learning_rate = learning_rate
        self.num_train_epochs = num_train_epochs
        self.batch_tokens = batch_tokens
        self.num_beams = num_beams
        self.metrics = metrics
        self.seed = seed
        self.device = device
        self.settings = settings
        self.out = out
        self.verbose = verbose

    def fit(
        self,
        X: Collection[str],
        y: Collection[str],
        validation: tuple[Collection[str], Collection[str]] | None = None,
    ) -> "Translator":
        """Trains on pairs.

        Args:
            X: Source texts.
            y: A target text for each.
            validation: Pairs that choose the best step; None holds out a tenth.

        Returns:
            The estimator.

        Raises:
            ValueError: If there are not as many targets as sources.
            LowkeyError: If a parameter or a text is not usable.
        """
        held_out = None if validation is None else _rows(*validation)
        self.pipeline_ = self._fit(_rows(X, y), held_out, self._values())
        return self

    def predict(self, X: Collection[str]) -> list[str]:
        """Writes a text for each.

        Args:
            X: Source texts.

        Returns:
            Target texts.

        Raises:
            NotFittedError: If there is no model yet.
            DataError: If a text is longer than the model reads.
        """
        check_is_fitted(self, "pipeline_")
        refuse_bare(X)
        return self.pipeline_.translate(list(X))

    def score(self, X: Collection[str], y: Collection[str]) -> float:
        """Measures how good the outputs are.

        Args:
            X: Source texts.
            y: A target text for each.

        Returns:
            chrF, from 0 to 100; with the metrics "words" the share of outputs that are right.

        Raises:
            NotFittedError: If there is no model yet.
            DataError: If a text is longer than the model reads.
        """
        outputs = self.predict(X)
        allowed = [[row["target"]] for row in _rows(X, y)]
        scores = text_scores(outputs, allowed, self.pipeline_.facts.task, thorough=False)
        return scores["chrf" if "chrf" in scores else "exact_match"].value

    @classmethod
    def _parameters_of(cls, pipeline: Any) -> dict[str, Any]:
        facts = pipeline.facts
        if facts.method in ("full", "lora"):
            return {"start_from": facts.base_model, "method": facts.method}
        return {}

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "start_from": self.start_from,
            "method": self.method,
            "decode.num_beams": self.num_beams,
            "metrics": self.metrics,
            "train.learning_rate": self.learning_rate,
            "train.num_train_epochs": self.num_train_epochs,
            "train.batch_tokens": self.batch_tokens,
            "train.seed": self.seed,
            "train.device": self.device,
            "track": ["jsonl"],
        }
        if self.start_from is not None:
            return values
        kind = {"kind": self.tokenizer, "vocab_size": self.vocab_size}
        return values | {
            "model.size": self.size,
            "model.norm": "pre",
            "tokenizer": {"source": kind, "target": dict(kind), "joint": self.joint},
            "train.learning_rate": 1e-3 if self.learning_rate is None else self.learning_rate,
            "train.warmup_steps": 0.05,
            "train.adam_beta2": 0.98,
            "train.label_smoothing_factor": 0.1,
        }

    def _train(self, values: Mapping[str, Any], run: Path, progress: Progress) -> None:
        recipe = make_recipe(TranslationRecipe, values, where=type(self).__name__)
        train(recipe, run, progress=progress)


def _rows(sources: Collection[str], targets: Collection[str]) -> list[dict[str, Any]]:
    refuse_bare(sources)
    return rows_of(source=list(sources), target=list(targets))
