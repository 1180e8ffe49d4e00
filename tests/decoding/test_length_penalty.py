import pytest
import torch

from lowkey.decoding.length_penalty import length_penalty


def test_the_penalty_of_wu_et_al_is_equation_14():
    lengths = torch.arange(1, 20)
    for exponent in (0.0, 0.2, 0.6, 1.0):
        # lp(Y) = (5 + |Y|)^a / (5 + 1)^a
        expected = [(5 + n) ** exponent / (5 + 1) ** exponent for n in range(1, 20)]
        found = length_penalty(lengths, exponent, "gnmt").tolist()
        assert found == pytest.approx(expected, rel=1e-6)
        assert length_penalty(7, exponent, "gnmt") == pytest.approx(expected[6])
    assert length_penalty(1, 3.0, "gnmt") == 1


def test_the_average_divides_by_the_length():
    assert length_penalty(4, 1.0) == 4
    assert length_penalty(4, 0.5) == 2
    assert length_penalty(torch.tensor([4, 9]), -0.5).tolist() == pytest.approx([1 / 2, 1 / 3])
    assert length_penalty(4, 0.0) == length_penalty(9, 0.0) == 1
