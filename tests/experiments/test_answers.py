from pathlib import Path

import pytest
import tiny_tasks
from experiments.tasks import finetuning

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import DataError
from lowkey.experiments.answers import Answers, columns_of, measures_of, read_answers, write_answers
from lowkey.experiments.evaluation import evaluate
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.bundle import Facts, as_metrics


@pytest.mark.parametrize(
    ("outputs", "scores"),
    [
        (["a", "line\u2028separator", "ü"], None),
        ([1.5, -0.25], None),
        ([["B-X", "O"], ["O", None]], None),
        ([["a", "b"], []], [{"a": 1.5, "b": 0.5}, {"a": -1.0, "b": -2.0}]),
        (["text", None], None),
    ],
)
def test_what_is_written_is_read_again(tmp_path, outputs, scores):
    file = tmp_path / "answers.jsonl"
    write_answers(Answers("a", outputs, scores), file)
    assert read_answers("a", file) == Answers("a", outputs, scores)


def test_what_holds_no_answers_is_refused(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"label": 1}\n')
    with pytest.raises(DataError, match="holds no answers"):
        read_answers("a", file)
    file.write_text('{"output": 1}\n{"outp')
    with pytest.raises(DataError, match=r"answers\.jsonl:2"):
        read_answers("a", file)


TASKS = {
    "classify": tiny_tasks.labelled_rows,
    "multilabel": tiny_tasks.multilabel_rows,
    "tag": tiny_tasks.tagged_rows,
    "answer": tiny_tasks.asked_rows,
}


@pytest.mark.parametrize("task", TASKS)
def test_the_scores_of_a_run_are_those_of_its_answers(folder, task):
    for name, seed in (("train", 1), ("dev", 2), ("test", 3)):
        tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", TASKS[task](32, seed))
    settings = (f"task={task}", "data.test=data/test.jsonl", "train.learning_rate=0.01")
    facts = finetune(finetuning(*settings, "train.max_steps=3"), Path("run"))
    found = evaluate(Path("run"), "data/test.jsonl", device="cpu")
    assert found["metrics"] == facts.metrics
    answers = read_answers("run", Path("run") / "answers.jsonl")
    rows = read_rows("data/test.jsonl", DataConfig(), columns_of(facts), key="data.test")
    measures = measures_of([answers], rows, facts.kind, [task])
    assert as_metrics({name: m.score() for name, m in measures.items()}) == facts.metrics
    assert facts.metrics == Facts.read(Path("run") / "best").metrics
