import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.bundles import saved, translator

from lowkey.errors import ConfigError, DataError
from lowkey.pipelines import generation
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.generation import Request, generate
from lowkey.pipelines.translator import Translator

SOURCES = ["a b c", "d", "e f g h a b c d e", "c c", "h g"]
MODEL = translator(decode={"num_beams": 3, "max_length": 9}, max_length=12)


def outputs(texts=SOURCES, **options):
    changes = {k: options.pop(k) for k in tuple(options) if k in type(MODEL.decoding).model_fields}
    return generate(MODEL, texts, Request(MODEL.decoding.changed(**changes), **options)).outputs


def test_nbest_are_distinct_and_in_order():
    for found in outputs(nbest=3):
        assert len(found) == 3
        assert [one.score for one in found] == sorted((o.score for o in found), reverse=True)
    assert [found[:1] for found in outputs(nbest=3)] == outputs()


def test_the_form_of_the_answers():
    plain, scored = MODEL.predict(["a"]), MODEL.predict(["a"], scores=True)
    assert plain == [{"text": MODEL.translate(["a"])[0]}]
    assert scored[0].keys() == {"text", "score"}
    [many] = MODEL.predict(["a"], nbest=2, scores=True)
    assert many == {**many["nbest"][0], "nbest": many["nbest"]}
    assert len(many["nbest"]) == 2
    assert MODEL.predict(["a"], nbest=2)[0]["nbest"][0].keys() == {"text"}


def test_scores_of_all_searches_can_be_compared():
    # Whatever found it, the same text has the same score.
    beams = {o.text: o.score for o in outputs(["a b c"], num_beams=200, nbest=200)[0]}
    [[best]] = outputs(["a b c"], num_beams=1)
    assert best.score == pytest.approx(beams[best.text], abs=1e-5)
    drawn = [o for o in outputs(["a b c"], sample=True, temperature=0.5, nbest=20)[0]]
    seen = [o for o in drawn if o.text in beams]
    assert seen
    for one in seen:
        assert one.score == pytest.approx(beams[one.text], abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    chosen=st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True),
    sample=st.booleans(),
    tokens=st.sampled_from([1, 4096]),
    long=st.sampled_from(["truncate", "split"]),
)
def test_batch_mates_do_not_matter(chosen, sample, tokens, long):
    starts = ["", "u", "v w", "x", ""]
    options = {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "min_ratio": 0.5}
    options |= {"max_ratio": 1.0, "long": long, "sample": sample}
    options |= {"top_p": 0.9, "temperature": 1.5} if sample else {"num_beams": 3}

    def run(which):
        return outputs(
            [SOURCES[i] * (1 + 2 * (i == 2)) for i in which],
            numbers=[i + 1 for i in which],
            prefixes=[starts[i] for i in which],
            **options,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "SEARCH_TOKENS", tokens)
        together = run(chosen)
    for i, found in zip(chosen, together, strict=True):
        ((alone,),) = run([i])
        assert found[0].text == alone.text
        assert found[0].score == pytest.approx(alone.score, abs=1e-5)


def test_prefixes_begin_the_outputs():
    starts = ["u v", "", "w", "x x x", "v"]
    for options in ({}, {"num_beams": 1}, {"sample": True}):
        for start, (best, *_) in zip(starts, outputs(prefixes=starts, **options), strict=True):
            assert best.text.split()[: len(start.split())] == start.split()
    assert outputs(prefixes=[""] * 5) == outputs()


def test_a_prefix_that_cannot_be_said_is_refused():
    with pytest.raises(DataError, match='the prefix "u zzz" holds what the target vocabulary lack'):
        outputs(["a"], prefixes=["u zzz"])
    with pytest.raises(DataError, match=r'the prefix "u u u.* has 9 tokens — max_length 9 leaves'):
        outputs(["a"], prefixes=["u " * 9])
    assert outputs(["a"], prefixes=["u " * 8], max_ratio=0.1)[0][0].text.startswith("u u u u u u u")


def test_lengths_are_kept():
    short = outputs(max_length=2)
    long = outputs(min_length=8, no_repeat_ngram_size=0)
    assert all(len(found[0].text.split()) <= 2 for found in short)
    assert all(len(found[0].text.split()) >= 7 for found in long)
    by_source = outputs(min_ratio=2.0, num_beams=1)  # sources of 4, 2, 10, 3 and 3 tokens
    least = [min(9, 2 * n) for n in (4, 2, 10, 3, 3)]
    assert all(len(o[0].text.split()) + 1 >= n for o, n in zip(by_source, least, strict=True))


def test_samples_are_repeatable_and_differ_by_seed_place_and_draw():
    drawn = outputs(["a b"] * 6, sample=True, nbest=3)
    assert drawn == outputs(["a b"] * 6, sample=True, nbest=3)
    assert drawn != outputs(["a b"] * 6, sample=True, nbest=3, seed=1)
    assert len({one.text for found in drawn for one in found}) > 6


def test_long_texts_are_told():
    long = "a b c d e f g h " * 3
    with pytest.raises(DataError, match="has 25 tokens, the model reads 12 at most"):
        MODEL.translate(["a", long])
    with pytest.warns(UserWarning, match="1 text is longer than 12 tokens: translated in pieces"):
        [_, said] = MODEL.translate(["a", long], long="split")
    with pytest.warns(UserWarning, match="1 text is longer than 12 tokens: cut off there"):
        [cut] = MODEL.translate([long], long="truncate")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pieces = ["a b c d e f", "g h a b c d", "e f g h a b", "c d e f g h"]
        assert said == " ".join(MODEL.translate(pieces))
        assert [cut] == MODEL.translate(["a b c d e f g h a b c"])


def test_what_the_model_demands_is_kept(tmp_path):
    said = MODEL.translate(SOURCES)[0].split()[0]
    word, other = MODEL.target_tokenizer.encode([f"{said} v"], special_tokens=False).tokens.values
    demands = {"banned_ids": [int(word)], "begin_id": int(other), "end_at_limit": True}
    ours = Translator(
        MODEL.model,
        MODEL.source_tokenizer,
        MODEL.target_tokenizer,
        Facts(
            kind="translation", task="words", method="scratch", decode={"max_length": 6, **demands}
        ),
    )
    texts = ours.translate(SOURCES)
    assert not any(said in text.split() for text in texts)
    assert all(len(text.split()) <= 5 for text in texts)  # the sixth token is the end
    assert Translator.load(saved(ours, tmp_path / "best")).translate(SOURCES) == texts
    for wrong in ({"banned_ids": [99]}, {"begin_id": 99}):
        facts = ours.facts.model_dump() | {"decode": {"max_length": 6, **wrong}}
        Facts(**facts).write(tmp_path / "best")
        with pytest.raises(DataError, match="decode names token 99, but there are 7"):
            Translator.load(tmp_path / "best")


def test_outputs_beyond_learned_positions_are_refused():
    ours = translator(positions="learned", max_positions=8, max_length=6, decode={"max_length": 8})
    assert ours.longest_source == 6
    with pytest.raises(ConfigError, match="max_length 9 is more than the model numbers — set it"):
        ours.translate(["a"], max_length=9)


def test_training_goes_on_as_it_was():
    MODEL.model.train()
    before = torch.random.get_rng_state()
    MODEL.translate(["a"], sample=True)
    assert MODEL.model.training
    assert torch.equal(torch.random.get_rng_state(), before)
    MODEL.model.eval()
