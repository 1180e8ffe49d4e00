import math

import pytest
import torch
import torch.nn.functional as F

from lowkey.training import loss as loss_module
from lowkey.training.loss import label_smoothed_cross_entropy


def make(tokens: int, vocab: int, dtype: torch.dtype = torch.float32):
    torch.manual_seed(0)
    logits = (torch.randn(tokens, vocab) * 3).to(dtype).requires_grad_()
    return logits, torch.randint(0, vocab, (tokens,))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("block", [1, 40, 1 << 20])  # one row, some rows, all rows at a time
def test_equals_torch(smoothing, block, monkeypatch):
    monkeypatch.setattr(loss_module, "_BLOCK", block)
    logits, targets = make(23, 7)
    loss, nll = label_smoothed_cross_entropy(logits, targets, smoothing)
    (loss * 0.3).backward()
    ours, logits.grad = logits.grad, None
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
    (expected * 0.3).backward()
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours, logits.grad, atol=1e-6, rtol=1e-5)
    plain = F.cross_entropy(logits, targets, reduction="sum")
    torch.testing.assert_close(nll, plain.detach(), atol=1e-5, rtol=1e-5)


def test_gradcheck():
    logits, targets = make(4, 5, torch.float64)

    def loss(x):
        return label_smoothed_cross_entropy(x, targets, 0.2)[0]

    assert torch.autograd.gradcheck(loss, logits)


def test_sums_over_tokens():
    logits, targets = make(6, 5)
    whole, _ = label_smoothed_cross_entropy(logits, targets, 0.1)
    parts = [
        label_smoothed_cross_entropy(logits[i:j], targets[i:j], 0.1)[0] for i, j in [(0, 4), (4, 6)]
    ]
    torch.testing.assert_close(whole, parts[0] + parts[1])


def test_bf16_logits_are_computed_in_fp32():
    logits, targets = make(64, 50, torch.bfloat16)
    loss, _ = label_smoothed_cross_entropy(logits, targets, 0.1)
    exact = F.cross_entropy(logits.double(), targets, label_smoothing=0.1, reduction="sum")
    assert loss.dtype == torch.float32
    assert abs(float(loss.detach()) / float(exact.detach()) - 1) < 1e-6
    loss.backward()
    assert logits.grad.dtype == torch.bfloat16
    in_bf16 = F.cross_entropy(logits, targets, label_smoothing=0.1, reduction="sum")
    assert (
        abs(float(in_bf16.detach()) / float(exact.detach()) - 1) > 1e-5
    )  # what the upcast is there for


def test_an_impossible_token_costs_much_but_not_infinity():
    logits = torch.tensor([[0.0, -200.0]])
    assert float(label_smoothed_cross_entropy(logits, torch.tensor([1]))[0]) == 200.0


def test_keeps_nothing_but_the_logits():
    logits, targets = make(64, 50)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.numel()) or t, lambda t: t
    ):
        label_smoothed_cross_entropy(logits, targets, 0.1)
    assert sum(saved) == logits.numel() + targets.numel()


def test_smoothing_has_a_floor_above_zero():
    """A model that is sure of itself pays for it; the plain likelihood does not."""
    logits = torch.tensor([[50.0, 0.0]])
    loss, nll = label_smoothed_cross_entropy(logits, torch.tensor([0]), 0.1)
    assert float(nll) == 0.0
    assert math.isclose(float(loss), 2.5, rel_tol=1e-6)
