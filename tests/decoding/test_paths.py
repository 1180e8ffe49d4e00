"""What one step of a search costs: as many operators for many sentences as for one."""

import pytest
import torch
from decoding.toy import ToyTable
from torch.utils._python_dispatch import TorchDispatchMode

from lowkey.decoding.beam import beam_search
from lowkey.decoding.greedy import greedy
from lowkey.decoding.rules import Ban, MinLength, NoRepeatNgrams, RepetitionPenalty
from lowkey.decoding.sampling import sample

IDS = {"begin_id": 0, "end_id": 1}
STEPS = 5


class Operators(TorchDispatchMode):
    """Counts the operators of torch from one step to the next, those of the model left out."""

    def __init__(self):
        super().__init__()
        self.steps, self.asleep = [0], False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.steps[-1] += not self.asleep
        return function(*args, **(kwargs or {}))


class Watched(ToyTable):
    """Ends nothing by itself, and opens a new count at each step."""

    operators = None

    def logits(self, name, prefix):
        values = super().logits(name, prefix)
        return [values[0], -99.0, *values[2:]]

    def step(self, tokens):
        self.operators.asleep = True
        logits = super().step(tokens)
        self.operators.asleep = False
        self.operators.steps.append(0)
        return logits

    def reorder(self, rows):
        self.operators.asleep = True
        super().reorder(rows)
        self.operators.asleep = False


def operators(search, num_sentences, **options):
    """The operators of each step, before the first and behind the last left out."""
    table = Watched([f"sentence {i}" for i in range(num_sentences)], 9)
    rules = [RepetitionPenalty(1.1), NoRepeatNgrams(2), Ban([3])]
    rules.append(MinLength(torch.full((num_sentences,), 3), 1))
    starts = [[2, 4][: 2 - i % 3] for i in range(num_sentences)]
    with Operators() as table.operators:
        search(table, **IDS, max_length=STEPS, rules=rules, prefixes=starts, **options)
    steps = table.operators.steps
    assert len(steps) == STEPS + 1
    return steps[1:]


@pytest.mark.parametrize(
    ("search", "options"),
    [
        (greedy, {}),
        (beam_search, {"num_beams": 4}),
        (sample, {"seed": 1, "top_k": 5, "top_p": 0.9, "num_return": 3}),
    ],
)
def test_a_step_takes_as_many_operators_for_64_sentences_as_for_one(search, options):
    one, many = (operators(search, n, **options) for n in (1, 64))
    # Before the last step, behind which the results are read.
    assert one[:-1] == many[:-1]
    assert min(one) > 10
    beams = {**options, "num_beams": 2} if search is beam_search else options
    assert operators(search, 3, **beams)[:-1] == one[:-1]


def test_a_loop_over_sentences_would_be_seen():
    def looping(table, *, rules, prefixes, **options):
        def each(live, scores):
            return torch.stack([row * 1.0 for row in scores])

        greedy(table, rules=[each], **options)

    one, many = operators(looping, 1), operators(looping, 64)
    assert many[1] > one[1] + 60
