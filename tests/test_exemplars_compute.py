# Generated from nbs/05_exemplars/12_compute.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.masks import MaskRule
from milan.exemplars.store import Exemplars
from milan.hooks.relevance import Relevance
from milan.exemplars.compute import (
    _layers,
    _memory_format,
    _ranking,
    _require_readable,
    _rule,
    as_data_set,
    compute,
)
import pytest

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from PIL import Image
from torch import nn

from milan import hooks
from milan.config import MilanError, oracle_dir
from milan.testing import killed, same_files, small_network, Squares, started


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


class Counted(Squares):
    "Counts what is read, and may be interrupted at one image."
    fingerprint = 'squares'

    def __init__(self, fail_at=None): self.fail_at, self.read = fail_at, 0

    def __getitem__(self, index):
        if index == self.fail_at: raise KeyboardInterrupt
        self.read += 1
        return super().__getitem__(index)


# 12_compute.ipynb, section "Arguments"
def test_arguments():
    as_data_set(torch.utils.data.DataLoader(Squares(), batch_size=7), 24).name

    with expect_fail(MilanError, contains='not a map-style'): as_data_set(iter([1]), 24)

    _require_readable(small_network())

    for odd, said in ((torch.jit.trace(nn.ReLU(), torch.rand(1)), 'TorchScript'), (nn.LazyConv2d(4, 1), 'lazy'),
                      (nn.Conv2d(3, 4, 1, device='meta'), 'meta device')):
        with expect_fail(MilanError, contains=said): _require_readable(odd)

    test_eq([_ranking('activation', None), _ranking('relevance', 2)], [None, Relevance(2)])
    for arguments, said in ((('relevance', None), 'needs the output'), (('activation', 2), 'only'),
                            (('lrp', 2), "'lrp'"), ((Relevance(1), 2), 'contradicts')):
        with expect_fail(MilanError, contains=said): _ranking(*arguments)

    network = small_network()
    with _memory_format(network, channels_last=True): inside = network.conv1.weight.is_contiguous()
    inside, network.conv1.weight.is_contiguous(), [layer.name for layer in _layers(network, 'conv?', None, True)]

    test_eq((inside, network.conv1.weight.is_contiguous()), (False, True))


# 12_compute.ipynb, section "Everything together"
def test_everything_together():
    test_eq(_rule(MaskRule(size=224), MaskRule(.9)), MaskRule(.9))
    with expect_fail(MilanError, contains='masks='): _rule(MaskRule(.95, size=224), MaskRule(.9))
    _rule(MaskRule(.95, size=224), None)

    def naive(network, layer, images, k, quantile=.99):
        "Every unit's top k images, their maxima, and its threshold, with all activations in memory."
        with torch.inference_mode(), hooks.record(network.eval(), layer) as recording: network(images)
        maps = recording[layer]
        peaks, order = maps.amax((2, 3)).sort(dim=0, descending=True, stable=True)
        eta = np.quantile(maps.numpy(), quantile, axis=(0, 2, 3), method='hazen')
        return order[:k].T.numpy(), peaks[:k].T.numpy(), eta


    images = torch.stack([image for image, _ in Squares()]).float() / 255
    ids, activations, eta = naive(small_network(), 'conv2', images, k=5)
    found = compute(small_network(), Squares(), 'conv2', k=5, batch_size=7, out=temporary()/'squares', quiet=True)
    found.lookup('conv2', 6).grid()

    assert np.array_equal(found.ids('conv2'), ids)
    test_close(found.activations('conv2'), activations, eps=1e-6)
    test_close(found.levels('conv2'), eta, eps=1e-6)

    folder = temporary()
    found = compute(small_network(), Squares(), ['conv?', 'head'], k=5, size=24, batch_size=16, out=folder/'a',
                    quiet=True)
    found

    test_eq(found.layers, ['conv1', 'conv2', 'head'])
    test_eq(len(found), 6 + 8 + 4)
    test_eq(sorted(path.name for path in (folder/'a').iterdir()),
            ['conv1', 'conv2', 'exemplars.json', 'head', 'image_ids.npy', 'images.npy'])
    test_eq([path.name for path in folder.iterdir()], ['a'])

    network = small_network()
    network.conv2.eval()
    compute(network, Squares(), 'conv1', k=2, out=folder/'modes', quiet=True)
    assert network.training and network.conv1.training and not network.conv2.training
    images = torch.stack([image for image, _ in Squares()]).float() / 255
    test_close(found.activations('conv1')[:, 0], network.conv1(images).amax((0, 2, 3)).detach().numpy(), eps=1e-6)

    network = small_network()
    one = compute(network, [Squares()[0]], 'conv1', k=1, batch_size=500, out=folder/'one', quiet=True)
    every = compute(network, Squares(), 'conv1', k=np.int64(40), quantile=np.float32(1), seed=np.int64(3),
                    out=folder/'every', quiet=True)
    lowest = compute(network, Squares(), 'conv1', k=2, quantile=0, units={'conv1': torch.tensor([5, 0, 5])},
                     out=folder/'lowest', quiet=True)
    [len(found) for found in (one, every, lowest)], every.dead()[:1]

    test_eq(np.sort(every.ids('conv1')), np.broadcast_to(np.arange(40), (6, 40)))
    test_eq(every.dead(), [])                                           # the highest counts where it is reached
    assert all(one.masks.any() for one in every)
    test_close(every.levels('conv1'), every.activations('conv1')[:, 0], eps=1e-6)
    assert (lowest.levels('conv1') < every.activations('conv1')[[0, 5], -1]).all()
    test_eq(lowest.unit_numbers('conv1').tolist(), [0, 5])
    shutil.rmtree(folder)

    about = compute(small_network(), Squares(), 'conv2', k=5, out=temporary()/'squares', quiet=True).about
    about['network_hash'], about['images'], about['readings']

    test_eq((about['images_count'], about['k']), (40, 5))

    folder, clipped = temporary(), nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), relu6=nn.ReLU6()))
    with torch.no_grad():
        clipped.conv.weight.mul_(100)
        clipped.conv.bias.copy_(torch.tensor([9.0, 9.0, 9.0, -1e4]))  # the last unit is dead: always 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        found = compute(clipped, Squares(), ['relu6', 'conv'], k=5, out=folder/'set', quiet=True)
    [str(one.message) for one in caught]

    test_eq(len(caught), 1)
    warning = str(caught[0].message)
    assert "layer 'relu6': 3 of 4 units" in warning and 'before its activation' in warning
    assert 5 < int(re.search(r'on (\d+)% of', warning)[1]) < 100
    test_eq(found.dead(), [('relu6', 3)])
    assert all(one.masks.any((1, 2, 3)).all() for one in found if one.unit != 3)
    shutil.rmtree(folder)


# 12_compute.ipynb, section "The same results, however they were made"
def test_the_same_results_however_they_were_made():
    folder = temporary()
    first = compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, out=folder/'a', quiet=True)
    second = compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=40, out=folder/'b',
                     quiet=True)
    for layer in first.layers:
        assert np.array_equal(first.ids(layer), second.ids(layer))
        test_close(first.levels(layer), second.levels(layer), eps=1e-6)


# 12_compute.ipynb, section "The same results, however they were made"
@pytest.mark.slow
def test_the_same_results_however_they_were_made_slow():
    folder = temporary()
    compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, out=folder/'a', quiet=True)
    compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, workers=2, out=folder/'b',
            quiet=True)
    assert same_files(folder/'a', folder/'b')


# 12_compute.ipynb, section "Interrupted and resumed"
def test_interrupted_and_resumed():
    folder = temporary()
    settings = {'layers': ['conv1', 'conv2'], 'k': 5, 'batch_size': 4, 'save_every': 0., 'quiet': True}
    interrupted, whole = Counted(fail_at=25), Counted()
    with contextlib.suppress(KeyboardInterrupt): compute(small_network(), interrupted, out=folder/'a', **settings)
    assert not (folder/'a').exists() and (folder/'.a.progress').exists()
    interrupted.fail_at, interrupted.read = None, 0
    compute(small_network(), interrupted, out=folder/'a', **settings)
    compute(small_network(), whole, out=folder/'b', **settings)
    interrupted.read, whole.read

    test_eq(interrupted.read, 40 - 24 + 1)      # the rest, and one item to identify the inputs
    assert same_files(folder/'a', folder/'b') and not (folder/'.a.progress').exists()

    whole.read, other = 0, small_network()
    with torch.no_grad(): other.conv1.weight[0] *= 2
    for network, change in [(other, {}), (small_network(), {'k': 4}),
                            (small_network(), {'transform': lambda x: x - .5}),
                            (small_network(), {'units': {'conv1': [1]}})]:
        with expect_fail(MilanError, contains='other inputs'):
            compute(network, whole, out=folder / 'b', **(settings | change))
    larger = compute(small_network(), whole, out=folder/'b', **(settings | {'size': 48, 'borders': 'replicate'}))
    test_eq(whole.read, 5)                       # one item each time
    plain = {name: value for name, value in settings.items() if name != 'size'}
    same = compute(small_network(), whole, out=folder/'b', **plain, masks=MaskRule(size=48, borders='replicate'))
    test_eq(same.about, larger.about)
    test_eq((larger[0].images.shape, Exemplars.open(folder/'b').about['borders']), ((5, 3, 48, 48), 'replicate'))
    compute(other, whole, out=folder/'b', **(settings | {'resume': False}))
    assert whole.read > 40 and not same_files(folder/'a', folder/'b')
    compute(small_network(), whole, out=folder/'b', **(settings | {'resume': False}))
    assert same_files(folder/'a', folder/'b')

    pictures = [image for image, _ in Squares()]
    before = compute(small_network(), pictures, 'conv1', k=5, out=folder/'c', quiet=True)
    pictures[1] = 255 - pictures[1]
    with expect_fail(MilanError, contains='(images)'):
        compute(small_network(), pictures, 'conv1', k=5, out=folder / 'c', quiet=True)
    after = compute(small_network(), pictures, 'conv1', k=5, out=folder/'d', quiet=True)
    assert (before.about['images_hash'] != after.about['images_hash']
            and (before.activations('conv1') != after.activations('conv1')).any())

    os.environ['MILAN_RESULTS_DIR'] = str(folder/'results')
    usual = {'layers': 'conv1', 'k': 5, 'quiet': True}
    runs = [(small_network(), {}), (other, {}), (small_network(), {'k': 4}),
            (small_network(), {'name': 'mine'}), (small_network(), {})]
    places = [compute(network, whole, **(usual | change)).folder for network, change in runs]
    [str(place.relative_to(folder)) for place in places]

    test_eq((len(set(places)), places[0] == places[4], places[3].name), (4, True, 'mine'))
    with expect_fail(MilanError, contains='other inputs (network)'): compute(other, whole, name='mine', **usual)
    del os.environ['MILAN_RESULTS_DIR']


# 12_compute.ipynb, section "Every image's maxima"
def test_every_image_s_maxima():
    folder, network = temporary(), small_network()
    kept = compute(network, Squares(), ['conv?', 'head'], units={'conv2': [6, 1]}, k=5, batch_size=7, bottom=True,
                   keep_maxima=True, out=folder/'kept', quiet=True)
    {layer: kept.maxima(layer).shape for layer in kept.layers}, kept.unit_numbers('conv2')

    images = torch.stack([image for image, _ in Squares()]).float() / 255
    for layer in ('conv1', 'conv2', 'head'):
        columns = kept.unit_numbers(layer)
        with torch.inference_mode(), hooks.record(network.eval(), layer) as recording: network(images)
        maps = recording[layer][:, columns].reshape(40, len(columns), -1)
        np.testing.assert_allclose(kept.maxima(layer), maps.amax(2).half(), rtol=1e-3)
        np.testing.assert_allclose(kept.maxima(f'{layer}.bottom'), (-maps).amax(2).half(), rtol=1e-3)
    for layer in kept.layers:
        best = np.take_along_axis(kept.maxima(layer), kept.ids(layer).T, axis=0)
        test_eq(best, kept.activations(layer).T.astype(np.float16))
    test_eq(kept.select(['conv1'], k=2).view(size=12).maxima('conv1'), kept.maxima('conv1'))
    exported = kept.export(folder/'published')
    assert not list(exported.rglob('maxima*'))

    images, settings = Counted(), {'layers': ['conv1', 'conv2'], 'k': 5, 'batch_size': 4, 'quiet': True}
    plain = compute(small_network(), images, out=folder/'set', **settings)
    with expect_fail(MilanError, contains='keep_maxima=True'): plain.maxima('conv1')
    reads, before = [], {path.relative_to(plain.folder): path.read_bytes() for path in plain.folder.rglob('*.*')}
    for keep in (False, True, True, False):
        images.read = 0
        fuller = compute(small_network(), images, out=folder/'set', keep_maxima=keep, **settings)
        reads.append(images.read)
    reads, fuller.maxima('conv2').shape

    test_eq(reads, [1, 41, 1, 1])                # one item to identify the inputs, or all
    after = {path.relative_to(folder/'set'): path.read_bytes() for path in (folder/'set').rglob('*.*')}
    test_eq({str(name) for name in set(after) - set(before)}, {'conv1/maxima.npy', 'conv2/maxima.npy'})
    assert all(after[name] == content for name, content in before.items())
    test_eq(fuller.about['fingerprint'], plain.about['fingerprint'])
    (folder/'set'/'conv1'/'notes.txt').write_text('mine')
    (folder/'set'/'conv1'/'maxima.npy').unlink() # as someone may do who needs the space
    test_eq(compute(small_network(), images, out=folder/'set', **settings).folder, folder/'set')
    with expect_fail(MilanError, contains='notes.txt'):
        compute(small_network(), images, out=folder/'set', keep_maxima=True, **settings)

    interrupted, whole = Counted(), Counted()
    compute(small_network(), interrupted, out=folder/'a', **settings)
    settings |= {'save_every': 0., 'keep_maxima': True}
    interrupted.fail_at = 25
    with contextlib.suppress(KeyboardInterrupt): compute(small_network(), interrupted, out=folder/'a', **settings)
    unsaved = folder/'.a.progress'/'part-0'/'maxima.bytes'
    unsaved.write_bytes(unsaved.read_bytes() + b'rows of a batch that no state has seen')
    compute(small_network(), interrupted, out=folder/'a', **settings | {'keep_maxima': False})
    interrupted.fail_at, interrupted.read = None, 0
    turned = settings | {'layers': ['conv2', 'conv1']}
    compute(small_network(), interrupted, out=folder/'a', **turned)
    compute(small_network(), whole, out=folder/'b', **turned)
    interrupted.read, whole.read

    test_eq((interrupted.read, whole.read), (40 - 24 + 1, 41))
    assert same_files(folder/'a', folder/'b') and not (folder/'.a.progress').exists()
    shutil.rmtree(folder)


# 12_compute.ipynb, section "Images by name, and images that must not change"
def test_images_by_name_and_images_that_must_not_change():
    folder = temporary()
    for number, (image, _) in enumerate(Squares()):
        Image.fromarray(image.permute(1, 2, 0).numpy()).resize((24, 24)).save(folder/f'{number:02}.png')
    usual = {'k': 3, 'size': None, 'quiet': True}
    named = compute(small_network(), str(folder), 'conv2', out=folder/'named', **usual)
    loader = torch.utils.data.DataLoader(Squares(), batch_size=7)
    loaded = compute(small_network(), loader, 'conv1', out=folder/'loaded', **usual)
    floats = [image.float() / 255 for image, _ in Squares()]
    spoilt = compute(small_network(), floats, 'conv1', out=folder/'spoilt',
                     transform=lambda images: images.neg_(), **usual)
    named, spoilt.lookup('conv1', 1)

    squares = compute(small_network(), Squares(), 'conv1', out=folder/'squares', **usual)
    assert same_files(folder/'loaded'/'conv1', squares.folder/'conv1')
    kept, numbers = (np.load(folder/'spoilt'/f'{name}.npy') for name in ('images', 'image_ids'))
    assert all(np.array_equal(kept[row], Squares()[int(number)][0].numpy()) for row, number in enumerate(numbers))
    shutil.rmtree(folder)


# 12_compute.ipynb, section "Killed"
@pytest.mark.slow
def test_killed_slow():
    KILLING = '''
import filecmp, os, random, signal, sys, time
from collections import Counter
from pathlib import Path

import torch

from milan.exemplars.compute import compute
from milan.testing import killed, started


def work(folder):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 3, 2))
    images = (torch.rand(160, 3, 24, 24) * 255).byte()
    settings = {"k": 4, "batch_size": 4, "save_every": save_every, "quiet": True, "keep_maxima": True}
    compute(network, images, ["0", "1", "2"], out=folder/"set", **settings)


def start(folder, calls=0): # see `milan.testing`
    global save_every
    save_every = 1e9 if calls else 0
    return started(lambda: work(folder), calls)


def check(folder): # it resumes, and ends as the undisturbed run did
    assert not killed(start(folder))
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert sorted(names) == sorted(found), list(folder.rglob("*"))
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
        late = "after the result was there" if (folder/"set").exists() else "after a state was saved"
        stages[late if state.exists() or (folder/"set").exists() else "before"] += 1
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


# 12_compute.ipynb, section "The original's own results"
@pytest.mark.oracle
def test_the_original_s_own_results_oracle():
    golden = oracle_dir()/'exemplars'
    bytes_ = torch.from_numpy(np.load(golden/'images_200x3x32x32_uint8.npy'))
    layers = OrderedDict(conv1=nn.Conv2d(3, 8, 3, padding=1), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
                         conv2=nn.Conv2d(8, 12, 3, 2, 1), relu2=nn.ReLU(), conv3=nn.Conv2d(12, 16, 3, 2, 1),
                         relu3=nn.ReLU(), avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
                         fc=nn.Linear(16, 10))
    cnn = nn.Sequential(layers)
    cnn.load_state_dict({name: torch.from_numpy(value) for name, value in np.load(golden/'cnn.npz').items()})


    def own_views(found, layer, theirs):
        "The set with the original's quantiles, and with ours."
        part = found._stored[layer]
        return [Exemplars(found.folder, {layer: replace(part, quantiles=one)}, found.about)
                for one in (theirs, part.quantiles)]


    def distinct(row):
        "Whether no two activations are so close that they may swap places."
        return len(set(row)) == len(row) and np.abs(np.diff(row)).min() > 1e-6 + 1e-6 * np.abs(row).max()


    def compare(found, group, statistics, most_off=0):
        "Rows of (layer, share of pixels that differ with the original's threshold, and with ours)."
        table = []
        for layer in found.layers:
            theirs = Exemplars.open(golden/'results'/group)
            numbers = np.load(golden/f'{statistics}{layer}_stats.npz')
            clear = np.array([distinct(row) for row in found.activations(layer)])
            assert clear.mean() > .7
            test_eq(found.ids(layer)[clear], theirs.ids(layer)[clear])
            np.testing.assert_allclose(found.activations(layer), theirs.activations(layer), rtol=2e-5, atol=1e-6)
            test_eq(found.unit_numbers(layer).tolist(), theirs.unit_numbers(layer).tolist())
            differ = []
            column = numbers['quantile_probs'].tolist().index(found.about['quantile'])
            np.testing.assert_allclose(found.levels(layer), numbers['exact_hazen_quantiles'][:, column],
                                       rtol=2e-5, atol=1e-6)
            clear_units = found.unit_numbers(layer)[clear]
            for one in own_views(found, layer, numbers['rq_quantiles'][:, column]):
                pairs = [(one.lookup(layer, unit).masks, theirs.lookup(layer, unit).masks)
                         for unit in clear_units]
                differ.append(np.mean([(mine != other).float().mean() for mine, other in pairs]))
            bytes_off = 255 * torch.cat([found.lookup(layer, unit).images - theirs.lookup(layer, unit).images
                                         for unit in clear_units])
            assert bytes_off.abs().max() < 1.001 and (bytes_off.abs() > .5).float().mean() <= most_off
            for dead in found.select([layer]).dead():
                assert not theirs.lookup(*dead).masks.any() and not found.lookup(*dead).masks.any()
            table.append((group, layer, float(differ[0]), float(differ[1])))
            assert differ[0] <= 1e-4 and differ[1] <= .005, table[-1]
        return table


    folder, settings = temporary(), {'k': 5, 'size': None, 'quiet': True}
    table = compare(compute(cnn, bytes_, ['conv1', 'conv2', 'conv3', 'relu3'], out=folder/'cnn', **settings),
                    'cnn', 'cnn_')
    table += compare(compute(cnn, bytes_, 'conv2', units={'conv2': [7, 2, 5]}, out=folder/'some', **settings),
                     'cnn_units', 'cnn_units_')
    larger = settings | {'k': 3, 'quantile': .95, 'size': 56, 'batch_size': 50}
    table += compare(compute(cnn, bytes_, 'conv3', out=folder/'up', **larger), 'cnn_up', 'cnn_up_')
    table

    class Block(nn.Module):
        def __init__(self, width=24):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(OrderedDict(fc1=nn.Linear(width, 40), gelu=nn.GELU(),
                                                 fc2=nn.Linear(40, width)))

        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
            x = x + self.proj((q @ k.transpose(1, 2) / q.shape[-1]**.5).softmax(-1) @ v)
            return x + self.mlp(self.norm2(x))


    class Transformer(nn.Module):
        def __init__(self, width=24):
            super().__init__()
            self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 65, width))
            self.patch, self.blocks = nn.Conv2d(3, width, 4, 4), nn.Sequential(Block(), Block())
            self.head = nn.Linear(width, 10)

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            return self.head(self.blocks(torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos)[:, 0])


    transformer = Transformer()
    transformer.load_state_dict(torch.load(golden/'vit.pth', weights_only=True))
    compare(compute(transformer, bytes_, 'blocks.*.mlp.fc1', out=folder/'vit', **settings), 'vit', 'vit_')

    names = ['up1', 'relu1', 'up2', 'relu2', 'up3', 'relu3', 'rgb', 'tanh']
    shapes = {'up1': (16, 12, 4), 'up2': (12, 8, 4, 2, 1), 'up3': (8, 8, 4, 2, 1), 'rgb': (8, 3, 4, 2, 1)}
    parts = OrderedDict(unflatten=nn.Unflatten(1, (16, 1, 1)))
    for name in names:
        parts[name] = nn.ConvTranspose2d(*shapes[name]) if name in shapes else nn.ReLU()
    generator = nn.Sequential(parts | {'tanh': nn.Tanh()})
    generator.load_state_dict(torch.load(golden/'generator.pth', weights_only=True))
    latents = torch.from_numpy(np.load(golden/'generator_zs_100x16.npy'))
    found = compute(generator, latents, ['up1', 'up2'], out=folder/'generator',
                    to_image=lambda output: (output + 1) / 2, batch_size=32, truncate=True, **settings)
    compare(found, 'gen', 'gen_', most_off=2e-5)

    shutil.rmtree(folder)


# 12_compute.ipynb, section "Errors"
def test_errors():
    folder, network = temporary(), small_network()


    def fails(said, images=None, layers='conv1', network=network, **settings):
        "Raises an error that names the cause, and leaves no result."
        usual = {'quiet': True, 'out': folder/'x', 'k': 2}
        with expect_fail(MilanError, contains=said):
            compute(network, Squares() if images is None else images, layers, **usual | settings)
        assert not (folder/'x').exists()


    class Endless(torch.utils.data.IterableDataset):
        def __len__(self): return 5
        def __iter__(self): return iter(())


    class Broken(Squares):
        def __getitem__(self, index): raise OSError('no such sector')


    for said, settings in (
        ('k = 41', {'k': 41}),
        ('k = 0', {'k': 0}),
        ("k = '5'", {'k': '5'}),
        ('quantile 99', {'quantile': 99}),
        ("'conv2'", {'units': {'conv2': [1]}}),
        ('0 to 5', {'units': {'conv1': [6]}}),
        ('seed = -1', {'seed': -1}),
        ('batch_size = 0', {'batch_size': 0}),
        ('batch_size = 2.5', {'batch_size': 2.5}),
        ("'mirror'", {'borders': 'mirror'}),
        ('workers = -1', {'workers': -1}),
        ('size = 0', {'size': 0}),
        ("'all'", {'units': {'conv1': 'all'}}),
        ('give a dictionary', {'units': [1]}),
        ('floating-point', {'autocast': torch.int8}),
    ): fails(said, **settings)
    fails("'conv2'", layers='conv3')
    for said, images in (
        ('no images', []), ('map-style', Endless()), ('item 0 of the data set', Broken()),
        ('folder', '/no/such'), ('transform=', [torch.randn(3, 8, 8)] * 20),
    ): fails(said, images)
    sizes = [torch.rand(3, 8, 8)] * 3 + [torch.rand(3, 9, 9)] * 17
    fails('image 3 is', sizes)
    for layer in ('conv1', 'head'): fails('resize all images', sizes, layer, batch_size=3)
    with torch.no_grad(): network.conv2.bias[3] = torch.nan
    fails("'conv2', unit 3 is not finite on image 0", layers=['conv1', 'conv2'])

    folder, settings = temporary(), {'layers': 'conv1', 'k': 2, 'quiet': True}
    (folder/'thesis').mkdir()
    (folder/'thesis/chapter1.txt').write_text('It was a dark and stormy night.')
    with expect_fail(MilanError, contains='left alone'):
        compute(small_network(), Squares(), out=folder / 'thesis', **settings)
    for name in ('b', 'c'): compute(small_network(), Squares(), out=folder/name, **settings)
    (folder/'b'/'notes.txt').write_text('mine')
    with expect_fail(MilanError, contains='notes.txt'):
        compute(small_network(), Squares(), out=folder/'b', **settings | {'resume': False})
    here = os.getcwd()
    os.chdir(folder/'c')
    with expect_fail(MilanError, contains='current folder'):
        compute(small_network(), Squares(), out='.', **settings | {'resume': False})
    os.chdir(here)
    for name in ('c/..', 'b/notes.txt'):
        with expect_fail(MilanError, contains='left alone'):
            compute(small_network(), Squares(), out=folder / name, **settings)
    test_eq((folder/'b'/'notes.txt').read_text(), 'mine')
    shutil.rmtree(folder)

    def without_room(folder):
        "In a process whose files may have 60 kB."
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        for keep in (False, True):
            with expect_fail(MilanError, contains='disk is full'):
                compute(small_network(), Squares(), 'conv1', k=5, batch_size=4, save_every=0.0, out=folder/'a',
                        keep_maxima=keep, quiet=True)


    folder = temporary()
    settings = {'layers': ['conv1', 'conv2'], 'k': 5, 'batch_size': 4, 'save_every': 0., 'quiet': True}
    if sys.platform == 'linux':
        test_eq(killed(started(lambda: without_room(folder))), False)
        assert not (folder/'a').exists()
    interrupted = Counted(fail_at=25)
    with contextlib.suppress(KeyboardInterrupt): compute(small_network(), interrupted, out=folder/'b', **settings)
    state = folder/'.b.progress'/'part-0'/'state.pt'
    state.write_bytes(state.read_bytes()[:-100])
    interrupted.fail_at, interrupted.read = None, 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        compute(small_network(), interrupted, out=folder/'b', **settings)
    assert any('damaged' in str(one.message) for one in caught)
    test_eq(interrupted.read, 40 - 20 + 1)       # one batch more than from the last state
    compute(small_network(), interrupted, out=folder/'c', **settings)
    assert same_files(folder/'b', folder/'c')
    shutil.rmtree(folder)
