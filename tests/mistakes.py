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


SENTENCES = ["ja " * n for n in (1, 9, 2, 14, 3, 20, 1, 7, 15, 2, 11, 1, 18, 4, 9, 2)]
ROW = '{"text": "good film", "label": "positive"}\n'
MISTAKES = [
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
        r'error: bert: model_type "llama" is not supported — lowkey loads bert',
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
    Mistake(
        9,
        65,
        r"error: pairs/train\.de has 16 lines, pairs/train\.en has 15; they must match line "
        r"by line — by the lengths of the texts they probably slip out of step near line 6",
        setting(TRANSLATE, "data.train=pairs/train.{de,en}"),
        {
            "pairs/train.de": "".join(f"{text}\n" for text in SENTENCES),
            "pairs/train.en": "".join(f"{text}\n" for text in SENTENCES if text != SENTENCES[5]),
        },
    ),
    Mistake(
        41,
        65,
        r'error: 1 row has an empty "target" \(first: pairs/train\.en:2\) — '
        r"delete them or set data\.empty: drop",
        setting(TRANSLATE, "data.train=pairs/train.{de,en}"),
        {"pairs/train.de": "a\nb\nc\n", "pairs/train.en": "a\n\nc\n"},
    ),
    Mistake(
        42,
        66,
        r"error: data\.train: no such file pairs/train\.fr — did you mean pairs/train\.de\?",
        setting(TRANSLATE, "data.train=pairs/train.{de,fr}"),
        {"pairs/train.de": "a\n"},
    ),
    Mistake(
        43,
        2,
        r"error: data\.train: pairs/train\.\{de\} does not name two files — "
        r"write \{SOURCE,TARGET\}, such as corpus/train\.\{en,de\}",
        setting(TRANSLATE, "data.train=pairs/train.{de}"),
        {},
    ),
    Mistake(
        44,
        65,
        r'error: pairs/train\.jsonl has no column "target"; its columns are: source — '
        r"name it with data\.columns: \{target: \.\.\.\}",
        TRANSLATE,
        {"pairs/train.jsonl": '{"source": "a"}\n'},
    ),
    Mistake(
        45,
        65,
        r'error: pairs/train\.jsonl has no column "source"; its columns are: translation\.de, '
        r"translation\.en — name both sides, such as "
        r"data\.columns: \{source: translation\.de, target: translation\.en\}",
        TRANSLATE,
        {"pairs/train.jsonl": '{"translation": {"de": "ja", "en": "yes"}}\n'},
    ),
    Mistake(
        46,
        2,
        r"error: translate\.yaml:\d+: tokenizer\.source\.kind says how a tokenizer is trained, but "
        r"path names one that is there — delete kind or path",
        TRANSLATE,
        {"translate.yaml": lambda text: text.replace("source: {kind:", "source: {path: t, kind:")},
    ),
    Mistake(
        47,
        66,
        r"error: tokenizer\.source\.path: no such file or folder spm\.modle — "
        r"did you mean spm\.model\?",
        setting(TRANSLATE, "tokenizer.source={path: spm.modle}"),
        {"spm.model": ""},
    ),
    Mistake(
        48,
        65,
        r"error: spm\.model is not a SentencePiece model that can be used \(.*\)",
        setting(TRANSLATE, "tokenizer.source={path: spm.model}"),
        {"spm.model": "text"},
    ),
    Mistake(
        49,
        2,
        r"error: .*tokenizer\.target differs from source, but joint: true makes one tokenizer of "
        r"both, as source says — delete target, or set joint: false",
        setting(TRANSLATE, "tokenizer.joint=true", "tokenizer.target={kind: character}"),
        {},
    ),
    Mistake(
        50,
        2,
        r"error: --set data\.truncate: data\.truncate is true, but there is no data\.max_length to "
        r"cut at — set it",
        setting(TRANSLATE, "data.truncate=true"),
        {},
    ),
    Mistake(
        51,
        2,
        r"error: .*tokenizer\.source\.dropout leaves out merges of bpe, but kind is unigram — "
        r"set kind: bpe, or dropout: 0",
        setting(TRANSLATE, "tokenizer.source={kind: unigram, dropout: 0.1}"),
        {},
    ),
    Mistake(
        52,
        2,
        r"error: .*data\.streaming has no known end, so num_train_epochs cannot be counted — "
        r"set train\.max_steps",
        setting(TRANSLATE, "data.streaming=true", "train.max_steps=null"),
        {},
    ),
    Mistake(
        53,
        2,
        r"error: .*data\.streaming would stop the run when a text that is empty or too long"
        r" comes by"
        r" — set data\.empty: drop and data\.truncate: true, with data\.max_length",
        setting(TRANSLATE, "data.streaming=true"),
        {},
    ),
]
