# Generated from nbs/05_exemplars/03_quantiles.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.quantiles import (
    _ascending,
    _Columns,
    _hazen,
    _largest,
    _packed,
    _where,
    body_columns,
    drawn,
    Largest,
    merge_quantile,
    positions,
    quantile_at,
    quantile_state,
    quantile_table,
    restore_quantile,
    RunningQuantile,
    Sampling,
)
import pytest

import io
import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan.config import MilanError
from milan.exemplars.topk import RunningTopK


def in_batches(statistic, maps, ids, size):
    "Feed a running quantile."
    for batch in ids.split(size): statistic.add(maps[batch], batch)
    return statistic

def smooth_maps():
    "Smooth, rectified maps of 24 units on 400 rows, of unequal spread."
    generator = torch.Generator().manual_seed(2)
    coarse = torch.randn(400, 24, 7, 7, generator=generator)
    coarse = coarse * torch.rand(400, 24, 1, 1, generator=generator).exp()
    return torch.nn.functional.interpolate(coarse, size=56, mode='bilinear').relu()


# 03_quantiles.ipynb, section "The naive way"
def test_the_naive_way():
    maps = torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    np.quantile(maps.numpy(), .99, axis=(0, 2, 3), method='hazen')


# 03_quantiles.ipynb, section "Which activations to look at"
def test_which_activations_to_look_at():
    positions(np.arange(3), size=100, count=5)

    chosen = positions(np.arange(20_000), size=10, count=3, seed=1)
    test_close(np.bincount(chosen.ravel(), minlength=10) / chosen.size, np.full(10, .1), eps=.005)
    test_eq(positions(np.array([7, 8]), 50, 4)[1], positions(np.array([8]), 50, 4)[0])
    assert (positions(np.arange(9), 50, 4, seed=0) != positions(np.arange(9), 50, 4, seed=1)).any()
    test_eq(positions(np.arange(2), 6, 6), [range(6), range(6)])

    sampling = Sampling(.99, 50_000, 2**18, 0, 2**12)
    sampling.count(56 * 56), sampling.tail(sampling.count(56 * 56))

    test_eq(sampling.count(49), 6)
    test_eq(Sampling(.99, 100, 2**18, 0, 2**12).count(49), 49)

    drawn(torch.arange(12.).view(1, 2, 6), np.arange(2), 3, 0)

    test_eq(drawn(torch.arange(12.).view(1, 2, 6), np.arange(2), 6, 0), torch.arange(12.)[None])
    test_eq(len(body_columns(np.arange(4), 6, Sampling(.9, 4, 24, 0, 8))), 8)


# 03_quantiles.ipynb, section "The largest values of a stream"
def test_the_largest_values_of_a_stream():
    _largest(torch.tensor([[3., 1., 4., 1., 5.]]), 3), _where(torch.tensor([[True, False], [False, True]]))

    maps = torch.rand(6, 500, generator=torch.Generator().manual_seed(0))
    kept = _largest(maps.clone(), 130)
    assert torch.equal(_ascending(kept), maps.sort(dim=1).values[:, -130:])
    assert torch.equal(kept[:, 0], kept.amin(1))

    _packed(torch.tensor([[1., 2., 3.], [4., 5., 6.]]), torch.tensor([1, 3, 5]))

    packed = _packed(torch.tensor([[1., 2., 3.], [4., 5., 6.]]), torch.tensor([1, 3, 5]))
    test_eq(packed.tolist(), [[2, -np.inf], [4, 6]])

    values = torch.randn(2, 500, generator=torch.Generator().manual_seed(0))
    tail = Largest(torch.full((2, 20), -torch.inf))
    for columns in values.split(30, dim=1): tail.add(columns)
    tail.settle()[0].sort().values[-3:]

    assert torch.equal(tail.settle().sort(dim=1).values, values.sort(dim=1).values[:, -20:])


# 03_quantiles.ipynb, section "Running quantile"
def test_running_quantile():
    _hazen(torch.tensor([[3., 4., 5.]]), np.array([.5, .7, 1.]), 5)

    maps, grid = torch.rand(6, 500, generator=torch.Generator().manual_seed(0)), np.linspace(.76, 1, 30)
    ours = _hazen(maps.sort(dim=1).values[:, -130:], grid, 500).numpy()
    test_close(ours, np.quantile(maps.double().numpy(), grid, axis=1, method='hazen').T, eps=1e-6)

    columns = _Columns(torch.empty(2, 3))
    for number in range(4): columns.add(torch.full((2, 2), float(number)))
    test_eq(columns.values[1].tolist(), [0, 0, 1, 1, 2, 2, 3, 3])

    maps = torch.randn(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    in_batches(RunningQuantile(.99, rows=100), maps, torch.arange(100), 7).estimate()

    for q in (0, .01, .3, .5, .9, .99, .999, 1):
        found = in_batches(RunningQuantile(q, rows=100), maps, torch.arange(100), 13).estimate()
        test_close(found, np.quantile(maps.double().numpy(), q, axis=(0, 2, 3), method='hazen'), eps=1e-6)

    class Counting(Largest):
        "Counts the columns that merges rearrange."
        columns = 0

        def settle(self):
            self.columns += self.waiting and self.waiting + self.values.shape[1]
            return super().settle()


    costs = {}
    for q, rows in itertools.product((.3, .5, .9), (2000, 4000, 8000)):
        values = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))
        running = in_batches(RunningQuantile(q, rows), values, torch.arange(20), 20)
        running.tail = Counting(running.tail.settle())
        in_batches(running, values, torch.arange(20, rows), 20)
        exact = np.quantile(values.double().numpy(), q, axis=0, method='hazen')
        test_close(running.estimate(), exact, eps=1e-6)
        costs[q, rows] = running.tail.columns
    assert all(columns <= 4 * rows for (q, rows), columns in costs.items())
    costs



    maps = smooth_maps()
    quantile = in_batches(RunningQuantile(.99, rows=400), maps, torch.arange(400), 64)
    rank = (maps < quantile.estimate()[:, None, None]).double().mean((0, 2, 3))
    worst = float((rank - .99).abs().max())
    assert 0 < worst <= .001
    f'{quantile.count} of 3136 positions per map; rank error at most {worst:.3%}'

    figure, axes = plt.subplots(figsize=(4.6, 2.4), layout='constrained', dpi=80)
    for budget, colour in ((2**8, '#d55e00'), (2**12, '#0072b2'), (2**18, '#000000')):
        few = in_batches(RunningQuantile(.99, rows=400, budget=budget), maps[:, :6], torch.arange(400), 64)
        ranks = (maps[:, :6] < few.estimate()[:, None, None]).double().mean((0, 2, 3))
        axes.plot(range(6), 100 * ranks, 'o-', color=colour, label=f'budget {budget:,}')
    axes.axhline(99, color='grey', lw=.8)
    axes.set(xlabel='unit', ylabel='activations below\nthe estimate, %')
    axes.legend(frameon=False, fontsize=8);


# 03_quantiles.ipynb, section "Any other quantile, afterwards"
def test_any_other_quantile_afterwards():
    quantile_at(np.array([0, .5, 1]), np.array([[0., 10., 30.], [1., 2., 3.]]), .6)

    maps = torch.randn(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    sizes = {}
    for q in (0, .01, .3, .5, .9, .95, .99, .999, 1):
        running = in_batches(RunningQuantile(q, rows=100), maps, torch.arange(100), 13)
        chances, values = quantile_table(running)
        assert chances[0] == 0 and chances[-1] == 1
        assert (np.diff(chances) > 0).all() and (values.diff() >= 0).all()
        exact = np.quantile(maps.double().numpy(), chances, axis=(0, 2, 3), method='hazen').T
        test_close(values.numpy(), exact, eps=1e-6)
        assert torch.equal(values[:, chances == q][:, 0], running.estimate())
        assert np.array_equal(quantile_at(chances, values.numpy(), q), running.estimate().numpy())
        sizes[q] = len(chances)
    sizes

    exact = np.quantile(maps.double().numpy(), (.987, .994), axis=(0, 2, 3), method='hazen')
    quantile = RunningQuantile(.9, rows=100)
    quantile.add(maps, torch.arange(100))
    chances, values = quantile_table(quantile)
    test_eq(quantile_at(chances, values.numpy(), 0), maps.amin((0, 2, 3)).numpy())
    test_eq(quantile_at(chances, values.numpy(), 1), maps.amax((0, 2, 3)).numpy())
    test_close(quantile_at(chances, values.numpy(), .987), exact[0], eps=1e-2)

    maps = torch.randn(9000, 4, 2, 2, generator=torch.Generator().manual_seed(1)).cumsum(3).relu()
    low, high = RunningQuantile(.03, 9000, budget=9000), RunningQuantile(.97, 9000, budget=9000)
    low.add(maps - 1, torch.arange(9000))
    high.add(1 - maps, torch.arange(9000))
    test_close(quantile_table(low)[0], 1 - quantile_table(high)[0][::-1], eps=1e-12)
    test_close(quantile_table(low)[1].numpy(), -quantile_table(high)[1].flip(1).numpy(), eps=1e-5)

    def rank_errors(running, maps, quantiles):
        "How far each value is off in rank, for the worst unit; 0 where it lies among equal ones."
        chances, values = quantile_table(running)
        ordered, errors = maps.transpose(0, 1).flatten(1).sort(dim=1).values, {}
        for q in quantiles:
            value = torch.from_numpy(quantile_at(chances, values.numpy(), q))[:, None]
            least, most = (torch.searchsorted(ordered, value, right=right)[:, 0] / ordered.shape[1]
                           for right in (False, True))
            errors[q] = float(((least - q).clamp(min=0) + (q - most).clamp(min=0)).max())
        return errors


    maps = smooth_maps()
    quantile = in_batches(RunningQuantile(.99, rows=400), maps, torch.arange(400), 64)
    inside = rank_errors(quantile, maps, (.99, .9912, .9949, .995, .9983, .999, .9999, 1))
    outside = rank_errors(quantile, maps, np.arange(1, 198) / 200)
    f'rank error at most {max(inside.values()):.3%} inside the tail, {max(outside.values()):.2%} outside'

    assert 0 < max(inside.values()) <= .001 < max(outside.values())
    for q, error in outside.items():
        assert error <= 5 * (q * (1 - q) / 4096)**.5 + (.005 if round(q * 200) % 2 else 0), (q, error)
    draw = torch.Generator().manual_seed(2)                 # one row in two gives a value to the body
    maps = torch.randn(9000, 6, 3, 3, generator=draw) * torch.rand(9000, 6, 1, 1, generator=draw).exp()
    quantile = in_batches(RunningQuantile(.99, rows=9000, seed=1), maps, torch.arange(9000), 512)
    for q, error in rank_errors(quantile, maps, np.arange(1, 99) / 100).items():
        assert error <= 5.5 * (q * (1 - q) / 4096)**.5, (q, error)


# 03_quantiles.ipynb, section "Saved, restored, merged"
def test_saved_restored_merged():
    for rows, side in ((300, 8), (9000, 2)):
        maps = torch.randn(rows, 4, side, side, generator=torch.Generator().manual_seed(1)).cumsum(3).relu()
        once, first, second, again, empty = (RunningQuantile(.99, rows, budget=9000, body=2000) for _ in range(5))
        once.add(maps, torch.arange(rows))
        in_batches(first, maps, torch.arange(0, rows, 2).flip(0), 111)
        in_batches(second, maps, torch.arange(1, rows, 2), 64)
        file = io.BytesIO()
        torch.save(quantile_state(second), file)
        file.seek(0)
        restore_quantile(again, torch.load(file, weights_only=True))
        merge_quantile(again, first)
        merge_quantile(first, second)
        merge_quantile(first, empty)
        merge_quantile(empty, first)
        for other in (first, again, empty):
            assert torch.equal(quantile_table(once)[1], quantile_table(other)[1])
            assert torch.equal(once.estimate(), other.estimate())
        assert .9 * 2000 < quantile_state(once)['body'].shape[1] < 1.1 * 2100
    quantile_state(once)['body'].shape

    maps = torch.randn(600, 3, 2, 2, generator=torch.Generator().manual_seed(5))
    tables = []
    for size in (600, 31):
        parts = RunningQuantile(.5, rows=600), RunningQuantile(.5, rows=600)
        for part, start in zip(parts, (0, 300)): in_batches(part, maps, torch.arange(start, start + 300), size)
        again = RunningQuantile(.5, rows=600)
        restore_quantile(again, quantile_state(parts[0]))
        merge_quantile(again, parts[1])
        tables.append(quantile_table(again)[1])
    assert torch.equal(*tables)

    flat, deep = RunningQuantile(.5, rows=600), RunningQuantile(.5, rows=600)
    flat.add(maps[..., 0, 0], torch.arange(600))
    deep.add(maps[..., :1, :1], torch.arange(600))
    assert torch.equal(quantile_table(flat)[1], quantile_table(deep)[1])
    maps = torch.randn(50, 2, 5, 5, generator=torch.Generator().manual_seed(4)).bfloat16()
    half, single = RunningQuantile(.9, rows=50, budget=500), RunningQuantile(.9, rows=50, budget=500)
    half.add(maps, torch.arange(50))
    single.add(maps.float().contiguous(memory_format=torch.channels_last), torch.arange(50))
    assert torch.equal(half.estimate(), single.estimate())


# 03_quantiles.ipynb, section "Against the original's data"
@pytest.mark.oracle
def test_against_the_original_s_data_oracle():
    from milan.config import oracle_dir

    folder = oracle_dir()/'exemplars'
    images = torch.from_numpy(np.load(folder/'images_200x3x32x32_uint8.npy')).float() / 255
    weights = {name: torch.from_numpy(value) for name, value in np.load(folder/'cnn.npz').items()}
    conv = lambda x, name, stride: torch.nn.functional.conv2d(
        x, weights[f'{name}.weight'], weights[f'{name}.bias'], stride=stride, padding=1)
    x = conv(images, 'conv1', 1)
    x = conv(torch.nn.functional.max_pool2d(x.relu(), 2), 'conv2', 2)
    x = conv(x.relu(), 'conv3', 2)
    golden = np.load(folder/'cnn_conv3_stats.npz')
    top, quantile = RunningTopK(5), RunningQuantile(.99, rows=200)
    top.add(x.amax((2, 3)), torch.arange(200), x)
    quantile.add(x, torch.arange(200))
    clear = np.arange(16) != 3 # unit 3 lies near -1000, where float32 has steps of 6e-5
    # the values of the original's images: nearly equal ones may swap places
    peaks = np.take_along_axis(x.amax((2, 3)).numpy().T, golden['topk_ids'], 1)
    np.testing.assert_allclose(peaks[clear], top.values.numpy()[clear], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(top.values.numpy(), golden['topk_activations'], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(quantile.estimate().numpy(), golden['exact_hazen_quantiles'][:, 3], rtol=1e-6,
                               atol=1e-6)
    np.testing.assert_allclose(quantile.estimate().numpy(), golden['rq_level_used'], rtol=1e-6, atol=1e-6)
    np.abs(quantile.estimate().numpy() - golden['rq_level_used']).max()


# 03_quantiles.ipynb, section "Errors"
def test_errors():
    for bad in (-.1, 1.2):
        with expect_fail(MilanError, contains=str(bad)): RunningQuantile(bad, rows=3)
        with expect_fail(MilanError, contains=str(bad)): quantile_at(np.array([0, 1]), np.zeros((2, 2)), bad)
    with expect_fail(MilanError, contains='body 0'): RunningQuantile(.9, rows=100, body=0)
    with expect_fail(MilanError, contains='no sample'): quantile_table(RunningQuantile(.9, rows=100))
    with expect_fail(MilanError, contains='of 300 rows'):
        RunningQuantile(0.5, 300).add(torch.zeros(301, 1), torch.arange(301))
    with expect_fail(MilanError, contains='same arguments'):
        merge_quantile(RunningQuantile(.5, rows=3), RunningQuantile(.6, rows=3))
    with expect_fail(MilanError, contains='shape (7,)'):
        RunningQuantile(0.5, rows=9).add(torch.zeros(7), torch.arange(7))
    with expect_fail(MilanError, contains='have shape (6,)'):
        RunningQuantile(0.5, rows=9).add(torch.zeros(7, 2), torch.arange(6))
    quantile = RunningQuantile(.5, rows=9)
    quantile.add(torch.zeros(3, 2), torch.arange(3))
    with expect_fail(MilanError, contains='4 units were added to a quantile of 2'):
        quantile.add(torch.zeros(3, 4), torch.arange(3))
