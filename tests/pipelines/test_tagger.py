import json

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.bundles import SENTENCES, TAGS, saved, tagger, write_base

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import DataError
from lowkey.pipelines import tagger as room
from lowkey.pipelines.load import load
from lowkey.pipelines.sentences import tags_in_words
from lowkey.pipelines.tagger import Tagger

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
METHODS = pytest.mark.parametrize("method", ["lora", "full", "head", "bitfit"])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("tagger") / "base")


def logits(pipeline, sentences=SENTENCES):
    return pipeline.logits(pipeline.examples_of(sentences))


def their_logits(model, pipeline, sentences=SENTENCES):
    """Logits of transformers for the first sub-word of each word, sentence by sentence."""
    found = []
    for sentence in sentences:
        # By hand: each word as the tokenizer takes it apart by itself.
        pieces = [
            pipeline.tokenizer.encode([w], special_tokens=False).tokens.values.tolist()
            for w in sentence
        ]
        ids = [
            pipeline.tokenizer.begin_id,
            *(i for piece in pieces for i in piece),
            pipeline.tokenizer.end_id,
        ]
        starts = [1 + sum(map(len, pieces[:i])) for i in range(len(pieces))]
        with torch.no_grad():
            found.append(model(input_ids=torch.tensor([ids])).logits[0, starts])
    return torch.cat(found).numpy()


@METHODS
def test_what_was_saved_computes_the_same_bits(method, base, tmp_path):
    ours = tagger(base, method)
    loaded = load(saved(ours, tmp_path / "best"), device="cpu")
    assert isinstance(loaded, Tagger)
    assert np.array_equal(logits(ours), logits(loaded))
    assert loaded.facts == ours.facts
    # Negative control: other trained weights.
    assert np.abs(logits(ours) - logits(tagger(base, method, seed=6))).max() > 0.01


def test_a_full_bundle_is_a_tagger_of_transformers(base, tmp_path):
    from transformers import AutoTokenizer, BertForTokenClassification

    ours = tagger(base, "full")
    folder = saved(ours, tmp_path / "best")
    theirs = BertForTokenClassification.from_pretrained(folder).eval()
    np.testing.assert_allclose(their_logits(theirs, ours), logits(ours), atol=1e-5)
    assert list(theirs.config.id2label.values()) == TAGS
    encoded = AutoTokenizer.from_pretrained(folder)(SENTENCES, is_split_into_words=True)
    tokens = ours.examples_of(SENTENCES).words.tokens
    assert encoded["input_ids"] == [tokens.take([i]).values.tolist() for i in range(4)]


def test_a_lora_bundle_is_an_adapter_of_peft(base, tmp_path):
    from peft import PeftModel
    from transformers import BertForTokenClassification

    ours = tagger(base, "lora")
    folder = saved(ours, tmp_path / "best")
    assert json.loads((folder / "adapter_config.json").read_text())["task_type"] == "TOKEN_CLS"
    plain = BertForTokenClassification.from_pretrained(base, num_labels=len(TAGS)).eval()
    alone = their_logits(plain, ours)
    theirs = PeftModel.from_pretrained(plain, folder).eval()
    assert type(theirs).__name__ == "PeftModelForTokenClassification"
    np.testing.assert_allclose(their_logits(theirs, ours), logits(ours), atol=1e-5)
    assert np.abs(alone - logits(ours)).max() > 0.01


WORDS = st.lists(st.sampled_from(["the", "films", "good", "\u200b", "a-b", "d"]), min_size=1)


@pytest.fixture(scope="module")
def adapted(base):
    return tagger(base, "lora")


@settings(max_examples=25, deadline=None)
@given(st.lists(WORDS.filter(lambda s: len(s) < 9), min_size=1, max_size=6), st.data())
def test_a_sentence_ignores_its_neighbours_and_their_order(adapted, sentences, data):
    ours = adapted
    order = data.draw(st.permutations(range(len(sentences))))
    before = room.BATCH_TOKENS
    alone = [ours.predict([sentence])[0] for sentence in sentences]
    try:
        room.BATCH_TOKENS = data.draw(st.sampled_from([1, 20, 8192]))
        together = ours.predict([sentences[i] for i in order])
    finally:
        room.BATCH_TOKENS = before
    for i, answer in zip(order, together, strict=True):
        assert answer["tokens"] == sentences[i]
        assert answer["tags"] == alone[i]["tags"]
        assert answer["scores"] == pytest.approx(alone[i]["scores"], abs=1e-5)


def test_an_answer_has_words_tags_probabilities_and_entities(base):
    ours = tagger(base, "full")
    (answer,) = ours.predict(["the films was not good"])
    assert answer == ours.predict([["the", "films", "was", "not", "good"]])[0]
    probabilities = torch.from_numpy(logits(ours, ["the films was not good"])).softmax(1)
    assert answer["tags"] == [TAGS[i] for i in probabilities.argmax(1)]
    assert answer["scores"] == pytest.approx(probabilities.amax(1).tolist(), abs=1e-6)
    for entity in answer["entities"]:
        assert entity["text"] == " ".join(answer["tokens"][entity["start"] : entity["end"]])
        assert {answer["tags"][i][2:] for i in range(entity["start"], entity["end"])} == {
            entity["type"]
        }
    json.dumps(answer)
    plain = tagger(base, "full", labels=["NOUN", "VERB", "X", "ADJ"]).predict(["a b"])
    assert plain[0].keys() == {"tokens", "tags", "scores"}
    assert ours.predict([]) == []
    assert tags_in_words(["a", "b"], ["X", None]) == "a/X b/?"


def test_a_sentence_that_is_too_long_is_refused_or_cut_and_told(base):
    long = ["good"] * 40
    with pytest.raises(DataError) as caught:
        tagger(base, "full").predict([["a"], long])
    assert str(caught.value) == (
        "sentence 2: this sentence has 42 tokens, the model reads 32 at most"
        " (1 of 2, 50.0%, are longer) — split it"
    )
    cutting = tagger(base, "full", long_texts="truncate")
    (answer,) = cutting.predict([long])
    assert len(answer["tags"]) == 40
    assert [i for i, tag in enumerate(answer["tags"]) if tag is None] == list(range(30, 40))
    assert answer["tags"][:30] == cutting.predict([long[:30]])[0]["tags"]
    assert cutting.examples_of([["a"], long]).notes("given") == [
        "note: 50.0% of the given sentences have more than 32 tokens and are cut:"
        " 10 words are not read"
    ]
    assert cutting.examples_of([["a"]]).notes("given") == []


def test_words_that_the_tokenizer_drops_are_tagged_and_told(base):
    ours = tagger(base, "full")
    sentences = [["a"], ["b", "\u200b"]]
    assert ours.examples_of(sentences, places=["x:1", "x:2"]).notes("given") == [
        "note: the tokenizer makes no token of 1 of the given words (first: x:2, word 2);"
        " they are read as unknown"
    ]
    assert all(ours.predict(sentences)[1]["tags"])


def test_a_sentence_without_words_is_refused(base):
    with pytest.raises(DataError, match="sentence 2: there are no words"):
        tagger(base, "full").predict(["a", " "])


def tagged(tmp_path, sentences, tags):
    path = tmp_path / "rows.jsonl"
    both = zip(sentences, tags, strict=True)
    path.write_text("".join(json.dumps({"tokens": w, "tags": t}) + "\n" for w, t in both))
    return read_rows(str(path), DataConfig(), ("tokens", "tags"), key="data.test")


def test_scores_are_those_of_the_answers_and_cut_words_are_wrong(base, tmp_path):
    ours = tagger(base, "full", long_texts="truncate")
    sentences = [*SENTENCES, ["good"] * 40]
    said = [[tag or "O" for tag in answer["tags"]] for answer in ours.predict(sentences)]
    right = tagged(tmp_path, sentences, said)
    scores = ours.score_rows(right)
    count = sum(map(len, sentences))
    assert scores["accuracy"].value == pytest.approx((count - 10) / count)
    assert scores["entity_f1"].value == 1
    other = [[TAGS[(TAGS.index(tag) + 1) % 4] for tag in tags] for tags in said]
    wrong = tagged(tmp_path, sentences, other)
    assert ours.score_rows(wrong)["accuracy"].value == 0


def test_scoring_leaves_a_training_as_it_was(base):
    ours = tagger(base, "full")
    ours.model.train()
    ours.predict(SENTENCES)
    assert ours.model.training


def test_a_head_for_texts_is_not_taken_for_one_for_words(base, tmp_path):
    """Two bundles of equal sizes differ in their kind, which decides how they are read."""
    from pipelines.bundles import classifier

    folder = saved(classifier(base, "full", labels=TAGS), tmp_path / "best")
    assert not isinstance(load(folder, device="cpu"), Tagger)
    assert len(tiny.VOCABULARY) == load(folder, device="cpu").tokenizer.vocab_size
