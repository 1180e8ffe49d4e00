"""Decoding step by step gives what the full forward pass gives, also after a reorder."""

import pytest
import torch
from models.examples import MARIAN, MODERN, make

from lowkey.nn.layout import SequenceLayout


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "pre"},
        {"positions": "learned"},
        {"positions": "rotary"},
        {"tie_embeddings": False},
        {"gated": True},
        {"decoder_num_heads": 4},
        MODERN,
        MARIAN,
    ],
    ids=lambda c: next(iter(c), "paper") if len(c) < 5 else f"{len(c)} changes",
)
def test_steps_equal_the_full_forward_pass(changes: dict) -> None:
    model = make(**changes)
    source_ids, source = torch.randint(0, 11, (9,)), SequenceLayout([3, 5, 1])
    target_ids = torch.randint(0, 11, (3, 5))
    full = model(source_ids, source, target_ids.flatten(), SequenceLayout([5] * 3)).view(3, 5, -1)
    state = model.start(source_ids, source)
    stepped = torch.stack([state.step(target_ids[:, t]) for t in range(5)], 1)
    torch.testing.assert_close(stepped, full, atol=1e-5, rtol=0)


@pytest.mark.parametrize("changes", [{}, MODERN], ids=["paper", "modern"])
def test_reorder_moves_prefix_and_source_together(changes: dict) -> None:
    model = make(**changes)
    source_ids, source = torch.randint(0, 13, (9,)), SequenceLayout([3, 5, 1])
    state = model.start(source_ids, source)
    state.step(torch.tensor([1, 1, 1]))
    state.reorder(torch.tensor([0, 0, 2, 2]))  # sentence 1 is finished, two beams each
    state.step(torch.tensor([2, 3, 4, 5]))
    state.reorder(torch.tensor([1, 0, 2, 3]))  # the beams of sentence 0 change places
    stepped = state.step(torch.tensor([6, 7, 8, 9]))
    prefixes = torch.tensor([[1, 3, 6], [1, 2, 7], [1, 4, 8], [1, 5, 9]])
    rows, kept = source.select([0, 0, 2, 2])
    full = model(source_ids[rows], kept, prefixes.flatten(), SequenceLayout([3] * 4))
    torch.testing.assert_close(stepped, full.view(4, 3, -1)[:, -1], atol=1e-5, rtol=0)
