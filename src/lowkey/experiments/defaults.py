"""What ``lowkey finetune`` does where a recipe is silent, with the reasons: the one table of it.

Recipes are filled in from these rows, and ``lowkey explain defaults`` prints them. A default that
holds for some methods says so; of several rows for a key the first that fits holds.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Default:
    """One value with its reason.

    Attributes:
        key: The key of the recipe, as ``train.learning_rate``.
        value: What holds where the recipe does not say.
        why: The reason.
        source: Who found it: a paper with its place, or a measurement of ours.
        methods: The methods it holds for; all of them if empty.
        unless: A key that takes its place, if the recipe gives that one.
    """

    key: str
    value: float | int | str
    why: str
    source: str
    methods: tuple[str, ...] = ()
    unless: str = ""

    def holds(self, method: str) -> bool:
        """Says whether it is for a method.

        Args:
            method: What is trained.

        Returns:
            Whether it is.
        """
        return not self.methods or method in self.methods


_DEVLIN = "Devlin et al., BERT, 2019, appendix A.3"
_HU = "Hu et al., LoRA, 2021, table 9 (RoBERTa)"
_SCHULMAN = "Schulman et al., LoRA Without Regret, 2025"

DEFAULTS: tuple[Default, ...] = (
    Default(
        "train.learning_rate",
        5e-4,
        "about ten times the rate of full fine-tuning, whatever the rank",
        f"{_SCHULMAN}; {_HU}: 4e-4 to 5e-4",
        methods=("lora",),
    ),
    Default(
        "train.learning_rate",
        5e-5,
        "the highest of the rates that BERT was tuned with",
        f"{_DEVLIN}: 2e-5 to 5e-5",
        methods=("full",),
    ),
    Default(
        "train.learning_rate",
        1e-3,
        "biases alone bear, and need, a much higher rate than all weights",
        "Ben Zaken et al., BitFit, 2022, and the default of its published code",
        methods=("bitfit",),
    ),
    Default(
        "train.learning_rate",
        1e-2,
        "a small map on features that stay as they are has nothing to forget",
        "our run: benchmarks/results/demo.json, sentiment-head",
        methods=("head",),
    ),
    Default(
        "train.num_train_epochs",
        3,
        "what BERT was tuned with; the best step is kept, so a few more cost time, not score",
        f"{_DEVLIN}: 2 to 4",
    ),
    Default(
        "train.per_device_train_batch_size",
        32,
        "small batches, by examples: LoRA loses more than full fine-tuning when they grow",
        f"{_DEVLIN}: 16 or 32; {_SCHULMAN}",
        unless="train.batch_tokens",
    ),
    Default(
        "train.warmup_steps",
        0.06,
        "a share of the run: Adam's first steps are the most uncertain ones",
        f"Liu et al., RoBERTa, 2019, table 10; {_HU}",
    ),
    Default(
        "lora.r",
        8,
        "more is rarely needed to adapt an encoder",
        f"{_HU}; section 7.2: small ranks suffice",
        methods=("lora",),
    ),
    Default(
        "lora.lora_alpha",
        16,
        "a scale of 2, which the learning rate above goes with",
        "our runs: benchmarks/results/demo.json, sentiment-lora",
        methods=("lora",),
    ),
    Default(
        "lora.target_modules",
        "all-linear",
        "adapters on attention alone are weaker, even with as many parameters",
        f"{_SCHULMAN}; Dettmers et al., QLoRA, 2023, section 4",
        methods=("lora",),
    ),
)
"""In the order in which they are shown. They hold for encoders and data of any size."""


def defaults_for(method: str) -> dict[str, Default]:
    """Picks what holds for a method.

    Args:
        method: What is trained.

    Returns:
        The default of each key.

    Example:
        >>> defaults_for("full")["train.learning_rate"].value
        5e-05
    """
    found: dict[str, Default] = {}
    for default in DEFAULTS:
        if default.holds(method):
            found.setdefault(default.key, default)
    return found


def filled_in(values: Mapping[str, Any], defaults: Iterable[Default]) -> dict[str, Any]:
    """Gives a recipe the defaults that it does not set itself.

    Args:
        values: The recipe as it was read; a section may be anything.
        defaults: What holds where it is silent.

    Returns:
        The recipe with them. A section that is no mapping is left for others to refuse.
    """
    filled = dict(values)
    given = set(flat_keys(values))
    for default in defaults:
        section, _, name = default.key.partition(".")
        group = filled.get(section, {})
        if isinstance(group, dict) and default.unless not in given:
            filled[section] = {name: default.value, **group}
    return filled


def flat_keys(values: Mapping[str, Any]) -> Collection[str]:
    """Lists the keys that a recipe sets, as ``train.seed``.

    Args:
        values: The recipe as it was read.

    Returns:
        The keys of its sections; a section without keys is none itself.
    """
    return [
        f"{section}.{name}"
        for section, group in values.items()
        for name in (group if isinstance(group, dict) else ())
    ]
