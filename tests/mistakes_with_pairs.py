"""Mistakes people make with pairs of texts and their tokenizers."""

from mistakes import CLASSIFY, TRANSLATE, Mistake, setting

SENTENCES = ["ja " * n for n in (1, 9, 2, 14, 3, 20, 1, 7, 15, 2, 11, 1, 18, 4, 9, 2)]
WITH_PAIRS = [
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
        r"error: .*data\.streaming would stop the run when a text that is empty or too long comes "
        r"by — set data\.empty: drop and data\.truncate: true, with data\.max_length",
        setting(TRANSLATE, "data.streaming=true"),
        {},
    ),
    Mistake(
        54,
        66,
        r"error: start_from: .*opus-de.*",
        setting(TRANSLATE, "start_from=./opus-de", "tokenizer={}", "model={}"),
        {},
    ),
    Mistake(
        55,
        2,
        r"error: data\.memory_map: toy:copy cannot be read in portions — give \.jsonl, \.parquet, "
        r"two files of lines or a Hub name, or set it to auto",
        setting(TRANSLATE, "data.train=toy:copy", "data.memory_map=true"),
        {},
        needs_torch=True,
    ),
    Mistake(
        56,
        2,
        r"error: .*data\.streaming holds one window of pairs in memory and data\.memory_map keeps "
        r"all of them on the disk — set one of them to false",
        setting(TRANSLATE, "data.streaming=true", "data.memory_map=true"),
        {},
    ),
    Mistake(
        57,
        2,
        r"error: .*data\.memory_map is for lowkey train; lowkey finetune holds its rows in memory "
        r"— leave it at auto",
        setting(CLASSIFY, "data.memory_map=true"),
        {},
    ),
    Mistake(
        58,
        2,
        r"error: --set data\.memory_map: .*maybe.*",
        setting(TRANSLATE, "data.memory_map=maybe"),
        {},
    ),
]
