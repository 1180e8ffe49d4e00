"""What a drawn configuration is trained on: its base, its rows, and its recipe."""

import json
from pathlib import Path
from typing import Any

import tiny
import tiny_families
import tiny_tasks
from experiments.drawn import Choices
from experiments.test_families import roberta_tokenizer


def settings(choices: Choices) -> list[str]:
    """The settings of a recipe that say so, after the data and the base were written."""
    data = f"data/{choices['task']}-{choices['classes']}"
    base = f"bases/{choices['family']}-{choices['base']}"
    own = {k: v for k, v in choices.items() if "." in k or k in ("task", "method", "calibrate")}
    return [
        *(f"data.train={data}/train.jsonl", f"data.validation={data}/dev.jsonl"),
        *(f"model.path={base}", "train.learning_rate=0.02", "train.per_device_train_batch_size=8"),
        # One evaluation: the last step is the best.
        *("train.max_steps=3", "train.eval_steps=3"),
        *(f"{key}={json.dumps(value)}" for key, value in own.items()),
    ]


def write_base(folder: Path, family: str, kind: str) -> None:
    """Writes what ``settings`` calls ``bases/FAMILY-KIND``."""
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    sizes = tiny_families.SIZES[family] | {"max_position_embeddings": 130}
    made = AutoModel if kind == "encoder" else AutoModelForMaskedLM
    network = made.from_config(AutoConfig.for_model(family, **sizes))
    tiny.randomise(network, seed=len(family))
    network.save_pretrained(folder)
    tiny.write_tokenizer(folder)
    if family == "roberta":
        roberta_tokenizer(folder)
        add_special_tokens(folder / "tokenizer.json")


def add_special_tokens(path: Path) -> None:
    """Lets a tokenizer read RoBERTa's special tokens where they stand in a text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.save(str(path))


def rows(task: str, classes: int, count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of a task."""
    if task == "multilabel":
        return tiny_tasks.multilabel_rows(count, seed)
    if task == "tag":
        return tiny_tasks.tagged_rows(count, seed)
    if task == "answer":
        return tiny_tasks.asked_rows(count, seed, impossible=0.3)
    texts = tiny_tasks.labelled_rows(2 * count, seed)
    pairs = zip(texts[::2], texts[1::2], strict=True)
    found: list[dict[str, Any]] = []
    for i, (one, other) in enumerate(pairs):
        label = "neither" if classes == 3 and i % 3 == 0 else (one, other)[i % 2]["label"]
        row: dict[str, Any] = {"text": (one, other)[i % 2]["text"], "label": label}
        if task == "pair":
            row["text_pair"] = (other, one)[i % 2]["text"]
        if task == "regress":
            row["label"] = len(row["text"].split()) / 2
        if task == "mlm":
            del row["label"]
        found.append(row)
    return found
