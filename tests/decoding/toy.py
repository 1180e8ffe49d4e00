"""A decodable whose logits depend on the sentence and its whole prefix, and brute force over it."""

import itertools
import math
import random

import torch


class ToyTable:
    """Looks the next logits up by sentence name and prefix in a random table.

    Rows remember their prefixes, so a wrong ``reorder`` gives wrong logits.
    """

    def __init__(self, names, vocab_size, *, sharpness=2.0, ties=False):
        self.names = list(names)
        self.num_sentences, self.vocab_size = len(self.names), vocab_size
        self.device = torch.device("cpu")
        self.sharpness, self.ties = sharpness, ties
        self.rows = [(name, ()) for name in self.names]
        self.rows_stepped = []

    def logits(self, name, prefix):
        draw = random.Random(repr((name, prefix)))
        values = [draw.gauss(0, self.sharpness) for _ in range(self.vocab_size)]
        return [float(round(value)) if self.ties else value for value in values]

    def step(self, tokens):
        assert len(tokens) == len(self.rows)
        self.rows_stepped.append(len(self.rows))
        self.rows = [
            (name, (*prefix, token))
            for (name, prefix), token in zip(self.rows, tokens.tolist(), strict=True)
        ]
        return torch.tensor([self.logits(*row) for row in self.rows])

    def reorder(self, rows):
        self.rows = [self.rows[row] for row in rows.tolist()]


def brute_force(
    table,
    name,
    *,
    begin_id,
    end_id,
    max_length,
    length_penalty,
    kind="average",
    min_length=0,
    given=(),
):
    """Scores every sequence that ends, or is cut at ``max_length``; best first, in float64."""
    others = [token for token in range(table.vocab_size) if token != end_id]
    start, found = len(given), []
    for length in range(max(start + 1, min_length), max_length + 1):
        lasts = range(table.vocab_size) if length == max_length else [end_id]
        for chosen in itertools.product(*[others] * (length - start - 1), lasts):
            sequence, total = (*given, *chosen), 0.0
            for at in range(start, length):
                logits = table.logits(name, (begin_id, *sequence[:at]))
                total += logits[sequence[at]] - math.log(sum(math.exp(x) for x in logits))
            finished = sequence[-1] == end_id
            token_ids = list(sequence[:-1] if finished else sequence)
            n = length - start
            divisor = ((5 + n) / 6 if kind == "gnmt" else n) ** length_penalty
            found.append((total / divisor, token_ids, finished))
    return sorted(found, key=lambda item: -item[0])
