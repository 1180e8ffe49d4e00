"""The rival of ``translation_step``: torch.nn.Transformer in the loop people write around it."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from benchmarks.clock import Cost, StepClock
from benchmarks.side_by_side import Window
from lowkey.data.flat import FlatSequences
from lowkey.data.pairs import PairExamples
from lowkey.models.config import TransformerConfig
from lowkey.nn.positions import sinusoidal_table

_PADDING = 0


class Translator(nn.Module):
    """Embeddings, positions, nn.Transformer, and the target table as output projection.

    Args:
        config: Sizes and rates.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.source = nn.Embedding(config.source_vocab_size, config.d_model)
        self.target = nn.Embedding(config.target_vocab_size, config.d_model)
        for table in (self.source, self.target):
            nn.init.normal_(table.weight, std=config.d_model**-0.5)
        positions = sinusoidal_table(512, config.d_model)
        self.register_buffer("positions", positions, persistent=False)
        self.transformer = nn.Transformer(
            config.d_model,
            config.num_heads,
            config.num_encoder_layers,
            config.num_decoder_layers,
            config.d_ff,
            config.dropout,
            config.activation,
            batch_first=True,
        )
        # nn.Transformer also drops the inner features of the feed-forward network, which neither
        # the paper nor lowkey does: without it the places are the same on both sides.
        for layer in (*self.transformer.encoder.layers, *self.transformer.decoder.layers):
            layer.dropout = nn.Identity()
        self.scale = math.sqrt(config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores the next token at every position of the target.

        Args:
            source: Padded source ids.
            target: Padded target ids.

        Returns:
            Logits.
        """
        hidden = source == _PADDING
        length = target.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).triu(1)
        decoded = self.transformer(
            self._embed(source, self.source),
            self._embed(target, self.target),
            tgt_mask=causal,
            src_key_padding_mask=hidden,
            tgt_key_padding_mask=target == _PADDING,
            memory_key_padding_mask=hidden,
            tgt_is_causal=True,
        )
        return F.linear(decoded, self.target.weight)

    def _embed(self, ids: Tensor, table: nn.Embedding) -> Tensor:
        return self.dropout(table(ids) * self.scale + self.positions[: ids.shape[1]])


class Rival:
    """nn.Transformer, trained as its users train it.

    Args:
        config: Sizes and rates.
        pairs: All pairs.
        optimizer: Options of Adam and clipping, under lowkey's names.
        smoothing: Share of the target spread over the vocabulary.

    Attributes:
        num_trained: Trained parameters.
        num_final_norms: Those of the two norms after the stacks, which lowkey's post-norm model
            does not have.
        max_grad_norm: Greatest norm of the gradient.
    """

    def __init__(
        self,
        config: TransformerConfig,
        pairs: PairExamples,
        optimizer: Mapping[str, float],
        smoothing: float,
    ):
        torch.manual_seed(0)
        self.model = Translator(config).train()
        self.max_grad_norm = optimizer["max_grad_norm"]
        self.options = {
            "lr": optimizer["learning_rate"],
            "betas": (0.9, optimizer["adam_beta2"]),
            "weight_decay": optimizer["weight_decay"],
        }
        self.criterion = nn.CrossEntropyLoss(label_smoothing=smoothing, ignore_index=_PADDING)
        self.sources = _tensors(pairs.sources)
        self.targets = _tensors(pairs.target_inputs)
        self.labels = _tensors(pairs.target_labels)
        self.num_trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        stacks = (self.model.transformer.encoder, self.model.transformer.decoder)
        self.num_final_norms = sum(p.numel() for s in stacks for p in s.norm.parameters())

    @property
    def dropouts(self) -> dict[str, set[float]]:
        """The rates of all dropouts that act in training, by what they drop."""
        modules = list(self.model.modules())
        attention = {m.dropout for m in modules if isinstance(m, nn.MultiheadAttention)}
        hidden = {m.p for m in modules if isinstance(m, nn.Dropout) and m.training}
        return {"attention": attention, "hidden": hidden}

    def train(self, window: Window, *, bf16: bool) -> Cost:
        """Trains on a window.

        Args:
            window: The batches.
            bf16: Whether to compute under autocast.

        Returns:
            What the steps cost, the first one not counted.
        """
        clock = StepClock()
        optimizer = torch.optim.AdamW(self.model.parameters(), fused=True, **self.options)
        for ids in window.batches:
            source, target, labels = (
                pad_sequence([sequences[i] for i in ids], batch_first=True, padding_value=_PADDING)
                for sequences in (self.sources, self.targets, self.labels)
            )
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = self.model(source, target)
                loss = self.criterion(logits.flatten(0, 1), labels.flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            loss.item()
            clock.tick()
        return clock.window(window.steps)


def _tensors(sequences: FlatSequences) -> list[Tensor]:
    return list(torch.from_numpy(sequences.values).long().split(sequences.lengths.tolist()))
