"""Mistakes people make: what is changed in a folder where all is well, and what must be said."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CLASSIFY = ["finetune", "--config", "classify.yaml"]
TRANSLATE = ["train", "--config", "translate.yaml"]


@dataclass(frozen=True)
class Mistake:
    """One mistake: what is changed in a folder where all is well, what is typed, what is said.

    ``number`` counts as in the list of forty mistakes that the design began with.
    """

    number: int
    code: int
    answer: str
    argv: list[str]
    files: dict[str, str | bytes | Callable[[str], str]]
    needs_torch: bool = False


def setting(argv: list[str], *settings: str) -> list[str]:
    return [*argv, *(word for text in settings for word in ("--set", text))]


def config_json(**changes: Any) -> Callable[[str], str]:
    return lambda text: json.dumps(json.loads(text) | changes)


ROW = '{"text": "good film", "label": "positive"}\n'
COMMON = [
    Mistake(
        1,
        66,
        r"error: data\.train: no such file data/trian\.jsonl — did you mean data/train\.jsonl\?",
        setting(CLASSIFY, "data.train=data/trian.jsonl"),
        {},
    ),
    Mistake(
        2,
        65,
        r"error: pairs/train\.jsonl is empty \(0 bytes\) — expected one JSON object per line with "
        r'"source" and "target"',
        TRANSLATE,
        {"pairs/train.jsonl": ""},
    ),
    Mistake(
        3,
        65,
        r'error: data/train\.csv has no column "text"; its columns are: sentence, label — '
        r"set data\.columns: {text: sentence}",
        setting(CLASSIFY, "data.train=data/train.csv"),
        {"data/train.csv": "sentence,label\ngood,positive\nbad,negative\n"},
    ),
    Mistake(
        4,
        65,
        r"error: data/train\.csv:3: not UTF-8 \(byte 0xE9, column 4\), looks like windows-1252 — "
        r"set data\.encoding: cp1252",
        setting(CLASSIFY, "data.train=data/train.csv"),
        {"data/train.csv": "text,label\ngood,positive\ncafé,negative\n".encode("cp1252")},
    ),
    Mistake(
        10,
        65,
        r'error: 2 rows have an empty "text" \(first: data/train\.jsonl:3\) — '
        r"delete them or set data\.empty: drop",
        CLASSIFY,
        {"data/train.jsonl": 2 * ROW + 2 * '{"text": " ", "label": "negative"}\n'},
    ),
    Mistake(
        11,
        65,
        r'error: label "postive" \(data/dev\.jsonl:2\) is not among the labels negative, positive '
        r'— did you mean "positive"\?',
        CLASSIFY,
        {"data/dev.jsonl": ROW + ROW.replace("positive", "postive")},
    ),
    Mistake(
        12,
        65,
        r'error: all 4 rows of data/train\.jsonl have the label "0" — check '
        r"data\.columns: {label: split} \(other columns: text, sentiment\)",
        setting(CLASSIFY, "data.columns={label: split}"),
        {
            "data/train.jsonl": 4
            * '{"text": "good film", "split": "0", "sentiment": "positive"}\n',
            "data/dev.jsonl": '{"text": "a", "split": "0"}\n',
        },
    ),
    Mistake(
        17,
        2,
        r"error: classify\.yaml:7: unknown key train\.learning_rte — did you mean learning_rate\?",
        CLASSIFY,
        {"classify.yaml": lambda text: text.replace("train:\n", "train:\n  learning_rte: 1\n", 2)},
    ),
    Mistake(
        20,
        2,
        r"error: --set train\.per_device_train_batch_size: train\.per_device_train_batch_size "
        r"must be a whole number of at least 1 or null, got 0",
        setting(CLASSIFY, "train.per_device_train_batch_size=0"),
        {},
    ),
    Mistake(
        21,
        2,
        r"error: translate\.yaml:\d+: model\.d_model 512 is not divisible by num_heads 7 — "
        r"use 8 heads, or d_model 511",
        TRANSLATE,
        {
            "translate.yaml": lambda text: text.replace("d_model: 16", "d_model: 512").replace(
                "num_heads: 2", "num_heads: 7"
            )
        },
    ),
    Mistake(
        22,
        2,
        r"error: data\.max_length is 1024, but bert has 32 positions — "
        r"set data\.max_length to 32 or less",
        setting(CLASSIFY, "data.max_length=1024"),
        {},
        needs_torch=True,
    ),
    Mistake(
        25,
        66,
        r"error: model\.path: runs/old is a training run, not a model folder — did you mean "
        r"runs/old/best\? \(a model folder holds config\.json and model\.safetensors\)",
        setting(CLASSIFY, "model.path=runs/old"),
        {"runs/old/config.yaml": "", "runs/old/best/config.json": "{}"},
    ),
    Mistake(
        26,
        69,
        r'error: model\.path: model "bert-base-uncased" is no folder here and the hub cannot be '
        r"reached \(offline\) — download it elsewhere with 'hf download bert-base-uncased' and "
        r"give the path",
        setting(CLASSIFY, "model.path=bert-base-uncased"),
        {},
    ),
    Mistake(
        28,
        66,
        r"error: model\.path: old holds only pytorch_model\.bin, a pickle file that can run code "
        r"when opened — lowkey convert old OUT makes a folder with model\.safetensors; "
        r"then give OUT",
        setting(CLASSIFY, "model.path=old"),
        {"old/config.json": "{}", "old/pytorch_model.bin": b"\x80\x04."},
    ),
    Mistake(
        29,
        65,
        r'error: bert: model_type "llama" is not supported — lowkey loads bert, roberta, .*ernbert',
        CLASSIFY,
        {"bert/config.json": config_json(model_type="llama")},
    ),
    Mistake(
        30,
        65,
        r"error: bert: config\.json says 3 layers, the weights hold 2 "
        r"\(missing: encoder\.layer\.2\.\*, 16 tensors\) — "
        r"the download is incomplete, or config and weights are of two models",
        CLASSIFY,
        {"bert/config.json": config_json(num_hidden_layers=3)},
        needs_torch=True,
    ),
    Mistake(
        34,
        2,
        # Which of the three is said depends on the machine; before anything is read, all the same.
        r"error: (device )?cuda:99 asked for, (but this PyTorch \(.*\) is a CPU build — use .*"
        r"|but torch finds no CUDA device — .*|this machine has cuda:0.*)",
        setting(CLASSIFY, "train.device=cuda:99", "data.train=nowhere.jsonl"),
        {},
        needs_torch=True,
    ),
    Mistake(
        36,
        2,
        r"error: runs/classify already holds a run \(step 4200\) — add --resume to go on, "
        r"or --out for a new folder",
        CLASSIFY,
        {
            "runs/classify/config.yaml": "",
            "runs/classify/checkpoints/step-00004200/manifest.json": "",
        },
    ),
]
