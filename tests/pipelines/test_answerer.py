import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.bundles import CONTEXTS, QUESTIONS, answerer, saved, write_base

from lowkey.decoding.spans import best_spans
from lowkey.errors import DataError
from lowkey.pipelines import answerer as room
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.load import load

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
METHODS = pytest.mark.parametrize("method", ["lora", "full", "head", "bitfit"])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("answerer") / "base")


def logits(pipeline):
    return pipeline.logits(pipeline.examples_of(QUESTIONS, CONTEXTS))


def their_logits(model, pipeline):
    """Both scores of transformers for each token, window by window."""
    examples, found = pipeline.examples_of(QUESTIONS, CONTEXTS), []
    for i in range(len(examples.tokens)):
        batch = examples.batch([i])
        with torch.no_grad():
            out = model(input_ids=batch.input_ids[None], token_type_ids=batch.segment_ids[None])
        found.append(torch.stack([out.start_logits[0], out.end_logits[0]], dim=1))
    return torch.cat(found).numpy()


@METHODS
def test_what_was_saved_computes_the_same_bits(method, base, tmp_path):
    ours = answerer(base, method, null_threshold=0.5, max_answer_length=3)
    loaded = load(saved(ours, tmp_path / "best"), device="cpu")
    assert isinstance(loaded, Answerer)
    assert np.array_equal(logits(ours), logits(loaded))
    assert loaded.facts == ours.facts
    # Negative control: other trained weights.
    assert np.abs(logits(ours) - logits(answerer(base, method, seed=6))).max() > 0.01


def test_a_full_bundle_is_a_model_of_transformers(base, tmp_path):
    from transformers import AutoTokenizer, BertForQuestionAnswering

    ours = answerer(base, "full")
    folder = saved(ours, tmp_path / "best")
    theirs = BertForQuestionAnswering.from_pretrained(folder).eval()
    np.testing.assert_allclose(their_logits(theirs, ours), logits(ours), atol=1e-5)
    encoded = AutoTokenizer.from_pretrained(folder)(
        QUESTIONS, CONTEXTS, max_length=14, stride=3, truncation="only_second",
        return_overflowing_tokens=True,
    )  # fmt: skip
    tokens = ours.examples_of(QUESTIONS, CONTEXTS).tokens
    assert encoded["input_ids"] == [tokens.take([i]).values.tolist() for i in range(len(tokens))]
    assert len(tokens) > 3


def test_a_lora_bundle_is_an_adapter_of_peft(base, tmp_path):
    from peft import PeftModel
    from transformers import BertForQuestionAnswering

    ours = answerer(base, "lora")
    folder = saved(ours, tmp_path / "best")
    assert json.loads((folder / "adapter_config.json").read_text())["task_type"] == "QUESTION_ANS"
    plain = BertForQuestionAnswering.from_pretrained(base).eval()
    theirs = PeftModel.from_pretrained(plain, folder).eval()
    assert type(theirs).__name__ == "PeftModelForQuestionAnswering"
    # The wrapper itself takes token_type_ids and does not hand them on.
    np.testing.assert_allclose(their_logits(theirs.base_model, ours), logits(ours), atol=1e-5)


@pytest.fixture(scope="module")
def adapted(base):
    return answerer(base, "lora", null_threshold=0.0)


WORDS = st.lists(st.sampled_from(["the", "films", "good", "a-b", "d", "!"]), min_size=1)
ASKED = st.tuples(st.sampled_from(["a", "is it"]), WORDS.filter(lambda w: len(w) < 20))


@settings(max_examples=25, deadline=None)
@given(st.lists(ASKED, min_size=1, max_size=5), st.data())
def test_an_answer_ignores_other_questions_and_their_order(adapted, asked, data):
    rows = [(question, "  ".join(words)) for question, words in asked]
    order = data.draw(st.permutations(range(len(rows))))
    alone = [adapted.predict([question], [context])[0] for question, context in rows]
    before = room.BATCH_TOKENS
    try:
        room.BATCH_TOKENS = data.draw(st.sampled_from([1, 20, 8192]))
        together = adapted.predict(*map(list, zip(*(rows[i] for i in order), strict=True)))
    finally:
        room.BATCH_TOKENS = before
    for i, answer in zip(order, together, strict=True):
        score = alone[i]["score"]
        assert answer == alone[i] | {"score": pytest.approx(score, abs=1e-5)}


def test_the_answer_is_the_best_slice_of_the_context_over_all_windows(base):
    ours = answerer(base, "full", max_answer_length=3)
    examples = ours.examples_of(QUESTIONS, CONTEXTS)
    scores, lengths = ours.logits(examples), examples.lengths
    owner = np.repeat(np.repeat(np.arange(3), examples.windows), lengths)
    window = np.repeat(np.arange(len(lengths)), lengths)
    for q, answer in enumerate(ours.answers(examples)):
        spans = [
            (float(scores[i, 0] + scores[j, 1]), examples.starts[i], examples.ends[j], i, j)
            for i in (owner == q).nonzero()[0]
            for j in range(i, min(i + 3, len(owner)))
            if window[j] == window[i] and min(examples.starts[i], examples.starts[j]) >= 0
        ]
        _, start, end, i, j = max(spans, key=lambda span: span[0])
        assert (answer["start"], answer["end"]) == (start, end)
        assert answer["answer"] == CONTEXTS[q][start:end]
        inside = np.flatnonzero(window == window[i])
        p = torch.from_numpy(scores[inside]).softmax(0)
        expected = float(p[i - inside[0], 0] * p[j - inside[0], 1])
        assert answer["score"] == pytest.approx(expected, rel=1e-4)


def test_the_threshold_decides_between_the_best_answer_and_none(base):
    ours = answerer(base, "full")
    examples = ours.examples_of(QUESTIONS, CONTEXTS)
    found, logits = ours.find(examples), ours.logits(examples)
    # By hand: the scores of the begin token, in the window where their sum is least.
    nulls = logits[examples.tokens.starts].sum(1)
    per_question = np.split(nulls, np.cumsum(examples.windows)[:-1])
    least = np.array([part.min() for part in per_question])
    assert any(part.max() - part.min() > 1e-3 for part in per_question)
    spans = best_spans(logits, examples.starts >= 0, examples.lengths, 30).scores
    best = [part.max() for part in np.split(spans, np.cumsum(examples.windows)[:-1])]
    assert found.margins == pytest.approx(least - np.array(best), abs=1e-5)
    begins = np.cumsum(examples.windows) - examples.windows
    for i, part in enumerate(per_question):
        window = examples.tokens.starts[begins[i] + part.argmin()]
        length = examples.lengths[begins[i] + part.argmin()]
        log_p = torch.from_numpy(logits[window : window + length]).log_softmax(0)
        assert found.null_scores[i] == pytest.approx(float(log_p[0].sum().exp()), rel=1e-4)
    for threshold in sorted(found.margins):
        ours.facts = ours.facts.model_copy(update={"null_threshold": float(threshold)})
        answers = ours.answers(examples)
        absent = [answer["answer"] is None for answer in answers]
        assert absent == (found.margins > threshold).tolist()
        for answer, none, score in zip(answers, absent, found.null_scores, strict=True):
            if none:
                assert answer == {"answer": None, "start": None, "end": None, "score": score}


def test_a_context_without_a_token_has_no_answer(base):
    ours = answerer(base, "full")
    (answer,) = ours.predict(["a"], ["\u200b"])
    assert answer["answer"] is None
    assert ours.predict([], []) == []


def test_a_question_that_leaves_no_room_is_refused(base):
    with pytest.raises(DataError, match="question 1: of the 14 tokens that the model reads, 1 are"):
        answerer(base, "full").predict(["a b c d e f g h i j"], ["a b c"])
