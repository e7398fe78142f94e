# Generated from nbs/13_store.ipynb by `make export`. Edit the notebook, not this file.

import json
from milan.exemplars.store import (
    _loaded,
    _Native,
    _natural,
    _Published,
    _published_units,
    BORDERS,
    Exemplar,
    Exemplars,
    read_about,
    resized,
    upsample,
    write_about,
    write_layer,
)

import os
import shutil
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from PIL import Image
from torch.nn import functional

from milan.config import MilanError
from milan.hooks import Unit


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def made_up(folder, layers=('conv1', 'conv2'), units=(1, 4, 7), k=3, side=8, image=32):
    "A set in our layout: smooth random maps on images of coloured noise, seeded."
    generator = torch.Generator().manual_seed(0)
    (folder/'set').mkdir(parents=True)
    for layer in layers:
        coarse = torch.randn(len(units), k, 4, 4, generator=generator)
        maps = functional.interpolate(coarse, size=side, mode='bicubic')
        maps = maps.take_along_dim(maps.amax((2, 3)).argsort(descending=True)[:, :, None, None], 1).numpy()
        flat = np.sort(maps.reshape(len(units), -1))
        chances = np.linspace(0, 1, 101)
        (folder/'set'/layer).mkdir()
        write_layer(folder/'set'/layer, {
            'units': np.array(units), 'ids': np.stack([np.arange(k) * 10 + unit for unit in units]), 'maps': maps,
            'activations': maps.max((2, 3)), 'levels': np.quantile(flat, .9, axis=1), 'probabilities': chances,
            'quantiles': np.quantile(flat, chances, axis=1).T})
    ids = np.unique([number * 10 + unit for number in range(k) for unit in units])
    colours = torch.rand(len(ids), 3, image // 4, image // 4, generator=generator).repeat_interleave(4, 2).repeat_interleave(4, 3)
    np.save(folder/'set'/'images.npy', (colours * 255).byte().numpy())
    np.save(folder/'set'/'image_ids.npy', ids)
    write_about(folder/'set', {'layers': list(layers), 'size': None, 'quantile': .9, 'borders': 'zeros'})
    return folder/'set'

def published_by_hand(folder):
    "Three units of one layer, two images each."
    (folder/'layer1').mkdir()
    np.save(folder/'layer1/images.npy', np.random.default_rng(0).integers(0, 256, (3, 2, 3, 8, 8), dtype=np.uint8))
    np.save(folder/'layer1/masks.npy', np.ones((3, 2, 1, 8, 8), dtype=np.uint8))
    np.save(folder/'layer1/units.npy', np.array([1, 4, 7]))
    (folder/'layer1/ids.csv').write_text('5,2\n0,1\n9,3\n')
    (folder/'layer1/activations.csv').write_text('1.50000e+00,1.00000e+00\n2.00000e+00,1.00000e+00\n3.00000e+00,2.00000e+00\n')
    (folder/'viz').mkdir()
    return folder


# 13_store.ipynb, section "From a map to a mask"
def test_from_a_map_to_a_mask():
    upsample(torch.tensor([[1., 2.], [3., 4.]]), (4, 4))

    test_close(upsample(torch.tensor([[1., 2.], [3., 4.]]), (4, 4))[0, 0], torch.tensor(.5625), eps=1e-6)
    maps = torch.rand(2, 3, 5, 7)
    test_close(upsample(maps, (5, 7)), maps, eps=1e-6)
    test_eq(upsample(maps, (20, 21)).shape, (2, 3, 20, 21))
    test_close(upsample(torch.ones(1, 4, 4), (8, 8))[0, 1:-1, 1:-1], torch.ones(6, 6), eps=1e-6)

    maps = torch.randn(6, 7, 7, generator=torch.Generator().manual_seed(0))
    replicated = upsample(maps, (56, 56), 'replicate')
    test_close(replicated, functional.interpolate(maps[None], size=(56, 56), mode='bilinear', align_corners=False)[0], eps=1e-5)
    with expect_fail(MilanError, contains="'reflect'"): upsample(maps, (8, 8), 'reflect')

    def compare_borders(side):
        "Smooth maps of `side` x `side`: masks of the 15 best of 600 images by both rules, (10, 15, 112, 112)."
        generator = torch.Generator().manual_seed(side)
        maps = functional.interpolate(torch.randn(10, 600, 4, 4, generator=generator), size=side, mode='bicubic')
        maps = maps * (2 * torch.rand(10, 600, 1, 1, generator=generator)).exp()
        levels = torch.quantile(maps.flatten(1), .99, dim=1)[:, None, None, None]
        best = maps.take_along_dim(maps.amax((2, 3)).topk(15).indices[:, :, None, None], 1)
        return [upsample(best, (112, 112), borders) > levels for borders in BORDERS]


    shares = {}
    for side in (4, 7, 14, 28):
        zeros, replicate = compare_borders(side)
        shares[side] = float((zeros != replicate).float().mean())
    {f'{side} x {side}': f'{share:.1%} of pixels differ' for side, share in shares.items()}

    zeros, replicate = compare_borders(7)
    at = (zeros != replicate).float().mean((2, 3)).flatten().argsort(descending=True)[::12][:6]
    figure, axes = plt.subplots(1, 6, figsize=(9, 1.9), layout='constrained')
    for axis, one, other in zip(axes, zeros.flatten(0, 1)[at], replicate.flatten(0, 1)[at], strict=True):
        axis.imshow((torch.stack([other, one, one], 2).float() * .8 + .2 * one[..., None]).numpy())
        axis.set(xticks=[], yticks=[])
    figure.suptitle('maps of 7 x 7: white in both masks, red only with replicated borders', fontsize=9);

    assert shares[7] > shares[14] > shares[28] and .01 < shares[7] < .2
    assert not (zeros & ~replicate).any()          # for levels above 0 a mask only grows by it


# 13_store.ipynb, section "Looking at a unit"
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


# 13_store.ipynb, section "One layer, in our layout"
def test_one_layer_in_our_layout():
    folder = made_up(temporary())
    read_about(folder), _loaded(folder/'conv1'/'ids.npy')

    with expect_fail(MilanError, contains='nothing.npy cannot be read'): _loaded(folder/'conv1'/'nothing.npy')

    test_close(resized(torch.rand(2, 3, 10, 25), 20).shape, (2, 3, 20, 50))
    images = torch.rand(1, 3, 4, 4)
    test_eq(resized(images, 8)[..., ::2, 1::2], images)
    assert (resized(torch.rand(1, 3, 64, 64), 8) - .5).abs().max() < .3
    resized(torch.tensor([0., 1.]).expand(1, 3, 1, 2), 2)[0, 0]

    folder = made_up(temporary())
    layer = _Native(folder/'conv1', np.load(folder/'images.npy', mmap_mode='r'), np.load(folder/'image_ids.npy'), None, 'zeros')
    images, masks = layer.read(1)
    images.shape, masks.shape, layer.units

    test_eq(masks[:, 0].bool(), upsample(torch.from_numpy(np.load(folder/'conv1/maps.npy')[1]), (32, 32)) > layer.levels[1])
    test_eq(layer.view(64, None, None).read(1)[1].shape, (3, 1, 64, 64))
    assert (layer.view(None, .5, None).read(1)[1] >= masks).all() and layer.view(None, .5, None).read(1)[1].sum() > masks.sum()
    assert 0 < layer.view(None, 1, None).read(1)[1].sum() <= 32 # nothing exceeds the maximum, so the mask is where it is reached
    test_eq(layer.first(2).read(1)[0].shape, (2, 3, 32, 32))


# 13_store.ipynb, section "One layer, in the published layout"
def test_one_layer_in_the_published_layout():
    layer = _Published(published_by_hand(temporary())/'layer1', None)
    layer.read(0)[0].shape, layer.units, layer.ids[2]

    test_eq(layer.view(16, None, None).read(0)[1].shape, (2, 1, 16, 16))
    with expect_fail(MilanError, contains='no activations'): layer.view(None, .5, None)
    test_eq(_published_units(layer.folder/'units.npy', 3), [1, 4, 7])
    with expect_fail(MilanError, contains='for 2 units'): _published_units(layer.folder/'units.npy', 2)

    folder = published_by_hand(temporary())/'layer1'
    for file, wrong, said in (('images.npy', np.zeros((6, 3, 8, 8), np.uint8), '(6, 3, 8, 8)'), ('images.npy', np.zeros((3, 2, 3, 4, 4), np.uint8), 'masks of 8 x 8'),
                              ('masks.npy', np.zeros((3, 2, 1, 8, 8)), 'float64'), ('units.npy', np.array([1, 1, 4]), 'different whole numbers')):
        whole = (folder/file).read_bytes()
        np.save(folder/file, wrong)
        with expect_fail(MilanError, contains=said): _Published(folder, None)
        (folder/file).write_bytes(whole)
    with open(folder/'masks.npy', 'wb') as file: np.savez(file, masks=np.zeros(3))
    with expect_fail(MilanError, contains='is an archive'): _Published(folder, None)
    np.save(folder/'masks.npy', np.full((3, 2, 1, 8, 8), 255, np.uint8))
    test_eq(_Published(folder, None).read(0)[1].unique().tolist(), [1])
    (folder/'ids.csv').write_text('5,2\n0,-1\n9,3\n')
    with expect_fail(MilanError, contains='row 2: image number -1'): _Published(folder, None)


# 13_store.ipynb, section "A set of exemplars"
def test_a_set_of_exemplars():
    test_eq(sorted(['blocks.10', 'blocks.9', '3'], key=_natural), ['3', 'blocks.9', 'blocks.10'])

    folder = made_up(temporary(), units=range(300), k=15, side=16)
    started = time.perf_counter()
    found = Exemplars.open(folder)
    f'{found}: opened in {(time.perf_counter() - started) * 1000:.1f} ms', found[310].unit, found.lookup('conv2', 10).ids[:3]

    test_eq(found.units[310], Unit('conv2', 10))
    test_eq(found.masks('conv1', 12).shape, (300, 15, 12, 12))
    test_eq(found.masks('conv1', (12, 20)).shape, (300, 15, 12, 20))
    for layer in found.layers: test_eq(found.activations(layer), np.load(folder/layer/'maps.npy').max((2, 3)))
    found.lookup('conv1', 2).grid()

    few = found.select(['conv1'], k=5)
    pages = [few.view(quantile=quantile, size=64).lookup('conv1', 2).grid(width=64) for quantile in (.9, .5)]
    Image.fromarray(np.vstack(pages))

    wider, reaching = found.view(quantile=.5), found.view(borders='replicate')
    for unit in (0, 7):
        one, other = found.lookup('conv1', unit), wider.lookup('conv1', unit)
        assert torch.equal(one.images, other.images) and (other.masks >= one.masks).all() and other.masks.sum() > one.masks.sum()
        assert reaching.lookup('conv1', unit).masks.sum() >= one.masks.sum()
    test_close(found.view(quantile=.9).levels('conv1'), found.levels('conv1'), eps=1e-6)
    test_eq(found.view(size=8).lookup('conv1', 0).images.shape, (15, 3, 8, 8))
    test_eq(wider.select(k=2).view(size=16)[0].masks.shape, (2, 1, 16, 16))
    with expect_fail(MilanError, contains='1.5'): found.view(quantile=1.5)
    with expect_fail(MilanError, contains='size = 0'): found.view(size=0)
    with expect_fail(MilanError, contains="'wrap'"): found.view(borders='wrap')
    test_eq(found.dead(), [])

    whole = (folder/'conv1'/'maps.npy').read_bytes()
    (folder/'conv1'/'maps.npy').write_bytes(whole[:len(whole) // 2])
    with expect_fail(MilanError, contains='maps.npy cannot be read'): Exemplars.open(folder)
    (folder/'conv1'/'maps.npy').write_bytes(whole)
    np.save(folder/'conv1'/'units.npy', np.arange(4))
    with expect_fail(MilanError, contains='do not belong together'): Exemplars.open(folder)
    (folder/'exemplars.json').write_text('{"format": "milan exemplars 1"}')
    with expect_fail(MilanError, contains="'milan exemplars 1'"): Exemplars.open(folder)
    (folder/'exemplars.json').write_text('{"form')
    with expect_fail(MilanError, contains='damaged'): Exemplars.open(folder)
    shutil.rmtree(folder.parent)

    folder = made_up(temporary())
    maps, quantiles = np.load(folder/'conv1/maps.npy').clip(-9, 0) + 6, np.load(folder/'conv1/quantiles.npy').clip(-9, 0) + 6
    maps[2], quantiles[2] = 0, 0                                                              # a dead unit
    for name, values in (('maps', maps), ('quantiles', quantiles), ('activations', maps.max((2, 3))), ('levels', np.array([6., 6, 0]))):
        np.save(folder/'conv1'/f'{name}.npy', values)
    saturated = Exemplars.open(folder).select(['conv1'])
    [float(one.masks.mean()) for one in saturated], saturated.dead()

    assert all(one.masks.mean() > .1 for one in list(saturated)[:2]) and not saturated[2].masks.any()
    test_eq(saturated.dead(), [Unit('conv1', 7)])
    test_eq(np.loadtxt(saturated.export(folder/'published')/'conv1'/'thresholds.csv').round(4).tolist(), [6, 6, 0])
    shutil.rmtree(folder)


# 13_store.ipynb, section "Sets of others"
def test_sets_of_others():
    folder = published_by_hand(temporary())
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
    test_eq(published.view(size=16)[0].masks.shape, (2, 1, 16, 16))
    with expect_fail(MilanError, contains='no activations'): published.view(borders='replicate')
    with expect_fail(MilanError, contains='holds no exemplars'): Exemplars.open(temporary())

    (folder/'layer1/images.npy').unlink()
    with expect_fail(MilanError, contains='source='): Exemplars.open(folder)[0]
    test_close(Exemplars.open(folder, source=[torch.full((3, 16, 16), i / 10) for i in range(10)])[0].images[:, 0, 0, 0], torch.tensor([.5, .2]), eps=1e-6)
    (folder/'layer1/ids.csv').rename(folder/'ids.csv')
    with expect_fail(MilanError, contains='ids.csv cannot be read'): Exemplars.open(folder)
    (folder/'ids.csv').rename(folder/'layer1/ids.csv')
    (folder/'layer1/masks.npy').rename(folder/'masks.npy')
    with expect_fail(MilanError, contains='layer1 holds no masks.npy'): Exemplars.open(folder)
    (folder/'masks.npy').rename(folder/'layer1/masks.npy')
    np.save(folder/'layer1/units.npy', np.arange(4))
    with expect_fail(MilanError, contains='for 3 units'): Exemplars.open(folder)

    folder = published_by_hand(temporary())
    for name in ('ids', 'activations'): (folder/f'layer1/{name}.csv').unlink()
    alone = Exemplars.open(folder)
    alone[0]

    test_eq((alone.k, alone[0].ids, alone[0].activations, alone.select(k=1)[0].images.shape), (2, None, None, (1, 3, 8, 8)))
    with expect_fail(MilanError, contains='no ids.csv'): alone.ids('layer1')
    assert not list(alone.export(folder/'copy').glob('*/*.csv'))


# 13_store.ipynb, section "From our layout to the published one"
def test_from_our_layout_to_the_published_one():
    folder = temporary()
    found = Exemplars.open(made_up(folder))
    found.export(folder/'published')
    again = Exemplars.open(folder/'published')
    sorted(str(path.relative_to(folder/'published')) for path in (folder/'published').rglob('*.*'))[:5]

    test_eq(again.units, found.units)
    for one, other in zip(found, again):
        assert torch.equal(one.images, other.images) and torch.equal(one.masks, other.masks) and np.array_equal(one.ids, other.ids)
        test_close(one.activations, other.activations, eps=1e-4)
    test_eq(np.load(folder/'published/conv2/images.npy').shape, (3, 3, 3, 32, 32))
    whole = Exemplars.open(made_up(folder/'whole', units=range(4)))
    assert not (whole.export(folder/'all')/'conv1/units.npy').exists()
    test_close(np.loadtxt(folder/'published/conv2/thresholds.csv'), found.levels('conv2'), eps=1e-6) # one number a line, as MAIA reads it
    with expect_fail(MilanError, contains='exists already'): found.export(folder/'published')
    with expect_fail(MilanError, contains='no levels'): again.levels('conv1')

    os.environ['MILAN_RESULTS_DIR'], os.environ['MILAN_DATA_DIR'] = str(folder/'results'), str(folder/'data')
    found.about.update(network='alexnet/imagenet', images='imagenet')
    place = found.export()
    test_eq(Exemplars.open(folder/'data'/'alexnet'/'imagenet').units, found.units)
    found.about['images'] = 'my photographs'
    other = found.export()
    with expect_fail(MilanError, contains='give export a folder'): again.export()
    for name in ('MILAN_RESULTS_DIR', 'MILAN_DATA_DIR'): del os.environ[name]
    [str(one.relative_to(folder)) for one in (place, other)]

    test_eq((folder/'data'/'alexnet'/'imagenet').resolve(), place.resolve())
    test_eq(other, folder/'results'/'alexnet'/'imagenet'/'my-photographs')

    found.view(size=24).export(folder/'cut', truncate=True)
    found.view(size=24).export(folder/'exact')
    difference = np.load(folder/'exact/conv1/images.npy').astype(int) - np.load(folder/'cut/conv1/images.npy')
    test_eq((difference.min(), difference.max()), (0, 1))
    shutil.rmtree(folder)


# 13_store.ipynb, section "Damaged sets"
def test_damaged_sets():
    folder, outside = made_up(temporary()), made_up(temporary())
    about, ids = json.loads((folder/'exemplars.json').read_text()), np.load(folder/'conv1'/'ids.npy')


    def refused(said, **change):
        "Opened with a change to `exemplars.json`."
        (folder/'exemplars.json').write_text(json.dumps({**about, **change} if change else said))
        with expect_fail(MilanError, contains='exemplars.json is damaged'): Exemplars.open(folder)


    for layer in ('../x', str(outside/'conv1'), f'../../{outside.parent.name}/set/conv1', '', 'a/../b', 'a\0b', 'a\\b', 3, None): refused('', layers=[layer])
    for change in ({'layers': []}, {'layers': 'conv1'}, {'size': 0}, {'size': '8'}, {'size': 1.5}, {'borders': 'wrap'}, {'borders': None}): refused('', **change)
    for said in ([], 'text', None, 7): refused(said)
    (folder/'exemplars.json').write_text('[' * 100_000)
    with expect_fail(MilanError, contains='damaged'): Exemplars.open(folder)
    write_about(folder, about)
    missing = ids.copy()
    missing[1, 1] = 5                                        # not kept: another image must not take its place
    wrong = {'ids': [missing, ids.astype(float), ids[:, :2], ids.ravel()], 'units': [np.array([1, 1, 7]), np.array([-1, 4, 7]), np.array([1., 4, 7])],
             'levels': [np.zeros(2), np.zeros((3, 1)), np.array(['a', 'b', 'c'])], 'maps': [np.zeros((3, 3, 8)), np.zeros((3, 3, 8, 8), int)]}
    for name, arrays in wrong.items():
        kept = (folder/'conv1'/f'{name}.npy').read_bytes()
        for array in arrays:
            np.save(folder/'conv1'/f'{name}.npy', array)
            with expect_fail(MilanError, contains='damaged'): Exemplars.open(folder)
        (folder/'conv1'/f'{name}.npy').write_bytes(kept)
    Exemplars.open(folder)

    for name, arrays in {'images': [np.zeros((9, 3, 32, 32)), np.zeros((8, 3, 32, 32), np.uint8), np.zeros((9, 1, 32, 32), np.uint8)],
                         'image_ids': [np.arange(9)[::-1], np.zeros(9, int), np.arange(9.)]}.items():
        kept = (folder/f'{name}.npy').read_bytes()
        for array in arrays:
            np.save(folder/f'{name}.npy', array)
            with expect_fail(MilanError, contains='damaged'): Exemplars.open(folder)
        (folder/f'{name}.npy').write_bytes(kept)
    np.save(folder/'conv1'/'quantiles.npy', np.zeros((3, 4)))
    with expect_fail(MilanError, contains='quantiles.npy'): Exemplars.open(folder).view(quantile=.5)
    for one in (folder, outside): shutil.rmtree(one.parent)
