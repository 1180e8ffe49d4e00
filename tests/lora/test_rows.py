"""Whose rows are whose: runs of rows, and which rows a map sees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowkey.lora.rows import Router, Rows, kind_of


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(0, 3))))
def test_each_row_is_in_the_group_of_its_adapter_and_in_no_other(runs) -> None:
    rows = Rows([name for name, _ in runs], [length for _, length in runs])
    owners = [name for name, length in runs for _ in range(length)]
    found: list[str | None] = ["nobody"] * len(owners)
    for name, where in rows.groups:
        for row in torch.arange(len(owners))[where].tolist():
            assert found[row] == "nobody"
            found[row] = name
    assert found == owners
    assert rows.num_rows == len(owners)
    # Rows that lie together are never gathered.
    together = {name for name in owners if _in_one_piece(owners, name)}
    assert {name for name, where in rows.groups if isinstance(where, slice)} == together


def _in_one_piece(owners: list[str | None], name: str | None) -> bool:
    places = [i for i, owner in enumerate(owners) if owner == name]
    return places == list(range(places[0], places[-1] + 1))


def test_one_row_each_where_no_lengths_are_given() -> None:
    assert Rows(["a", "a", None]).groups == [("a", slice(0, 2)), (None, slice(2, 3))]


@pytest.mark.parametrize("lengths", [[1], [1, -1], [1, 2, 3]])
def test_lengths_must_belong_to_the_names(lengths) -> None:
    with pytest.raises(ValueError, match="2 runs of rows"):
        Rows(["a", "b"], lengths)


def test_a_router_refuses_rows_that_nobody_spoke_of() -> None:
    router = Router()
    router.active = "a"
    assert router.groups("tokens", 7) == [("a", slice(0, 7))]
    with router.route({"tokens": Rows(["b"], [5])}):
        assert router.groups("tokens", 5) == [("b", slice(0, 5))]
        with pytest.raises(ValueError, match="there are 6 rows of tokens, 5 were said"):
            router.groups("tokens", 6)
        with pytest.raises(ValueError, match="whose its rows of sentences are"):
            router.groups("sentences", 5)
    with pytest.raises(RuntimeError), router.route({}):
        raise RuntimeError
    assert router.groups("tokens", 7) == [("a", slice(0, 7))]


def test_the_longest_match_says_which_rows_a_map_sees() -> None:
    kinds = {"a": "x", "a.{}.b": "y", "a.{}.b.c": "z"}
    found = [kind_of(path, kinds) for path in ("a.0", "a.0.b.d", "a.11.b.c", "a.c.b")]
    assert found == ["x", "y", "z", "x"]
    with pytest.raises(ValueError, match="which rows ab sees"):
        kind_of("ab", kinds)


def test_a_batch_inside_a_batch_gives_way_to_the_outer_one() -> None:
    router = Router()
    with router.route({"tokens": Rows(["a"], [3])}):
        with router.route({"tokens": Rows(["b"], [2])}):
            assert router.groups("tokens", 2) == [("b", slice(0, 2))]
        assert router.groups("tokens", 3) == [("a", slice(0, 3))]
