"""Adapters of full fine-tunes: what they hold, what they name, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_marian
import torch
from experiments.tasks import finetuning
from experiments.tuning import HEAD, disturbed, is_map, write
from pipelines.bundles import SENTENCES, TEXTS, classifier, saved, tagger, translator, write_base

from lowkey.data.labelled import LabelledExamples
from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.experiments.evaluation import evaluate
from lowkey.experiments.extract import extract
from lowkey.experiments.finetune import finetune
from lowkey.files import read_json
from lowkey.hf.model_folder import base_identity
from lowkey.pipelines.load import load
from lowkey.pipelines.published import published_facts
from lowkey.pipelines.translator import Translator
from lowkey.pipelines.translator_files import TranslatorParts


@pytest.fixture
def base(tmp_path):
    return tiny.write_bert(tmp_path / "base", num_labels=3)


def test_it_says_how_much_of_each_module_is_kept_and_what_has_no_place(base, tmp_path):
    tuned = disturbed(base, lambda _: True)
    found = extract(
        str(tmp_path / "base"), write(tuned, tmp_path / "tuned"), rank=3, out=tmp_path / "out"
    )
    before = {n: p.detach().double() for n, p in base.named_parameters()}
    squares = {
        name: float((parameter.detach().double() - before[name]).square().sum())
        for name, parameter in tuned.named_parameters()
        if not any(part in name for part in HEAD)
    }
    total = sum(squares.values())
    shares = [one["share"] for one in found["not_carried"]]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == len(squares) - 12
    left = sum(square for name, square in squares.items() if not is_map(name))
    assert sum(shares) == pytest.approx(left / total, rel=1e-5)
    token = squares["bert.embeddings.word_embeddings.weight"] / total
    named = {one["name"]: one["share"] for one in found["not_carried"]}
    assert named["encoder.embeddings.token.weight"] == pytest.approx(token, rel=1e-5)
    assert named["encoder.blocks.0.attention.query.bias"] > 0
    (up,) = (m for m in found["modules"] if m["name"] == "encoder.blocks.1.feed_forward.up")
    key = "bert.encoder.layer.1.intermediate.dense.weight"
    values = torch.linalg.svdvals(tuned.get_parameter(key).detach().double() - before[key]).square()
    assert up["kept"] == pytest.approx(float(values[:3].sum() / values.sum()), rel=1e-5)
    assert found["least"] == min(m["kept"] for m in found["modules"]) < found["kept"] < 1


def test_targets_leave_other_maps_out_by_name(base, tmp_path):
    tuned = write(disturbed(base, is_map), tmp_path / "tuned")
    found = extract(
        str(tmp_path / "base"), tuned, rank=2, out=tmp_path / "out", targets=["query", "value"]
    )
    assert read_json(tmp_path / "out" / "adapter_config.json")["target_modules"] == [
        "query",
        "value",
    ]
    assert len(found["modules"]) == 4
    assert {one["name"].rsplit(".", 2)[1] for one in found["not_carried"]} == {
        *("key", "out", "up", "down")
    }


def test_a_run_becomes_a_bundle_that_is_scored_and_opens_like_any(folder):
    settings = ("method=full", "train.max_steps=30", "train.learning_rate=0.003")
    finetune(finetuning(*settings), Path("run"))
    found = extract("bert", Path("run"), rank=32, out=Path("out"))
    for when, model in (("before", "run"), ("after", "out")):
        theirs = evaluate(Path(model), "data/dev.jsonl")["metrics"]
        scores = found["scores"]["validation"]
        assert {name: score[when] for name, score in scores.items()} == theirs
    facts = read_json(Path("out/lowkey.json"))
    assert (facts["method"], facts["base_model"]) == ("lora", str(folder / "bert"))
    assert facts["base_sha256"] == base_identity(folder / "bert")["sha256"]
    head, whole = 2 * 32 + 2, 32 * 32 + 32
    adapter = 2 * (4 * 32 * (32 + 32) + 2 * 32 * (32 + 64))
    assert facts["counts"]["trainable_parameters"] == adapter + head + whole
    assert load("out").predict(["good film"])[0].keys() == {"label", "scores"}


def test_the_full_rank_of_a_run_computes_the_same_where_nothing_else_changed(tmp_path):
    base = write_base(tmp_path / "base")
    tuned = classifier(base, "full")
    whole = dict(load_state(base))
    with torch.no_grad():
        for name, parameter in tuned.model.named_parameters():
            if name in whole and not (name.endswith("weight") and parameter.dim() == 2):
                parameter.copy_(whole[name])
            if "embeddings" in name:
                parameter.copy_(whole[name])
    run = saved(tuned, tmp_path / "run")
    found = extract(str(base), run, rank=16, out=tmp_path / "out")
    examples = LabelledExamples.from_texts(TEXTS, None, tuned.tokenizer)
    ours = load(tmp_path / "out", device="cpu")
    np.testing.assert_allclose(ours.logits(examples), tuned.logits(examples), atol=1e-5)
    assert found["not_carried"] == []
    smaller = extract(str(base), run, rank=1, out=tmp_path / "smaller")
    assert smaller["kept"] < 1
    lost = load(tmp_path / "smaller").logits(examples) - tuned.logits(examples)
    assert np.abs(lost).max() > 1e-2


def test_a_tagger_becomes_an_adapter_with_its_own_head(tmp_path):
    base = write_base(tmp_path / "base")
    tuned = tagger(base, "full")
    whole = dict(load_state(base))
    with torch.no_grad():
        for name, parameter in tuned.model.named_parameters():
            if name in whole and ("embeddings" in name or parameter.dim() == 1):
                parameter.copy_(whole[name])
    found = extract(str(base), saved(tuned, tmp_path / "run"), rank=16, out=tmp_path / "out")
    assert (found["carried_whole"], found["not_carried"]) == (["classifier"], [])
    assert read_json(tmp_path / "out" / "adapter_config.json")["task_type"] == "TOKEN_CLS"
    ours = load(tmp_path / "out", device="cpu")
    examples = ours.examples_of(SENTENCES)
    np.testing.assert_allclose(ours.logits(examples), tuned.logits(examples), atol=1e-5)


def load_state(base):
    from lowkey.hf.bert import load_encoder

    return ((f"encoder.{name}", p) for name, p in load_encoder(base).named_parameters())


def test_a_tuned_translator_becomes_an_adapter_of_its_base(tmp_path):
    folder = tmp_path / "published"
    tiny_marian.write_published(folder)
    parts = TranslatorParts.open(folder)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in parts.model.named_parameters():
            if "blocks" in name and name.endswith("weight") and "norm" not in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    facts = published_facts(folder).model_copy(
        update={
            "method": "full",
            "base_model": str(folder),
            "base_sha256": base_identity(folder)["sha256"],
        }
    )
    tuned = Translator(parts.model.eval(), parts.source_tokenizer, parts.target_tokenizer, facts)
    run = saved(tuned, tmp_path / "run")
    found = extract(str(folder), run, rank=16, out=tmp_path / "out")
    assert (found["carried_whole"], found["not_carried"]) == ([], [])
    sources = tiny_marian.sentences(tiny_marian.ENGLISH, 6, seed=4)
    ours = load(tmp_path / "out", device="cpu").predict(sources, scores=True)
    theirs = load(run, device="cpu").predict(sources, scores=True)
    for one, other in zip(ours, theirs, strict=True):
        assert one["text"] == other["text"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)
    before = load(folder, device="cpu").predict(sources, scores=True)
    assert [one["score"] for one in before] != pytest.approx([o["score"] for o in ours], abs=1e-2)


def test_what_cannot_be_extracted_is_refused_and_nothing_is_written(base, tmp_path):
    folder, out = str(tmp_path / "base"), tmp_path / "out"
    tuned = write(disturbed(base, is_map), tmp_path / "tuned")
    wide = tmp_path / "wide"
    tiny.write_bert(wide, num_labels=3, hidden_size=32)
    same = shutil.copytree(tmp_path / "base", tmp_path / "same")
    bare = write_base(tmp_path / "bare")
    runs = {m: saved(classifier(bare, m), tmp_path / m) for m in ("lora", "full", "head")}
    scratch = saved(translator(), tmp_path / "scratch")
    full = tmp_path / "taken"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for start, path, wish, kind, said in (
        (folder, wide, {}, ConfigError, "of different shapes: d_model is 16 and 32 — give the mo"),
        (folder, same, {}, ConfigError, "hold the same weights in all 12 targeted linear maps"),
        (folder, tuned, {"rank": 17}, ConfigError, "--rank: the weights have rank 16 at most, and"),
        (folder, tuned, {"targets": "qurey"}, ConfigError, "--targets: 'qurey' matches no module"),
        (folder, tuned, {"out": full}, ConfigError, "--out: .*taken is not empty"),
        (str(bare), runs["lora"], {}, ConfigError, "is an adapter already — lowkey rerank .*lora"),
        (str(bare), runs["head"], {}, ConfigError, "trained its head alone"),
        (folder, runs["full"], {}, DataError, "was trained from other weights"),
        (str(bare), scratch, {}, ConfigError, "was trained from random weights"),
        (str(bare), bare, {}, DataError, "the model is no BertForSequenceClassification"),
        (str(runs["lora"]), tuned, {}, MissingInputError, "BASE: .*lora is an adapter, not a mod"),
        (folder, tmp_path / "nowhere", {}, MissingInputError, "no such run or model folder"),
    ):
        with pytest.raises(kind, match=said):
            extract(start, path, **{"rank": 2, "out": out} | wish)
    assert sorted(tmp_path.rglob("*")) == before
