import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_tasks
import torch
from experiments.tasks import exact_files, finetuning, record_batches, record_learners, stop_at
from seqeval.metrics import f1_score

from lowkey.errors import DataError, StoppedError
from lowkey.experiments.evaluation import compare, evaluate
from lowkey.experiments.finetune import finetune
from lowkey.experiments.learners import TagLearner
from lowkey.pipelines.load import load

RUN = Path("run")
ROOM = SimpleNamespace(Learner=TagLearner)


@pytest.fixture
def tagged(folder):
    """The folder of the tiny tasks, with tagged words for data."""
    write(folder, "train", tiny_tasks.tagged_rows(64, seed=1))
    write(folder, "dev", tiny_tasks.tagged_rows(32, seed=2))
    return folder


def write(folder, name, rows):
    tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", rows)


def tagging(*settings):
    return finetuning("task=tag", *settings)


@pytest.mark.parametrize(
    ("method", "rate", "low", "high"),
    [("lora", 0.01, 0.7, 1.0), ("full", 0.006, 0.7, 1.0), ("head", 0.02, 0.0, 0.6)],
)
def test_entities_are_learned_unless_the_encoder_is_frozen(method, rate, low, high, tagged):
    write(tagged, "train", tiny_tasks.tagged_rows(400, seed=1))
    settings = [f"method={method}", f"train.learning_rate={rate}", "train.max_steps=120"]
    facts = finetune(tagging(*settings), RUN)
    assert low <= facts.metrics["entity_f1"]["value"] <= high
    assert (facts.kind, facts.task) == ("tagging", "tag")
    # What is said of a run is what its model does, by another scorer.
    rows = [json.loads(line) for line in Path("data/dev.jsonl").read_text().splitlines()]
    answers = load(RUN, device="cpu").predict([row["tokens"] for row in rows])
    truth, said = [row["tags"] for row in rows], [answer["tags"] for answer in answers]
    assert facts.metrics["entity_f1"]["value"] == pytest.approx(f1_score(truth, said))
    assert facts.samples[0].keys() == {"source", "target", "prediction", "correct"}


def test_the_loss_is_that_of_transformers_over_first_subwords(tagged, monkeypatch):
    from transformers import BertForTokenClassification

    learners = record_learners(monkeypatch, ROOM)
    finetune(tagging("method=full", "train.max_steps=1"), RUN)
    (learner,) = learners
    learner.model.eval()
    learner.classifier.save_whole(Path("theirs"))
    theirs = BertForTokenClassification.from_pretrained("theirs").eval()
    ids, examples = [3, 0, 7], learner.train
    length = max(examples.lengths[ids])
    input_ids, labels = (torch.full((3, length), fill) for fill in (0, -100))
    for row, i in enumerate(ids):
        tokens, first, tags = (
            part.take([i]).values
            for part in (examples.words.tokens, examples.words.first, examples.tags)
        )
        input_ids[row, : len(tokens)] = torch.from_numpy(tokens)
        labels[row, first] = torch.from_numpy(tags).long()
    out = theirs(input_ids=input_ids, attention_mask=(input_ids > 0).long(), labels=labels)
    found = learner.loss(ids)
    words = int((labels >= 0).sum())
    assert found.weight == words < found.tokens
    assert float(found.loss) / words == pytest.approx(float(out.loss), abs=1e-5)
    right = (out.logits.argmax(2) == labels)[labels >= 0].sum()
    assert found.sums["accuracy"] == right


def test_the_methods_read_the_same_batches_in_the_same_order(tagged, monkeypatch):
    seen = []
    for method in ("lora", "full", "head", "bitfit"):
        with monkeypatch.context() as patch:
            batches = record_batches(patch, ROOM)
            finetune(tagging(f"method={method}", "train.max_steps=4"), Path(method))
        seen.append(batches)
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert len(seen[0]) == 4


def test_a_run_that_was_stopped_ends_as_if_it_never_was(tagged, monkeypatch):
    steps = [f"train.{key}" for key in ("max_steps=9", "eval_steps=2", "save_steps=3")]
    settings = ["train.per_device_train_batch_size=16", *steps, "train.learning_rate=0.01"]
    whole = finetune(tagging(*settings), Path("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, ROOM, 5)
        with pytest.raises(StoppedError):
            finetune(tagging(*settings), RUN)
    parts = finetune(tagging(*settings), RUN, resume=True)
    assert exact_files(RUN) == exact_files(Path("whole"))
    assert parts.metrics == whole.metrics


def test_tags_of_single_words_are_scored_by_accuracy_and_macro_f1(tagged):
    for name in ("train", "dev"):
        rows = [json.loads(x) for x in Path(f"data/{name}.jsonl").read_text().splitlines()]
        write(tagged, name, [r | {"tags": [t[2:] or "NONE" for t in r["tags"]]} for r in rows])
    facts = finetune(tagging("train.learning_rate=0.02", "train.max_steps=30"), RUN)
    assert facts.metrics.keys() == {"accuracy", "f1_macro"}
    assert facts.metrics["f1_macro"]["n"] == 32
    # The scores of the run, of evaluate and of compare are one.
    assert evaluate(RUN, "data/dev.jsonl", device="cpu")["metrics"] == facts.metrics
    both = compare([RUN, RUN], "data/dev.jsonl", device="cpu", outputs=Path("outputs"))
    assert both["systems"][1]["metrics"]["f1_macro"]["value"] == facts.metrics["f1_macro"]["value"]
    assert both["differences"][0]["metrics"]["accuracy"]["value"] == 0
    lines = (Path("outputs") / "run.jsonl").read_text().splitlines()
    assert (
        json.loads(lines[0])["output"]
        == load(RUN, device="cpu").predict([json.loads(lines[0])["tokens"]])[0]["tags"]
    )


def test_long_sentences_are_refused_unless_they_are_to_be_cut(tagged, capsys):
    with pytest.raises(DataError) as caught:
        finetune(tagging("data.max_length=8"), RUN)
    assert "data/train.jsonl:" in str(caught.value)
    assert "the model reads 8 at most" in str(caught.value)
    assert "or train with data.long_texts: truncate" in str(caught.value)
    assert not RUN.exists()
    facts = finetune(tagging("data.max_length=8", "data.long_texts=truncate"), RUN)
    said = capsys.readouterr().err
    assert "of the train sentences have more than 8 tokens and are cut" in said
    assert "of the validation sentences have more than 8 tokens and are cut" in said
    assert (facts.max_length, facts.long_texts) == (8, "truncate")
    tags = load(RUN, device="cpu").predict([["good"] * 9])[0]["tags"]
    assert tags[6:] == [None] * 3
    assert None not in tags[:6]


def test_without_an_entity_to_choose_the_best_step_by_nothing_is_trained(tagged):
    write(tagged, "dev", [{"tokens": ["the", "film"], "tags": ["O", "O"]}])
    with pytest.raises(DataError, match="no validation sentence holds an entity, so that entity"):
        finetune(tagging(), RUN)
    assert not RUN.exists()
    facts = finetune(tagging("train.metric_for_best_model=accuracy"), RUN)
    assert facts.metrics["accuracy"]["n"] == 1


def test_test_sentences_are_looked_at_before_the_training(tagged):
    write(tagged, "test", [{"tokens": ["good"] * 40, "tags": ["O"] * 40}])
    with pytest.raises(DataError, match=r"data/test\.jsonl:1: this sentence has 42 tokens"):
        finetune(tagging("data.test=data/test.jsonl"), RUN)


def test_frozen_weights_are_kept_in_bf16(tagged, monkeypatch):
    from lowkey.experiments import finetune as room

    learners = record_learners(monkeypatch, ROOM)
    monkeypatch.setattr(room.runtime, "resolve_precision", lambda *_: torch.bfloat16)
    finetune(tagging("train.precision=auto"), RUN)
    kinds = {(p.requires_grad, p.dtype) for p in learners[0].model.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    assert np.isfinite(learners[0].evaluate()["accuracy"])
