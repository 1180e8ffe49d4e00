"""The special tokens around texts: RoBERTa's tokenizers give the ids the library itself gives."""

import pytest
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from lowkey.data.tokenizer import TextTokenizer

TEXTS = ["a good film", "Not  very good.", "", "naïve ☃ café", "a"]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def byte_level() -> Tokenizer:
    """RoBERTa's kind: bytes, merged; a frame of its own type."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>"))
    )
    return tokenizer


def unigram() -> Tokenizer:
    """The kind of XLM-R: pieces of words that begin with a mark, and a template."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    return tokenizer


@pytest.mark.parametrize("kind", [byte_level, unigram])
@pytest.mark.parametrize("pairs", [None, TEXTS[::-1]])
def test_ids_and_segments_are_those_of_the_library(tmp_path, kind, pairs):
    theirs = kind()
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = TextTokenizer.load(tmp_path)
    encoded = ours.encode(TEXTS, pairs)
    items = TEXTS if pairs is None else list(zip(TEXTS, pairs, strict=True))
    wanted = theirs.encode_batch(items)
    assert encoded.tokens.values.tolist() == [i for one in wanted for i in one.ids]
    if pairs is not None:
        assert encoded.segment_ids.tolist() == [i for one in wanted for i in one.type_ids]
        assert not encoded.segment_ids.any()
        doubled = [wanted[0].tokens[i : i + 2] for i in range(len(wanted[0].tokens))]
        assert ["</s>", "</s>"] in doubled


@pytest.mark.parametrize("kind", [byte_level, unigram])
def test_what_is_saved_gives_the_same_ids_again_in_the_library_too(tmp_path, kind):
    kind().save(str(tmp_path / "tokenizer.json"))
    ours = TextTokenizer.load(tmp_path)
    (tmp_path / "again").mkdir()
    ours.save(tmp_path / "again")
    ids = ours.encode(TEXTS, TEXTS[::-1]).tokens.values.tolist()
    again = TextTokenizer.load(tmp_path / "again").encode(TEXTS, TEXTS[::-1])
    assert again.tokens.values.tolist() == ids
    library = Tokenizer.from_file(str(tmp_path / "again" / "tokenizer.json"))
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    assert [i for one in library.encode_batch(pairs) for i in one.ids] == ids
    assert ours.decode(ours.encode([TEXTS[0]]).tokens.values.tolist()).strip() == TEXTS[0]
