"""Several fine-tuned models over one base: each text says which of them is to answer it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from lowkey import runtime
from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.labelled import LabelledExamples
from lowkey.lora.bank import AdapterBank
from lowkey.lora.rows import Rows
from lowkey.models.heads import SequenceClassifier
from lowkey.nn.ragged import mean_of_groups
from lowkey.pipelines.base_model import find_base
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.encoder_pipeline import BATCH_TOKENS
from lowkey.pipelines.shared_runs import find_runs, refuse_loner


class TextBank:
    """Classifiers and regressors of single texts and of pairs, trained by LoRA on one base.

    The base is in memory once, and a batch mixes texts of all of them: whatever their ranks,
    targets, labels and tasks, each answer is the one that the run gives alone.

    Args:
        model: The base; its head is never asked, for every adapter brings its own.
        base: What tells its weights from others, as in the facts of a bundle.
        device: Where it computes.
    """

    def __init__(self, model: SequenceClassifier, *, base: str, device: torch.device | str = "cpu"):
        self.model = model.to(device).eval()
        self.bank = AdapterBank(self.model, model.row_kinds, base=base)
        self.device = device
        self._pipelines: dict[str, TextClassifier] = {}

    @classmethod
    def load(
        cls,
        runs: Sequence[str | Path] | Mapping[str, str | Path],
        *,
        base: str | None = None,
        device: str = "auto",
        precision: str = "fp32",
    ) -> "TextBank":
        """Opens runs, or bundles such as their ``best``.

        Args:
            runs: Their folders, by the names to give them; in a list each has that of its folder.
            base: Where the base model is, if not where it was in training.
            device: "auto", "cpu", "cuda" ...
            precision: "fp32" (the reference), "bf16" or "auto".

        Returns:
            The bank, ready to predict.

        Raises:
            MissingInputError: If there is no such run, or its base model is not there.
            DataError: If a file is damaged, or a run cannot share a base with the others.
            ConfigError: If two runs have one name, there is none, or the device is not there.
        """
        found = find_runs(runs)
        where = runtime.resolve_device(device)
        dtype = runtime.resolve_precision(precision, where)
        folder, facts = next(iter(found.values()))
        model = TextClassifier.load_model(find_base(facts, folder, base), 1).compute_in(dtype)
        bank = cls(model, base=facts.base_sha256 or "", device=where)
        for name, (folder, _) in found.items():
            bank.add(name, TextClassifier.load(folder, base=base))
        return bank

    @property
    def names(self) -> list[str]:
        """Names of the adapters."""
        return self.bank.names

    def facts(self, name: str) -> Facts:
        """Says what an adapter was trained for.

        Args:
            name: Its name.

        Returns:
            The facts of its run; of a combination, those of the run that its head is from.
        """
        return self._pipelines[name].facts

    def __str__(self) -> str:
        """Says in one line what is in it."""
        return str(self.bank)

    def add(self, name: str, pipeline: TextClassifier) -> None:
        """Takes a model in.

        Args:
            name: A new name for it.
            pipeline: The model, which is used up.

        Raises:
            ConfigError: If the name is taken.
            DataError: If it cannot share a base with others, or has another one.
        """
        config, facts = pipeline.lora_config, pipeline.facts
        refuse_loner(name, facts)
        assert config is not None
        self.bank.add(name, pipeline.model, config, base=facts.base_sha256 or "")
        # Its tokenizer and its labels are what is needed of it; its copy of the base can go.
        pipeline.model = self.model
        self._pipelines[name] = pipeline

    def combine(self, name: str, weights: Mapping[str, float | int], *, head: str) -> None:
        """Makes a new adapter whose updates are a weighted sum; see ``AdapterBank.combine``.

        Args:
            name: A new name.
            weights: The weight of each adapter.
            head: The adapter whose head, labels and tokenizer the new one has.

        Raises:
            ConfigError: If a name is taken or unknown, or an adapter is a DoRA.
        """
        self.bank.combine(name, weights, head=head)
        self._pipelines[name] = self._pipelines[head]

    def remove(self, name: str) -> None:
        """Takes an adapter out.

        Args:
            name: Its name.

        Raises:
            ConfigError: If there is none of this name.
        """
        self.bank.remove(name)
        del self._pipelines[name]

    def predict(
        self,
        texts: Sequence[str],
        adapters: str | Sequence[str],
        pairs: Sequence[str | None] | None = None,
        *,
        places: Sequence[str] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Predicts, in the order of the texts.

        Args:
            texts: The texts.
            adapters: Name of the adapter that answers each, or one name for all.
            pairs: The second text of each, for adapters that were trained on pairs.
            places: How messages call each text; None counts them from 1.
            say: Takes a line about texts that are cut, or read in windows; None drops it.

        Returns:
            For each what :meth:`TextClassifier.predict` of its run gives.

        Raises:
            ValueError: If there are not as many names, or pairs, as texts.
            ConfigError: If there is no adapter of a name.
            DataError: If an adapter wants pairs and gets a text, or the other way round, or refuses
                a text that is too long.
        """
        names = [adapters] * len(texts) if isinstance(adapters, str) else list(adapters)
        seconds = [None] * len(texts) if pairs is None else list(pairs)
        if not len(texts) == len(names) == len(seconds):
            raise ValueError(f"{len(texts)} texts, {len(names)} names, {len(seconds)} pairs")
        self.bank.refuse_unknown(names)
        called = [f"text {n}" for n in range(1, len(texts) + 1)] if places is None else places
        owned: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            where = f"{called[i]} for {name}"
            self._pipelines[name].refuse_unpaired(seconds[i] is not None, where)
            owned.setdefault(name, []).append(i)
        if not owned:
            return []
        parts = [self._examples(name, texts, seconds, own, called) for name, own in owned.items()]
        if say is not None:
            for name, part in zip(owned, parts, strict=True):
                for note in part.notes("given"):
                    say(f"{note}, by {name}")
        # A long text may be several windows, whose logits are averaged as its adapter learned.
        owners = [n for n, part in zip(owned, parts, strict=True) for _ in range(len(part.tokens))]
        logits = self._logits(LabelledExamples.join([part.apart() for part in parts]), owners)
        answers: list[dict[str, Any]] = [{}] * len(texts)
        start = 0
        for (name, own), part in zip(owned.items(), parts, strict=True):
            count = len(part.tokens)
            rows = logits[start : start + count, : len(self.facts(name).labels) or 1]
            start += count
            if part.windows is not None:
                whose = torch.from_numpy(part.owners)
                rows = mean_of_groups(torch.from_numpy(rows), whose, len(part)).numpy()
            for i, answer in zip(own, self._pipelines[name].answers(rows), strict=True):
                answers[i] = answer
        return answers

    def _examples(
        self,
        name: str,
        texts: Sequence[str],
        seconds: Sequence[str | None],
        own: Sequence[int],
        called: Sequence[str],
    ) -> LabelledExamples:
        """Tokenizes the texts of one adapter as its run does."""
        pairs = [second for i in own if (second := seconds[i]) is not None] or None
        places = [f"{called[i]} for {name}" for i in own]
        return self._pipelines[name].examples_of([texts[i] for i in own], pairs, places=places)

    @torch.inference_mode()
    def _logits(
        self, examples: LabelledExamples, owners: Sequence[str]
    ) -> Float32[np.ndarray, "examples labels"]:
        """Scores examples; those of one adapter lie together in each batch."""
        width = max(len(self.facts(name).labels) or 1 for name in set(owners))
        output = torch.full((len(examples), width), -torch.inf)
        for ids in plan_evaluation_batches(examples.lengths, BATCH_TOKENS):
            ids = sorted(ids, key=lambda i: owners[i])
            batch, names = examples.batch(ids, self.device), [owners[i] for i in ids]
            tokens = Rows(names, batch.layout.lengths, self.device)
            with self.bank.route(tokens=tokens, sentences=Rows(names, device=self.device)):
                logits = self.model(batch.input_ids, batch.layout, batch.segment_ids).cpu()
            output[torch.tensor(ids), : logits.shape[1]] = logits
        return output.numpy()
