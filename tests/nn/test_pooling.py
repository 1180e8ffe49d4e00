import pytest
import torch

from lowkey.nn.layout import SequenceLayout
from lowkey.nn.pooling import summarise

LAYOUT = SequenceLayout([3, 1, 7, 2])
HIDDEN = torch.randn(13, 5, generator=torch.Generator().manual_seed(0))
BY_HAND = {
    "first": lambda rows: rows[0],
    "mean": lambda rows: rows.sum(0) / len(rows),
    "max": lambda rows: rows.max(0).values,
}


@pytest.mark.parametrize("how", BY_HAND)
def test_a_summary_is_that_of_the_tokens_of_the_sentence(how):
    found = summarise(HIDDEN, LAYOUT, how)
    expected = torch.stack([BY_HAND[how](part) for part in HIDDEN.split([3, 1, 7, 2])])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    # And of no other: what follows and what goes before is not looked at, to the bit.
    alone = summarise(HIDDEN[4:11], SequenceLayout([7]), how)
    assert torch.equal(alone[0], found[2])
    assert not torch.equal(found[2], found[3])


@pytest.mark.parametrize("how", BY_HAND)
def test_the_gradient_is_that_of_padded_sentences(how):
    def gradient(summary):
        hidden = HIDDEN.clone().requires_grad_()
        summary(hidden).pow(2).sum().backward()
        return hidden.grad

    def padded(hidden):
        if how == "first":
            return LAYOUT.pad(hidden)[:, 0]
        filled = LAYOUT.pad(hidden, 0.0 if how == "mean" else -torch.inf)
        return filled.sum(1) / LAYOUT.lengths[:, None] if how == "mean" else filled.amax(1)

    expected = gradient(padded)
    found = gradient(lambda hidden: summarise(hidden, LAYOUT, how))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_summary_of_bf16_is_summed_in_fp32():
    hidden = torch.full((400, 1), 1 / 3, dtype=torch.bfloat16)
    mean = summarise(hidden, SequenceLayout([400]), "mean")
    assert mean.dtype == torch.float32
    assert float(mean) == pytest.approx(float(hidden[0]), abs=1e-6)
