# Generated from nbs/03_stats.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.stats import (
    _ascending,
    _hazen,
    _largest,
    active,
    level_at,
    positions,
    RunningQuantile,
    RunningTopK,
    thresholds,
)
import pytest

import io
import itertools

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq


def top_naive(values, ids, k):
    "Keep everything, sort, cut. `values` is (rows, units); ties go to the lowest id."
    pairs = [sorted((-float(value), int(i)) for value, i in zip(column, ids)) [:k] for column in values.T]
    return torch.tensor([[-value for value, _ in row] for row in pairs]), torch.tensor([[i for _, i in row] for row in pairs])


# 03_stats.ipynb, section "The naive way"
def test_the_naive_way():
    maps = torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    peaks = maps.amax((2, 3))
    np.argsort(-peaks.numpy(), axis=0)[:5].T, np.quantile(maps.numpy(), .99, axis=(0, 2, 3), method='hazen')


# 03_stats.ipynb, section "Running top k"
def test_running_top_k():
    maps = torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ids, top = torch.arange(100), RunningTopK(5)
    for batch in ids.split(7): top.add(maps[batch].amax((2, 3)), batch, maps[batch])
    top.ids

    values, naive_ids = top_naive(maps.amax((2, 3)), ids, 5)
    assert torch.equal(top.values, values) and torch.equal(top.ids, naive_ids)
    for unit in range(3): assert torch.equal(top.payload[unit], maps[top.ids[unit], unit])

    maps = (torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 10).round() / 10
    shuffled = torch.randperm(100, generator=torch.Generator().manual_seed(2))
    first, second = RunningTopK(5), RunningTopK(5)
    for batch in shuffled[:60].split(9): first.add(maps[batch].amax((2, 3)), batch, maps[batch])
    for batch in shuffled[60:].split(11): second.add(maps[batch].amax((2, 3)), batch, maps[batch])
    first.merge(second)
    values, naive_ids = top_naive(maps.amax((2, 3)), torch.arange(100), 5)
    assert torch.equal(first.values, values) and torch.equal(first.ids, naive_ids)
    for unit in range(3): assert torch.equal(first.payload[unit], maps[first.ids[unit], unit])
    first.values[0], first.ids[0]

    dead = RunningTopK(2)
    assert dead.add(torch.zeros(4, 1), torch.arange(4), torch.zeros(4, 1, 2, 2)).tolist() == [True, True, False, False]
    assert not dead.add(torch.zeros(4, 1), torch.arange(4, 8), torch.zeros(4, 1, 2, 2)).any()
    test_eq(dead.ids.tolist(), [[0, 1]])
    copy = RunningTopK(2)
    copy.restore(dead.state())
    copy.add(torch.tensor([[1.]]), torch.tensor([9]), torch.ones(1, 1, 2, 2))
    test_eq(copy.ids.tolist(), [[9, 0]])
    empty = RunningTopK(2)
    empty.merge(copy)
    test_eq(empty.ids.tolist(), [[9, 0]])
    empty.merge(RunningTopK(2))
    test_eq(empty.payload[0, 0].tolist(), [[1, 1], [1, 1]])
    maps = torch.randn(20, 3, 4, 4, generator=torch.Generator().manual_seed(3)).bfloat16()
    half, single = RunningTopK(5), RunningTopK(5)
    half.add(maps.amax((2, 3)), torch.arange(20), maps)
    single.add(maps.float().amax((2, 3)), torch.arange(20), maps.float())
    for name, value in half.state().items(): assert value.dtype in (torch.float32, torch.int64) and torch.equal(value, single.state()[name])


# 03_stats.ipynb, section "Which activations to look at"
def test_which_activations_to_look_at():
    positions(np.arange(3), size=100, count=5)

    drawn = positions(np.arange(20_000), size=10, count=3, seed=1)
    test_close(np.bincount(drawn.ravel(), minlength=10) / drawn.size, np.full(10, .1), eps=.005)
    test_eq(positions(np.array([7, 8]), 50, 4)[1], positions(np.array([8]), 50, 4)[0])
    assert (positions(np.arange(9), 50, 4, seed=0) != positions(np.arange(9), 50, 4, seed=1)).any()
    test_eq(positions(np.arange(2), 6, 6), [range(6), range(6)])


# 03_stats.ipynb, section "Running quantile"
def test_running_quantile():
    _largest(torch.tensor([[3., 1., 4., 1., 5.]]), 3), _hazen(torch.tensor([[3., 4., 5.]]), np.array([.5, .7, 1.]), 5)

    maps = torch.rand(6, 500, generator=torch.Generator().manual_seed(0))
    kept, grid = _largest(maps.clone(), 130), np.linspace(.76, 1, 30)
    assert torch.equal(_ascending(kept), maps.sort(dim=1).values[:, -130:]) and torch.equal(kept[:, 0], kept.amin(1))
    test_close(_hazen(_ascending(kept), grid, 500).numpy(), np.quantile(maps.double().numpy(), grid, axis=1, method='hazen').T, eps=1e-6)

    maps = torch.randn(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    quantile = RunningQuantile(.99, rows=100)
    for batch in torch.arange(100).split(7): quantile.add(maps[batch], batch)
    quantile.levels()

    for q in (0, .01, .3, .5, .9, .99, .999, 1):
        quantile = RunningQuantile(q, rows=100)
        for batch in torch.arange(100).split(13): quantile.add(maps[batch], batch)
        test_close(quantile.levels(), np.quantile(maps.double().numpy(), q, axis=(0, 2, 3), method='hazen'), eps=1e-6)

    maps = torch.randn(300, 4, 8, 8, generator=torch.Generator().manual_seed(1)).cumsum(3) # neighbours resemble each other, as in real maps
    levels = []
    for batch_size in (300, 17):
        quantile = RunningQuantile(.99, rows=300, budget=3000)
        for batch in torch.arange(300).split(batch_size): quantile.add(maps[batch], batch)
        levels.append(quantile.levels())
    first, second = RunningQuantile(.99, rows=300, budget=3000), RunningQuantile(.99, rows=300, budget=3000)
    for batch in torch.arange(0, 300, 2).split(50): first.add(maps[batch], batch)
    second.restore(first.state() | {'tail': first.state()['tail'].clone()})
    for batch in torch.arange(1, 300, 2).split(20): second.add(maps[batch], batch)
    assert torch.equal(levels[0], levels[1]) and torch.equal(levels[0], second.levels())
    third = RunningQuantile(.99, rows=300, budget=3000)
    for batch in torch.arange(1, 300, 2).split(20): third.add(maps[batch], batch)
    first.merge(third)
    assert torch.equal(levels[0], first.levels())
    empty = RunningQuantile(.99, rows=300, budget=3000)
    empty.merge(first)
    empty.merge(RunningQuantile(.99, rows=300, budget=3000))
    assert torch.equal(levels[0], empty.levels())
    levels[0], np.quantile(maps.numpy(), .99, axis=(0, 2, 3), method='hazen')

    generator = torch.Generator().manual_seed(2)
    coarse = torch.randn(400, 24, 7, 7, generator=generator) * torch.rand(400, 24, 1, 1, generator=generator).exp()
    maps = torch.nn.functional.interpolate(coarse, size=56, mode='bilinear').relu()
    quantile = RunningQuantile(.99, rows=400)
    for batch in torch.arange(400).split(64): quantile.add(maps[batch], batch)
    rank = (maps < quantile.levels()[:, None, None]).double().mean((0, 2, 3))
    worst = float((rank - .99).abs().max())
    assert 0 < worst <= .001
    f'{quantile._count} of 3136 positions per map; rank error at most {worst:.3%}'

    with expect_fail(MilanError, contains='1.2'): RunningQuantile(1.2, rows=3)
    with expect_fail(MilanError, contains='to see 300'): quantile = RunningQuantile(.5, rows=300); quantile.add(torch.zeros(301, 1, 2, 2), torch.arange(301))
    with expect_fail(MilanError, contains='same arguments'): RunningQuantile(.5, rows=3).merge(RunningQuantile(.6, rows=3))
    with expect_fail(MilanError, contains='shape (7,)'): RunningQuantile(.5, rows=9).add(torch.zeros(7), torch.arange(7))
    with expect_fail(MilanError, contains='ids of shape (6,)'): RunningQuantile(.5, rows=9).add(torch.zeros(7, 2), torch.arange(6))
    with expect_fail(MilanError, contains='4 units were added to a quantile of 2'): quantile = RunningQuantile(.5, rows=9); [quantile.add(torch.zeros(3, units), torch.arange(3)) for units in (2, 4)]

    class Counting(RunningQuantile):
        "Counts the columns that merges rearrange."
        columns = 0

        def _merge_beside(self):
            self.columns += self._beside and self._beside + self._tail.shape[1]
            super()._merge_beside()


    costs = {}
    for q, rows in itertools.product((.3, .5, .9), (2000, 4000, 8000)):
        values = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))
        quantile = Counting(q, rows)
        for batch in torch.arange(rows).split(20): quantile.add(values[batch], batch)
        test_close(quantile.levels(), np.quantile(values.double().numpy(), q, axis=0, method='hazen'), eps=1e-6)
        costs[q, rows] = quantile.columns
    assert all(columns <= 4 * rows for (q, rows), columns in costs.items())
    costs

    maps = torch.randn(600, 3, 2, 2, generator=torch.Generator().manual_seed(5))
    tables = []
    for size in (600, 31):
        parts = RunningQuantile(.5, rows=600), RunningQuantile(.5, rows=600)
        for part, start in zip(parts, (0, 300)):
            for batch in torch.arange(start, start + 300).split(size): part.add(maps[batch], batch)
        again = RunningQuantile(.5, rows=600)
        again.restore(parts[0].state())
        again.merge(parts[1])
        tables.append(again.table()[1])
    assert torch.equal(*tables)
    flat, deep = RunningQuantile(.5, rows=600), RunningQuantile(.5, rows=600)
    flat.add(maps[..., 0, 0], torch.arange(600))
    deep.add(maps[..., :1, :1], torch.arange(600))
    assert torch.equal(flat.table()[1], deep.table()[1])

    quantile = RunningQuantile(.99, rows=10)
    quantile.add(torch.zeros(10, 1, 4, 4), torch.arange(10))
    test_eq(quantile.levels().tolist(), [0.])
    maps = torch.randn(50, 2, 5, 5, generator=torch.Generator().manual_seed(4)).bfloat16()
    half, single = RunningQuantile(.9, rows=50, budget=500), RunningQuantile(.9, rows=50, budget=500)
    half.add(maps, torch.arange(50))
    single.add(maps.float().contiguous(memory_format=torch.channels_last), torch.arange(50))
    assert torch.equal(half.levels(), single.levels())


# 03_stats.ipynb, section "Any other quantile, afterwards"
def test_any_other_quantile_afterwards():
    level_at(np.array([0, .5, 1]), np.array([[0., 10., 30.], [1., 2., 3.]]), .6)

    maps = torch.randn(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    sizes = {}
    for q in (0, .01, .3, .5, .9, .95, .99, .999, 1):
        quantile = RunningQuantile(q, rows=100)
        for batch in torch.arange(100).split(13): quantile.add(maps[batch], batch)
        probabilities, levels = quantile.table()
        assert probabilities[0] == 0 and probabilities[-1] == 1 and (np.diff(probabilities) > 0).all() and (levels.diff() >= 0).all()
        test_close(levels.numpy(), np.quantile(maps.double().numpy(), probabilities, axis=(0, 2, 3), method='hazen').T, eps=1e-6)
        assert torch.equal(levels[:, probabilities == q][:, 0], quantile.levels())
        assert np.array_equal(level_at(probabilities, levels.numpy(), q), quantile.levels().numpy())
        sizes[q] = len(probabilities)
    sizes

    exact = np.quantile(maps.double().numpy(), (.987, .994), axis=(0, 2, 3), method='hazen')
    quantile = RunningQuantile(.9, rows=100)
    quantile.add(maps, torch.arange(100))
    probabilities, levels = quantile.table()
    test_eq(level_at(probabilities, levels.numpy(), 0), maps.amin((0, 2, 3)).numpy())
    test_eq(level_at(probabilities, levels.numpy(), 1), maps.amax((0, 2, 3)).numpy())
    test_close(level_at(probabilities, levels.numpy(), .987), exact[0], eps=1e-2)
    for bad in (-.1, 1.01):
        with expect_fail(MilanError, contains=str(bad)): level_at(probabilities, levels.numpy(), bad)
    with expect_fail(MilanError, contains='body 0'): RunningQuantile(.9, rows=100, body=0)
    with expect_fail(MilanError, contains='no sample'): RunningQuantile(.9, rows=100).table()

    for rows, side in ((300, 8), (9000, 2)):
        maps = torch.randn(rows, 4, side, side, generator=torch.Generator().manual_seed(1)).cumsum(3).relu()
        once, first, second, again = (RunningQuantile(.99, rows, budget=9000, body=2000) for _ in range(4))
        once.add(maps, torch.arange(rows))
        for batch in torch.arange(0, rows, 2).flip(0).split(111): first.add(maps[batch], batch)
        for batch in torch.arange(1, rows, 2).split(64): second.add(maps[batch], batch)
        file = io.BytesIO()
        torch.save(second.state(), file)
        file.seek(0)
        again.restore(torch.load(file, weights_only=True))
        again.merge(first)
        first.merge(second)
        for other in (first, again): assert torch.equal(once.table()[1], other.table()[1])
        assert .9 * 2000 < once.state()['body'].shape[1] < 1.1 * 2100
    once.state()['body'].shape

    low, high = RunningQuantile(.03, rows, budget=9000), RunningQuantile(.97, rows, budget=9000)
    low.add(maps - 1, torch.arange(rows))
    high.add(1 - maps, torch.arange(rows))
    test_close(low.table()[0], 1 - high.table()[0][::-1], eps=1e-12)
    test_close(low.table()[1].numpy(), -high.table()[1].flip(1).numpy(), eps=1e-5)

    generator = torch.Generator().manual_seed(2)
    coarse = torch.randn(400, 24, 7, 7, generator=generator) * torch.rand(400, 24, 1, 1, generator=generator).exp()
    maps = torch.nn.functional.interpolate(coarse, size=56, mode='bilinear').relu()
    quantile = RunningQuantile(.99, rows=400)
    for batch in torch.arange(400).split(64): quantile.add(maps[batch], batch)
    probabilities, levels = quantile.table()
    ordered = maps.transpose(0, 1).flatten(1).sort(dim=1).values


    def rank_error(q):
        "How far the level at q is off, as a share of all activations: (units,); 0 where q lies among equal ones."
        level = torch.from_numpy(level_at(probabilities, levels.numpy(), q))[:, None]
        least, most = (torch.searchsorted(ordered, level, right=right)[:, 0] / ordered.shape[1] for right in (False, True))
        return (least - q).clamp(min=0) + (q - most).clamp(min=0)


    inside = {q: float(rank_error(q).max()) for q in (.99, .9912, .9949, .995, .9983, .999, .9999, 1)}
    assert max(inside.values()) <= .001 and max(inside.values()) > 0
    outside = {q: float(rank_error(q).max()) for q in np.arange(1, 198) / 200}
    for q, error in outside.items(): assert error <= 5 * (q * (1 - q) / 4096)**.5 + (.005 if round(q * 200) % 2 else 0), (q, error)
    assert max(outside.values()) > .001
    f'{len(probabilities)} quantiles; rank error at most {max(inside.values()):.3%} inside the tail, {max(outside.values()):.2%} outside'

    maps = torch.randn(9000, 6, 3, 3, generator=generator) * torch.rand(9000, 6, 1, 1, generator=generator).exp()
    quantile = RunningQuantile(.99, rows=9000, seed=1)
    for batch in torch.arange(9000).split(512): quantile.add(maps[batch], batch)
    probabilities, levels = quantile.table()
    ordered = maps.transpose(0, 1).flatten(1).sort(dim=1).values
    outside = {q: float(rank_error(q).max()) for q in np.arange(1, 99) / 100}
    for q, error in outside.items(): assert error <= 5 * (q * (1 - q) / 4096)**.5, (q, error)
    quantile.state()['body'].shape, max(outside.values())


# 03_stats.ipynb, section "What counts as active"
def test_what_counts_as_active():
    values = np.array([[0, 6, 1, 6, 6, 2, 0, 6, 0, 3], range(10), [0] * 10], dtype=np.float32).T
    active(values, .8).astype(int).T

    test_eq(active(values, .8)[:, 0], values[:, 0] == 6)
    test_eq(active(values, .8)[:, 1], values[:, 1] > 7.2)
    test_eq(active(values, .8)[:, 2].any(), False)
    levels = np.array([6, 6, 0, 0, 1], np.float32)
    found = thresholds(levels, [0, 6, 0, -1, 0], [6, 6, 0, 0, 2])
    test_eq(found < levels, [True, False, False, True, False])                     # saturated, constant, dead, never positive, ordinary
    test_eq(found.dtype, np.float32)
    test_eq(thresholds(found, [0, 6, 0, -1, 0], [6, 6, 0, 0, 2]), found)           # twice is as good as once
    full = torch.nn.functional.interpolate(torch.full((1, 1, 7, 7), 6.), size=56, mode='bilinear')
    assert (full > float(found[0])).all()


# 03_stats.ipynb, section "Against the original's data"
@pytest.mark.oracle
def test_against_the_original_s_data_oracle():
    from milan.config import oracle_dir

    folder = oracle_dir()/'exemplars'
    images = torch.from_numpy(np.load(folder/'images_200x3x32x32_uint8.npy')).float() / 255
    weights = {name: torch.from_numpy(value) for name, value in np.load(folder/'cnn.npz').items()}
    conv = lambda x, name, stride: torch.nn.functional.conv2d(x, weights[f'{name}.weight'], weights[f'{name}.bias'], stride=stride, padding=1)
    x = conv(images, 'conv1', 1)
    x = conv(torch.nn.functional.max_pool2d(x.relu(), 2), 'conv2', 2)
    x = conv(x.relu(), 'conv3', 2)
    golden = np.load(folder/'cnn_conv3_stats.npz')
    top, quantile = RunningTopK(5), RunningQuantile(.99, rows=200)
    top.add(x.amax((2, 3)), torch.arange(200), x)
    quantile.add(x, torch.arange(200))
    clear = np.arange(16) != 3 # unit 3 lies near -1000, where float32 has steps of 6e-5: its order is a matter of rounding
    peaks = np.take_along_axis(x.amax((2, 3)).numpy().T, golden['topk_ids'], 1) # of the original's images: nearly equal ones may swap places
    np.testing.assert_allclose(peaks[clear], top.values.numpy()[clear], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(top.values.numpy(), golden['topk_activations'], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(quantile.levels().numpy(), golden['exact_hazen_quantiles'][:, 3], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(quantile.levels().numpy(), golden['rq_level_used'], rtol=1e-6, atol=1e-6)
    np.abs(quantile.levels().numpy() - golden['rq_level_used']).max()
