import numpy as np
import pytest

from pipestill.job.processes import Group
from pipestill.training.sampler import WINDOW, LengthGroupedBatches, batches_by_length

LENGTHS = np.random.default_rng(0).integers(5, 300, 997)


def padded_tokens(batches):
    return sum(len(batch) * LENGTHS[batch].max() for batch in batches)


def test_an_epoch_holds_every_row_once_and_one_batch_may_be_small():
    batches = list(LengthGroupedBatches(LENGTHS, 8, seed=3))
    assert sorted(index for batch in batches for index in batch) == list(range(len(LENGTHS)))
    assert sorted(map(len, batches))[:2] == [997 % 8, 8]
    assert len(batches) == len(LengthGroupedBatches(LENGTHS, 8, seed=3)) == 125


def test_the_order_depends_on_seed_and_epoch_alone():
    sampler = LengthGroupedBatches(LENGTHS, 8, seed=3)
    first = list(sampler)
    sampler.epoch = 1
    second = list(sampler)
    assert first != second
    again = LengthGroupedBatches(LENGTHS, 8, seed=3)
    again.epoch = 1
    np.random.seed(0)  # no other generator has a say
    assert list(again) == second
    again.epoch = 0
    assert list(again) == first
    assert list(LengthGroupedBatches(LENGTHS, 8, seed=4)) != first


def test_batches_hold_rows_of_similar_length_in_random_order():
    order = np.random.default_rng(1).permutation(len(LENGTHS))
    chance = padded_tokens([order[i : i + 8] for i in range(0, len(order), 8)])
    batches = list(LengthGroupedBatches(LENGTHS, 8, seed=3))
    ours, least = padded_tokens(batches), LENGTHS.sum()
    assert least <= ours < 1.05 * least < chance / 1.5
    longest = [LENGTHS[batch].max() for batch in batches[:WINDOW]]
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.3


@pytest.mark.parametrize("rows", [1, 7, 8, 9])
def test_small_files(rows):
    batches = list(LengthGroupedBatches(LENGTHS[:rows], 8, seed=0))
    assert sorted(index for batch in batches for index in batch) == list(range(rows))


def test_evaluation_batches_are_sorted():
    batches = batches_by_length([5, 1, 4, 2, 3], 2)
    assert batches == [[1, 3], [4, 2], [0]]


def test_processes_share_each_batch_without_repeats_or_drops():
    whole = list(LengthGroupedBatches(LENGTHS[:49], 8, seed=3))
    parts = [list(LengthGroupedBatches(LENGTHS[:49], 8, 3, Group(rank, 3))) for rank in range(3)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(index for share in shares for index in share) == sorted(batch)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [] in parts[1]  # of the batch with a single row
