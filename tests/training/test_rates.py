import torch
from torch import nn

from lowkey.training.rates import Rate, one_rate, rate_lines, rates_by_ending


def parameters(**sizes):
    return {name: nn.Parameter(torch.zeros(size)) for name, size in sizes.items()}


def test_the_first_ending_that_fits_holds():
    rate = rates_by_ending({"b.weight": 2.0, ".weight": 3.0})
    assert rate("a.b.weight") == Rate("b.weight", 2.0)
    assert rate("a.c.weight").factor == 3.0
    assert rate("a.b.bias") == one_rate("a.b.bias") == Rate()


def test_each_part_is_named_with_its_rate_and_its_size_the_fastest_first():
    rates = {"a": Rate("low", 0.5), "b": Rate("high", 4.0), "c": Rate("low", 0.5)}
    sizes = parameters(a=1000, b=7, c=234)
    assert rate_lines(sizes, rates.__getitem__, 5e-5) == [
        "learning rate 0.0002: high, 7 parameters",
        "learning rate 2.5e-05: low, 1,234 parameters",
    ]


def test_where_all_learn_alike_there_is_nothing_to_say():
    assert rate_lines(parameters(a=3, b=4), one_rate, 1e-3) == []
