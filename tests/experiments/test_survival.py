"""Head, labels, thresholds and updates survive: what was trained is what another process opens."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_tasks
from experiments import drawn_tasks
from experiments.drawn import (
    FAMILIES,
    METHODS,
    PRESETS,
    REFUSALS,
    TASKS,
    drawn,
    only_refused_as,
    refusals,
)
from experiments.drawn_tasks import settings
from experiments.reopening import reopened, spoken
from experiments.tasks import finetuning
from experiments.through_peft import their_logits
from safetensors.torch import load_file, save_file

from lowkey.errors import LowkeyError
from lowkey.experiments import finetune as room
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.calibration import calibrated

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
COUNTS = [6, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]


def prepare(choices):
    """Writes the data and the base of a configuration, where they are not there."""
    task, classes = choices["task"], choices["classes"]
    for name, count, seed in (("train", 24, 1), ("dev", 12, 2)):
        path = Path(f"data/{task}-{classes}/{name}.jsonl")
        if not path.exists():
            tiny_tasks.write_jsonl(path, drawn_tasks.rows(task, classes, count, seed))
    base = Path(f"bases/{choices['family']}-{choices['base']}")
    if not base.exists():
        base.mkdir(parents=True)
        drawn_tasks.write_base(base, choices["family"], choices["base"])


def texts_for(task):
    """Texts, or questions with contexts, that no training has seen."""
    found = drawn_tasks.rows(task, 2, 10, seed=3)
    if task == "answer":
        return [row["question"] for row in found], [row["context"] for row in found]
    texts = [row["text"] if "text" in row else " ".join(row["tokens"]) for row in found]
    return texts, [row["text_pair"] for row in found] if task == "pair" else None


def tuned(choices, run, patch):
    """Trains; returns the model in memory, and the logits that it had before the training."""
    prepare(choices)
    kept, original = [], room.learner_of

    def learner_of(pipeline, *rest):
        kept.append(spoken(pipeline, *texts_for(choices["task"]))["logits"])
        kept.append(original(pipeline, *rest))
        return kept[-1]

    with patch.context() as inside:
        inside.setattr(room, "learner_of", learner_of)
        finetune(finetuning(*settings(choices)), run)
    before, learner = kept
    live = learner.classifier
    if choices["calibrate"]:
        # Fitted anew on what the model in memory says.
        found = calibrated(live.facts, live.logits(learner.validation), learner.validation.labels)
        live.facts = live.facts.model_copy(update={"calibration": found})
    return live, np.array(before)


def gap(found, expected):
    """The largest difference of numbers, relative where they are above 1; infinite of words."""
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        return max((gap(found[key], expected[key]) for key in expected), default=0.0)
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        return max((gap(*pair) for pair in zip(found, expected, strict=True)), default=0.0)
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) / max(1.0, abs(expected))
    return 0.0 if found == expected and type(found) is type(expected) else float("inf")


def asking(run, task):
    texts, pairs = texts_for(task)
    return {"bundle": str(run), "texts": texts, "pairs": pairs}


@pytest.mark.parametrize("count", COUNTS)
def test_another_process_and_peft_open_what_was_trained(folder, monkeypatch, count):
    asked, said, wrong, by_peft = [], [], [], []
    for i, choices in enumerate(drawn(count)):
        run, task = Path(f"runs/{i}"), choices["task"]
        live, before = tuned(choices, run, monkeypatch)
        asked.append(asking(run, task))
        said.append(spoken(live, *texts_for(task)))
        logits = np.array(said[-1]["logits"])
        # The control: what is compared does depend on the training.
        assert np.abs(logits - before).max() > 1e-3, choices
        if choices["method"] == "lora":
            found = their_logits(choices, run, live, *texts_for(task))
            by_peft.append(float(np.abs(found - logits).max()))
            if not np.allclose(found, logits, rtol=1e-4, atol=1e-5):
                wrong.append(("peft", by_peft[-1], i, choices))
    gaps = [gap(*pair) for pair in zip(reopened(asked, folder), said, strict=True)]
    wrong += [("again", gaps[i], i, c) for i, c in enumerate(drawn(count)) if not gaps[i] <= 1e-5]
    print(f"{count} opened by another process: largest difference {max(gaps):.1e}")
    print(f"{len(by_peft)} of them opened by peft: largest difference {max(by_peft):.1e}")
    assert wrong == []


def changed_labels(best):
    facts = json.loads((best / "lowkey.json").read_text())
    facts["labels"] = facts["labels"][::-1]
    (best / "lowkey.json").write_text(json.dumps(facts))


def changed_thresholds(best):
    facts = json.loads((best / "lowkey.json").read_text())
    thresholds = facts["calibration"]["thresholds"]
    facts["calibration"]["thresholds"] = [float(not round(limit)) for limit in thresholds]
    (best / "lowkey.json").write_text(json.dumps(facts))


def changed_head(best):
    path = best / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "classifier" in name and name.endswith(".bias"))
    tensors[name] = tensors[name] + 0.01
    save_file(tensors, path, {"format": "pt"})


def changed_update(best):
    path = best / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("lora_B.weight"))
    tensors[name] = tensors[name] * 0
    save_file(tensors, path, {"format": "pt"})


def test_what_does_not_survive_is_noticed(folder, monkeypatch):
    wanted = {"method": "lora", "task": "multilabel", "model.pooling": "auto"}
    choices = next(each for each in drawn(50) if wanted.items() <= each.items())
    choices |= {"calibrate": True}
    live, _ = tuned(choices, Path("run"), monkeypatch)
    asked = [asking("run", choices["task"])]
    for change in (changed_labels, changed_thresholds, changed_head, changed_update):
        copy = Path(change.__name__)
        shutil.copytree("run", copy)
        change(copy / "best")
        asked.append(asking(copy, choices["task"]))
    expected = spoken(live, *texts_for(choices["task"]))
    same, *others = (gap(found, expected) for found in reopened(asked, folder))
    assert same <= 1e-5
    assert others[:2] == [float("inf")] * 2
    assert min(others[2:]) > 1e-4


def test_the_fifty_are_of_every_kind():
    fifty = drawn(50)
    assert fifty == drawn(50)
    assert not any(refusals(choices) for choices in fifty)
    assert len({json.dumps(choices, sort_keys=True) for choices in fifty}) == 50

    def seen(key):
        return {str(choices[key]) for choices in fifty if choices.get(key) is not None}

    assert seen("family") == set(FAMILIES)
    assert seen("task") == set(TASKS)
    assert seen("method") == set(METHODS)
    assert seen("base") == {"encoder", "masked"}
    assert seen("model.pooling") == {"auto", "first", "mean", "max"}
    assert seen("data.long_texts") == {"truncate", "window", "error"}
    assert seen("train.class_weight") == {"none", "balanced"}
    assert seen("train.sampling") == {"uniform", "balanced"}
    for key in ("calibrate", "lora.use_rslora", "lora.use_dora"):
        assert seen(key) == {"True", "False"}
    assert seen("lora.r") >= {"1", "8"}
    assert seen("lora.init_lora_weights") == {"True", "gaussian", "orthogonal", "pissa"}
    assert seen("lora.bias") == {"none", "lora_only", "all"}
    assert seen("lora.target_modules") > set(PRESETS)
    assert any("token" in targets for targets in seen("lora.target_modules"))
    assert seen("lora.loraplus_lr_ratio") == {"1.0", "4.0"}
    for key in ("lora.rank_pattern", "lora.alpha_pattern"):
        assert seen(key) > {"{}"}
    assert seen("lora.layers_to_transform")
    windows = [c for c in fifty if c["data.long_texts"] == "window" and "data.max_length" in c]
    assert len({choices["task"] for choices in windows}) > 2
    calibrated_ones = [c for c in fifty if c["calibrate"] and c["method"] == "lora"]
    assert {choices["task"] for choices in calibrated_ones} >= {"multilabel"}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_not_drawn_is_refused(folder, name):
    choices = only_refused_as(name)
    prepare(choices)
    with pytest.raises(LowkeyError, match=REFUSALS[name].message):
        finetune(finetuning(*settings(choices)), Path("run"))
    assert not Path("run").exists()
