"""The rival of ``lora_step``: transformers' Trainer with a BERT that PEFT adapted."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.state import AcceleratorState
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks.clock import Cost, StepClock
from benchmarks.side_by_side import Window
from lowkey.data.labelled import LabelledExamples
from lowkey.lora.config import LoRAConfig
from lowkey.models.config import EncoderConfig

# transformers warns about pinned memory without an accelerator, once per training.
logging.getLogger("transformers").setLevel(logging.ERROR)


class Rival:
    """BERT from a config, adapted by PEFT, trained by the Trainer.

    Args:
        encoder: Sizes of the encoder.
        lora: How it is adapted.
        examples: All sentences.
        optimizer: Options of AdamW and clipping, under the Trainer's names.

    Attributes:
        base_state: The weights before PEFT, by name.
        trained: Shapes of the trained parameters, by name without PEFT's wrapping.
        dropouts: The rates of all dropouts, by what they drop.
    """

    def __init__(
        self,
        encoder: EncoderConfig,
        lora: LoRAConfig,
        examples: LabelledExamples,
        optimizer: Mapping[str, float],
    ):
        torch.manual_seed(0)
        base = BertForSequenceClassification(_bert_config(encoder))
        self.base_state = {name: tensor.clone() for name, tensor in base.state_dict().items()}
        adapted = LoraConfig(
            task_type="SEQ_CLS",
            r=lora.r,
            lora_alpha=lora.lora_alpha,
            lora_dropout=lora.lora_dropout,
            target_modules=["query", "value"],
        )
        self.model = get_peft_model(base, adapted).train()
        self.optimizer = optimizer
        self.examples = [
            {"input_ids": torch.from_numpy(examples.tokens.take([i]).values), "labels": label}
            for i, label in enumerate(examples.labels.tolist())
        ]
        self.trained = {
            _plain(name): tuple(parameter.shape)
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad
        }

    @property
    def dropouts(self) -> dict[str, set[float]]:
        """The rates of all dropouts that act in training, by what they drop."""
        rates: dict[str, set[float]] = {}
        for name, module in self.model.named_modules():
            if isinstance(module, torch.nn.Dropout) and module.training:
                rates.setdefault(dropout_place(_plain(name)), set()).add(module.p)
        return rates

    def arguments(self, *, bf16: bool, steps: int, folder: str = "unused") -> TrainingArguments:
        """Makes the Trainer's options: its defaults, but for what must be said.

        Args:
            bf16: Whether to compute under autocast.
            steps: Steps to make.
            folder: Where it may write.

        Returns:
            The options.
        """
        return TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=1,  # a sampler hands out whole batches
            bf16=bf16,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **self.optimizer,
        )

    def train(self, window: Window, *, bf16: bool, attention: str) -> Cost:
        """Trains on a window.

        Args:
            window: The batches.
            bf16: Whether to compute under autocast.
            attention: transformers' name of the way to compute attention.

        Returns:
            What the steps cost, the first one not counted.
        """
        self.model.base_model.model.set_attn_implementation(attention)
        # accelerate keeps the precision of the first Trainer of a process for all later ones.
        AcceleratorState._reset_state(reset_partial_state=True)
        clock = StepClock()
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = _WindowTrainer(
                model=self.model,
                args=self.arguments(bf16=bf16, steps=len(window.batches), folder=folder),
                train_dataset=_Batches(self.examples, window),
                data_collator=_pad,
                callbacks=[_Ticking(clock)],
            )
            with self._assert_precision(torch.bfloat16 if bf16 else torch.float32):
                trainer.train()
        # Nor does it take its autocast off the model, or put it on a second time.
        for left in ("forward", "_original_forward", "_is_accelerate_prepared"):
            self.model.__dict__.pop(left, None)
        return clock.window(window.steps)

    @contextmanager
    def _assert_precision(self, dtype: torch.dtype) -> Iterator[None]:
        """Asserts that the model computes in the precision that the table will name."""

        def look(module: torch.nn.Module, inputs: Any, output: Tensor) -> None:
            if output.dtype != dtype:
                raise AssertionError(f"the rival computes in {output.dtype} instead of {dtype}")

        linear = next(m for m in self.model.modules() if isinstance(m, torch.nn.Linear))
        hook = linear.register_forward_hook(look)
        try:
            yield
        finally:
            hook.remove()

    def logits(self, ids: Sequence[int]) -> Tensor:
        """Scores sentences with dropout switched off.

        Args:
            ids: Positions of the sentences.

        Returns:
            The logits.
        """
        batch = _pad([[self.examples[i] for i in ids]])
        self.model.eval()
        with torch.no_grad():
            logits = self.model(**batch).logits
        self.model.train()
        return logits


def dropout_place(name: str) -> str:
    """Tells from the name of a dropout what it drops, in either library.

    Args:
        name: Name of the module.

    Returns:
        ``lora``, ``attention``, ``head`` or ``hidden``.
    """
    if "lora_dropout" in name:
        return "lora"
    if name.endswith(("attention.dropout", "attention.self.dropout")):
        return "attention"
    return "hidden" if "encoder" in name or "embeddings" in name else "head"


class _Batches(Dataset):  # type: ignore[type-arg] # torch's Dataset is generic over anything
    """Whole batches as items, so that the Trainer takes exactly the batches of the window."""

    def __init__(self, examples: Sequence[dict[str, Any]], window: Window):
        self.examples, self.window = examples, window

    def __len__(self) -> int:
        return len(self.window.batches)

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        return [self.examples[i] for i in self.window.batches[index]]


class _WindowTrainer(Trainer):
    """The Trainer, but for the order of the batches, which the window decides."""

    def _get_train_sampler(self, *_: Any) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class _Ticking(TrainerCallback):
    def __init__(self, clock: StepClock):
        self.clock = clock

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.clock.tick()


def _pad(batches: Sequence[list[dict[str, Any]]]) -> dict[str, Tensor]:
    """Pads a batch to its longest sentence, as DataCollatorWithPadding does."""
    (batch,) = batches
    ids = [example["input_ids"] for example in batch]
    padded = pad_sequence(ids, batch_first=True)
    lengths = torch.tensor([len(x) for x in ids]).unsqueeze(1)
    return {
        "input_ids": padded,
        "attention_mask": (torch.arange(padded.shape[1]) < lengths).long(),
        "labels": torch.tensor([example["labels"] for example in batch]),
    }


def _bert_config(encoder: EncoderConfig) -> BertConfig:
    return BertConfig(
        vocab_size=encoder.vocab_size,
        hidden_size=encoder.d_model,
        num_hidden_layers=encoder.num_layers,
        num_attention_heads=encoder.num_heads,
        intermediate_size=encoder.d_ff,
        max_position_embeddings=encoder.max_positions,
        hidden_act=encoder.activation,
        hidden_dropout_prob=encoder.dropout,
        attention_probs_dropout_prob=encoder.attention_dropout,
        num_labels=2,
    )


def _plain(name: str) -> str:
    """Takes PEFT's wrapping out of a name."""
    name = name.removeprefix("base_model.model.")
    return name.replace(".default", "").replace(".modules_to_save", "")
