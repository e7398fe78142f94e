# Generated from nbs/05_exemplars/02_topk.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.topk import (
    best,
    merge_top,
    restore_top,
    RunningTopK,
    top_state,
)

import torch
from fastcore.test import test_eq


def top_naive(values, ids, k):
    "Keep everything, sort, cut. `values` is (rows, units); ties go to the lowest id."
    pairs = [sorted((-float(value), int(i)) for value, i in zip(column, ids))[:k] for column in values.T]
    return (torch.tensor([[-value for value, _ in row] for row in pairs]),
            torch.tensor([[i for _, i in row] for row in pairs]))


# 02_topk.ipynb, section "The naive way"
def test_the_naive_way():
    maps = torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    maps.amax((2, 3)).argsort(dim=0, descending=True)[:5].T


# 02_topk.ipynb, section "Running top k"
def test_running_top_k():
    best(torch.tensor([[3., 5., 5.]]), torch.tensor([[0, 9, 4]]), 2)

    test_eq(best(torch.tensor([[3., 5., 5.]]), torch.tensor([[0, 9, 4]]), 2).tolist(), [[2, 1]])

    maps = torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ids, top = torch.arange(100), RunningTopK(5)
    for batch in ids.split(7): top.add(maps[batch].amax((2, 3)), batch, maps[batch])
    top.ids

    values, naive_ids = top_naive(maps.amax((2, 3)), ids, 5)
    assert torch.equal(top.values, values) and torch.equal(top.ids, naive_ids)
    for unit in range(3): assert torch.equal(top.payload[unit], maps[top.ids[unit], unit])

    dead = RunningTopK(2)
    changed = dead.add(torch.zeros(4, 1), torch.arange(4), torch.zeros(4, 1, 2, 2))
    test_eq(changed.tolist(), [True, True, False, False])
    assert not dead.add(torch.zeros(4, 1), torch.arange(4, 8), torch.zeros(4, 1, 2, 2)).any()
    test_eq(dead.ids.tolist(), [[0, 1]])
    maps = torch.randn(20, 3, 4, 4, generator=torch.Generator().manual_seed(3)).bfloat16()
    half, single = RunningTopK(5), RunningTopK(5)
    half.add(maps.amax((2, 3)), torch.arange(20), maps)
    single.add(maps.float().amax((2, 3)), torch.arange(20), maps.float())
    for name in ('values', 'ids', 'payload'): assert torch.equal(getattr(half, name), getattr(single, name))
    half.payload.dtype

    maps = (torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 10).round() / 10
    shuffled = torch.randperm(100, generator=torch.Generator().manual_seed(2))
    first, second = RunningTopK(5), RunningTopK(5)
    for batch in shuffled[:60].split(9): first.add(maps[batch].amax((2, 3)), batch, maps[batch])
    for batch in shuffled[60:].split(11): second.add(maps[batch].amax((2, 3)), batch, maps[batch])
    merge_top(first, second)
    values, naive_ids = top_naive(maps.amax((2, 3)), torch.arange(100), 5)
    assert torch.equal(first.values, values) and torch.equal(first.ids, naive_ids)
    for unit in range(3): assert torch.equal(first.payload[unit], maps[first.ids[unit], unit])
    first.values[0], first.ids[0]

    copy, empty, state = RunningTopK(2), RunningTopK(2), top_state(first)
    restore_top(copy, state | {'slots': state['slots'].flip(1), 'payload': state['payload'].flip(1)})
    merge_top(empty, copy)
    merge_top(empty, RunningTopK(5))
    for one in (copy, empty): assert torch.equal(one.payload[:, :2], first.payload[:, :2])
