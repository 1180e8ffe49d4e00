"""A head on a summary of the tokens, from the recipe to the bundle, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_families
import tiny_tasks
from experiments.tasks import finetuning, record_learners

from lowkey.errors import ConfigError
from lowkey.experiments import finetune as room
from lowkey.experiments.export import export
from lowkey.experiments.extract import extract
from lowkey.experiments.finetune import finetune
from lowkey.experiments.rerank import rerank
from lowkey.pipelines.load import load

TEXTS = ["the film is great", "b dull a", "not very good", "a"]
RUN = Path("run")


@pytest.mark.parametrize(
    ("family", "method", "how"),
    [("bert", "lora", "mean"), ("bert", "full", "max"), ("distilbert", "head", "first")],
)
def test_a_bundle_says_the_same_again_and_in_any_batch(folder, monkeypatch, family, method, how):
    if family != "bert":
        shutil.rmtree(folder / "bert")
        tiny_families.write(folder / "bert", family, max_position_embeddings=66)
    learners = record_learners(monkeypatch, room)
    settings = (f"method={method}", "train.max_steps=2", "train.learning_rate=0.01")
    facts = finetune(finetuning(*settings, f"model.pooling={how}"), RUN)
    assert facts.pooling == how
    live, again = learners[0].classifier, load(RUN, device="cpu")
    assert again.model.pooling == how
    for saved, said in zip(again.predict(TEXTS), live.predict(TEXTS), strict=True):
        assert saved["scores"] == pytest.approx(said["scores"], abs=1e-5)
    alone = [again.predict([text])[0]["scores"] for text in TEXTS]
    for one, together in zip(alone, again.predict(TEXTS), strict=True):
        assert one == pytest.approx(together["scores"], abs=1e-5)
    head = sum(p.numel() for p in again.model.classifier.parameters())
    counts = facts.counts
    assert counts["trainable_parameters"] - counts["trainable_parameters_without_head"] == head


def test_the_words_that_decide_are_learned_from_their_mean(folder):
    tiny_tasks.write_jsonl(folder / "data" / "train.jsonl", tiny_tasks.labelled_rows(400, seed=1))
    settings = ["train.learning_rate=0.01", "train.max_steps=60", "model.pooling=mean"]
    assert finetune(finetuning(*settings), RUN).metrics["accuracy"]["value"] > 0.9


def test_other_libraries_are_told_what_they_cannot_open(folder):
    settings = ("train.max_steps=2", "model.pooling=mean")
    finetune(finetuning(*settings), RUN)
    with pytest.raises(ConfigError) as caught:
        export(RUN, format="merged", out=Path("whole"))
    assert str(caught.value) == (
        "--format: run was trained with model.pooling: mean, for which transformers has no class"
        " — use --format peft for the encoder's part"
    )
    assert not Path("whole").exists()
    said = export(RUN, format="peft", out=Path("adapter"))
    assert "model.pooling: mean is none of peft's tasks" in said
    assert "head.safetensors holds the head" in said
    config = json.loads(Path("adapter/adapter_config.json").read_text())
    assert (config["task_type"], config["modules_to_save"]) == ("FEATURE_EXTRACTION", None)
    assert Path("adapter/head.safetensors").exists()
    finetune(finetuning(*settings, "method=full"), Path("full"))
    for form in ("merged", "peft"):
        with pytest.raises(ConfigError, match="transformers has no class — open it with lowkey"):
            export(Path("full"), format=form, out=Path("whole"))
    with pytest.raises(ConfigError, match=r"model\.pooling: mean, whose head stands in no adapter"):
        extract("bert", Path("full"), rank=2, out=Path("part"))
    # What lies in the bundle is an encoder, which transformers takes for no classifier.
    config = json.loads(Path("full/best/config.json").read_text())
    assert config["architectures"] == ["BertModel"]


def test_a_smaller_rank_keeps_the_head_where_it_is(folder):
    facts = finetune(finetuning("train.max_steps=2", "model.pooling=mean"), RUN)
    rerank(RUN, rank=8, out=Path("same"), device="cpu", score=False)
    before, after = (load(path, device="cpu") for path in (RUN, Path("same")))
    for one, other in zip(before.predict(TEXTS), after.predict(TEXTS), strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)
    assert after.facts.counts["trainable_parameters"] == facts.counts["trainable_parameters"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["task=tag"], "model.pooling mean makes one vector of a text, and task tag needs one for"),
        (
            ["task=answer"],
            "model.pooling mean makes one vector of a text, and task answer needs one for",
        ),
        (["task=mlm"], "model.pooling mean makes one vector of a text, and task mlm needs one for"),
        (["lora.bias=all"], "lora.bias all takes in the head's, which with model.pooling mean"),
    ],
)
def test_what_does_not_go_together_is_refused(folder, settings, message):
    with pytest.raises(ConfigError) as caught:
        finetuning("model.pooling=mean", *settings)
    assert message in str(caught.value)
