"""SentencePiece with a vocabulary beside it, against transformers' MarianTokenizer."""

import json
import random
import warnings

import pytest
import tiny_marian
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.data.marian_tokenizers import load_marian_tokenizers
from lowkey.data.sentencepiece_tokenizer import SentencePieceTokenizer
from lowkey.errors import DataError, MissingInputError

CODES = (">>deu<<", ">>fra<<")
TEXTS = [
    *tiny_marian.sentences(tiny_marian.ENGLISH + " unknown ☃ 你好 x.y, Ünïcode", 60, seed=1),
    *tiny_marian.sentences(tiny_marian.GERMAN, 20, seed=2),
    "",
    " ",
    "  two  spaces ",
    "tab\there\nline",
    "½ ﬁ ①",  # what SentencePiece's own normalisation changes
    ">>deu<< the cat",
    ">>fra<<the cat",
    "the cat >>deu<<",
    "▁the cat",
]


CUT_OFF = tiny_marian.pieces(tiny_marian.ENGLISH)[:300]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("marian")
    tiny_marian.write_marian_tokenizers(folder, codes=CODES)
    return folder


@pytest.fixture(scope="module")
def source(folder):
    return load_marian_tokenizers(folder)[0]


@pytest.fixture(scope="module")
def theirs(folder):
    return open_theirs(folder)


def open_theirs(folder):
    from transformers import MarianTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MarianTokenizer.from_pretrained(folder)


def ids_of(tokenizer: SentencePieceTokenizer, texts, **options) -> list[list[int]]:
    flat = tokenizer.encode(texts, **options).tokens
    return [flat.take([i]).values.tolist() for i in range(len(flat))]


@pytest.mark.parametrize("separate", [False, True])
def test_sources_targets_and_outputs_equal_transformers(tmp_path, separate):
    tiny_marian.write_marian_tokenizers(tmp_path, separate=separate, codes=CODES)
    theirs, (source, target) = open_theirs(tmp_path), load_marian_tokenizers(tmp_path)
    assert ids_of(source, TEXTS) == theirs(TEXTS)["input_ids"]
    assert ids_of(target, TEXTS) == theirs(text_target=TEXTS)["input_ids"]
    draw = random.Random(0)
    outputs = [[draw.randrange(target.vocab_size) for _ in range(9)] for _ in range(50)]
    outputs += ids_of(target, TEXTS)
    if separate:
        # transformers leaves out what has the id of the *sources'* padding, whatever it means.
        unequal = {source.begin_id, target.begin_id}
        outputs = [[i for i in output if i not in unequal] for output in outputs]
    expected = theirs.batch_decode(outputs, skip_special_tokens=True)
    assert [target.decode(output) for output in outputs] == expected
    assert (source.end_id, source.begin_id) == (theirs.eos_token_id, theirs.pad_token_id)


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_any_text_has_the_ids_of_transformers(source, theirs, text):
    assert ids_of(source, [text]) == theirs([text])["input_ids"]


def test_special_tokens_in_a_text_are_text(source):
    # transformers takes them for the tokens themselves: a text could then end a sentence.
    (ids,) = ids_of(source, ["the </s> cat <pad>"], special_tokens=False)
    assert not {source.end_id, source.begin_id} & set(ids)


def test_a_saved_tokenizer_is_the_same(source, tmp_path):
    source.save(tmp_path)
    again = SentencePieceTokenizer.load(tmp_path)
    assert ids_of(again, TEXTS) == ids_of(source, TEXTS)
    assert (again.pieces, again.vocabulary) == (source.pieces, source.vocabulary)
    assert again.tokens([0, 1, again.begin_id, 999]) == ["</s>", "<unk>", "<pad>", "999"]


def test_another_vocabulary_gives_other_ids(source):
    shifted = {token: (i + 1) % len(source.vocabulary) for token, i in source.vocabulary.items()}
    other = SentencePieceTokenizer(source.pieces, shifted)
    assert ids_of(other, ["the cat"]) != ids_of(source, ["the cat"])


def test_a_language_that_the_model_lacks_is_refused(source):
    with pytest.raises(DataError, match=r'no language ">>due<<".*did you mean >>deu<<\?'):
        source.encode([">>due<< the cat"])


def test_half_a_surrogate_pair_is_refused(source):
    with pytest.raises(DataError, match="cannot be tokenized"):
        source.encode(["\ud800"])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("source.spm", b"", "empty"),
        ("source.spm", b"\x00not a model", "no SentencePiece model"),
        (
            "source.spm",
            tiny_marian.pieces(tiny_marian.ENGLISH)[:300],
            "no SentencePiece model|lacks|none of",
        ),
        ("vocab.json", b"[]", "expected an object"),
        ("vocab.json", b"{", "not JSON"),
        ("vocab.json", b'{"</s>": 0, "<unk>": 0}', "both have the id 0"),
        ("vocab.json", b'{"</s>": -1}', 'the id of "</s>" is -1'),
        ("vocab.json", b'{"</s>": true}', "the id of"),
        ("vocab.json", b'{"</s>": 0, "<unk>": 1, "a": 2}', 'lacks "<pad>", its pad_token'),
        ("vocab.json", b'{"</s>": 0, "<unk>": 1, "<pad>": 2}', "none of the .* pieces"),
        ("tokenizer_config.json", b'{"eos_token": 3}', "eos_token must be a text"),
        ("tokenizer_config.json", b"[]", "expected a JSON object"),
        ("tokenizer_config.json", b'{"separate_vocabs": 1}', "separate_vocabs must be true or"),
        ("tokenizer_config.json", b'{"sp_model_kwargs": {"nbest_size": 3}}', "sp_model_kwargs"),
    ],
)
def test_damaged_files_are_told_in_one_line(tmp_path, file, content, message):
    tiny_marian.write_marian_tokenizers(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_marian_tokenizers(tmp_path)
    assert "\n" not in str(caught.value)


def test_special_tokens_may_have_other_names_and_forms(tmp_path):
    tiny_marian.write_marian_tokenizers(tmp_path)
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    vocabulary["<nothing>"] = vocabulary.pop("<pad>")
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    token = {"content": "<nothing>", "lstrip": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": token}))
    source, _ = load_marian_tokenizers(tmp_path)
    assert source.begin_id == vocabulary["<nothing>"]


@pytest.mark.parametrize("name", ["source.spm", "target.spm", "vocab.json"])
def test_a_missing_file_is_named(tmp_path, name):
    tiny_marian.write_marian_tokenizers(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingInputError, match=name):
        load_marian_tokenizers(tmp_path)
