import numpy as np
import pytest

from lowkey.data.sampling import balanced_sample

CLASSES = np.array([0] * 90 + [1] * 7 + [2] * 3)[np.random.default_rng(0).permutation(100)]


@pytest.mark.parametrize("epoch", [0, 5])
def test_classes_come_equally_often_and_so_do_the_rows_of_one(epoch):
    drawn = balanced_sample(CLASSES, seed=3, epoch=epoch)
    assert len(drawn) == 100
    assert sorted(np.bincount(CLASSES[drawn]).tolist()) == [33, 33, 34]
    times = np.bincount(drawn, minlength=100)
    for one in range(3):
        often = times[one == CLASSES]
        assert often.max() - often.min() <= 1
    # Without a draw by class it would not be so.
    assert np.bincount(CLASSES).tolist() == [90, 7, 3]


def test_it_is_a_function_of_seed_and_epoch():
    drawn = balanced_sample(CLASSES, seed=3, epoch=0)
    assert np.array_equal(drawn, balanced_sample(CLASSES, seed=3, epoch=0))
    assert not np.array_equal(np.sort(drawn), np.sort(balanced_sample(CLASSES, seed=3, epoch=1)))
    assert not np.array_equal(np.sort(drawn), np.sort(balanced_sample(CLASSES, seed=4, epoch=0)))


def test_in_time_every_row_of_a_frequent_class_has_its_turn():
    epochs = [balanced_sample(CLASSES, seed=1, epoch=epoch) for epoch in range(20)]
    assert set(np.concatenate(epochs).tolist()) == set(range(100))


def test_a_class_without_rows_takes_no_share():
    drawn = balanced_sample(np.array([4, 4, 4, 9]), seed=0, epoch=0)
    assert np.sort(np.array([4, 4, 4, 9])[drawn]).tolist() == [4, 4, 9, 9]
