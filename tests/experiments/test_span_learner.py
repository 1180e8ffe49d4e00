import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_tasks
import torch
from experiments.tasks import exact_files, finetuning, record_batches, record_learners, stop_at

from lowkey.errors import ConfigError, DataError, StoppedError
from lowkey.experiments.evaluation import compare, evaluate
from lowkey.experiments.finetune import finetune
from lowkey.experiments.span_learner import SpanLearner
from lowkey.metrics.squad import best_f1
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.load import load

RUN = Path("run")
ROOM = SimpleNamespace(Learner=SpanLearner)


@pytest.fixture
def asked(folder):
    """The folder of the tiny tasks, with questions for data."""
    write(folder, "train", tiny_tasks.asked_rows(64, seed=1))
    write(folder, "dev", tiny_tasks.asked_rows(32, seed=2))
    return folder


def write(folder, name, rows):
    tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", rows)


def read(name):
    return [json.loads(line) for line in Path(f"data/{name}.jsonl").read_text().splitlines()]


def asking(*settings):
    return finetuning("task=answer", *settings)


@pytest.mark.parametrize(
    ("method", "rate", "low", "high"),
    [
        ("lora", 0.01, 0.95, 1.0),
        ("full", 0.006, 0.95, 1.0),
        ("bitfit", 0.03, 0.95, 1.0),
        ("head", 0.02, 0.4, 0.9),
    ],
)
def test_answers_are_found_unless_the_encoder_is_frozen(method, rate, low, high, asked):
    write(asked, "train", tiny_tasks.asked_rows(400, seed=1))
    settings = [f"method={method}", f"train.learning_rate={rate}", "train.max_steps=100"]
    facts = finetune(asking(*settings), RUN)
    assert low <= facts.metrics["exact_match"]["value"] <= high
    assert (facts.kind, facts.task, facts.null_threshold) == ("answering", "answer", None)
    # What is said of a run is what its model does, and it does it in windows as well.
    rows = read("dev")
    texts = [[row[name] for row in rows] for name in ("question", "context")]
    answers = load(RUN, device="cpu").predict(*texts)
    found = [best_f1(a["answer"], r["answers"]["text"]) for a, r in zip(answers, rows, strict=True)]
    assert facts.metrics["f1"]["value"] == pytest.approx(sum(found) / len(found))
    assert all(
        a["answer"] == r["context"][a["start"] : a["end"]]
        for a, r in zip(answers, rows, strict=True)
    )
    assert facts.samples[0].keys() == {"source", "target", "prediction", "correct"}


@pytest.mark.parametrize("max_length", [32, 10])
def test_the_loss_is_that_of_transformers_window_by_window(asked, monkeypatch, max_length):
    from transformers import BertForQuestionAnswering

    learners = record_learners(monkeypatch, ROOM)
    finetune(asking("method=full", "train.max_steps=1", f"data.max_length={max_length}"), RUN)
    (learner,) = learners
    learner.model.eval()
    learner.classifier.save_whole(Path("theirs"))
    theirs = BertForQuestionAnswering.from_pretrained("theirs").eval()
    examples, ids = learner.train, [3, 0, 7, 12]
    assert (len(examples.tokens) > len(examples)) is (max_length == 10)
    losses = []
    for i in ids:
        batch = examples.batch([i])
        spans = {"start_positions": batch.spans[:, 0], "end_positions": batch.spans[:, 1]}
        ids_of_one = {"input_ids": batch.input_ids[None], "token_type_ids": batch.segment_ids[None]}
        losses.append(float(theirs(**ids_of_one, **spans).loss.detach()))
    found = learner.loss(ids)
    assert (found.weight, found.tokens) == (4, sum(examples.lengths[ids]))
    assert float(found.loss.detach()) == pytest.approx(sum(losses), abs=1e-5)
    # Smoothing spreads its share over all tokens of a window.
    batch = examples.batch([3])
    with torch.no_grad():
        log_p = learner.model(batch.input_ids, batch.layout, batch.segment_ids).log_softmax(0)
    settings = "train.label_smoothing_factor=0.2"
    learner.recipe = asking(settings)
    assert float(learner.loss([3]).loss.detach()) == pytest.approx(
        0.8 * losses[0] - 0.2 * float(log_p.mean()), abs=1e-5
    )


def test_questions_without_an_answer_get_a_threshold_from_validation(asked, capsys):
    write(asked, "train", tiny_tasks.asked_rows(400, seed=1, impossible=0.4))
    write(asked, "dev", tiny_tasks.asked_rows(60, seed=2, impossible=0.4))
    write(asked, "test", tiny_tasks.asked_rows(60, seed=3, impossible=0.4))
    settings = ["train.learning_rate=0.01", "train.max_steps=100", "train.eval_steps=25"]
    facts = finetune(asking(*settings, "data.test=data/test.jsonl"), RUN)
    said = capsys.readouterr().err
    assert "of the train questions have no answer" in said
    assert set(facts.metrics) == {"exact_match", "f1", "answerable_f1", "unanswerable_accuracy"}
    assert facts.metrics["unanswerable_accuracy"]["value"] > 0.7
    assert facts.metrics["answerable_f1"]["value"] > 0.7
    assert Facts.read(RUN / "best").null_threshold == facts.null_threshold is not None
    # It is the one of the best step: no other does better on the validation questions.
    model = load(RUN, device="cpu")
    rows = evaluate(RUN, "data/dev.jsonl", device="cpu")["metrics"]["f1"]["value"]
    for change in (-20, -3, 3, 20):
        model.facts = model.facts.model_copy(
            update={"null_threshold": facts.null_threshold + change}
        )
        texts = model.predict(
            [row["question"] for row in read("dev")], [row["context"] for row in read("dev")]
        )
        scores = [
            best_f1(a["answer"] or "", r["answers"]["text"])
            for a, r in zip(texts, read("dev"), strict=True)
        ]
        assert sum(scores) / len(scores) <= rows + 1e-9


def test_the_methods_read_the_same_batches_in_the_same_order(asked, monkeypatch):
    seen = []
    for method in ("lora", "full", "head", "bitfit"):
        with monkeypatch.context() as patch:
            batches = record_batches(patch, ROOM)
            finetune(asking(f"method={method}", "train.max_steps=4"), Path(method))
        seen.append(batches)
    assert all(batches == seen[0] for batches in seen)


def test_a_run_that_was_stopped_ends_as_if_it_never_was(asked, monkeypatch):
    write(asked, "train", tiny_tasks.asked_rows(64, seed=1, impossible=0.3))
    steps = [f"train.{key}" for key in ("max_steps=9", "eval_steps=2", "save_steps=3")]
    settings = ["train.per_device_train_batch_size=16", *steps, "train.learning_rate=0.01"]
    whole = finetune(asking(*settings), Path("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, ROOM, 5)
        with pytest.raises(StoppedError):
            finetune(asking(*settings), RUN)
    parts = finetune(asking(*settings), RUN, resume=True)
    assert exact_files(RUN) == exact_files(Path("whole"))
    assert (parts.metrics, parts.null_threshold) == (whole.metrics, whole.null_threshold)


def test_runs_are_evaluated_and_compared(asked):
    facts = finetune(asking(), RUN)
    assert evaluate(RUN, "data/dev.jsonl", device="cpu")["metrics"] == facts.metrics
    both = compare([RUN, RUN], "data/dev.jsonl", device="cpu", outputs=Path("outputs"))
    assert both["differences"][0]["metrics"]["f1"]["value"] == 0
    line = json.loads((Path("outputs") / "run.jsonl").read_text().splitlines()[0])
    assert line["output"] in line["context"]


def test_long_contexts_are_told_and_may_be_refused(asked, capsys):
    finetune(asking("data.max_length=10", "data.max_answer_length=1"), RUN)
    said = capsys.readouterr().err
    assert "questions have a context that is read in several windows (" in said
    assert "of the train answers have more than 1 tokens and cannot be found" in said
    assert Facts.read(RUN / "best").max_answer_length == 1
    with pytest.raises(
        DataError, match=r"data/train\.jsonl:\d+: the context has \d+ tokens, 4 fit"
    ):
        finetune(asking("data.max_length=10", "data.long_texts=error"), Path("other"))
    with pytest.raises(DataError, match=r"tokens that the model reads, 1 are left for a window"):
        finetune(asking("data.max_length=7"), Path("other"))
    with pytest.raises(ConfigError, match="an answer may stand in what is cut off"):
        asking("data.long_texts=truncate")
    assert not Path("other").exists()
