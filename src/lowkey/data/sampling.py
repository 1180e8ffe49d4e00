"""Which rows an epoch is made of, where the classes are to come equally often."""

import numpy as np
from jaxtyping import Int64

from lowkey.runtime import seed_for


def balanced_sample(
    classes: Int64[np.ndarray, " rows"], *, seed: int, epoch: int
) -> Int64[np.ndarray, " rows"]:
    """Draws as many rows of each class, and as many in all as there are.

    Rows of a rare class come several times, all of them equally often but for one; of a frequent
    one a part is taken, another in each epoch. A pure function of its arguments.

    Args:
        classes: The class of each row.
        seed: Seed of the run.
        epoch: Number of the epoch, from 0.

    Returns:
        Positions of rows, class after class.

    Example:
        >>> classes = np.array([0, 0, 0, 0, 0, 1])
        >>> classes[balanced_sample(classes, seed=1, epoch=0)].tolist()
        [0, 0, 0, 1, 1, 1]
    """
    random = np.random.Generator(np.random.PCG64(seed_for("balanced sample", seed, epoch)))
    # Sorted random numbers rather than permutation(): its algorithm may change between releases.
    order = np.argsort(random.random(len(classes)), kind="stable")
    present = np.unique(classes)
    sizes = np.full(len(present), len(classes) // len(present))
    left_over = np.argsort(random.random(len(present)), kind="stable")
    sizes[left_over[: len(classes) - int(sizes.sum())]] += 1
    drawn = [
        np.resize(order[classes[order] == one], size)
        for one, size in zip(present, sizes.tolist(), strict=True)
    ]
    return np.concatenate(drawn)
