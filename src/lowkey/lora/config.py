"""The options of LoRA, under the names PEFT's users know. Knows no torch."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from lowkey.config import Config

# What the preset names of target_modules stand for, as last parts of module names.
TARGET_PRESETS: dict[str, tuple[str, ...]] = {
    "qv": ("query", "value"),
    "attention": ("query", "key", "value", "out"),
    "feed-forward": ("up", "gate", "down"),
    "all-linear": ("query", "key", "value", "out", "up", "gate", "down"),
}
# Only gated feed-forward networks have one; a preset takes it along where it is.
SOMETIMES_THERE = frozenset({"gate"})

MAX_RANK = 1024
Rank = Annotated[int, Field(ge=1, le=MAX_RANK)]
MAX_ALPHA = 1e6
Alpha = Annotated[float, Field(gt=0, le=MAX_ALPHA)]
Layer = Annotated[int, Field(ge=0)]

V = TypeVar("V")


class LoRAConfig(Config):
    """How to adapt a model.

    Args:
        r: Rank of the update.
        lora_alpha: The update is scaled by lora_alpha / r.
        lora_dropout: Probability that one input feature of the update is dropped.
        target_modules: A preset (qv, attention, feed-forward, all-linear), or the names of the
            linear maps and tables of embeddings to adapt: whole module names, or their last parts.
        modules_to_save: Modules trained whole and saved with the adapter, such as the head.
        use_rslora: Scale by lora_alpha / sqrt(r) instead (Kalajdzievski, 2023).
        rank_pattern: Ranks of some of the adapted maps, by whole module names or last parts; the
            first that matches a map holds for it, and r for the others.
        alpha_pattern: Values of lora_alpha in the same way.
        layers_to_transform: Number or numbers of the blocks to adapt, from 0; None adapts all.
        init_lora_weights: How updates begin: true, ``gaussian`` and ``orthogonal`` draw ones that
            are zero, ``pissa`` takes the largest part of each weight out of it and trains that.
        use_dora: Learn the lengths of the rows of each adapted weight beside the updates, which
            then only turn them (Liu et al., 2024).
        bias: Biases to train beside the updates and to save with them: ``none``, those of the
            adapted maps (``lora_only``), or ``all``.
        loraplus_lr_ratio: How many times as fast as A, and all else, B learns (LoRA+; Hayou et al.,
            2024).
    """

    r: Rank = 8
    lora_alpha: Alpha = 16
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: str | list[str] = "all-linear"
    modules_to_save: list[str] = Field(default=["classifier"])
    use_rslora: bool = False
    rank_pattern: dict[str, Rank] = Field(default={})
    alpha_pattern: dict[str, Alpha] = Field(default={})
    layers_to_transform: Layer | Annotated[list[Layer], Field(min_length=1)] | None = None
    init_lora_weights: Literal[True, "gaussian", "orthogonal", "pissa"] = True
    use_dora: bool = False
    bias: Literal["none", "lora_only", "all"] = "none"
    loraplus_lr_ratio: Annotated[float, Field(ge=1, le=1e4)] = 1.0

    @model_validator(mode="after")
    def _start_fits_rank(self) -> "LoRAConfig":
        ranks = (self.r, *self.rank_pattern.values())
        if self.init_lora_weights == "orthogonal" and any(rank % 2 for rank in ranks):
            raise ValueError("init_lora_weights orthogonal needs even ranks — set r to an even one")
        alphas = (self.lora_alpha, *self.alpha_pattern.values())
        if self.init_lora_weights == "pissa" and not doubles(ranks, alphas):
            raise ValueError(
                "init_lora_weights pissa is saved at twice its r and lora_alpha"
                f" — set r to at most {MAX_RANK // 2} and lora_alpha to at most {MAX_ALPHA / 2:.0f}"
            )
        return self

    @property
    def scaling(self) -> float:
        """The factor in front of B A, for maps without an entry in a pattern."""
        return self.lora_alpha / (self.r**0.5 if self.use_rslora else self.r)

    @property
    def is_preset(self) -> bool:
        """Whether the targets are named by a preset."""
        return isinstance(self.target_modules, str) and self.target_modules in TARGET_PRESETS

    @property
    def targets(self) -> tuple[str, ...]:
        """The names to adapt, presets spelled out."""
        if isinstance(self.target_modules, str):
            return TARGET_PRESETS.get(self.target_modules, (self.target_modules,))
        return tuple(self.target_modules)

    @property
    def required(self) -> tuple[str, ...]:
        """The names that must match: of a preset, those that every model has."""
        optional = SOMETIMES_THERE if self.is_preset else frozenset()
        return tuple(target for target in self.targets if target not in optional)

    @property
    def rates(self) -> dict[str, float]:
        """Factors of the learning rate, by what the names of parameters end in."""
        return {"lora_B.weight": self.loraplus_lr_ratio}

    @property
    def layers(self) -> tuple[int, ...] | None:
        """Numbers of the blocks to adapt; None for all."""
        layers = self.layers_to_transform
        if isinstance(layers, list):
            return tuple(layers)
        return None if layers is None else (layers,)

    def of_module(self, name: str) -> "LoRAConfig":
        """Resolves what the patterns say of one module.

        Args:
            name: Its full name.

        Returns:
            The options with its own rank and alpha, and without patterns.

        Example:
            >>> config = LoRAConfig(r=8, rank_pattern={"query": 2})
            >>> [config.of_module(f"blocks.0.attention.{name}").r for name in ("query", "key")]
            [2, 8]
        """
        own = {
            "r": first_match(self.rank_pattern, name, self.r),
            "lora_alpha": first_match(self.alpha_pattern, name, self.lora_alpha),
        }
        return self.model_copy(update={**own, "rank_pattern": {}, "alpha_pattern": {}})

    def trains_bias(self, name: str, adapted: Collection[str]) -> bool:
        """Says whether a parameter is one of the biases to train.

        Args:
            name: Full name of a parameter.
            adapted: Full names of the adapted linear maps.

        Returns:
            Whether it is.
        """
        module, _, last = name.rpartition(".")
        return last == "bias" and (
            self.bias == "all" or (self.bias == "lora_only" and module in adapted)
        )

    def against_base(self) -> "LoRAConfig":
        """Describes the same updates as differences from the weights as they were before.

        Returns:
            The options; for ``pissa`` with twice the ranks, and the same scales in front of B A.
        """
        if self.init_lora_weights != "pissa":
            return self
        more = 2**0.5 if self.use_rslora else 2
        return self.model_copy(
            update={
                "r": 2 * self.r,
                "lora_alpha": more * self.lora_alpha,
                "rank_pattern": {name: 2 * rank for name, rank in self.rank_pattern.items()},
                "alpha_pattern": {name: more * a for name, a in self.alpha_pattern.items()},
                "init_lora_weights": True,
            }
        )


def matches(name: str, target: str) -> bool:
    """Says whether a module name is a target: the same, or ending in it after a dot.

    Args:
        name: Full name of a module.
        target: A full name or its last parts.

    Returns:
        Whether it is one.
    """
    return name == target or name.endswith(f".{target}")


def doubles(ranks: Iterable[int], alphas: Iterable[float | int]) -> bool:
    """Says whether updates can be saved at twice their ranks, as those that began as ``pissa`` are.

    Args:
        ranks: Their ranks.
        alphas: Their values of lora_alpha.

    Returns:
        Whether all of them stay within bounds.
    """
    return 2 * max(ranks) <= MAX_RANK and 2 * max(alphas) <= MAX_ALPHA


def layer_of(name: str) -> int | None:
    """Finds the block that a module is in.

    Args:
        name: Full name of a module.

    Returns:
        The first number among its parts; None if it is in no block.

    Example:
        >>> layer_of("encoder.blocks.3.attention.query"), layer_of("classifier")
        (3, None)
    """
    return next((int(part) for part in name.split(".") if part.isdecimal()), None)


def first_match(pattern: Mapping[str, V], name: str, otherwise: V) -> V:
    """Looks up what a pattern says of a module, as PEFT does: the first entry that matches.

    Args:
        pattern: Values by full names or last parts of names.
        name: Full name of a module.
        otherwise: What holds where no entry matches.

    Returns:
        The value.
    """
    return next((value for target, value in pattern.items() if matches(name, target)), otherwise)
