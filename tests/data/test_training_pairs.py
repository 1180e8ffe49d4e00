"""Training pairs, plain, cut anew or streamed: always a function of their numbers."""

import json
import random

import pytest

from lowkey.data.config import DataConfig
from lowkey.data.pairs import PairExamples
from lowkey.data.rows import select_rows
from lowkey.data.streams import RowStream
from lowkey.data.subword_dropout import SubwordDropout
from lowkey.data.table import table_of_records
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.data.training_pairs import HeldPairs, PairDropout, StreamedPairs, TrainingPairs

CHANCE = random.Random(3)
WORDS = ["".join(CHANCE.choices("abcd", k=CHANCE.randint(2, 7))) for _ in range(20)]
RECORDS = [
    {"source": " ".join(CHANCE.choices(WORDS, k=3)), "target": " ".join(CHANCE.choices(WORDS, k=2))}
    for _ in range(23)
]
TOKENIZER = train_tokenizer([r["source"] for r in RECORDS], kind="bpe", vocab_size=80)


def rows():
    table = table_of_records("t.jsonl", RECORDS, range(1, len(RECORDS) + 1))
    return select_rows(table, DataConfig(), ("source", "target"))


def encode(some):
    return PairExamples.from_rows(some, TOKENIZER, TOKENIZER)


def dropout(*, source=0.3, target=0.3, max_length=None):
    sides = [SubwordDropout(TOKENIZER, rate) if rate else None for rate in (source, target)]
    return PairDropout(*sides, seed=7, max_length=max_length)


def tokens(pairs):
    parts = (pairs.sources, pairs.target_inputs, pairs.target_labels)
    return [(part.values.tolist(), part.lengths.tolist()) for part in parts]


def test_without_dropout_every_epoch_is_the_same():
    held = HeldPairs(encode(rows()), rows())
    assert isinstance(held, TrainingPairs)
    numbers = held.numbers(3, [4, 2, 9])
    assert numbers == [4, 2, 9]
    assert tokens(held.chosen(numbers)) == tokens(encode(rows()).take([4, 2, 9]))


def test_dropout_cuts_differently_in_every_epoch_and_says_the_same():
    plain, held = encode(rows()), HeldPairs(encode(rows()), rows(), dropout())
    ids = list(range(23))
    epochs = [held.chosen(held.numbers(epoch, ids)) for epoch in range(3)]
    assert len({str(tokens(pairs)) for pairs in [plain, *epochs]}) == 4
    for pairs in epochs:
        for name in ("sources", "target_inputs", "target_labels"):
            cut, whole = getattr(pairs, name), getattr(plain, name)
            for i in ids:
                ends = (cut.take([i]).values.tolist(), whole.take([i]).values.tolist())
                assert TOKENIZER.decode(ends[0]) == TOKENIZER.decode(ends[1])
                if name != "target_inputs":
                    assert ends[0][-1] == ends[1][-1] == TOKENIZER.end_id
                else:
                    assert ends[0][0] == ends[1][0] == TOKENIZER.begin_id
    # The decoder reads what it is to say, one token later.
    for i in ids:
        reads = epochs[0].target_inputs.take([i]).values[1:].tolist()
        assert reads == epochs[0].target_labels.take([i]).values[:-1].tolist()


def test_a_pair_is_cut_alike_in_any_batch():
    held = HeldPairs(encode(rows()), rows(), dropout())
    together = held.chosen(held.numbers(2, range(23)))
    for ids in ([5], [22, 5, 0]):
        assert tokens(held.chosen(held.numbers(2, ids))) == tokens(together.take(ids))


def test_one_side_may_have_it_alone():
    plain, held = encode(rows()), HeldPairs(encode(rows()), rows(), dropout(target=0.0))
    made = tokens(held.chosen(held.numbers(1, range(23))))
    assert made[0] != tokens(plain)[0]
    assert made[1:] == tokens(plain)[1:]


def test_what_would_become_too_long_is_cut_as_without():
    longest = int(encode(rows()).sources.lengths.max())
    held = HeldPairs(encode(rows()), rows(), dropout(source=0.9, max_length=longest))
    cut = held.chosen(held.numbers(0, range(23)))
    assert cut.sources.lengths.max() <= longest
    free = HeldPairs(encode(rows()), rows(), dropout(source=0.9))
    assert free.chosen(free.numbers(0, range(23))).sources.lengths.max() > longest


@pytest.mark.parametrize("drop", [None, dropout()])
def test_a_stream_gives_its_windows_as_epochs(tmp_path, drop):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in RECORDS))

    def streamed():
        stream = RowStream(str(path), DataConfig(window=10), ("source", "target"), "data.train")
        return StreamedPairs(stream, encode, drop)

    pairs = streamed()
    assert isinstance(pairs, TrainingPairs)
    assert [len(pairs.lengths(epoch)) for epoch in range(4)] == [10, 10, 3, 10]
    assert pairs.lengths(2).tolist() == encode(rows()).take([20, 21, 22]).lengths.tolist()
    numbers = pairs.numbers(2, [1, 0])
    again = streamed().chosen(numbers)
    assert tokens(again) == tokens(pairs.chosen(numbers))
    if drop is None:
        assert tokens(again) == tokens(encode(rows()).take([21, 20]))
    else:
        # The second pass over the same rows cuts them in its own way.
        once, later = pairs.numbers(0, [3, 4]), pairs.numbers(3, [3, 4])
        assert tokens(pairs.chosen(once)) != tokens(pairs.chosen(later))
