"""Where the pairs of a training come from, by its recipe."""

import errno
import json
from pathlib import Path

import pytest
import tiny_tasks
from experiments.tasks import (
    exact_files,
    record_batches,
    record_learners,
    stop_at,
    translating,
)

from lowkey.cli import main
from lowkey.data import stored_pairs, stored_rows, streams
from lowkey.data.pairs import PairExamples
from lowkey.data.training_pairs import HeldPairs, StreamedPairs
from lowkey.errors import ConfigError, DataError, StoppedError
from lowkey.experiments import translation as room
from lowkey.experiments.pair_data import prepare_pairs
from lowkey.experiments.pair_tokenizers import pair_tokenizers
from lowkey.experiments.splits import read_splits
from lowkey.experiments.translation import train
from lowkey.files import ScratchFile

RUN = Path("run")

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


CUT_ANEW = [f"tokenizer={{source: {BPE}, target: {BPE}}}"]
ALTERNATIVES = ["data.validation=null", "data.train=pairs/several.jsonl"]


def write_several(folder):
    """Writes pairs of which some have other targets that are right too."""
    pairs = tiny_tasks.reversed_pairs(60, seed=6)
    rows = [pair | ({"alternatives": ["a b"]} if i % 3 else {}) for i, pair in enumerate(pairs)]
    (folder / "pairs/several.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.parametrize(
    "changes", [[], CUT_ANEW, ALTERNATIVES], ids=["plain", "dropout", "held out"]
)
def test_pairs_on_the_disk_train_the_same_model_bit_for_bit(changes, folder, monkeypatch):
    write_several(folder)
    monkeypatch.setattr(stored_rows, "PORTION", 9)
    monkeypatch.setattr(stored_pairs, "PORTION", 7)
    steps = ["train.max_steps=9", "train.save_steps=3", "train.eval_steps=2"]
    settings = [*changes, *steps, "train.logging_steps=2", "train.batch_tokens=60"]
    seen = {}
    for kept in (False, True):
        with monkeypatch.context() as patch:
            seen[kept] = record_batches(patch, room)
            learners = record_learners(patch, room)
            run = Path("disk" if kept else "memory")
            seen[kept, "facts"] = train(translating(*settings, f"data.memory_map={kept}"), run)
        column = learners[0].pairs.train.examples.sources.values
        assert column.flags.owndata is not kept  # where the tokens are
    assert seen[True] == seen[False]
    assert len(seen[True]) == 9
    files = [exact_files(Path(name)) for name in ("disk", "memory")]
    recipes = [file.pop("config.yaml").decode() for file in files]
    assert recipes[0].replace("memory_map: true", "memory_map: false") == recipes[1]
    assert files[0] == files[1]
    assert Path("disk/inputs.json").read_text() == Path("memory/inputs.json").read_text()
    metrics = [seen[kept, "facts"].metrics for kept in (True, False)]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("before", [True, False])
def test_a_stopped_run_goes_on_from_the_disk_or_from_memory(before, folder, monkeypatch):
    steps = ["train.max_steps=9", "train.save_steps=3", "train.eval_steps=2"]
    settings = [*CUT_ANEW, *steps, "train.learning_rate=0.01"]
    train(translating(*settings), Path("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, room, 5)
        with pytest.raises(StoppedError):
            train(translating(*settings, f"data.memory_map={before}"), RUN)
    train(translating(*settings, f"data.memory_map={not before}"), RUN, resume=True)
    files = [exact_files(path) for path in (RUN, Path("whole"))]
    for file in files:
        del file["config.yaml"]
    assert files[0] == files[1]


def test_a_disk_that_is_full_stops_before_anything_is_written(folder, monkeypatch, capsys):
    before = sorted(path for path in folder.rglob("*"))
    original, calls = ScratchFile.append, []

    def append(file, data):
        calls.append(len(data))
        if len(calls) == last:
            with file._scratch.worded():
                raise OSError(errno.ENOSPC, "No space left on device")
        original(file, data)

    monkeypatch.setattr(ScratchFile, "append", append)
    for last in (1, 8):  # of the texts, of the tokens
        calls.clear()
        recipe = ["--config", "translate.yaml", "--set", "data.memory_map=true"]
        assert main(["train", *recipe, "--out", "runs/new"]) == 74
        told = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert len(told) == 1
        assert told[0].startswith(f"error: no room for the training pairs in {folder}: ")
        assert told[0].endswith(" — free space there, or set data.memory_map: false")
        assert len(calls) == last
        assert sorted(path for path in folder.rglob("*")) == before


def test_other_data_is_refused_when_a_run_on_the_disk_is_resumed(folder, monkeypatch):
    recipe = translating("data.memory_map=true", "train.max_steps=6", "train.save_steps=2")
    with monkeypatch.context() as patch:
        stop_at(patch, room, 5)
        with pytest.raises(StoppedError):
            train(recipe, RUN)
    tiny_tasks.write_jsonl(folder / "pairs/train.jsonl", tiny_tasks.reversed_pairs(64, seed=9))
    with pytest.raises(DataError, match=r"what data\.train names has changed since the run began"):
        train(recipe, RUN, resume=True)
