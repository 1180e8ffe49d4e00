import json
from pathlib import Path

import pytest
import tiny_tasks
from experiments.tasks import exact_files, record_batches, record_learners, stop_at, translating

from lowkey.config import load_recipe
from lowkey.errors import ConfigError, DataError, StoppedError
from lowkey.experiments import translation as room
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.translation import train
from lowkey.pipelines.bundle import Decoding, Facts
from lowkey.pipelines.load import load

RUN = Path("run")


def copied_pairs(count, seed):
    return [row | {"target": row["source"]} for row in tiny_tasks.reversed_pairs(count, seed)]


def test_copying_is_learned_in_seconds(folder):
    tiny_tasks.write_jsonl(folder / "pairs" / "train.jsonl", copied_pairs(1000, 1))
    tiny_tasks.write_jsonl(folder / "pairs" / "dev.jsonl", copied_pairs(50, 2))
    settings = ["train.max_steps=200", "train.learning_rate=0.01", "model.d_model=32"]
    facts = train(translating(*settings, "train.warmup_steps=10", "train.eval_steps=100"), RUN)
    assert facts.metrics["word_error_rate"]["value"] < 0.3
    assert load(RUN, device="cpu").translate(["a c e", "b d"]) == ["a c e", "b d"]
    lines = [json.loads(line) for line in (RUN / "metrics.jsonl").read_text().splitlines()]
    assert {"train/loss", "train/nll"} <= lines[0].keys()
    first, last = ([r for r in lines if "eval/nll" in r][i] for i in (0, -1))
    assert last["eval/nll"] < first["eval/nll"]
    # An untrained model is wrong nearly always: the score above is no accident.
    untrained = train(translating("train.max_steps=1", "model.d_model=32"), Path("new"))
    assert untrained.metrics["word_error_rate"]["value"] > 0.8


def test_facts_say_what_came_of_it(folder):
    tiny_tasks.write_jsonl(folder / "pairs" / "test.jsonl", tiny_tasks.reversed_pairs(30, seed=5))
    facts = train(translating("data.test=pairs/test.jsonl", "decode.num_beams=2"), RUN)
    assert Facts.read(RUN / "best") == facts
    assert (facts.kind, facts.task, facts.method) == ("translation", "words", "scratch")
    counts = facts.counts
    assert (counts["steps"], counts["train_rows"], counts["test_rows"]) == (2, 64, 30)
    model = load(RUN, device="cpu").model
    assert counts["parameters"] == sum(p.numel() for p in model.parameters())
    assert counts["train_tokens"] > 0
    assert counts["disk_bytes"] > 4 * counts["parameters"]
    assert facts.metrics["word_error_rate"]["n"] == 30
    assert len(facts.samples) == 20
    rows = [json.loads(line) for line in Path("pairs/test.jsonl").read_text().splitlines()]
    ends = facts.samples[0]["source"], facts.samples[-1]["source"]
    assert ends == (rows[0]["source"], rows[-1]["source"])
    assert facts.decode.num_beams == 2
    # Source and target are equally long, so an output may be as long as its source, and 5 more.
    assert facts.decode.max_ratio == 1.0
    assert (RUN / "report.html").exists()
    saved = json.loads((RUN / "best" / "lowkey.json").read_text())
    expected = Decoding(num_beams=2, length_penalty=1.0, max_length=12, max_ratio=1.0)
    assert saved["decode"] == expected.model_dump()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_one_vocabulary_may_have_one_table_or_several(tied, shared, folder):
    tables = [f"model.tie_embeddings={tied}", f"model.share_embeddings={shared}"]
    facts = train(translating("tokenizer.joint=true", *tables), RUN)
    model = load(RUN, device="cpu").model
    weights = {
        id(m.weight)
        for m in (model.source_embeddings.token, model.target_embeddings.token, model.output)
        if m is not None
    }
    assert len(weights) == 1 + (not tied) + (not shared)
    assert (model.output is None) == tied
    assert facts.counts["parameters"] == sum(p.numel() for p in model.parameters())


def test_a_run_of_a_named_size_says_so_and_can_be_repeated_from_its_own_recipe(folder, capsys):
    sizes = ["model.size=tiny", "model.decoder_d_ff=24", "model.positions=rotary"]
    train(translating(*sizes, "model.gated=true", "train.max_steps=1"), RUN)
    assert ", size tiny but d_model 16, num_heads 2" in capsys.readouterr().err
    train(load_recipe(TranslationRecipe, RUN / "config.yaml"), Path("again"))
    config = [(run / "best" / "config.json").read_text() for run in (RUN, Path("again"))]
    assert config[0] == config[1]
    assert json.loads(config[0])["decoder_d_ff"] == 24
    assert exact_files(RUN) == exact_files(Path("again"))


@pytest.mark.parametrize("joint", [False, True])
def test_vocabularies_come_from_the_training_rows_alone(joint, folder):
    pairs = [{"source": "only here", "target": "or there"}]
    for split in ("dev", "test"):
        tiny_tasks.write_jsonl(folder / "pairs" / f"{split}.jsonl", pairs)
    own = [{"source": f"s{i}", "target": f"t{i}"} for i in range(20)]
    tiny_tasks.write_jsonl(folder / "pairs" / "train.jsonl", own)
    train(translating("data.test=pairs/test.jsonl", f"tokenizer.joint={joint}"), RUN)
    loaded = load(RUN, device="cpu")
    for side, letters in (("source", "s"), ("target", "t")):
        tokenizer = getattr(loaded, f"{side}_tokenizer")
        tokens = set(tokenizer.tokens(range(tokenizer.vocab_size))) - {"<unk>", "<s>", "</s>"}
        wanted = "st" if joint else letters
        assert tokens == {f"{letter}{i}" for letter in wanted for i in range(20)}
    assert loaded.model.config.share_embeddings is joint


def test_rows_held_out_are_no_training_rows_for_the_vocabulary(folder, monkeypatch):
    own = [{"source": f"s{i}", "target": f"t{i}"} for i in range(20)]
    tiny_tasks.write_jsonl(folder / "pairs" / "train.jsonl", own)
    learners = record_learners(monkeypatch, room)
    train(translating("data.validation=null"), RUN)
    learner = learners[0]
    assert (len(learner.pairs.first), len(learner.pairs.validation)) == (18, 2)
    assert learner.translator.source_tokenizer.vocab_size == 3 + 18


def test_the_decoded_rows_are_spread_over_the_set(folder, monkeypatch):
    learners = record_learners(monkeypatch, room)
    train(translating("decoded_rows=4"), RUN)
    rows = [json.loads(line) for line in Path("pairs/dev.jsonl").read_text().splitlines()]
    sources = list(learners[0].decoded.column("source"))
    assert sources == [rows[i]["source"] for i in (0, 10, 20, 31)]


CUT_ANEW = [
    "tokenizer.source={kind: bpe, vocab_size: 12, dropout: 0.3}",
    "tokenizer.target={kind: bpe, vocab_size: 12, dropout: 0.3}",
]
STREAMED = ["data.streaming=true", "data.window=20", "data.empty=drop", "data.truncate=true"]


@pytest.mark.parametrize(
    "changes",
    [
        ["tokenizer.joint=true", "model.dropout=0.1"],
        CUT_ANEW,
        [*STREAMED, *CUT_ANEW, "data.max_length=20", "train.batch_tokens=60"],
    ],
    ids=["plain", "dropout", "streamed"],
)
def test_a_run_that_was_stopped_ends_as_if_it_never_was(changes, folder, monkeypatch):
    steps = [f"train.{key}" for key in ("max_steps=9", "eval_steps=2", "save_steps=3")]
    settings = [*changes, "train.logging_steps=2", "train.learning_rate=0.01", *steps]
    whole = train(translating(*settings), Path("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, room, 5)
        with pytest.raises(StoppedError, match="stopped by SIGTERM at step"):
            train(translating(*settings), RUN)
    with monkeypatch.context() as patch:
        batches = record_batches(patch, room)
        parts = train(translating(*settings), RUN, resume=True)
    assert 0 < len(batches) < 9
    assert exact_files(RUN) == exact_files(Path("whole"))
    assert (parts.metrics, parts.samples) == (whole.metrics, whole.samples)


def write_with_gaps(folder):
    """Writes windows of two rows, those at both ends and one in the middle without any."""
    kept = [json.loads(line) for line in (folder / "pairs/train.jsonl").read_text().splitlines()]
    empty = [{"source": "", "target": ""}] * 2
    rows = [*empty, *kept[:4], *empty, *kept[4:6], *empty]
    tiny_tasks.write_jsonl(folder / "pairs/gaps.jsonl", rows)
    return [*STREAMED, "data.train=pairs/gaps.jsonl", "data.window=2", "data.max_length=20"]


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_windows_without_rows_are_passed_over_in_a_resumed_run_too(stop, folder, monkeypatch):
    steps = ["train.max_steps=6", "train.save_steps=1", "train.eval_steps=2"]
    settings = [*write_with_gaps(folder), *steps, "train.per_device_train_batch_size=2"]
    whole = train(translating(*settings), Path("whole"))
    assert whole.counts["steps"] == 6
    with monkeypatch.context() as patch:
        stop_at(patch, room, stop)
        with pytest.raises(StoppedError):
            train(translating(*settings), RUN)
    train(translating(*settings), RUN, resume=True)
    assert exact_files(RUN) == exact_files(Path("whole"))


def test_a_stream_that_changed_behind_its_first_window_is_not_resumed(folder, monkeypatch):
    settings = [*STREAMED, "data.max_length=20", "train.max_steps=6", "train.save_steps=1"]
    with monkeypatch.context() as patch:
        stop_at(patch, room, 2)
        with pytest.raises(StoppedError):
            train(translating(*settings), RUN)
    path = folder / "pairs" / "train.jsonl"
    path.write_text(path.read_text() + '{"source": "a", "target": "b"}\n')
    with pytest.raises(DataError, match=r"what data\.train \(as a whole\) names has changed"):
        train(translating(*settings), RUN, resume=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["data.max_length=9"], r"data\.max_length is 9, but the model has 8 positions — set"),
        ([], r"decode\.max_length is 12, but the model has 8 positions — set decode"),
    ],
)
def test_lengths_beyond_learned_positions_are_refused(settings, words, folder):
    learned = ["model.positions=learned", "model.max_positions=8"]
    with pytest.raises(ConfigError, match=words):
        train(translating(*learned, *settings), RUN)
    assert not RUN.exists()


def test_learned_positions_bound_what_is_read(folder):
    settings = ["model.positions=learned", "model.max_positions=8", "decode.max_length=8"]
    facts = train(translating(*settings), RUN)
    assert facts.max_length == 8
    long = ["a b c d e " * 9]
    with pytest.raises(DataError, match="has 46 tokens, the model reads 8 at most"):
        load(RUN, device="cpu").translate(long)
    with pytest.warns(UserWarning, match="translated in pieces"):
        assert load(RUN, device="cpu").translate(long, long="split")
    tiny_tasks.write_jsonl(
        folder / "pairs" / "train.jsonl", [{"source": "a " * 9, "target": "b"}] * 4
    )
    with pytest.raises(DataError, match=r"longer than model\.max_positions 8"):
        train(translating(*settings), Path("other"))
    assert not Path("other").exists()


@pytest.mark.parametrize("text", ["", "{}\n", '{"source": "a", "target": " "}\n'])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_bad_data_leaves_no_run_behind(text, split, folder):
    (folder / "pairs" / "bad.jsonl").write_text(text)
    with pytest.raises(DataError) as caught:
        train(translating(f"data.{split}=pairs/bad.jsonl"), RUN)
    assert "\n" not in str(caught.value)
    assert not RUN.exists()


def test_loss_is_smoothed_in_training_and_the_likelihood_is_not(folder, monkeypatch):
    learners = record_learners(monkeypatch, room)
    for smoothing in (0.0, 0.5):
        settings = [f"train.label_smoothing_factor={smoothing}", "train.max_steps=1"]
        train(translating(*settings, "train.learning_rate=1e-30"), Path(f"run-{smoothing}"))
    plain, smooth = (learner.loss([0, 1, 2]) for learner in learners)
    assert float(plain.loss.detach()) == pytest.approx(plain.sums["nll"], rel=1e-5)
    assert smooth.sums["nll"] == pytest.approx(plain.sums["nll"], rel=1e-4)
    assert abs(float(smooth.loss.detach()) - smooth.sums["nll"]) > 1e-2
    batch = learners[0].pairs.first.batch([0, 1, 2])
    assert plain.weight == batch.target_layout.num_tokens
    assert plain.tokens == plain.weight + batch.source_layout.num_tokens
    nlls = [learner.translator.nll(learner.pairs.validation) for learner in learners]
    assert nlls[0] == pytest.approx(nlls[1], rel=1e-4)
