"""Every option of LoRA, through a whole run: tuned, saved, opened again, exported, resumed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_families
import torch
from experiments.tasks import exact_files, finetuning, record_learners, stop_at
from experiments.test_families import roberta_tokenizer
from safetensors.torch import load_file

from lowkey.data.labelled import LabelledExamples
from lowkey.errors import StoppedError
from lowkey.experiments import finetune as room
from lowkey.experiments.export import export
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.load import load

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
TEXTS = ["the film is great", "b dull a", "not very good", "a"]
RUN = Path("run")
OPTIONS = [
    ("lora.rank_pattern={query: 2}", "lora.alpha_pattern={value: 4}", "lora.use_rslora=true"),
    ("lora.layers_to_transform=1", "lora.init_lora_weights=orthogonal"),
    ("lora.init_lora_weights=pissa", "lora.rank_pattern={up: 3}", "lora.use_rslora=true"),
    ("lora.use_dora=true", "lora.lora_dropout=0.1"),
    ("lora.use_dora=true", "lora.init_lora_weights=pissa", "lora.bias=lora_only"),
    ("lora.bias=all", "lora.target_modules=qv", "lora.loraplus_lr_ratio=8"),
    ("lora.target_modules=[token, position, query]", "lora.rank_pattern={token: 3}"),
]


def logits(pipeline):
    return pipeline.logits(LabelledExamples.from_texts(TEXTS, None, pipeline.tokenizer))


@pytest.mark.parametrize("options", OPTIONS)
def test_what_was_tuned_is_what_is_opened_and_exported(folder, monkeypatch, options):
    from peft import PeftModel
    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

    learners = record_learners(monkeypatch, room)
    # One evaluation: the last step is the best.
    facts = finetune(finetuning("train.max_steps=2", "train.learning_rate=0.05", *options), RUN)
    live, again = learners[0].classifier, load(RUN, device="cpu")
    np.testing.assert_allclose(logits(again), logits(live), atol=1e-5)
    trained = sum(p.numel() for p in live.model.parameters() if p.requires_grad)
    assert facts.counts["trainable_parameters"] == trained

    theirs = BertForSequenceClassification.from_pretrained(folder / "bert", num_labels=2)
    theirs = PeftModel.from_pretrained(theirs, RUN / "best").eval()
    export(RUN, format="merged", out=folder / "merged")
    merged = BertForSequenceClassification.from_pretrained(folder / "merged").eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(RUN / "best")
    for text, ours in zip(TEXTS, logits(live), strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            for model in (theirs, merged):
                np.testing.assert_allclose(model(input_ids=ids).logits[0], ours, atol=1e-5)
    # The control: what is compared does depend on the updates.
    for name, parameter in again.model.named_parameters():
        if name.endswith(("lora_B.weight", "lora_embedding_A")):
            parameter.data.zero_()
    assert np.abs(logits(again) - logits(live)).max() > 1e-3


def test_a_run_with_all_of_them_that_was_stopped_ends_as_if_it_never_was(folder, monkeypatch):
    options = [
        *("lora.init_lora_weights=pissa", "lora.use_dora=true", "lora.bias=all"),
        *("lora.loraplus_lr_ratio=4", "lora.rank_pattern={query: 2}", "lora.lora_dropout=0.1"),
        *("train.max_steps=6", "train.eval_steps=2", "train.save_steps=2"),
    ]
    finetune(finetuning(*options), Path("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, room, 4)
        with pytest.raises(StoppedError):
            finetune(finetuning(*options), RUN)
    finetune(finetuning(*options), RUN, resume=True)
    assert exact_files(RUN) == exact_files(Path("whole"))


def test_b_learns_at_its_own_rate(folder):
    rate = ("train.max_steps=1", "train.learning_rate=1e-3", "train.warmup_steps=0")
    finetune(finetuning(*rate, "lora.loraplus_lr_ratio=16"), RUN)
    tensors = load_file(RUN / "best" / "adapter_model.safetensors")
    # From zero, the first step of Adam is as long as the rate.
    for name in (name for name in tensors if name.endswith("lora_B.weight")):
        assert tensors[name].abs().max() == pytest.approx(16e-3, rel=1e-2)


def test_what_was_adapted_is_said(folder, capsys):
    options = ("lora.use_dora=true", "lora.bias=lora_only", "lora.rank_pattern={query: 2}")
    facts = finetune(finetuning("lora.target_modules=qv", "train.max_steps=1", *options), RUN)
    # By hand: two blocks; queries of rank 2 and values of rank 8, each with 32 lengths.
    updates, biases, head = 2 * ((2 + 8) * 64 + 2 * 32), 2 * 2 * 32, 66
    said = (
        "DoRA adapts 4 linear maps (query, value) at ranks 2 to 8:"
        f" {updates:,} parameters, {biases} biases, {updates + biases + head:,} with the head,"
    )
    assert said in capsys.readouterr().err
    assert facts.counts["trainable_parameters"] == updates + biases + head


@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra"])
def test_an_adapter_of_any_family_is_exported_in_its_names(folder, family):
    shutil.rmtree(folder / "bert")
    tiny_families.write(folder / "bert", family, max_position_embeddings=66)
    if family == "roberta":
        roberta_tokenizer(folder / "bert")
    finetune(finetuning("train.max_steps=1"), RUN)
    export(RUN, format="peft", out=folder / "out")
    weights, config = "adapter_model.safetensors", "adapter_config.json"
    assert (folder / "out" / weights).read_bytes() == (RUN / "best" / weights).read_bytes()
    configs = [json.loads((place / config).read_text()) for place in (folder / "out", RUN / "best")]
    for options in configs:
        options["modules_to_save"].sort()
    assert configs[0] == configs[1]
