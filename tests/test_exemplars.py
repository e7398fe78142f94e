# Generated from nbs/15_exemplars.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import fingerprint
from milan.exemplars.parts import Part
from milan.exemplars.store import Exemplars
from milan.hooks import layers_of
from milan.networks import as_network
from milan.exemplars import (
    _bar,
    _in_eval,
    _inputs,
    _laid_out,
    _loader,
    _pass,
    _Run,
    compute,
)
import pytest

import contextlib
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan import hooks
from milan.config import MilanError, oracle_dir
from milan.shapes import Squares, small_network


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def same_files(one, other):
    "Whether two folders hold the same files with the same bytes."
    names = [sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file()) for folder in (one, other)]
    return names[0] == names[1] and all((one/name).read_bytes() == (other/name).read_bytes() for name in names[0])

def naive(network, layer, images, k, quantile=.99):
    "Every unit's best k images, their maxima, and its level, with all activations in memory."
    with torch.inference_mode(), hooks.record(network.eval(), layer) as recording: network(images)
    maps = recording[layer]
    peaks, order = maps.amax((2, 3)).sort(dim=0, descending=True, stable=True)
    return order[:k].T.numpy(), peaks[:k].T.numpy(), np.quantile(maps.numpy(), quantile, axis=(0, 2, 3), method='hazen')


# 15_exemplars.ipynb, section "The naive way"
def test_the_naive_way():
    images = torch.stack([image for image, _ in Squares()]).float() / 255
    ids, activations, levels = naive(small_network(), 'conv2', images, k=5)
    ids[:3], levels[:3]


# 15_exemplars.ipynb, section "One pass"
def test_one_pass():
    network = small_network()
    with _in_eval(network), _laid_out(network, channels_last=True): inside = network.training, network.conv1.weight.is_contiguous()
    inside, (network.training, network.conv1.weight.is_contiguous())

    test_eq(inside, (False, False))
    assert network.training and network.conv1.weight.is_contiguous()


# 15_exemplars.ipynb, section "Everything together"
def test_everything_together():
    images = torch.stack([image for image, _ in Squares()]).float() / 255
    ids, activations, levels = naive(small_network(), 'conv2', images, k=5)
    found = compute(small_network(), Squares(), 'conv2', k=5, batch_size=7, out=temporary()/'squares', quiet=True)
    assert np.array_equal(found.ids('conv2'), ids)
    test_close(found.activations('conv2'), activations, eps=1e-6)
    test_close(found.levels('conv2'), levels, eps=1e-6)
    found.lookup('conv2', 6).grid()

    folder = temporary()
    found = compute(small_network(), Squares(), ['conv?', 'head'], k=5, size=24, batch_size=16, out=folder/'a', quiet=True)
    found

    test_eq(found.layers, ['conv1', 'conv2', 'head'])
    test_eq(len(found), 6 + 8 + 4)
    test_eq(sorted(path.name for path in (folder/'a').iterdir()), ['conv1', 'conv2', 'exemplars.json', 'head', 'image_ids.npy', 'images.npy'])
    test_eq([path.name for path in folder.iterdir()], ['a'])

    network = small_network()
    network.conv2.eval()
    compute(network, Squares(), 'conv1', k=2, out=folder/'modes', quiet=True)
    assert network.training and network.conv1.training and not network.conv2.training
    images = torch.stack([image for image, _ in Squares()]).float() / 255
    test_close(found.activations('conv1')[:, 0], network.conv1(images).amax((0, 2, 3)).detach().numpy(), eps=1e-6)


# 15_exemplars.ipynb, section "What cannot work is said"
def test_what_cannot_work_is_said():
    folder = temporary()
    network, quiet = small_network(), {'quiet': True, 'out': folder/'x'}
    with expect_fail(MilanError, contains="'conv2'"): compute(network, Squares(), 'conv3', **quiet)
    with expect_fail(MilanError, contains='k = 41'): compute(network, Squares(), 'conv1', k=41, **quiet)
    with expect_fail(MilanError, contains='k = 0'): compute(network, Squares(), 'conv1', k=0, **quiet)
    with expect_fail(MilanError, contains='no images'): compute(network, [], 'conv1', **quiet)
    with expect_fail(MilanError, contains='map-style'): compute(network, iter([1]), 'conv1', **quiet)
    with expect_fail(MilanError, contains='quantile 99'): compute(network, Squares(), 'conv1', quantile=99, **quiet)
    with expect_fail(MilanError, contains="'conv2'"): compute(network, Squares(), 'conv1', units={'conv2': [1]}, **quiet)
    with expect_fail(MilanError, contains='0 to 5'): compute(network, Squares(), 'conv1', units={'conv1': [6]}, **quiet)
    with expect_fail(MilanError, contains='seed = -1'): compute(network, Squares(), 'conv1', seed=-1, **quiet)
    with expect_fail(MilanError, contains='batch_size = 0'): compute(network, Squares(), 'conv1', batch_size=0, **quiet)
    with expect_fail(MilanError, contains="'mirror'"): compute(network, Squares(), 'conv1', borders='mirror', **quiet)
    with expect_fail(MilanError, contains='transform='): compute(network, [torch.randn(3, 8, 8)] * 20, 'conv1', **quiet)
    with expect_fail(MilanError, contains='image 3 is'): compute(network, [torch.rand(3, 8, 8)] * 3 + [torch.rand(3, 9, 9)] * 17, 'conv1', **quiet)
    for layer in ('conv1', 'head'): # sizes that change from one batch to the next, for a layer that shows it and one that doesn't
        with expect_fail(MilanError, contains='resize all images'): compute(network, [torch.rand(3, 8, 8)] * 3 + [torch.rand(3, 9, 9)] * 17, layer, batch_size=3, **quiet)

    one = compute(network, [Squares()[0]], 'conv1', k=1, batch_size=500, out=folder/'one', quiet=True)
    every = compute(network, Squares(), 'conv1', k=np.int64(40), quantile=np.float32(1), seed=np.int64(3), out=folder/'every', quiet=True)
    lowest = compute(network, Squares(), 'conv1', k=2, quantile=0, units={'conv1': torch.tensor([5, 0, 5])}, out=folder/'lowest', quiet=True)
    [len(found) for found in (one, every, lowest)], every.dead()[:1]

    test_eq(np.sort(every.ids('conv1')), np.broadcast_to(np.arange(40), (6, 40)))
    test_eq(len(every.dead()), 6)                                       # nothing exceeds the highest
    test_close(every.levels('conv1'), every.activations('conv1')[:, 0], eps=1e-6)
    assert (lowest.levels('conv1') < every.activations('conv1')[[0, 5], -1]).all()
    test_eq(lowest.unit_numbers('conv1').tolist(), [0, 5])
    shutil.rmtree(folder)

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.never = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.twice(self.twice(x))


    with expect_fail(MilanError, contains='more than once'): compute(Odd(), Squares(), 'twice', **quiet)
    with expect_fail(MilanError, contains='did not run'): compute(Odd(), Squares(), 'never', **quiet)
    with torch.no_grad(): network.conv2.bias[3] = torch.nan
    with expect_fail(MilanError, contains="'conv2', unit 3 is not finite on image 0"): compute(network, Squares(), ['conv1', 'conv2'], **quiet)

    assert not (folder/'x').exists()
    (folder/'thesis').mkdir()
    (folder/'thesis/chapter1.txt').write_text('It was a dark and stormy night.')
    with expect_fail(MilanError, contains='left alone'): compute(small_network(), Squares(), 'conv1', k=2, out=folder/'thesis', quiet=True)
    assert (folder/'thesis/chapter1.txt').exists()


# 15_exemplars.ipynb, section "The same results, however they were made"
def test_the_same_results_however_they_were_made():
    folder = temporary()
    first = compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, out=folder/'a', quiet=True)
    second = compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=40, out=folder/'b', quiet=True)
    for layer in first.layers:
        assert np.array_equal(first.ids(layer), second.ids(layer))
        test_close(first.levels(layer), second.levels(layer), eps=1e-6)


# 15_exemplars.ipynb, section "The same results, however they were made"
@pytest.mark.slow
def test_the_same_results_however_they_were_made_slow():
    folder = temporary()
    compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, out=folder/'a', quiet=True)
    compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, workers=2, out=folder/'b', quiet=True)
    assert same_files(folder/'a', folder/'b')


# 15_exemplars.ipynb, section "Stopped and started again"
def test_stopped_and_started_again():
    class Failing(Squares):
        fail_at, read = 25, 0
        fingerprint = 'squares'

        def __getitem__(self, index):
            if index == self.fail_at: raise KeyboardInterrupt
            self.read += 1
            return super().__getitem__(index)


    folder, settings = temporary(), {'layers': ['conv1', 'conv2'], 'k': 5, 'batch_size': 4, 'save_every': 0., 'quiet': True}
    interrupted, whole = Failing(), Failing()
    with contextlib.suppress(KeyboardInterrupt): compute(small_network(), interrupted, out=folder/'a', **settings)
    assert not (folder/'a').exists() and (folder/'.a.progress').exists()
    interrupted.fail_at, interrupted.read = None, 0
    compute(small_network(), interrupted, out=folder/'a', **settings)
    test_eq(interrupted.read, 40 - 24 + 1)      # the rest, and one item to know the inputs again
    whole.fail_at = None
    compute(small_network(), whole, out=folder/'b', **settings)
    assert same_files(folder/'a', folder/'b') and not (folder/'.a.progress').exists()

    whole.read = 0
    compute(small_network(), whole, out=folder/'b', **settings)
    test_eq(whole.read, 1)
    other = small_network()
    with torch.no_grad(): other.conv1.weight[0] *= 2
    for network, change in [(other, {}), (small_network(), {'k': 4}), (small_network(), {'transform': lambda x: x - .5}),
                            (small_network(), {'resume': False})]:
        whole.read = 0
        with warnings.catch_warnings(record=True): compute(network, whole, out=folder/'b', **(settings | change))
        assert whole.read > 40, change

    pictures = [image for image, _ in Squares()]
    before = compute(small_network(), pictures, 'conv1', k=5, out=folder/'c', quiet=True)
    pictures[1] = 255 - pictures[1]
    with warnings.catch_warnings(record=True): after = compute(small_network(), pictures, 'conv1', k=5, out=folder/'c', quiet=True)
    assert before.about['images_hash'] != after.about['images_hash'] and (before.activations('conv1') != after.activations('conv1')).any()

    interrupted.fail_at = 25
    with contextlib.suppress(KeyboardInterrupt), warnings.catch_warnings(record=True): compute(other, interrupted, out=folder/'a', **settings)
    compute(small_network(), whole, out=folder/'a', **settings)
    assert (folder/'.a.progress'/'part-0'/'state.pt').exists()
    interrupted.fail_at, interrupted.read = None, 0
    with warnings.catch_warnings(record=True): compute(other, interrupted, out=folder/'a', **settings)
    test_eq(interrupted.read, 40 - 24 + 1)

    whole.read = 0
    larger = compute(small_network(), whole, out=folder/'b', **(settings | {'resume': True, 'size': 48, 'borders': 'replicate'}))
    test_eq(whole.read, 1)
    test_eq((larger[0].images.shape, Exemplars.open(folder/'b').about['borders']), ((5, 3, 48, 48), 'replicate'))

    class Counting(Squares):
        fingerprint, read = 'squares', []

        def __getitem__(self, index):
            self.read.append(index)
            return super().__getitem__(index)


    def begun_by_three(folder):
        "As if three processes had dealt out ten batches, and been killed when two of them had saved something."
        entry = as_network(small_network())
        run = _Run(network=entry, images=Counting(), layers=layers_of(entry.module, ['conv1', 'conv2']), k=5, quantile=.99, units={}, batch_size=4, workers=0,
                   device=torch.device('cpu'), seed=0, transform=entry.transform, to_image=None, truncate=False, channels_last=False, autocast=None,
                   save_every=0., quiet=True)
        key = fingerprint([fingerprint(_inputs(run)), 4, False])
        for rank, numbers in ((0, [0, 3]), (2, [2, 5, 8])):
            with torch.inference_mode(), Part(folder/'.a.progress'/f'part-{rank}', key, run.tallies(), run.device) as part, _bar(run, part, numbers) as bar:
                _pass(run, part, _loader(run, numbers), bar)


    folder = temporary()
    begun_by_three(folder)
    Counting.read.clear()
    compute(small_network(), Counting(), ['conv1', 'conv2'], k=5, batch_size=4, out=folder/'a', quiet=True)
    test_eq(len(Counting.read), 5 * 4 + 1)      # the five batches that no part had, and one item to know the inputs again
    compute(small_network(), Counting(), ['conv1', 'conv2'], k=5, batch_size=4, out=folder/'b', quiet=True)
    assert same_files(folder/'a', folder/'b')
    test_eq(sorted(path.name for path in folder.iterdir()), ['a', 'b'])
    sorted(path.name for path in folder.iterdir())

    begun_by_three(folder/'again')
    with (folder/'again'/'.a.progress'/'part-2'/'images.bytes').open('ab') as file: file.truncate(0)   # a part that lost its images is done again
    compute(small_network(), Counting(), ['conv1', 'conv2'], k=5, batch_size=4, out=folder/'again'/'a', quiet=True)
    assert same_files(folder/'again'/'a', folder/'a')


# 15_exemplars.ipynb, section "Killed"
@pytest.mark.slow
def test_killed_slow():
    KILLING = '''
import filecmp, os, random, signal, sys, time
from collections import Counter
from pathlib import Path

import torch

from milan.exemplars import compute
from milan.trials import killed, started


def work(folder):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 3, 2))
    images = (torch.rand(160, 3, 24, 24) * 255).byte()
    compute(network, images, ["0", "1", "2"], k=4, batch_size=4, save_every=save_every, out=folder/"set", quiet=True)


def start(folder, calls=0): # see `milan.trials`
    global save_every
    save_every = 1e9 if calls else 0
    return started(lambda: work(folder), calls)


def check(folder): # it goes on, and ends as the undisturbed run did
    assert not killed(start(folder))
    assert sorted(names) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()), list(folder.rglob("*"))
    assert filecmp.cmpfiles(home/"whole", folder, names, shallow=False)[0] == names


home, draw, stages = Path(sys.argv[1]), random.Random(int(sys.argv[2])), Counter()
for name in ("whole", "timed"):
    began = time.perf_counter()
    killed(start(home/name))
    duration = time.perf_counter() - began
names = [str(path.relative_to(home/"whole")) for path in (home/"whole").rglob("*") if path.is_file()]
while stages.total() < 20:
    folder = home/f"killed-{stages.total()}"
    process = start(folder)
    time.sleep(draw.uniform(0, duration))
    os.kill(process, signal.SIGKILL)
    if killed(process):
        state = folder/".set.progress"/"part-0"/"state.pt"
        stages["after the result was there" if (folder/"set").exists() else "after a state was saved" if state.exists() else "before"] += 1
        check(folder)
calls = 1
while killed(start(home/f"call-{calls}", calls)):
    check(home/f"call-{calls}")
    calls += 1
assert calls > 5
print(f"killed at random: {dict(stages)}; before moving or removing a file: {calls - 1}")
'''

    folder = temporary()
    run = subprocess.run([sys.executable, '-c', KILLING, str(folder), '0'], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shutil.rmtree(folder)
    run.stdout.strip()


# 15_exemplars.ipynb, section "The original's own results"
@pytest.mark.oracle
def test_the_original_s_own_results_oracle():
    golden = oracle_dir()/'exemplars'
    bytes_ = torch.from_numpy(np.load(golden/'images_200x3x32x32_uint8.npy'))
    layers = OrderedDict(conv1=nn.Conv2d(3, 8, 3, padding=1), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
                         conv2=nn.Conv2d(8, 12, 3, 2, 1), relu2=nn.ReLU(), conv3=nn.Conv2d(12, 16, 3, 2, 1), relu3=nn.ReLU(),
                         avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(16, 10))
    cnn = nn.Sequential(layers)
    cnn.load_state_dict({name: torch.from_numpy(value) for name, value in np.load(golden/'cnn.npz').items()})


    def compare(found, group, statistics, most_off=0):
        "Rows of (layer, share of pixels that differ with the original's level, and with ours)."
        table = []
        for layer in found.layers:
            theirs, numbers = Exemplars.open(golden/'results'/group), np.load(golden/f'{statistics}{layer}_stats.npz')
            clear = np.array([len(set(row)) == len(row) and np.abs(np.diff(row)).min() > 1e-6 + 1e-6 * np.abs(row).max()
                              for row in found.activations(layer)])
            assert clear.mean() > .7
            test_eq(found.ids(layer)[clear], theirs.ids(layer)[clear])
            np.testing.assert_allclose(found.activations(layer), theirs.activations(layer), rtol=2e-5, atol=1e-6)
            test_eq(found.unit_numbers(layer).tolist(), theirs.unit_numbers(layer).tolist())
            part, differ = found._stored[layer], []
            column = numbers['quantile_probs'].tolist().index(found.about['quantile'])
            np.testing.assert_allclose(part.levels, numbers['exact_hazen_quantiles'][:, column], rtol=2e-5, atol=1e-6)
            theirs_levels = numbers['rq_quantiles'][:, column]
            for levels in (theirs_levels, part.levels):
                part.levels = levels
                differ.append(np.mean([(found.lookup(layer, unit).masks != theirs.lookup(layer, unit).masks).float().mean()
                                       for unit in found.unit_numbers(layer)[clear]]))
            bytes_off = torch.cat([found.lookup(layer, unit).images - theirs.lookup(layer, unit).images for unit in found.unit_numbers(layer)[clear]]) * 255
            assert bytes_off.abs().max() < 1.001 and (bytes_off.abs() > .5).float().mean() <= most_off
            for dead in found.select([layer]).dead(): assert not theirs.lookup(*dead).masks.any() and not found.lookup(*dead).masks.any()
            table.append((group, layer, float(differ[0]), float(differ[1])))
            assert differ[0] <= 1e-4 and differ[1] <= .005, table[-1]
        return table


    folder, settings = temporary(), {'k': 5, 'size': None, 'quiet': True}
    table = compare(compute(cnn, bytes_, ['conv1', 'conv2', 'conv3', 'relu3'], out=folder/'cnn', **settings), 'cnn', 'cnn_')
    table += compare(compute(cnn, bytes_, 'conv2', units={'conv2': [7, 2, 5]}, out=folder/'some', **settings), 'cnn_units', 'cnn_units_')
    table += compare(compute(cnn, bytes_, 'conv3', out=folder/'up', **(settings | {'k': 3, 'quantile': .95, 'size': 56, 'batch_size': 50})), 'cnn_up', 'cnn_up_')
    table

    class Block(nn.Module):
        def __init__(self, width=24):
            super().__init__()
            self.norm1, self.norm2, self.qkv, self.proj = nn.LayerNorm(width), nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(OrderedDict(fc1=nn.Linear(width, 40), gelu=nn.GELU(), fc2=nn.Linear(40, width)))

        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
            x = x + self.proj((q @ k.transpose(1, 2) / q.shape[-1]**.5).softmax(-1) @ v)
            return x + self.mlp(self.norm2(x))


    class Transformer(nn.Module):
        def __init__(self, width=24):
            super().__init__()
            self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 65, width))
            self.patch, self.blocks, self.head = nn.Conv2d(3, width, 4, 4), nn.Sequential(Block(), Block()), nn.Linear(width, 10)

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            return self.head(self.blocks(torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos)[:, 0])


    transformer = Transformer()
    transformer.load_state_dict(torch.load(golden/'vit.pth', weights_only=True))
    compare(compute(transformer, bytes_, 'blocks.*.mlp.fc1', out=folder/'vit', **settings), 'vit', 'vit_')

    names = ['up1', 'relu1', 'up2', 'relu2', 'up3', 'relu3', 'rgb', 'tanh']
    shapes = {'up1': (16, 12, 4), 'up2': (12, 8, 4, 2, 1), 'up3': (8, 8, 4, 2, 1), 'rgb': (8, 3, 4, 2, 1)}
    generator = nn.Sequential(OrderedDict([('unflatten', nn.Unflatten(1, (16, 1, 1)))] + [
        (name, nn.ConvTranspose2d(*shapes[name]) if name in shapes else nn.Tanh() if name == 'tanh' else nn.ReLU()) for name in names]))
    generator.load_state_dict(torch.load(golden/'generator.pth', weights_only=True))
    latents = torch.from_numpy(np.load(golden/'generator_zs_100x16.npy'))
    found = compute(generator, latents, ['up1', 'up2'], out=folder/'generator', to_image=lambda output: (output + 1) / 2, batch_size=32, truncate=True,
                    **settings)
    compare(found, 'gen', 'gen_', most_off=2e-5)

    shutil.rmtree(folder)
