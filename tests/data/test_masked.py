import numpy as np
import pytest
import tiny

from lowkey.data.config import MaskingConfig
from lowkey.data.masked import MaskedExamples
from lowkey.data.masking import Masking
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError

TEXTS = ["the film was good", "a b c d e f g h i j k", "€", "dull", "x y z a b c d e f"]


@pytest.fixture
def tokenizer(tmp_path):
    tiny.write_tokenizer(tmp_path)
    return TextTokenizer.load(tmp_path)


def examples(tokenizer, texts=TEXTS, max_length=8):
    masking = Masking.of(tokenizer, MaskingConfig())
    return MaskedExamples.from_texts(texts, tokenizer, masking, max_length=max_length)


def test_long_texts_are_read_in_pieces_of_about_one_length_and_nothing_is_lost(tokenizer):
    found = examples(tokenizer)
    assert found.texts.tolist() == [0, 1, 1, 3, 4, 4]
    assert found.lengths.tolist() == [6, 8, 7, 3, 7, 6]
    plain = tokenizer.encode(TEXTS, special_tokens=False).tokens
    for text in (0, 1, 3, 4):
        pieces = [
            found.pieces.take([i]).values for i in np.flatnonzero(found.texts == text).tolist()
        ]
        assert all((piece[0], piece[-1]) == (2, 3) for piece in pieces)
        whole = np.concatenate([piece[1:-1] for piece in pieces])
        assert whole.tolist() == plain.take([text]).values.tolist()


def test_what_is_not_read_as_it_stands_is_said(tokenizer):
    assert examples(tokenizer).notes("train", 8) == [
        "note: 40.0% of the train texts have more than 8 tokens and are read in pieces; there are"
        " 6",
        "note: 1 of the train texts hold no token to mask",
    ]
    assert examples(tokenizer, ["a", "b"], 30).notes("train", 30) == []
    with pytest.raises(DataError, match="text 0: no text holds a token to mask"):
        examples(tokenizer, ["€", "漢"])


def test_a_batch_is_its_pieces_one_by_one(tokenizer):
    found = examples(tokenizer)
    for seed in ((7, 0), None):
        together = found.batch([5, 0, 1], seed)
        alone = [found.batch([i], seed) for i in (5, 0, 1)]
        ids = [i for batch in alone for i in batch.input_ids.tolist()]
        assert together.input_ids.tolist() == ids
        assert together.targets.tolist() == [t for batch in alone for t in batch.targets.tolist()]
        assert together.counts.tolist() == [len(batch.targets) for batch in alone]
        assert together.layout.lengths.tolist() == [6, 6, 8]
        starts = np.repeat([0, 6, 12], together.counts)
        rows = np.concatenate([batch.rows.numpy() for batch in alone])
        assert together.rows.tolist() == (rows + starts).tolist()
        pieces = found.pieces.take([5, 0, 1]).values
        assert together.targets.tolist() == pieces[together.rows].tolist()


def test_masks_change_with_seed_and_epoch_and_are_fixed_without(tokenizer):
    found = examples(tokenizer, ["a b c d e f g h i j k l m n o p q r s t"] * 6, 30)
    ids = list(range(6))
    drawn = {seed: found.batch(ids, seed).rows.tolist() for seed in [(1, 0), (1, 1), (2, 0), None]}
    assert len({tuple(rows) for rows in drawn.values()}) == 4
    assert found.batch(ids, (1, 1)).rows.tolist() == drawn[1, 1]
    assert found.batch(ids, None).input_ids.tolist() == found.batch(ids, None).input_ids.tolist()
    # Equal texts are not masked alike.
    assert len({tuple(found.batch([i], (1, 0)).rows.tolist()) for i in ids}) > 1
