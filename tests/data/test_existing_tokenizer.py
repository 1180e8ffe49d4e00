"""Tokenizers that others made, opened by their path."""

import json
import shutil

import pytest
import sentencepiece

from lowkey.data.existing_tokenizer import existing_tokenizer, load_tokenizer, tokenizer_sha256
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.errors import DataError, LowkeyError, MissingInputError

WORDS = ("walking", "talked", "walks", "singer", "sings", "talking", "reader", "reads", "baker")
TEXTS = [f"the {a} {b} sat on a {b}." for a in WORDS for b in WORDS]
KEY = "tokenizer.source.path"


def ids_of(tokenizer, texts):
    return tokenizer.encode(texts).tokens.values.tolist()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Makes SentencePiece models with the library's own trainer."""
    folder = tmp_path_factory.mktemp("spm")

    def make(name, **options):
        settings = {"vocab_size": 40, "minloglevel": 2, "model_type": "bpe"} | options
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS), model_prefix=str(folder / name), **settings
        )
        return folder / f"{name}.model"

    return make


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_sentencepiece_model_gives_its_own_ids(model, tmp_path, kind):
    path = model(kind, model_type=kind, vocab_size=30)
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(path))
    tokenizer = existing_tokenizer(str(path), KEY)
    texts = [*TEXTS, "a talk at the bakery!", "z"]
    encoded = tokenizer.encode(texts, special_tokens=False).tokens
    assert encoded.values.tolist() == [i for ids in oracle.encode(texts) for i in ids]
    assert encoded.lengths.tolist() == [len(ids) for ids in oracle.encode(texts)]
    assert oracle.unk_id() in encoded.values  # the "!" is in none of the texts
    assert (tokenizer.begin_id, tokenizer.end_id) == (oracle.bos_id(), oracle.eos_id())
    assert tokenizer.vocab_size == oracle.get_piece_size()
    ids = oracle.encode(TEXTS[0])
    assert tokenizer.decode([oracle.bos_id(), *ids, oracle.eos_id()]) == TEXTS[0]
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert ids_of(again, texts) == ids_of(tokenizer, texts)
    assert tokenizer_sha256(again) == tokenizer_sha256(tokenizer)
    assert tokenizer_sha256(again) != tokenizer_sha256(
        train_tokenizer(TEXTS, kind="bpe", vocab_size=40)
    )


def test_without_a_begin_token_padding_begins_or_nothing_does(model):
    assert existing_tokenizer(str(model("pad", bos_id=-1, pad_id=3)), KEY).begin_id == 3
    for name, options, word in (("bos", {"bos_id": -1}, "begin"), ("eos", {"eos_id": -1}, "end")):
        with pytest.raises(DataError, match=rf"{name}\.model: .* has no {word} token — train it"):
            existing_tokenizer(str(model(name, **options)), KEY)


def test_a_file_or_folder_of_ours_gives_the_same_tokens(tmp_path):
    made = train_tokenizer(TEXTS, kind="bpe", vocab_size=60)
    made.save(tmp_path)
    shutil.copy(tmp_path / "tokenizer.json", tmp_path / "other.json")
    for source in (tmp_path, tmp_path / "tokenizer.json", tmp_path / "other.json"):
        opened = existing_tokenizer(str(source), KEY)
        assert ids_of(opened, TEXTS) == ids_of(made, TEXTS)
        assert tokenizer_sha256(opened) == tokenizer_sha256(made)


def test_a_vocabulary_of_bert_may_be_named_by_its_file(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ncat\n")
    tokenizer = existing_tokenizer(str(tmp_path / "vocab.txt"), KEY)
    assert tokenizer.encode(["cat dog"], special_tokens=False).tokens.values.tolist() == [4, 1]


def message(source):
    with pytest.raises(LowkeyError) as caught:
        existing_tokenizer(str(source), KEY)
    return caught.value.exit_code, str(caught.value)


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / "spm.model").write_bytes(b"")
    code, said = message(tmp_path / "smp.model")
    assert (code, said.partition(" — ")[2]) == (66, f"did you mean {tmp_path}/spm.model?")
    assert said.startswith(f"{KEY}: no such file or folder")
    (tmp_path / "b.spm").write_bytes(b"")
    assert message(tmp_path) == (65, f"{KEY}: {tmp_path} holds b.spm and spm.model — name the file")
    run = tmp_path / "run"
    (run / "best" / "source").mkdir(parents=True)
    assert message(run)[1].endswith(f"— did you mean {run}/best/source?")


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"not a model", b"\x0a\xff\xff\xff\xff\x0f"])
def test_damaged_models_are_one_line(tmp_path, content):
    (tmp_path / "a.model").write_bytes(content)
    code, said = message(tmp_path / "a.model")
    assert code == 65
    assert "a.model" in said
    assert "\n" not in said


def test_special_tokens_must_be_there_and_be_different(tmp_path):
    train_tokenizer(TEXTS, kind="whitespace", vocab_size=60).save(tmp_path)
    path = tmp_path / "tokenizer.json"
    whole = json.loads(path.read_text())
    del whole["model"]["vocab"]["</s>"]
    path.write_text(json.dumps(whole | {"added_tokens": []}))
    with pytest.raises(DataError, match=r"has neither \[CLS\] and \[SEP\] nor <s> and </s>"):
        existing_tokenizer(str(path), KEY)
    whole["model"]["vocab"]["</s>"] = whole["model"]["vocab"]["<s>"]
    path.write_text(json.dumps(whole | {"added_tokens": []}))
    with pytest.raises(
        DataError, match=r"two special tokens .* same id \(<s> 1, </s> 1, <unk> 0\)"
    ):
        existing_tokenizer(str(path), KEY)
    with pytest.raises(MissingInputError):
        load_tokenizer(tmp_path / "nowhere")
