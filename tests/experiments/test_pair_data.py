"""Where the pairs of a training come from, by its recipe."""

import pytest
import tiny_tasks
from experiments.tasks import translating

from lowkey.data import streams
from lowkey.data.pairs import PairExamples
from lowkey.data.training_pairs import HeldPairs, StreamedPairs
from lowkey.errors import ConfigError
from lowkey.experiments.pair_data import prepare_pairs
from lowkey.experiments.pair_tokenizers import pair_tokenizers
from lowkey.experiments.splits import read_splits

STREAM = ("data.streaming=true", "data.window=10", "data.empty=drop", "data.truncate=true")
BPE = "{kind: bpe, vocab_size: 12, dropout: 0.5}"


def prepare(*settings):
    recipe = translating("data.max_length=20", *settings)
    splits = read_splits(recipe.data, ("source", "target"), 1, print)
    tokenizers = pair_tokenizers(recipe.tokenizer, splits.train, print)
    return prepare_pairs(recipe, splits, tokenizers, 20, "data.max_length")


def test_the_recipe_decides_between_held_and_streamed_pairs(folder):
    held, streamed = prepare(), prepare(*STREAM)
    assert isinstance(held.train, HeldPairs)
    assert len(held.first) == 64
    assert isinstance(streamed.train, StreamedPairs)
    assert len(streamed.first) == len(streamed.train.lengths(0)) == 10
    assert len(held.validation) == len(streamed.validation) == 32


def test_the_first_window_is_read_and_cut_once(folder, monkeypatch):
    begun, cut = [], []
    stream_file, from_rows = streams.stream_file, PairExamples.from_rows

    def noted(*args):
        read = stream_file(*args)
        return lambda skip: begun.append(skip) or read(skip)

    def counted(rows, *args, **options):
        cut.append(rows.numbers[0])
        return from_rows(rows, *args, **options)

    monkeypatch.setattr(streams, "stream_file", noted)
    monkeypatch.setattr(PairExamples, "from_rows", counted)
    pairs = prepare(*STREAM)
    windows = [pairs.train.lengths(epoch).tolist() for epoch in (0, 1, 2)]
    assert windows[0] == pairs.first.lengths.tolist()
    assert windows[0] != windows[1]
    assert begun == [0]
    assert cut == [1, 1, 11, 21]  # the first window, validation, and the windows after it


@pytest.mark.parametrize("joint", [False, True])
def test_dropout_is_of_the_side_that_has_it_or_of_both_if_joint(folder, joint):
    target = BPE if joint else "{kind: bpe, vocab_size: 12}"
    sides = f"{{source: {BPE}, target: {target}, joint: {str(joint).lower()}}}"
    pairs = prepare(f"tokenizer={sides}")
    ids = range(64)
    cut = [pairs.train.chosen(pairs.train.numbers(epoch, ids)) for epoch in (0, 1)]
    sources, targets = (
        [str(getattr(one, name).values.tolist()) for one in cut]
        for name in ("sources", "target_labels")
    )
    assert sources[0] != sources[1]
    assert (targets[0] != targets[1]) is joint


def test_dropout_of_another_model_is_refused_by_its_key(folder):
    tiny_tasks.write_bert(folder / "bert")
    with pytest.raises(
        ConfigError, match=r"^tokenizer\.target\.dropout leaves out merges of plain"
    ):
        prepare("tokenizer.target={path: bert, dropout: 0.1}")
