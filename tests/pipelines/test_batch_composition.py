"""What a model says of a text depends on no other text, whichever are computed together."""

import gzip
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import torch
from pipelines.bundles import LABELS, classifier, saved, tagger, write_base

from lowkey import TextBank
from lowkey.config import load_recipe
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.finetune import finetune
from lowkey.pipelines import bank as bank_room
from lowkey.pipelines import classifier as classifier_room
from lowkey.pipelines import tagger as tagger_room
from lowkey.pipelines.load import load
from lowkey.pipelines.tagger import Tagger

RECIPES = Path(classifier_room.__file__).parents[1] / "recipes"
# How far sums may differ that are added up in another order; no answer may differ at all.
TOLERANCE = 1e-4
Computed = list[tuple[Any, np.ndarray]]
"""Of each text what is said of it, and the numbers behind it."""


def of_texts(pipeline: Any) -> Callable[[Sequence[str]], Computed]:
    """Lets a classifier or a tagger answer texts together."""

    def compute(texts: Sequence[str]) -> Computed:
        examples = pipeline.examples_of(texts)
        logits = pipeline.logits(examples)
        if isinstance(pipeline, Tagger):
            rows = np.split(logits, np.cumsum(examples.words.first.lengths)[:-1])
            return list(zip(pipeline.tags(examples), rows, strict=True))
        answers = pipeline.answers(logits)
        return [(answer["label"], row) for answer, row in zip(answers, logits, strict=True)]

    return compute


def in_batches(
    compute: Callable[[Sequence[Any]], Computed],
    texts: Sequence[Any],
    chance: random.Random,
    room: Any,
    patch: pytest.MonkeyPatch,
) -> Computed:
    """Answers texts in random company: in any order, so many at a time, cut by any budget."""
    order, found = chance.sample(range(len(texts)), len(texts)), {}
    while order:
        size = chance.randint(1, 200)
        some, order = order[:size], order[size:]
        with patch.context() as inside:
            inside.setattr(room, "BATCH_TOKENS", int(2 ** chance.uniform(4, 13)))
            answers = compute([texts[i] for i in some])
        found |= dict(zip(some, answers, strict=True))
    return [found[i] for i in range(len(texts))]


def compared(found: Computed, expected: Computed) -> tuple[int, float]:
    """How many answers have changed, and the largest difference of numbers."""
    pairs = list(zip(found, expected, strict=True))
    changed = sum(one[0] != other[0] for one, other in pairs)
    return changed, max(float(np.abs(one[1] - other[1]).max()) for one, other in pairs)


def fair(pipeline: Any, texts: Sequence[str]) -> Any:
    """Moves the head so that no class is far ahead of the others, as a random one often is."""
    mean = pipeline.logits(pipeline.examples_of(texts)).mean(0)
    with torch.no_grad():
        pipeline.model.classifier.bias.sub_(torch.from_numpy(mean))
    return pipeline


def texts_of_words(count: int, seed: int = 1) -> list[str]:
    """Texts of the tiny vocabulary, between one word and thirty."""
    chance = random.Random(seed)
    words = ["the", "film", "was", "is", "not", "very", "good", "bad", "greatly", "dull", *"abcdef"]
    return [" ".join(chance.choices(words, k=chance.choice((1, 2, 5, 30)))) for _ in range(count)]


def assert_alone_is_as_together(
    compute: Callable[[Sequence[Any]], Computed],
    texts: Sequence[Any],
    room: Any,
    patch: pytest.MonkeyPatch,
    *,
    batchings: int,
) -> Computed:
    alone = [compute([text])[0] for text in texts]
    largest = 0.0
    for seed in range(batchings):
        together = in_batches(compute, texts, random.Random(seed), room, patch)
        changed, difference = compared(together, alone)
        largest = max(largest, difference)
        assert changed == 0, f"batching {seed}: {changed} of {len(texts)} answers have changed"
    print(f"{len(texts)} texts, {batchings} batchings: largest difference {largest:.1e}")
    assert largest < TOLERANCE
    return alone


@pytest.mark.parametrize("family", ["bert", "mpnet", "modernbert"])
def test_a_text_has_its_class_in_any_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    tiny_families.write(tmp_path, family, max_position_embeddings=66)
    texts = texts_of_words(100)
    pipeline = fair(classifier(tmp_path, "lora", max_length=60), texts)
    compute = of_texts(pipeline)
    alone = assert_alone_is_as_together(compute, texts, classifier_room, monkeypatch, batchings=10)
    assert len({label for label, _ in alone}) > 1
    # The control: a model that takes each for its neighbour in the batch says something else.
    pipeline.model.register_forward_hook(lambda _, __, logits: logits.roll(1, 0))
    together = in_batches(compute, texts, random.Random(0), classifier_room, monkeypatch)
    changed, difference = compared(together, alone)
    assert changed > 0
    assert difference > 100 * TOLERANCE


def test_words_have_their_tags_in_any_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [" ".join(text.split()[:14]) for text in texts_of_words(100)]
    pipeline = fair(tagger(write_base(tmp_path / "base"), "lora"), texts)
    compute = of_texts(pipeline)
    alone = assert_alone_is_as_together(compute, texts, tagger_room, monkeypatch, batchings=10)
    assert len({tag for tags, _ in alone for tag in tags}) > 1
    pipeline.model.register_forward_hook(lambda _, __, logits: logits.roll(1, 0))
    together = in_batches(compute, texts, random.Random(0), tagger_room, monkeypatch)
    assert compared(together, alone)[0] > 0


def test_a_text_has_the_answer_of_its_adapter_in_any_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_base(tmp_path / "base")
    names = {"one": LABELS, "two": ["a", "b"], "three": [*"abcde"]}
    runs = {
        name: saved(classifier(base, "lora", seed=i, labels=labels), tmp_path / name)
        for i, (name, labels) in enumerate(names.items())
    }
    bank, chance = TextBank.load(runs, device="cpu"), random.Random(3)
    asked = [(text, chance.choice(bank.names)) for text in texts_of_words(100)]

    def compute(some: Sequence[tuple[str, str]]) -> Computed:
        answers = bank.predict([text for text, _ in some], [name for _, name in some])
        return [(each["label"], np.array(list(each["scores"].values()))) for each in answers]

    alone = assert_alone_is_as_together(compute, asked, bank_room, monkeypatch, batchings=5)
    # The oracle, by the run itself: its adapter alone, without any bank.
    for name, run in runs.items():
        own = [i for i, (_, adapter) in enumerate(asked) if adapter == name]
        answers = load(run, device="cpu").predict([asked[i][0] for i in own])
        assert [answer["label"] for answer in answers] == [alone[i][0] for i in own]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_thousand_sentences_keep_their_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["train.max_steps=20", "train.eval_steps=20", "data.limit=640", "track=[]"]
    settings += ["train.precision=fp32", "train.threads=1", "train.device=cpu"]
    recipe = load_recipe(FinetuneRecipe, RECIPES / "sentiment.yaml", settings)
    accuracy = finetune(recipe, tmp_path / "run").metrics["accuracy"]["value"]
    assert float(accuracy or 0) > 0.6  # of two classes that are equally frequent
    sentences = []
    for split in ("train", "validation", "test"):
        with gzip.open(RECIPES / "data" / "sentiment" / f"{split}.jsonl.gz", "rt") as lines:
            sentences += [json.loads(line)["text"] for line in lines]
    texts = random.Random(1).sample(sentences, 2000)
    compute = of_texts(load(tmp_path / "run", device="cpu"))
    alone = assert_alone_is_as_together(compute, texts, classifier_room, monkeypatch, batchings=10)
    counts = [sum(label == name for label, _ in alone) for name in {label for label, _ in alone}]
    assert min(counts) > 200
    assert len(counts) == 2
