import json

import numpy as np
import pytest
import tiny
import torch
from pipelines.bundles import LABELS, TEXTS, classifier, saved, write_base
from safetensors.torch import load_file

from lowkey.data.config import DataConfig
from lowkey.data.labelled import LabelledExamples
from lowkey.data.sources import read_rows
from lowkey.errors import DataError
from lowkey.pipelines import classifier as room
from lowkey.pipelines.classifier import TextClassifier

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
METHODS = pytest.mark.parametrize("method", ["lora", "full", "head", "bitfit"])
REGRESSION = {"kind": "regression", "task": "regress", "labels": []}


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def logits(pipeline, texts=TEXTS, pairs=None):
    return pipeline.logits(LabelledExamples.from_texts(texts, pairs, pipeline.tokenizer))


def their_logits(model, pipeline, texts=TEXTS):
    """Logits of a transformers model, text by text, without any padding."""
    examples = LabelledExamples.from_texts(texts, None, pipeline.tokenizer)
    batches = [examples.batch([i]).input_ids[None] for i in range(len(texts))]
    with torch.no_grad():
        return torch.cat([model(input_ids=ids).logits for ids in batches]).numpy()


@METHODS
def test_what_was_saved_computes_the_same_bits(method, base, tmp_path):
    ours = classifier(base, method)
    loaded = TextClassifier.load(saved(ours, tmp_path / "best"))
    assert np.array_equal(logits(ours), logits(loaded))
    assert loaded.facts == ours.facts
    again = TextClassifier.load(saved(loaded, tmp_path / "again"))
    assert np.array_equal(logits(ours), logits(again))
    # Negative controls: other trained weights, and the base without any.
    other = classifier(base, method, seed=6)
    assert np.abs(logits(ours) - logits(other)).max() > 0.01


def test_an_adapter_that_is_left_out_is_missed(base, tmp_path):
    ours = classifier(base, "lora")
    folder = saved(ours, tmp_path / "best")
    for name, parameter in ours.model.named_parameters():
        if "lora_B" in name:
            assert parameter.abs().max() > 0
            parameter.data.zero_()
    assert np.abs(logits(ours) - logits(TextClassifier.load(folder))).max() > 0.01


@METHODS
def test_a_bundle_holds_what_its_method_trained_and_no_more(method, base, tmp_path):
    ours = classifier(base, method)
    folder = saved(ours, tmp_path / "best")
    held = [load_file(path) for path in folder.glob("*.safetensors")]
    trained = [p.numel() for p in ours.model.parameters() if p.requires_grad]
    assert sum(tensor.numel() for tensors in held for tensor in tensors.values()) == sum(trained)


def test_a_full_bundle_is_a_model_of_transformers(base, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    ours = classifier(base, "full")
    folder = saved(ours, tmp_path / "best")
    theirs = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    np.testing.assert_allclose(their_logits(theirs, ours), logits(ours), atol=1e-5)
    assert list(theirs.config.id2label.values()) == LABELS
    ids = AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]
    examples = LabelledExamples.from_texts(TEXTS, None, ours.tokenizer)
    assert ids == [examples.batch([i]).input_ids.tolist() for i in range(len(TEXTS))]


def test_a_lora_bundle_is_an_adapter_of_peft(base, tmp_path):
    from peft import PeftModel
    from transformers import BertForSequenceClassification

    ours = classifier(base, "lora")
    folder = saved(ours, tmp_path / "best")
    plain = BertForSequenceClassification.from_pretrained(base, num_labels=3).eval()
    alone = their_logits(plain, ours)
    theirs = PeftModel.from_pretrained(plain, folder).eval()
    np.testing.assert_allclose(their_logits(theirs, ours), logits(ours), atol=1e-5)
    assert np.abs(alone - logits(ours)).max() > 0.01


def test_the_forms_of_the_answers(base):
    (answer,) = classifier(base, "full").predict(["a film"])
    assert answer.keys() == {"label", "scores"}
    assert list(answer["scores"]) == LABELS
    assert answer["label"] == max(answer["scores"], key=answer["scores"].get)
    assert sum(answer["scores"].values()) == pytest.approx(1, abs=1e-6)
    (number,) = classifier(base, "full", **REGRESSION).predict(["a film"])
    assert number.keys() == {"score"}
    assert isinstance(number["score"], float)
    json.dumps([answer, number])


def test_probabilities_are_the_softmax_of_transformers(base, tmp_path):
    from transformers import BertForSequenceClassification

    ours = classifier(base, "full")
    theirs = BertForSequenceClassification.from_pretrained(saved(ours, tmp_path / "best")).eval()
    expected = torch.from_numpy(their_logits(theirs, ours)).softmax(1).numpy()
    found = [list(answer["scores"].values()) for answer in ours.predict(TEXTS)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 20, 8192])
def test_an_answer_keeps_its_place_and_ignores_its_neighbours(batch_tokens, base, monkeypatch):
    ours = classifier(base, "lora")
    alone = [ours.predict([text])[0] for text in TEXTS]
    monkeypatch.setattr(room, "BATCH_TOKENS", batch_tokens)
    for order in (range(5), [4, 2, 0, 3, 1]):
        found = ours.predict([TEXTS[i] for i in order])
        for i, answer in zip(order, found, strict=True):
            assert answer["label"] == alone[i]["label"]
            assert answer["scores"] == pytest.approx(alone[i]["scores"], abs=1e-5)
    assert alone[0]["scores"] != pytest.approx(alone[1]["scores"], abs=1e-3)


def test_no_texts_no_answers(base):
    assert classifier(base, "full").predict([]) == []
    assert classifier(base, "full", pairs=True).predict([], []) == []


def test_texts_longer_than_the_model_are_cut(base):
    ours = classifier(base, "full")
    long, longer = "the " * 40, "the " * 90
    assert ours.predict([long]) == ours.predict([longer])
    assert ours.predict([long]) != ours.predict(["the"])


def rows(tmp_path, *lines):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_rows(str(path), DataConfig(), ("text", "label"), key="data.test")


@pytest.mark.parametrize("kind", [{}, REGRESSION])
def test_pairs_and_single_texts_are_not_mixed_up(kind, base, tmp_path):
    single, paired = classifier(base, "full", **kind), classifier(base, "full", pairs=True, **kind)
    label = "1" if kind else "good"
    lone = rows(tmp_path, {"text": "a", "label": label})
    with pytest.raises(DataError, match="trained on pairs of texts — give JSONL with"):
        paired.predict(["a"])
    with pytest.raises(DataError, match="this model was trained on single texts"):
        single.predict(["a"], ["b"])
    with pytest.raises(DataError, match=r"rows\.jsonl: this model was trained on pairs of texts"):
        paired.examples(lone)
    both = rows(tmp_path, {"text": "a", "text_pair": "b", "label": label})
    with pytest.raises(DataError, match="this model was trained on single texts"):
        single.examples(both)
    assert len(single.examples(lone)) == len(paired.examples(both)) == 1
    assert paired.predict(["a"], ["b"]) != paired.predict(["b"], ["a"])


def test_scores_are_those_of_the_answers(base, tmp_path):
    ours = classifier(base, "full")
    guesses = [answer["label"] for answer in ours.predict(TEXTS)]
    truth = [guesses[0], *(LABELS[(LABELS.index(g) + 1) % 3] for g in guesses[1:])]
    labelled = [{"text": t, "label": n} for t, n in zip(TEXTS, truth, strict=True)]
    scores = ours.score_rows(rows(tmp_path, *labelled))
    assert scores["accuracy"].value == pytest.approx(1 / 5)
    assert scores.keys() == {"accuracy", "f1_macro"}
    numbers = classifier(base, "full", **REGRESSION)
    found = [answer["score"] for answer in numbers.predict(TEXTS)]
    labelled = [{"text": t, "label": v + 2.0} for t, v in zip(TEXTS, found, strict=True)]
    scores = numbers.score_rows(rows(tmp_path, *labelled))
    assert scores.keys() == {"mse", "pearson", "spearman"}
    assert scores["mse"].value == pytest.approx(4, abs=1e-5)
    assert scores["pearson"].value == pytest.approx(1, abs=1e-5)


def test_scoring_leaves_a_training_as_it_was(base, tmp_path):
    ours = classifier(base, "full")
    ours.model.train()
    before = torch.random.get_rng_state()
    ours.predict(TEXTS)
    assert ours.model.training
    assert torch.equal(before, torch.random.get_rng_state())


def test_activations_may_be_in_bf16(base, tmp_path):
    folder = saved(classifier(base, "lora"), tmp_path / "best")
    exact, coarse = (TextClassifier.load(folder, dtype=d) for d in (torch.float32, torch.bfloat16))
    difference = np.abs(logits(exact) - logits(coarse)).max()
    assert 0 < difference < 0.2


def test_a_tokenizer_goes_along(base, tmp_path):
    folder = saved(classifier(base, "lora"), tmp_path / "best")
    (base / "tokenizer.json").unlink()
    (base / "vocab.txt").unlink()
    assert TextClassifier.load(folder).tokenizer.vocab_size == len(tiny.VOCABULARY)


def test_a_long_text_scores_the_mean_of_its_windows_and_a_short_one_what_it_did(base):
    ours = classifier(base, "full", max_length=8, long_texts="window", stride=2)
    texts = ["a b c d e f g h i j", "the film", "a b c d e f g"]
    windows = [["a b c d e f", "e f g h i j"], ["the film"], ["a b c d e f", "e f g"]]
    expected = [logits(ours, some).mean(0) for some in windows]
    examples = ours.examples_of(texts)
    assert examples.windows.tolist() == [2, 1, 2]
    np.testing.assert_allclose(ours.logits(examples), expected, atol=1e-5)
    assert [one["label"] for one in ours.predict(texts)] == [
        LABELS[row.argmax()] for row in np.array(expected)
    ]
    # Negative control: where it is cut, the end of the text says nothing.
    cut = classifier(base, "full", max_length=8)
    assert np.abs(cut.logits(cut.examples_of(texts)) - expected).max() > 1e-3


def test_a_model_that_refuses_long_texts_does_so_in_every_use(base):
    ours = classifier(base, "full", max_length=4, long_texts="error")
    with pytest.raises(DataError, match="text 2: this text has 5 tokens, the model reads 4 at mo"):
        ours.predict(["a", "a b c"])
    assert len(ours.predict(["a b"])) == 1
