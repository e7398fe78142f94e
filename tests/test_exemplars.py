# Generated from nbs/12_exemplars.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.hooks import Unit
from milan.exemplars import (
    _images_hash,
    _Items,
    _Layer,
    _natural,
    _network_hash,
    _Spool,
    _stack,
    _tensor,
    _transform_hash,
    compute,
    Exemplar,
    Exemplars,
    upsample,
)
import pytest

import contextlib
import shutil
import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan import hooks, stats
from milan.config import MilanError, import_torchvision, oracle_dir


def small_network():
    "Two convolutions and a linear head, seeded."
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 6, 3, padding=1), relu1=nn.ReLU(inplace=True), pool1=nn.MaxPool2d(2),
                                     conv2=nn.Conv2d(6, 8, 3, padding=1), relu2=nn.ReLU(inplace=True),
                                     pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=nn.Linear(8, 4)))


class Squares(torch.utils.data.Dataset):
    "Images with one bright coloured square each, as (bytes, label); seeded."
    name, count = 'squares', 40

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count: raise IndexError(index)
        draw = np.random.default_rng(index)
        image = torch.full((3, 24, 24), 40, dtype=torch.uint8)
        top, left, side = draw.integers(0, 14), draw.integers(0, 14), draw.integers(4, 10)
        colour = torch.from_numpy(draw.integers(60, 256, 3).astype(np.uint8))
        image[:, top:top + side, left:left + side] = colour[:, None, None]
        return image, int(colour.argmax())


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def same_files(one, other):
    "Whether two folders hold the same files with the same bytes."
    names = [sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file()) for folder in (one, other)]
    return names[0] == names[1] and all((one/name).read_bytes() == (other/name).read_bytes() for name in names[0])


# 12_exemplars.ipynb, section "The naive way"
def test_the_naive_way():
    images = torch.stack([image for image, _ in Squares()]).float() / 255
    network = small_network().eval()
    with torch.inference_mode(), hooks.record(network, 'conv2') as recording: network(images)
    maps = recording['conv2']
    top = maps.amax((2, 3)).argsort(dim=0, descending=True)[:5].T       # (units, 5) images
    level = np.quantile(maps.numpy(), .99, axis=(0, 2, 3), method='hazen')
    top[:3], level[:3]


# 12_exemplars.ipynb, section "From a map to a mask"
def test_from_a_map_to_a_mask():
    upsample(torch.tensor([[1., 2.], [3., 4.]]), (4, 4))

    test_close(upsample(torch.tensor([[1., 2.], [3., 4.]]), (4, 4))[0, 0], torch.tensor(.5625), eps=1e-6)
    maps = torch.rand(2, 3, 5, 7)
    test_close(upsample(maps, (5, 7)), maps, eps=1e-6)
    test_eq(upsample(maps, (20, 21)).shape, (2, 3, 20, 21))
    test_close(upsample(torch.ones(1, 4, 4), (8, 8))[0, 1:-1, 1:-1], torch.ones(6, 6), eps=1e-6)


# 12_exemplars.ipynb, section "Images in, batches out"
def test_images_in_batches_out():
    numbers, batch = _stack([_Items(Squares(), 30, False)[i] for i in range(3)])
    numbers, batch.shape, batch.dtype

    test_eq(len(_Items(Squares(), 30, False)), 10)
    test_eq(_tensor(Image.new('L', (5, 4)), 0, False).shape, (3, 4, 5))
    test_eq(_tensor(np.zeros((3, 2, 2), dtype=np.uint8), 0, False).dtype, torch.uint8)
    test_eq(_tensor(torch.randn(16), 0, True).shape, (16,))
    with expect_fail(MilanError, contains='transform='): _tensor(torch.tensor([-2., 2.]).expand(3, 2, 2), 7, False)
    with expect_fail(MilanError, contains='item 7'): _tensor('a photo', 7, False)
    with expect_fail(MilanError, contains='(4, 2, 2)'): _tensor(torch.zeros(4, 2, 2), 0, False)
    with expect_fail(MilanError, contains='image 1 is (3, 4, 5)'): _stack([(0, torch.zeros(3, 4, 4)), (1, torch.zeros(3, 4, 5))])


# 12_exemplars.ipynb, section "Knowing the same inputs again"
def test_knowing_the_same_inputs_again():
    one, other = small_network(), small_network()
    test_eq(_network_hash(one), _network_hash(other))
    with torch.no_grad(): other.head.bias[0] += 1e-6
    assert _network_hash(one) != _network_hash(other)
    changed = Squares()
    changed.count = 39
    assert _images_hash(Squares(), False) != _images_hash(changed, False)
    assert _images_hash(torch.utils.data.TensorDataset(torch.zeros(200, 3, 2, 2)), False) != _images_hash(
        torch.utils.data.TensorDataset(torch.zeros(200, 3, 2, 2).index_fill(0, torch.tensor(1), 1)), False)
    _network_hash(one), _images_hash(Squares(), False), _transform_hash(lambda x: x * 2, torch.rand(3, 4, 4))


# 12_exemplars.ipynb, section "A layer's statistics"
def test_a_layer_s_statistics():
    layer = _Layer('conv1', k=2, quantile=.9, rows=8, seed=0, units=[4, 1], drop_tokens=None)
    layer.add(torch.rand(8, 6, 5, 5), torch.arange(8)).sum(), layer.units, layer.top.ids

    for bad in (torch.nan, torch.inf, -torch.inf):
        maps = torch.rand(3, 6, 5, 5)
        maps[2, 4, 0, 1] = bad
        with expect_fail(MilanError, contains="'conv1', unit 4 is not finite on image 12"):
            _Layer('conv1', 2, .9, 3, 0, [4, 1], None).add(maps, torch.tensor([10, 11, 12]))
    with expect_fail(MilanError, contains='units 0 to 5'): _Layer('conv1', 2, .9, 8, 0, [6], None).add(torch.rand(8, 6, 5, 5), torch.arange(8))
    with expect_fail(MilanError, contains='keeps images apart'): _Layer('conv1', 2, .9, 8, 0, None, None).add(torch.rand(9, 6, 5, 5), torch.arange(8))


# 12_exemplars.ipynb, section "Keeping the winners' images"
def test_keeping_the_winners_images():
    folder = temporary()
    spool = _Spool(folder/'images.bytes')
    images = torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8)
    spool.add(images[:3], torch.tensor([10, 11, 12]))
    saved = spool.state()
    spool.add(images[:2].float() / 255, torch.tensor([13, 14]))
    spool.restore(saved)                       # as after a kill: the last two are forgotten
    spool.add(images[3:], torch.tensor([13, 14]))
    spool.write(np.array([11, 14]), folder/'images.npy')
    assert np.array_equal(np.load(folder/'images.npy'), images[[1, 4]])
    spool.close()


# 12_exemplars.ipynb, section "Looking at a unit"
def test_looking_at_a_unit():
    images = torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(0)).repeat_interleave(12, 2).repeat_interleave(12, 3)
    masks = torch.zeros(10, 1, 96, 96)
    masks[:, :, 20:70, 30:80] = 1
    exemplar = Exemplar('conv2', 6, images, masks, np.arange(10), np.arange(10.)[::-1])
    exemplar.grid()

    assert torch.equal(exemplar.masked(1.), images * masks) and torch.equal(exemplar.masked(0.), images)
    test_close(exemplar.masked()[:, :, 0, 0], images[:, :, 0, 0] / 4, eps=1e-6)
    test_close(exemplar.masked()[:, :, 40, 50], images[:, :, 40, 50], eps=1e-6)
    test_eq(exemplar.grid(columns=4, width=20).size, (4 * 22 - 2, 3 * 22 - 2))


# 12_exemplars.ipynb, section "A set of exemplars"
def test_a_set_of_exemplars():
    folder = temporary()
    (folder/'layer1').mkdir()
    np.save(folder/'layer1/images.npy', np.random.default_rng(0).integers(0, 256, (3, 2, 3, 8, 8), dtype=np.uint8))
    np.save(folder/'layer1/masks.npy', np.ones((3, 2, 1, 8, 8), dtype=np.uint8))
    np.save(folder/'layer1/units.npy', np.array([1, 4, 7]))
    (folder/'layer1/ids.csv').write_text('5,2\n0,1\n9,3\n')
    (folder/'layer1/activations.csv').write_text('1.50000e+00,1.00000e+00\n2.00000e+00,1.00000e+00\n3.00000e+00,2.00000e+00\n')
    (folder/'viz').mkdir()
    published = Exemplars.open(folder)
    published, published[1].unit, published.lookup('layer1', 4).ids

    test_eq(published.layers, ['layer1'])
    test_eq(published.units, [Unit('layer1', 1), Unit('layer1', 4), Unit('layer1', 7)])
    test_eq([exemplar.unit for exemplar in published], [1, 4, 7])
    test_eq((len(published), published.k), (3, 2))
    test_eq(published.lookup('layer1', 7).images.shape, (2, 3, 8, 8))
    test_eq(published.activations('layer1')[2].tolist(), [3, 2])
    test_eq(published.unit_numbers('layer1').tolist(), [1, 4, 7])
    with expect_fail(MilanError, contains='unit 0'): published.lookup('layer1', 0)
    with expect_fail(MilanError, contains='no levels'): published.levels('layer1')
    with expect_fail(MilanError, contains="has no layer 'layer2'; it has layer1"): published.ids('layer2')
    with expect_fail(MilanError, contains='holds no exemplars'): Exemplars.open(temporary())
    test_eq(sorted(['blocks.10', 'blocks.9', '3'], key=_natural), ['3', 'blocks.9', 'blocks.10'])

    (folder/'layer1/images.npy').unlink()
    with expect_fail(MilanError, contains='source='): Exemplars.open(folder)[0]
    test_close(Exemplars.open(folder, source=[torch.full((3, 16, 16), i / 10) for i in range(10)])[0].images[:, 0, 0, 0], torch.tensor([.5, .2]), eps=1e-6)
    np.save(folder/'layer1/units.npy', np.arange(4))
    with expect_fail(MilanError, contains='3 units of 2 images'): Exemplars.open(folder)


# 12_exemplars.ipynb, section "One pass"
def test_one_pass():
    images, network = torch.stack([image for image, _ in Squares()]).float() / 255, small_network().eval()
    with torch.inference_mode(), hooks.record(network, 'conv2') as recording: network(images)
    maps = recording['conv2']
    peaks, top = maps.amax((2, 3)).sort(dim=0, descending=True)
    found = compute(network, Squares(), 'conv2', k=5, batch_size=7, out=temporary()/'squares', quiet=True)
    assert np.array_equal(found.ids('conv2'), top[:5].T)
    assert np.array_equal(found.lookup('conv2', 3).ids, top[:5, 3])
    test_close(found.activations('conv2'), peaks[:5].T.numpy(), eps=1e-6)
    test_close(found.levels('conv2'), np.quantile(maps.numpy(), .99, axis=(0, 2, 3), method='hazen'), eps=1e-6)
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


# 12_exemplars.ipynb, section "What cannot work is said"
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
    with expect_fail(MilanError, contains='transform='): compute(network, [torch.randn(3, 8, 8)] * 20, 'conv1', **quiet)
    with expect_fail(MilanError, contains='image 3 is'): compute(network, [torch.rand(3, 8, 8)] * 3 + [torch.rand(3, 9, 9)] * 17, 'conv1', **quiet)

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


# 12_exemplars.ipynb, section "The same results, however they were made"
def test_the_same_results_however_they_were_made():
    folder = temporary()
    first = compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, out=folder/'a', quiet=True)
    second = compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=40, out=folder/'b', quiet=True)
    for layer in first.layers:
        assert np.array_equal(first.ids(layer), second.ids(layer))
        test_close(first.levels(layer), second.levels(layer), eps=1e-6)


# 12_exemplars.ipynb, section "The same results, however they were made"
@pytest.mark.slow
def test_the_same_results_however_they_were_made_slow():
    folder = temporary()
    compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, out=folder/'a', quiet=True)
    compute(small_network(), Squares(), ['conv1', 'conv2'], k=5, batch_size=8, workers=2, out=folder/'b', quiet=True)
    assert same_files(folder/'a', folder/'b')


# 12_exemplars.ipynb, section "Stopped and started again"
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
    test_eq(interrupted.read, 40 - 24 + 1)                 # the rest, and one item to know the inputs again
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


# 12_exemplars.ipynb, section "From our layout to the published one"
def test_from_our_layout_to_the_published_one():
    folder = temporary()
    found = compute(small_network(), Squares(), ['conv1', 'conv2', 'head'], k=5, size=None, units={'conv2': [5, 2]}, out=folder/'a', quiet=True)
    found, found[6].unit, found.ids('conv2')

    test_eq(found.unit_numbers('conv2').tolist(), [2, 5])
    test_eq(found.units[6], Unit('conv2', 2))
    test_eq([exemplar.unit for exemplar in found], [*range(6), 2, 5, *range(4)])
    test_eq(found.k, 5)
    for layer in found.layers: assert (np.diff(found.activations(layer), axis=1) <= 0).all()
    exemplar = found.lookup('conv2', 5)
    assert torch.equal(exemplar.images[3], Squares()[exemplar.ids[3]][0].float() / 255)
    with expect_fail(MilanError, contains='unit 3'): found.lookup('conv2', 3)
    with expect_fail(MilanError, contains='conv1, conv2, head'): found.lookup('conv9', 3)

    found.export(folder/'published')
    again = Exemplars.open(folder/'published')
    test_eq(again.units, found.units)
    for one, other in zip(found, again):
        assert torch.equal(one.images, other.images) and torch.equal(one.masks, other.masks) and np.array_equal(one.ids, other.ids)
        test_close(one.activations, other.activations, eps=1e-4)
    test_eq(sorted(path.name for path in (folder/'published/conv2').iterdir()), ['activations.csv', 'ids.csv', 'images.npy', 'masks.npy', 'units.npy'])
    assert not (folder/'published/conv1/units.npy').exists()
    with expect_fail(MilanError, contains='exists already'): found.export(folder/'published')
    with expect_fail(MilanError, contains='no levels'): again.levels('conv1')

    few = found.select(['conv2'], k=2)
    few, few.masks('conv2', 12).shape

    assert torch.equal(few.lookup('conv2', 5).images, found.lookup('conv2', 5).images[:2])
    side = found.lookup('conv2', 2).masks.shape[-1]
    for whole in (found, again):
        assert torch.equal(whole.masks('conv2', side)[0].float(), found.lookup('conv2', 2).masks[:, 0])
    assert torch.equal(again.select(k=2).masks('conv2', side), few.masks('conv2', side))
    with expect_fail(MilanError, contains='9 images per unit'): found.select(k=9)

    network = small_network()
    with torch.no_grad(): network.conv2.bias[3] = -100
    dead = compute(network, Squares(), 'relu2', k=5, out=folder/'dead', quiet=True)
    test_eq(dead.levels('relu2')[3], 0)
    test_eq(dead.lookup('relu2', 3).masks.sum().item(), 0)
    test_eq(dead.ids('relu2')[3].tolist(), [0, 1, 2, 3, 4])    # ties go to the lowest number
    assert dead.lookup('relu2', 2).masks.sum() > 0


# 12_exemplars.ipynb, section "Images that are not square"
def test_images_that_are_not_square():
    wide = [torch.rand(3, 12, 30, generator=torch.Generator().manual_seed(i)) for i in range(8)]
    found = compute(small_network(), wide, ['conv1', 'conv2'], k=3, size=24, out=temporary()/'x', quiet=True)
    test_eq(found[0].images.shape, (3, 3, 24, 60))
    test_eq(found.lookup('conv2', 1).masks.shape, (3, 1, 24, 60))
    grey = compute(nn.Sequential(nn.Conv2d(1, 4, 3)), [image[:1] for image in wide], '0', k=3, size=None, out=temporary()/'x', quiet=True)
    test_eq(grey.lookup(0, 1).images.shape, (3, 3, 12, 30))


# 12_exemplars.ipynb, section "Networks of others"
@pytest.mark.slow
def test_networks_of_others_slow():
    import_torchvision()
    import timm
    import torchvision

    folder, noise = temporary(), torch.rand(20, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    normalised = lambda images: (images - .45) / .225
    torch.manual_seed(0)
    resnet = torchvision.models.resnet18(weights=None)
    found = compute(resnet, noise, ['conv1', 'layer?'], k=3, transform=normalised, out=folder/'resnet', quiet=True)
    test_eq(found.layers, ['conv1', 'layer1', 'layer2', 'layer3', 'layer4'])
    test_eq(len(found), 64 + 64 + 128 + 256 + 512)
    test_eq(found.lookup('layer4', 511).masks.shape, (3, 1, 224, 224))
    transformer = timm.create_model('vit_tiny_patch16_224', pretrained=False, img_size=64)
    found = compute(transformer, noise, 'blocks.*.mlp.fc1', units={'blocks.3.mlp.fc1': range(100)}, k=3, out=folder/'vit', quiet=True)
    test_eq((len(found), found._stored['blocks.3.mlp.fc1'].maps.shape), (11 * 768 + 100, (100, 3, 4, 4)))
    shutil.rmtree(folder)


# 12_exemplars.ipynb, section "The original's own results"
@pytest.mark.oracle
def test_the_original_s_own_results_oracle():
    golden = oracle_dir()/'exemplars'
    bytes_ = torch.from_numpy(np.load(golden/'images_200x3x32x32_uint8.npy'))
    layers = OrderedDict(conv1=nn.Conv2d(3, 8, 3, padding=1), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
                         conv2=nn.Conv2d(8, 12, 3, 2, 1), relu2=nn.ReLU(), conv3=nn.Conv2d(12, 16, 3, 2, 1), relu3=nn.ReLU(),
                         avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(16, 10))
    cnn = nn.Sequential(layers)
    cnn.load_state_dict({name: torch.from_numpy(value) for name, value in np.load(golden/'cnn.npz').items()})


    def compare(found, group, statistics, bytes_off=0):
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
            theirs_levels = numbers['rq_quantiles'][:, numbers['quantile_probs'].tolist().index(found.about['quantile'])]
            for levels in (theirs_levels, part.levels):
                part.levels = levels
                differ.append(np.mean([(found.lookup(layer, unit).masks != theirs.lookup(layer, unit).masks).float().mean()
                                       for unit in found.unit_numbers(layer)[clear]]))
            for unit in found.unit_numbers(layer)[clear]:
                difference = found.lookup(layer, unit).images - theirs.lookup(layer, unit).images
                assert difference.abs().max() * 255 <= bytes_off + 1e-3
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
    found = compute(generator, latents, ['up1', 'up2'], out=folder/'generator', to_image=lambda output: (output + 1) / 2, batch_size=32, **settings)
    compare(found, 'gen', 'gen_', bytes_off=1) # the original cuts off what exceeds a whole byte, we round

    shutil.rmtree(folder)
