# Generated from nbs/03_stats.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.stats import (
    positions,
    RunningQuantile,
    RunningTopK,
)
import pytest

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

    quantile = RunningQuantile(.99, rows=10)
    quantile.add(torch.zeros(10, 1, 4, 4), torch.arange(10))
    test_eq(quantile.levels().tolist(), [0.])


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
