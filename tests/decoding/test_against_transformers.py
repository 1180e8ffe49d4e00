"""Searches against ``transformers`` on a tiny random Marian model."""

import pytest
import torch
from transformers import MarianConfig, MarianMTModel

from lowkey.decoding.beam import beam_search
from lowkey.decoding.greedy import greedy
from lowkey.decoding.rules import Ban, EndAtLimit, MinLength, NoRepeatNgrams, RepetitionPenalty

BEGIN, END = 11, 1


class Recomputed:
    """Runs the whole decoder on every prefix: slow, and without a cache to go wrong."""

    def __init__(self, model, source):
        self.model, self.source = model, source
        self.num_sentences, self.vocab_size = len(source), model.config.vocab_size
        self.device = torch.device("cpu")
        self.prefixes = torch.empty(len(source), 0, dtype=torch.long)

    def step(self, tokens):
        self.prefixes = torch.cat([self.prefixes, tokens[:, None]], dim=1)
        return self.model(input_ids=self.source, decoder_input_ids=self.prefixes).logits[:, -1]

    def reorder(self, rows):
        self.prefixes, self.source = self.prefixes[rows], self.source[rows]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=12, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_position_embeddings=32, pad_token_id=BEGIN, eos_token_id=END,
        decoder_start_token_id=BEGIN, forced_eos_token_id=None, init_std=0.7,
        tie_word_embeddings=False, share_encoder_decoder_embeddings=True,
    )  # fmt: skip
    model = MarianMTModel(config).eval()
    # So that hypotheses end, and at many lengths.
    model.model.decoder.embed_positions.weight.data.mul_(4)
    model.lm_head.weight.data.div_(2)
    model.final_logits_bias[0, END] = 3.0
    return model


@pytest.mark.parametrize("num_beams", [2, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 1.5])
@pytest.mark.parametrize("early_stopping", [True, False, "never"])
def test_returns_what_transformers_returns(model, num_beams, length_penalty, early_stopping):
    source = torch.randint(2, 11, (8, 6), generator=torch.Generator().manual_seed(1))
    options = {
        "num_beams": num_beams,
        "length_penalty": length_penalty,
        "early_stopping": early_stopping,
    }
    theirs = model.generate(
        source, max_new_tokens=10, num_return_sequences=2, do_sample=False,
        return_dict_in_generate=True, output_scores=True, **options,
    )  # fmt: skip
    with torch.no_grad():
        ours = beam_search(
            Recomputed(model, source),
            begin_id=BEGIN, end_id=END, max_length=10, num_return=2, **options,
        )  # fmt: skip
    flat = [hypothesis for found in ours for hypothesis in found]
    assert any(hypothesis.finished for hypothesis in flat)
    assert len({len(hypothesis.token_ids) for hypothesis in flat}) > 1
    for hypothesis, ids, score in zip(
        flat, theirs.sequences.tolist(), theirs.sequences_scores.tolist(), strict=True
    ):
        expected = ids[1:]
        if END in expected:
            expected = expected[: expected.index(END) + 1]
        assert hypothesis.token_ids + [END] * hypothesis.finished == expected
        assert hypothesis.score == pytest.approx(score, abs=1e-5)


# What transformers calls an option, and the rules that are the same here. Its lengths count the
# begin token, ours the end token.
RULES = [
    ({"repetition_penalty": 1.4}, [RepetitionPenalty(1.4)]),
    ({"repetition_penalty": 0.7}, [RepetitionPenalty(0.7)]),
    ({"no_repeat_ngram_size": 1}, [NoRepeatNgrams(1)]),
    ({"no_repeat_ngram_size": 2}, [NoRepeatNgrams(2)]),
    ({"min_length": 6}, [MinLength(torch.full((8,), 6), END)]),
    ({"bad_words_ids": [[BEGIN], [4]]}, [Ban([BEGIN, 4])]),
    ({"forced_eos_token_id": END}, [EndAtLimit(END)]),
    (
        {
            "repetition_penalty": 1.2,
            "no_repeat_ngram_size": 2,
            "bad_words_ids": [[BEGIN]],
            "min_length": 5,
            "forced_eos_token_id": END,
        },
        [
            RepetitionPenalty(1.2),
            NoRepeatNgrams(2),
            Ban([BEGIN]),
            MinLength(torch.full((8,), 5), END),
            EndAtLimit(END),
        ],
    ),
]


def until_end(ids):
    return ids[: ids.index(END) + 1] if END in ids else ids


def said(hypothesis):
    return hypothesis.token_ids + [END] * hypothesis.finished


def search(model, source, num_beams, **options):
    """Our outputs, sentence by sentence, best first."""
    options = {"begin_id": BEGIN, "end_id": END, **options}
    with torch.no_grad():
        if num_beams == 1:
            return greedy(Recomputed(model, source), **options)
        many = beam_search(
            Recomputed(model, source), num_beams=num_beams, num_return=num_beams, **options
        )
        return [hypothesis for some in many for hypothesis in some]


@pytest.mark.parametrize(("theirs", "rules"), RULES)
def test_rules_and_prefixes_are_those_of_transformers(model, theirs, rules):
    source = torch.randint(2, 11, (8, 6), generator=torch.Generator().manual_seed(2))
    mattered = False
    for num_beams, given, length in ((1, [], 6), (4, [], 6), (1, [5, 7], 9), (4, [5, 7], 9)):
        expected, free = (
            model.generate(
                source, decoder_input_ids=torch.tensor([[BEGIN, *given]] * 8),
                max_length=length + 1, num_beams=num_beams, num_return_sequences=num_beams,
                do_sample=False, return_dict_in_generate=True, output_scores=True, **options,
            )
            for options in (theirs, {})
        )  # fmt: skip
        found = search(
            model, source, num_beams, max_length=length, rules=rules, prefixes=[given] * 8
        )
        ids = expected.sequences.tolist()
        assert [said(one) for one in found] == [until_end(one[1:]) for one in ids]
        if num_beams > 1:
            scores = expected.sequences_scores.tolist()
            assert [one.score for one in found] == pytest.approx(scores, abs=1e-5)
        mattered |= ids != free.sequences.tolist()
    assert mattered  # without the rule it would be another output
