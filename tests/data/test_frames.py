"""The special tokens around texts: RoBERTa's tokenizers give the ids the library itself gives."""

import io

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
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
from lowkey.errors import DataError

TEXTS = ["a good film", "Not  very good.", "", "naïve ☃ café ﬁlm", "a"]
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


def charsmap() -> bytes:
    """The table of characters that SentencePiece puts into its models and XLM-R into its files."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS[:2] * 20), model_writer=model, vocab_size=20, minloglevel=2
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def unigram() -> Tokenizer:
    """The kind of XLM-R: pieces of words that begin with a mark, and a template."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Precompiled(charsmap())
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


def framed(tokenizer: Tokenizer, pair: str) -> Tokenizer:
    """The same with BERT's tokens around texts, or whatever the pair has."""
    begin, _, end, *_ = (part.partition(":")[0] for part in pair.split())
    ends = [(name, tokenizer.token_to_id(name)) for name in (begin, end)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", pair=pair, special_tokens=ends
    )
    return tokenizer


def modernbert(pair: str = "[CLS] $A [SEP] $B [SEP]") -> Tokenizer:
    """Bytes as in RoBERTa with BERT's frame, whose second text may be of the first segment."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return framed(tokenizer, pair)


def mpnet() -> Tokenizer:
    """BERT's pieces with RoBERTa's tokens in front of them, and BERT's still among the pieces."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "##ood"]
    pieces += list("abdfgilmnotvery")
    pieces += [f"##{letter}" for letter in "abdfgilmnotvery"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return framed(tokenizer, "<s> $A </s> </s> $B:1 </s>:1")


def albert() -> Tokenizer:
    """SentencePiece's pieces with BERT's tokens around them, and quotes that are rewritten."""
    from tokenizers import Regex

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Precompiled(charsmap()),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60,
        special_tokens=["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    return framed(tokenizer, "[CLS] $A [SEP] $B:1 [SEP]:1")


def modernbert_with_segments() -> Tokenizer:
    return modernbert("[CLS] $A [SEP] $B:1 [SEP]:1")


@pytest.mark.parametrize("kind", [albert, mpnet, modernbert, modernbert_with_segments])
def test_later_families_give_the_ids_of_the_library(tmp_path, kind):
    theirs = kind()
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = TextTokenizer.load(tmp_path)
    texts = [*TEXTS, "``so'' they  said"]
    for pairs in (None, texts[::-1]):
        encoded = ours.encode(texts, pairs)
        items = texts if pairs is None else list(zip(texts, pairs, strict=True))
        wanted = theirs.encode_batch(items)
        assert encoded.tokens.values.tolist() == [i for one in wanted for i in one.ids]
        if pairs is not None and kind is not mpnet:  # whose model has no segments
            assert encoded.segment_ids.tolist() == [i for one in wanted for i in one.type_ids]
            assert encoded.segment_ids.any() == (kind is not modernbert)
    assert ours.unknown_id is not None
    (tmp_path / "again").mkdir()
    ours.save(tmp_path / "again")
    again = TextTokenizer.load(tmp_path / "again")
    for pairs in (None, texts[::-1]):
        one, other = (tokenizer.encode(texts, pairs) for tokenizer in (ours, again))
        assert one.tokens.values.tolist() == other.tokens.values.tolist()
    assert again.unknown_id == ours.unknown_id


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


@pytest.mark.parametrize(
    ("single", "pair", "known"),
    [
        ("<s> $A </s>", "<s> $A </s> </s> $B </s>", True),
        ("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", True),  # as lowkey once wrote its own
        ("<s> $A </s>", "<s> $A </s> $B </s>", False),
        ("<s> $A </s>", "<s> $A </s> </s> $B:1 </s>:1", True),
        ("<s> $A </s>", "<s> $A </s> </s>:1 $B:1 </s>:1", False),
        ("$A </s>", "<s> $A </s> </s> $B </s>", False),
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", True),
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", True),
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]", False),
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]", False),
    ],
)
def test_a_frame_is_one_of_these_or_refused(tmp_path, single, pair, known):
    names = ["<s>", "</s>", "<unk>", "[CLS]", "[SEP]", "[UNK]"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(n, i) for n, i in vocabulary.items()]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    if known:
        TextTokenizer.load(tmp_path)
    else:
        with pytest.raises(DataError, match="do not stand as in BERT"):
            TextTokenizer.load(tmp_path)
