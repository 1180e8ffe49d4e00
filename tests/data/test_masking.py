import numpy as np
import pytest
import tiny
from pydantic import ValidationError

from lowkey.data.config import MaskingConfig
from lowkey.data.masking import Masking
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError

BEGIN, END, UNKNOWN, MASK = 2, 3, 1, 4


@pytest.fixture
def tokenizer(tmp_path):
    tiny.write_tokenizer(tmp_path)
    return TextTokenizer.load(tmp_path)


def masking(tokenizer, **options):
    return Masking.of(tokenizer, MaskingConfig(**options))


def test_special_tokens_are_those_of_the_tokenizer(tokenizer):
    found = masking(tokenizer)
    assert found.mask_id == MASK
    assert found.special_ids.tolist() == [0, UNKNOWN, BEGIN, END, MASK]
    assert found.plain_ids.tolist() == list(range(5, len(tiny.VOCABULARY)))


def test_the_shares_are_those_of_the_recipe(tokenizer):
    text = np.array([BEGIN, *[7, 8, 9, 10] * 50, UNKNOWN, END])
    for options in ({}, {"mlm_probability": 0.5, "mask_replace_prob": 0.2}):
        config = MaskingConfig(**options)
        kinds = np.zeros(3)
        for seed in range(200):
            read, chosen = masking(tokenizer, **options).draw(text, seed)
            # Always so many, none of them special, and nothing else has changed.
            assert len(chosen) == len(set(chosen.tolist())) == round(200 * config.mlm_probability)
            assert not np.isin(text[chosen], [BEGIN, END, UNKNOWN]).any()
            rest = np.setdiff1d(np.arange(len(text)), chosen)
            assert np.array_equal(read[rest], text[rest])
            kinds += [
                (read[chosen] == MASK).sum(),
                ((read[chosen] != MASK) & (read[chosen] != text[chosen])).sum(),
                (read[chosen] == text[chosen]).sum(),
            ]
        shares = kinds / kinds.sum()
        # A random token is the right one by chance once in 42.
        random = config.random_replace_prob * (1 - 1 / len(masking(tokenizer).plain_ids))
        expected = [config.mask_replace_prob, random]
        assert shares[:2] == pytest.approx(expected, abs=0.02)
        assert shares[2] == pytest.approx(1 - sum(expected), abs=0.02)


def test_all_positions_are_chosen_alike(tokenizer):
    text = np.array([BEGIN, *range(5, 25), END])
    counts = np.zeros(len(text))
    for seed in range(2000):
        counts[masking(tokenizer).draw(text, seed)[1]] += 1
    assert counts[[0, -1]].tolist() == [0, 0]
    # 3 of 20 in each draw: 300 times each, give or take five deviations of 16.
    assert abs(counts[1:-1] - 300).max() < 80


def test_masks_are_a_function_of_the_seed(tokenizer):
    text = np.array([BEGIN, *range(5, 40), END])
    (read, chosen), (again, same), (_, other) = (
        masking(tokenizer).draw(text, seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(read, again)
    assert np.array_equal(chosen, same)
    assert not np.array_equal(chosen, other)
    assert text.tolist() == [BEGIN, *range(5, 40), END]


def test_a_short_text_is_asked_about_one_token(tokenizer):
    assert masking(tokenizer).draw(np.array([BEGIN, 9, UNKNOWN, END]), 0)[1].tolist() == [1]


def test_a_tokenizer_without_a_mask_is_refused(tmp_path):
    words = [word if word != "[MASK]" else "x1" for word in tiny.VOCABULARY]
    from tokenizers import Tokenizer, models, pre_tokenizers

    ids = {word: i for i, word in enumerate(words)}
    library = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    with pytest.raises(DataError, match=r"the tokenizer has no token \[MASK\] or <mask>"):
        masking(TextTokenizer(library))


def test_the_mask_of_roberta_is_known():
    from tokenizers import Tokenizer, models

    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b"]
    library = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="<unk>"))
    library.add_special_tokens(["<pad>", "<mask>"])
    found = masking(TextTokenizer(library))
    assert found.mask_id == 4
    assert found.special_ids.tolist() == [0, 1, 2, 3, 4]
    assert found.plain_ids.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"mlm_probability": 0.0}, "greater than 0"),
        ({"mask_replace_prob": 0.8, "random_replace_prob": 0.3}, "more than 1 together"),
    ],
)
def test_impossible_shares_are_refused(options, problem):
    with pytest.raises(ValidationError, match=problem):
        MaskingConfig(**options)
    MaskingConfig(mask_replace_prob=0.9, random_replace_prob=0.1)
