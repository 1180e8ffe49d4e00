import pytest

from lowkey.errors import ConfigError
from lowkey.pipelines.decoding import Decoding, refuse_nbest


def test_changes_leave_the_rest_as_it_was():
    stored = Decoding(num_beams=5, max_ratio=2.5, banned_ids=[3])
    changed = stored.changed(length_penalty=0, no_repeat_ngram_size=3)
    assert changed == Decoding(
        num_beams=5, max_ratio=2.5, banned_ids=[3], length_penalty=0.0, no_repeat_ngram_size=3
    )
    assert stored.changed() == stored


def test_a_recipe_without_a_ratio_takes_that_of_the_training_pairs():
    stored = Decoding(num_beams=3, min_ratio=0.5)
    assert stored.bounded(1.5) == Decoding(num_beams=3, min_ratio=0.5, max_ratio=1.5)
    assert stored.bounded(0.2).max_ratio == 0.5
    assert Decoding(max_ratio=4.0).bounded(1.5).max_ratio == 4.0


def test_samples_take_one_beam_unless_another_number_is_asked_for():
    stored = Decoding(num_beams=5)
    assert stored.changed(sample=True, top_k=3).num_beams == 1
    assert stored.changed(sample=False).num_beams == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_beams": 0}, "num_beams must be a whole number from 1 to 256, got 0"),
        ({"num_beams": "4"}, 'num_beams must be a whole number from 1 to 256, got "4" — write 4'),
        ({"sample": True, "top_p": 1.5}, "top_p must be a number above 0 and at most 1, got 1.5"),
        ({"sample": True, "temperature": 0}, "temperature must be a number above 0 and at most"),
        ({"beams": 4}, "unknown key beams — did you mean num_beams?"),
        ({"min_length": 9, "max_length": 8}, "min_length 9 is more than max_length 8 — lower the"),
        ({"min_ratio": 3, "max_ratio": 2}, "min_ratio 3 is more than max_ratio 2 — lower the"),
        (
            {"sample": True, "num_beams": 4},
            "sample draws tokens at random and has no use for 4 beams — set num_beams to 1",
        ),
        ({"top_p": 0.5}, "top_p 0.5 is for samples — set sample to true"),
        ({"top_k": 5}, "top_k 5 is for samples — set sample to true"),
        ({"temperature": 2}, "temperature 2 is for samples — set sample to true"),
        ({"length_penalty_kind": "gnm"}, "length_penalty_kind must be one of average, gnmt"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_a_wrong_change_is_told_in_one_line(changes, message):
    with pytest.raises(ConfigError) as caught:
        Decoding().changed(**changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_more_outputs_than_there_are_are_refused():
    refuse_nbest(Decoding(num_beams=3), 3, split=False)
    refuse_nbest(Decoding(sample=True), 50, split=False)
    refuse_nbest(Decoding(), 1, split=True)
    with pytest.raises(ConfigError, match="nbest 4 is more than num_beams 3 — set num_beams to 4"):
        refuse_nbest(Decoding(num_beams=3), 4, split=False)
    with pytest.raises(ConfigError, match="nbest must be a whole number of at least 1, got 0"):
        refuse_nbest(Decoding(), 0, split=False)
    with pytest.raises(ConfigError, match="nbest 2 cannot be had of texts that are split"):
        refuse_nbest(Decoding(num_beams=3), 2, split=True)
