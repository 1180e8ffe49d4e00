"""Foreign tokenizers: the same ids as transformers gives, and hostile files refused in one line."""

import json
import os
import subprocess
import sys
from itertools import chain

import pytest
from tokenizers import Tokenizer
from transformers import BertTokenizerFast

from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_files import MAX_CHARS_PER_WORD
from lowkey.errors import DataError, LowkeyError, MissingInputError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "wor", "##ld", "wör", "Hello"]
WORDS += [
    "naive",
    "naïve",
    ",",
    ".",
    "!",
    "un",
    "##aff",
    "##able",
    "漢",
    "字",
    "\u2028",
    "a",
    "##b",
]
TEXTS = [
    "Hello, world!",
    "naïve NAÏVE naive",
    "漢字 unaffable",
    "wörld [SEP] [MASK]",
    "",
    " \t\x07a",
]
TEXTS += ["a" * 101 + " ab", "zzz."]


def flat(lists):
    return list(chain.from_iterable(lists))


@pytest.fixture
def folder(tmp_path):
    """A BERT folder with a vocabulary and nothing else."""
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def document(folder):
    """The tokenizer.json of the same tokenizer, as transformers writes it; padded and cut."""
    tokenizer = BertTokenizerFast.from_pretrained(folder).backend_tokenizer
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(8)
    (folder / "vocab.txt").unlink()
    return json.loads(tokenizer.to_str())


def write(folder, document):
    (folder / "tokenizer.json").write_text(json.dumps(document))
    return folder


def assert_same(folder):
    ours, theirs = TextTokenizer.load(folder), BertTokenizerFast.from_pretrained(folder)
    for pairs in (None, TEXTS[::-1]):
        encoded = ours.encode(TEXTS, pairs)
        wanted = theirs(TEXTS, pairs)
        assert encoded.tokens.values.tolist() == flat(wanted["input_ids"])
        assert encoded.tokens.lengths.tolist() == list(map(len, wanted["input_ids"]))
        if pairs:
            assert encoded.segment_ids.tolist() == flat(wanted["token_type_ids"])


@pytest.mark.parametrize("lower", [True, False, None])
@pytest.mark.parametrize("kind", ["vocab.txt", "tokenizer.json"])
def test_ids_and_segments_are_those_of_transformers(folder, kind, lower, request):
    if kind == "tokenizer.json":
        write(folder, request.getfixturevalue("document"))
    if lower is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
    assert_same(folder)


def test_the_setting_of_case_matters(folder):
    """The negative control of the test above."""
    lower = TextTokenizer.load(folder).encode(["Hello"]).tokens.values.tolist()
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert lower != TextTokenizer.load(folder).encode(["Hello"]).tokens.values.tolist()


def test_cutting_is_that_of_transformers(folder):
    ours, theirs = TextTokenizer.load(folder), BertTokenizerFast.from_pretrained(folder)
    texts = ["hello " * n for n in (1, 4, 9, 30)]
    for pairs in (None, ["a " * n for n in (2, 9, 3, 30)]):
        for limit in (4, 7, 10):
            encoded = ours.encode(texts, pairs, max_length=limit)
            wanted = theirs(texts, pairs, truncation="longest_first", max_length=limit)
            assert encoded.tokens.values.tolist() == flat(wanted["input_ids"])
            uncut = map(len, theirs(texts, pairs)["input_ids"])
            assert encoded.num_truncated == sum(length > limit for length in uncut)
    # The limit of one call is not that of the next.
    assert ours.encode(texts[-1:]).tokens.lengths.tolist() == [32]


def test_special_tokens_are_known(folder):
    tokenizer = TextTokenizer.load(folder)
    assert (tokenizer.begin_id, tokenizer.end_id, tokenizer.unknown_id) == (2, 3, 1)
    assert tokenizer.vocab_size == len(WORDS)
    assert tokenizer.tokens([2, 6, 7, 999]) == ["[CLS]", "wor", "##ld", "999"]
    assert tokenizer.decode([2, 6, 7, 3]) == "world"


def test_long_words_cannot_take_minutes(folder, document):
    document["model"]["max_input_chars_per_word"] = 10**9
    tokenizer = TextTokenizer.load(write(folder, document))
    long = "a" + "b" * MAX_CHARS_PER_WORD
    ids = tokenizer.encode([long, long[:-1], "b" * 100_000]).tokens
    assert ids.lengths.tolist() == [3, MAX_CHARS_PER_WORD + 2, 3]


def put(key, value):
    return lambda document: document | {key: value}


REGEX = {"type": "Split", "pattern": {"Regex": "((("}, "behavior": "Isolated", "invert": False}


def replacement(pattern, content=" "):
    return {"type": "Replace", "pattern": pattern, "content": content}


TEMPLATE = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
WORD_LEVEL = {"type": "WordLevel", "vocab": {"[CLS]": 0, "[SEP]": 1}, "unk_token": "none"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("pre_tokenizer", REGEX), 'pre_tokenizer "Split" is not supported'),
        (put("pre_tokenizer", {"type": "Sequence", "pretokenizers": [REGEX]}), '"Split" is not'),
        (put("pre_tokenizer", {"type": "FixedLength", "length": 0}), "length of at least 1"),
        (put("pre_tokenizer", {"type": []}), "is not supported"),
        (put("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}), "Precompiled"),
        (put("normalizer", {"type": "Sequence"}), "can be used|is not supported"),
        (put("normalizer", "BertNormalizer"), "is not supported"),
        (put("normalizer", replacement({"Regex": "(a+)+$"})), "is not supported — lowkey reads"),
        (put("normalizer", replacement({"Regex": " {2,}"}, "xx")), "is not supported"),
        (put("normalizer", replacement({"String": "a"}, "b" * 9)), "is not supported"),
        (put("normalizer", replacement({"String": ""})), "is not supported"),
        (put("normalizer", replacement("a")), "is not supported"),
        (put("post_processor", TEMPLATE), "do not stand as in BERT"),
        (put("decoder", {"type": "CTC"}), "decoder"),
        (put("model", WORD_LEVEL), "can be used"),
        (put("model", {"type": "Custom"}), 'model "Custom" is not supported'),
        (put("model", {"type": "WordPiece", "vocab": {"a": -1}, "unk_token": "a"}), "can be used"),
        (put("model", None), "is not a tokenizer"),
        (put("added_tokens", [{"id": "x"}]), "can be used"),
        (lambda document: [document], "is not a tokenizer"),
        (
            put("model", {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}),
            r"neither \[CLS\] and \[SEP\] nor <s> and </s>",
        ),
    ],
)
def test_a_hostile_or_broken_file_is_one_line(folder, document, change, words):
    document["added_tokens"] = []
    with pytest.raises(DataError, match=words) as caught:
        TextTokenizer.load(write(folder, change(document)))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_setting_and_a_missing_file_are_named(folder, tmp_path):
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": "yes"}')
    with pytest.raises(DataError, match='do_lower_case must be true or false, got "yes"'):
        TextTokenizer.load(folder)
    (folder / "vocab.txt").unlink()
    with pytest.raises(MissingInputError, match=r"no tokenizer\.json and no vocab\.txt"):
        TextTokenizer.load(folder)


def test_a_panic_of_the_library_is_an_error_like_any_other():
    """Run apart: a panic writes to the standard error of the process, past Python."""
    code = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError
vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
broken = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
broken.pre_tokenizer = pre_tokenizers.FixedLength(length=0)
try:
    TextTokenizer(broken).encode(["a"])
except DataError as error:
    sys.exit(0 if "cannot be tokenized" in str(error) else 1)
"""
    environment = {**os.environ, "RUST_BACKTRACE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"panicked" in done.stderr


def test_half_a_surrogate_pair_is_an_error(folder):
    with pytest.raises(LowkeyError, match="cannot be tokenized"):
        TextTokenizer.load(folder).encode(["a", "\ud800"])


def test_a_saved_tokenizer_comes_back_equal(folder, tmp_path):
    tokenizer = TextTokenizer.load(folder)
    (tmp_path / "saved").mkdir()
    tokenizer.save(tmp_path / "saved")
    again = TextTokenizer.load(tmp_path / "saved")
    wanted = tokenizer.encode(TEXTS, TEXTS).tokens.values.tolist()
    assert again.encode(TEXTS, TEXTS).tokens.values.tolist() == wanted
    # The file stands for itself: the library alone gives the same ids.
    alone = Tokenizer.from_file(str(tmp_path / "saved" / "tokenizer.json"))
    both = alone.encode_batch(list(zip(TEXTS, TEXTS, strict=True)))
    assert flat(encoding.ids for encoding in both) == wanted
    again.save(folder)
    first, second = folder / "tokenizer.json", tmp_path / "saved" / "tokenizer.json"
    assert first.read_bytes() == second.read_bytes()
