"""The flat batch: what follows from the lengths alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowkey.nn.layout import SequenceLayout

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(LENGTHS)
def test_derived_facts_agree_with_a_loop(lengths: list[int]) -> None:
    layout = SequenceLayout(lengths)
    rows = [(s, p) for s, length in enumerate(lengths) for p in range(length)]
    assert layout.sentence_ids.tolist() == [s for s, _ in rows]
    assert layout.positions.tolist() == [p for _, p in rows]
    assert layout.starts.tolist() == [rows.index((s, 0)) for s in range(len(lengths))]
    assert (layout.num_tokens, layout.max_length) == (sum(lengths), max(lengths))


@given(LENGTHS)
def test_unpad_inverts_pad(lengths: list[int]) -> None:
    layout = SequenceLayout(lengths)
    x = torch.randn(layout.num_tokens, 3)
    padded = layout.pad(x, value=7.0)
    assert torch.equal(layout.unpad(padded), x)
    assert torch.equal(padded[~layout.mask()], torch.full_like(padded[~layout.mask()], 7.0))


@given(LENGTHS, st.randoms(use_true_random=False))
def test_select_takes_the_rows_of_the_chosen_sentences(lengths: list[int], random) -> None:
    layout = SequenceLayout(lengths)
    chosen = random.sample(range(len(lengths)), k=random.randint(1, len(lengths)))
    rows, selected = layout.select(chosen)
    ids = layout.sentence_ids[rows]
    assert ids.tolist() == [s for s in chosen for _ in range(lengths[s])]
    assert selected.lengths.tolist() == [lengths[s] for s in chosen]


def test_padding_on_the_left_is_no_different() -> None:
    right, layout = SequenceLayout.from_padded(
        torch.tensor([[5, 6, 0], [7, 8, 9]]), torch.tensor([[1, 1, 0], [1, 1, 1]])
    )
    left, same = SequenceLayout.from_padded(
        torch.tensor([[0, 5, 6], [7, 8, 9]]), torch.tensor([[0, 1, 1], [1, 1, 1]])
    )
    assert torch.equal(left, right)
    assert torch.equal(layout.positions, same.positions)


@pytest.mark.parametrize("lengths", [[], [2, 0]])
def test_refuses_empty_sentences(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        SequenceLayout(lengths)
