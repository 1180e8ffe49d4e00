"""Configurations of fine-tuning drawn at random: family, task, method, and every option of LoRA."""

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

SEED = 2
FAMILIES = ("bert", "roberta", "distilbert", "electra", "albert", "mpnet", "modernbert")
TASKS = ("classify", "pair", "multilabel", "regress", "tag", "answer", "mlm")
METHODS = ("lora", "full", "head", "bitfit")
# The folder of the base holds the encoder alone, or one with the head of its pre-training and
# without a pooler, as most published ones are.
BASES = ("encoder", "masked")
PRESETS = ("qv", "attention", "feed-forward", "all-linear")
LAYERS = {"electra": 3, "albert": 1, "modernbert": 4}
"""Blocks that can be adapted, where they are not two."""

Choices = Mapping[str, Any]
"""What was drawn, by the keys of a recipe; those without a dot in them are ours."""

HAVE_CLASSES = ("classify", "pair", "multilabel")
READ_WORDS = ("tag", "answer", "mlm")


class Refusal(NamedTuple):
    """What lowkey refuses by design, so that it is not drawn.

    Attributes:
        holds: Whether some choices are of this kind.
        message: What is said then, as a pattern.
    """

    holds: Callable[[Choices], bool]
    message: str


def _on_tables(drawn: Choices) -> bool:
    return "token" in drawn.get("lora.target_modules", ())


def _fits_badly(drawn: Choices) -> bool:
    wanted = drawn["data.long_texts"]
    return (drawn["task"], wanted) in (("tag", "window"), ("answer", "truncate")) or (
        drawn["task"] == "mlm" and wanted not in (None, "window")
    )


def _is_too_long(drawn: Choices) -> bool:
    refuses = drawn["data.long_texts"] == "error" or (
        drawn["task"] == "tag" and drawn["data.long_texts"] is None
    )
    return "data.max_length" in drawn and refuses


def _is_lora(drawn: Choices, key: str, *values: Any) -> bool:
    return drawn.get(f"lora.{key}") in values


OF_KINDS = {
    "no head for masked tokens is known": Refusal(
        lambda c: c["task"] == "mlm" and c["family"] in ("albert", "mpnet", "modernbert"),
        "the head of .* for masked tokens is not supported",
    ),
    "an adapter cannot hold a new head for masked tokens": Refusal(
        lambda c: (c["task"], c["method"], c["base"]) == ("mlm", "lora", "encoder"),
        "has no head for masked tokens, and an adapter cannot hold a new one",
    ),
    "ModernBERT has no biases": Refusal(
        lambda c: (c["family"], c["method"]) == ("modernbert", "bitfit"),
        "method bitfit trains the biases, and the encoder of .* has none",
    ),
}
OF_OPTIONS = {
    "words have no summary": Refusal(
        lambda c: c["model.pooling"] != "auto" and c["task"] in READ_WORDS,
        "makes one vector of a text",
    ),
    "the biases of a head beside the adapter": Refusal(
        lambda c: c["model.pooling"] != "auto" and _is_lora(c, "bias", "all"),
        "lora.bias all takes in the head's",
    ),
    "no probabilities to calibrate": Refusal(
        lambda c: c["calibrate"] and c["task"] not in HAVE_CLASSES,
        "calibrate: true fits probabilities",
    ),
    "no classes to weigh": Refusal(
        lambda c: c["train.class_weight"] != "none" and c["task"] in ("regress", "answer", "mlm"),
        "train.class_weight weighs classes",
    ),
    "no classes to draw by": Refusal(
        lambda c: c["train.sampling"] != "uniform" and c["task"] not in ("classify", "pair"),
        "train.sampling: balanced draws rows by their one class",
    ),
    "balanced twice": Refusal(
        lambda c: c["train.class_weight"] == c["train.sampling"] == "balanced",
        "are both balanced",
    ),
    "long texts in a way that loses what is learned": Refusal(_fits_badly, "data.long_texts is"),
    "long texts that are refused": Refusal(_is_too_long, "at most|model reads"),
    "DoRA and PiSSA on tables": Refusal(
        lambda c: (
            _on_tables(c)
            and (_is_lora(c, "use_dora", True) or _is_lora(c, "init_lora_weights", "pissa"))
        ),
        "is for linear maps, and encoder.embeddings.* is a table",
    ),
    "a table that the head uses too": Refusal(
        lambda c: _on_tables(c) and c["task"] == "mlm", "the table .* is tied"
    ),
    "halves of odd ranks": Refusal(
        lambda c: (
            _is_lora(c, "init_lora_weights", "orthogonal")
            and any(r % 2 for r in (c["lora.r"], *c["lora.rank_pattern"].values()))
        ),
        "init_lora_weights orthogonal needs even ranks",
    ),
    "a rate for a head that is not trained": Refusal(
        lambda c: (c["task"], c["method"]) == ("mlm", "lora") and "train.head_learning_rate" in c,
        "train.head_learning_rate is for heads that are trained",
    ),
}
REFUSALS = OF_KINDS | OF_OPTIONS
"""All of it; tests/experiments/test_survival.py holds that each is refused in these words."""


def refusals(choices: Choices) -> list[str]:
    return [name for name, refusal in REFUSALS.items() if refusal.holds(choices)]


def drawn(count: int) -> list[dict[str, Any]]:
    """The first configurations that are not refused; the same every time."""
    chance, tasks, found = random.Random(SEED), [], []
    while len(found) < count:
        # The tasks are dealt, all of them before any comes again, and the options are drawn until
        # they fit: nothing is rarer for having more rules.
        tasks = tasks or chance.sample(TASKS, len(TASKS))
        kind = _draw_kind(chance) | {"task": tasks[-1]}
        while not any(refusal.holds(kind) for refusal in OF_KINDS.values()):
            choices = {**kind, **_draw_options(chance, kind)}
            if not refusals(choices):
                found.append(choices)
                tasks.pop()
                break
    return found


def only_refused_as(name: str) -> dict[str, Any]:
    """A configuration that is refused for one reason alone."""
    chance = random.Random(SEED)
    while True:
        kind = _draw_kind(chance)
        choices = {**kind, **_draw_options(chance, kind)}
        if refusals(choices) == [name]:
            return choices


def _draw_kind(chance: random.Random) -> dict[str, Any]:
    return {
        "family": chance.choice(FAMILIES),
        "base": chance.choice(BASES),
        "task": chance.choice(TASKS),
        "method": chance.choice(("lora", "lora", "lora", *METHODS)),
    }


def _draw_options(chance: random.Random, kind: Choices) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model.pooling": chance.choice(("auto", "auto", "first", "mean", "max")),
        "calibrate": chance.random() < 0.4,
        "train.class_weight": chance.choice(("none", "balanced")),
        "train.sampling": chance.choice(("uniform", "uniform", "balanced")),
        "train.layer_decay": chance.choice((1.0, 1.0, 0.9)),
        "train.seed": chance.randrange(1000),
        "data.long_texts": chance.choice((None, None, "truncate", "window", "error")),
        "classes": chance.choice((2, 3)),
    }
    if chance.random() < 0.3:
        found["train.head_learning_rate"] = 0.05
    if chance.random() < 0.4:
        found["data.max_length"] = _short(kind)
        found["data.stride"] = chance.choice((None, 0, 1))
    if kind["method"] == "lora":
        found |= {f"lora.{key}": value for key, value in _draw_lora(chance, kind).items()}
    return found


def _short(kind: Choices) -> int:
    """A length that some texts do not have; RoBERTa's tokens are letters here."""
    texts = 2 if kind["task"] in ("pair", "answer") else 1
    return 34 * texts - 20 if kind["family"] == "roberta" else 8 * texts - 2


def _draw_lora(chance: random.Random, kind: Choices) -> dict[str, Any]:
    tables = ["token"] if kind["family"] == "modernbert" else ["token", "position"]
    targets = chance.choice((*PRESETS, ["query", "out", "down"], [*tables, "query", "value"]))
    adapted = {"feed-forward": ["up", "down"]}.get(str(targets), ["query", "value"])
    adapted = targets if isinstance(targets, list) else adapted
    layers = range(LAYERS.get(kind["family"], 2))
    some: int | list[int] | None = chance.choice((layers[-1], list(layers)))
    if chance.random() < 0.7 or "token" in targets:  # a table is in no layer
        some = None
    some_ranks = {chance.choice(adapted): chance.choice((2, 3, 6))} if chance.random() < 0.4 else {}
    alphas = {chance.choice(adapted): chance.choice((3, 20.5))} if chance.random() < 0.4 else {}
    return {
        "r": chance.choice((1, 2, 3, 4, 6, 8)),
        "lora_alpha": chance.choice((4, 16, 7.5)),
        "lora_dropout": chance.choice((0.0, 0.2)),
        "target_modules": targets,
        "use_rslora": chance.random() < 0.4,
        "use_dora": chance.random() < 0.4,
        "init_lora_weights": chance.choice((True, "gaussian", "orthogonal", "pissa")),
        "bias": chance.choice(("none", "lora_only", "all")),
        "rank_pattern": some_ranks,
        "alpha_pattern": alphas,
        "layers_to_transform": some,
        "loraplus_lr_ratio": chance.choice((1.0, 4.0)),
    }
