"""Tiny tasks for tests of the whole: data, a random BERT and recipes in a folder."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tiny
import torch

from lowkey.config import Config
from lowkey.hf.bert import save_encoder
from lowkey.models.encoder import Encoder

CLASSIFY = """\
data:
  train: data/train.jsonl
  validation: data/dev.jsonl
model:
  path: bert
train:
  max_steps: 2
  precision: fp32
track: []
"""

TRANSLATE = """\
data:
  train: pairs/train.jsonl
  validation: pairs/dev.jsonl
tokenizer:
  source: {kind: whitespace}
  target: {kind: whitespace}
model:
  d_model: 16
  num_heads: 2
  num_encoder_layers: 1
  num_decoder_layers: 1
  d_ff: 32
  dropout: 0.0
  attention_dropout: 0.0
  norm: pre
train:
  max_steps: 2
  precision: fp32
  batch_tokens: 400
decode:
  num_beams: 1
  max_length: 12
metrics: words
decoded_rows: 8
track: []
"""

# Words of the tiny vocabulary: each of the first two groups decides a label.
GOOD, BAD = ("good", "great"), ("bad", "dull")
FILLERS = ("the", "film", "was", "is", "very", "and", "a", "b", "c", "d")


def keys_of(cls: Any, prefix: str = "") -> Iterator[str]:
    """Every key of a schema that holds a value, as ``a.b``."""
    for name, field in cls.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            yield from keys_of(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def labelled_rows(count: int, seed: int) -> list[dict[str, str]]:
    """Texts of which one word, somewhere among fillers, decides the label."""
    chance = random.Random(seed)
    rows = []
    for i in range(count):
        words = chance.choices(FILLERS, k=chance.randint(2, 6))
        words.insert(chance.randint(0, len(words)), chance.choice((BAD, GOOD)[i % 2]))
        rows.append({"text": " ".join(words), "label": ("negative", "positive")[i % 2]})
    return rows


def tagged_rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Sentences in which some words begin an entity, and the word "films" behind one ends it."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        tokens: list[str] = []
        tags: list[str] = []
        for word in chance.choices([*GOOD, *BAD, *FILLERS], k=chance.randint(2, 6)):
            kind = "GOOD" if word in GOOD else "BAD" if word in BAD else None
            tokens.append(word)
            tags.append(f"B-{kind}" if kind else "O")
            if kind and chance.random() < 0.5:
                tokens.append("films")
                tags.append(f"I-{kind}")
        rows.append({"tokens": tokens, "tags": tags})
    return rows


def asked_rows(count: int, seed: int, *, impossible: float = 0.0) -> list[dict[str, Any]]:
    """Questions to texts in which one word, perhaps with "very" before it, is the answer."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        words = chance.choices(("the", "film", "was", "and", "a", "b", "c"), k=chance.randint(2, 8))
        texts, starts = [], []
        if chance.random() >= impossible:
            texts = [chance.choice(("", "very ")) + chance.choice((*GOOD, *BAD))]
            place = chance.randint(0, len(words))
            starts = [len(" ".join([*words[:place], ""]))]
            words.insert(place, texts[0])
        answers = {"text": texts, "answer_start": starts}
        rows.append({"question": "is the film", "context": " ".join(words), "answers": answers})
    return rows


def multilabel_rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Texts in which some words each bring a label; some texts have none."""
    chance = random.Random(seed)
    words = {"praise": GOOD, "blame": BAD, "film": ("film",)}
    rows = []
    for _ in range(count):
        text = chance.choices([*GOOD, *BAD, *FILLERS], k=chance.randint(1, 5))
        labels = [name for name, known in words.items() if set(known) & set(text)]
        rows.append({"text": " ".join(text), "label": labels})
    return rows


def reversed_pairs(count: int, seed: int) -> list[dict[str, str]]:
    """Sequences of symbols, and the same backwards."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        symbols = chance.choices("abcde", k=chance.randint(2, 5))
        rows.append({"source": " ".join(symbols), "target": " ".join(reversed(symbols))})
    return rows


def write_bert(folder: Path) -> None:
    """Writes a random BERT that tells words apart: embeddings large against the noise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder(tiny.encoder_config(d_model=32, d_ff=64))
    for name, parameter in encoder.named_parameters():
        if name.endswith("weight") and "norm" not in name:
            parameter.data.normal_(std=0.15, generator=torch.Generator().manual_seed(len(name)))
    save_encoder(encoder, folder)
    tiny.write_tokenizer(folder)


def write_tasks(folder: Path, *, rows: int = 64) -> None:
    """Fills a folder with both tasks: data/, pairs/, bert/ and a recipe for each."""
    write_jsonl(folder / "data" / "train.jsonl", labelled_rows(rows, seed=1))
    write_jsonl(folder / "data" / "dev.jsonl", labelled_rows(rows // 2, seed=2))
    write_jsonl(folder / "pairs" / "train.jsonl", reversed_pairs(rows, seed=1))
    write_jsonl(folder / "pairs" / "dev.jsonl", reversed_pairs(rows // 2, seed=2))
    write_bert(folder / "bert")
    (folder / "classify.yaml").write_text(CLASSIFY, encoding="utf-8")
    (folder / "translate.yaml").write_text(TRANSLATE, encoding="utf-8")
