# Generated from nbs/05_exemplars/08_store.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.layouts import open_layers
from milan.exemplars.store import (
    _Lookup,
    _overview,
    _Tables,
    _Units,
    Exemplars,
)

import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan.config import MilanError
from milan.hooks.layers import Unit
from milan.testing import made_up_exemplars, made_up_set, published_by_hand


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


# 08_store.ipynb, section "Layers and units"
def test_layers_and_units():
    folder = made_up_set()
    some = _Units(folder, open_layers(folder)[0], {})
    some.layers, some.units, some.k

    test_eq((len(some), some.units[1]), (6, Unit('conv1', 4)))
    with expect_fail(MilanError, contains="no layer 'fc'"): some._layer('fc')

    tables = _Tables(folder, some._stored, {})
    tables.ids('conv1'), tables.levels('conv1')

    test_eq(tables.unit_numbers('conv1'), [1, 4, 7])
    test_eq(tables.dead(), [])
    test_eq(tables.thresholds('conv1'), tables.levels('conv1'))
    assert (np.diff(tables.activations('conv1')) <= 0).all()
    with expect_fail(MilanError, contains='keep_maxima=True'): tables.maxima('conv1')

    _Lookup(folder, some._stored, {}).lookup('conv1', 4)

    found = _Lookup(folder, some._stored, {})
    test_eq([one.unit for one in found], [1, 4, 7, 1, 4, 7])
    test_eq(found.masks('conv1', (12, 20)).shape, (3, 3, 12, 20))
    assert found.has_images('conv1')

    folder = made_up_set(units=range(300), k=15, side=16)
    started = time.perf_counter()
    found = Exemplars.open(folder)
    took = 1000 * (time.perf_counter() - started)
    f'{found}: opened in {took:.1f} ms', found[310].unit, found.lookup('conv2', 10).ids[:3]

    test_eq(found.units[310], Unit('conv2', 10))
    test_eq(found.masks('conv1', 12).shape, (300, 15, 12, 12))
    for layer in found.layers: test_eq(found.activations(layer), np.load(folder/layer/'maps.npy').max((2, 3)))
    assert found.fingerprint == Exemplars.open(folder).fingerprint != found.view(size=8).fingerprint

    few = found.select(['conv1'], k=5)
    pages = [few.view(quantile=quantile, size=64).lookup('conv1', 2).grid(width=64) for quantile in (.9, .5)]
    Image.fromarray(np.vstack(pages))

    wider, reaching = found.view(quantile=.5), found.view(borders='replicate')
    for unit in (0, 7):
        one, other = found.lookup('conv1', unit), wider.lookup('conv1', unit)
        assert torch.equal(one.images, other.images)
        assert (other.masks >= one.masks).all() and other.masks.sum() > one.masks.sum()
        assert reaching.lookup('conv1', unit).masks.sum() >= one.masks.sum()
    test_close(found.view(quantile=.9).levels('conv1'), found.levels('conv1'), eps=1e-6)
    test_eq(found.view(size=8).lookup('conv1', 0).images.shape, (15, 3, 8, 8))
    test_eq(wider.select(k=2).view(size=16)[0].masks.shape, (2, 1, 16, 16))
    test_eq(found.distinct(range(5000), 4).ids('conv1'), found.ids('conv1')[:, :4])
    shutil.rmtree(folder.parent)

    folder = made_up_set()
    maps, quantiles = (np.load(folder/f'conv1/{name}.npy').clip(-9, 0) + 6 for name in ('maps', 'quantiles'))
    maps[2], quantiles[2] = 0, 0                                                              # a dead unit
    changed = {'maps': maps, 'quantiles': quantiles, 'activations': maps.max((2, 3)),
               'levels': np.array([6.0, 6, 0])}
    for name, values in changed.items(): np.save(folder/'conv1'/f'{name}.npy', values)
    saturated = Exemplars.open(folder).select(['conv1'])
    [float(one.masks.mean()) for one in saturated], saturated.dead()

    assert all(one.masks.mean() > .1 for one in list(saturated)[:2]) and not saturated[2].masks.any()
    test_eq(saturated.dead(), [Unit('conv1', 7)])
    shutil.rmtree(folder)

    _overview(Exemplars.open(made_up_exemplars()))[:60]

    test_eq(_overview(Exemplars.open(made_up_exemplars())).count('<img'), 2 * 3)


# 08_store.ipynb, section "Published sets"
def test_published_sets():
    folder = published_by_hand(temporary())
    published = Exemplars.open(folder)
    published, published[1].unit, published.lookup('layer1', 4).ids

    test_eq(published.layers, ['layer1'])
    test_eq([exemplar.unit for exemplar in published], [1, 4, 7])
    test_eq((len(published), published.k), (3, 2))
    test_eq(published.lookup('layer1', 7).images.shape, (2, 3, 8, 8))
    test_eq(published.activations('layer1')[2].tolist(), [3, 2])
    test_eq(published.view(size=16)[0].masks.shape, (2, 1, 16, 16))
    (folder/'layer1/images.npy').unlink()
    sourced = Exemplars.open(folder, source=[torch.full((3, 16, 16), i / 10) for i in range(10)])
    test_close(sourced[0].images[:, 0, 0, 0], torch.tensor([.5, .2]), eps=1e-6)
    assert sourced.fingerprint is None and published.fingerprint

    folder = published_by_hand(temporary())
    for name in ('ids', 'activations'): (folder/f'layer1/{name}.csv').unlink()
    alone = Exemplars.open(folder)
    alone[0]

    test_eq((alone.k, alone[0].ids, alone[0].activations), (2, None, None))
    test_eq(alone.select(k=1)[0].images.shape, (1, 3, 8, 8))
    with expect_fail(MilanError, contains='no ids.csv'): alone.ids('layer1')


# 08_store.ipynb, section "Writing the published layout"
def test_writing_the_published_layout():
    folder, made = temporary(), made_up_set()
    found = Exemplars.open(made)
    found.export(folder/'published')
    again = Exemplars.open(folder/'published')
    sorted(str(path.relative_to(folder/'published')) for path in (folder/'published').rglob('*.*'))[:5]

    test_eq(again.units, found.units)
    for one, other in zip(found, again):
        assert torch.equal(one.images, other.images) and torch.equal(one.masks, other.masks)
        assert np.array_equal(one.ids, other.ids)
        test_close(one.activations, other.activations, eps=1e-4)
    test_eq(np.load(folder/'published/conv2/images.npy').shape, (3, 3, 3, 32, 32))

    whole = Exemplars.open(made_up_set(units=range(4)))
    assert not (whole.export(folder/'all')/'conv1/units.npy').exists()
    test_eq(again.thresholds('conv2'), found.thresholds('conv2'))
    shutil.rmtree(made.parent)

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


# 08_store.ipynb, section "Errors"
def test_errors():
    found, folder = Exemplars.open(made_up_set()), published_by_hand(temporary())
    published = Exemplars.open(folder)
    np.save(found.folder/'conv1'/'maxima.npy', np.zeros((30, 3), np.float16))
    test_eq(found.maxima('conv1').shape, (30, 3))
    found.about['images_count'] = 31                         # the file is that of another data set
    with expect_fail(MilanError, contains='float16 of shape (30, 3)'): found.maxima('conv1')
    for view, said in (({'quantile': 1.5}, '1.5'), ({'size': 0}, 'size = 0'), ({'borders': 'wrap'}, "'wrap'")):
        with expect_fail(MilanError, contains=said): found.view(**view)
    for view in ({'quantile': .5}, {'borders': 'replicate'}):
        with expect_fail(MilanError, contains='no activations'): published.view(**view)
    with expect_fail(MilanError, contains='unit 0'): published.lookup('layer1', 0)
    with expect_fail(MilanError, contains='no thresholds'): published.levels('layer1')
    with expect_fail(MilanError, contains='no thresholds'): published.dead()
    with expect_fail(MilanError, contains='only the top images'): published.maxima('layer1')
    with expect_fail(MilanError, contains="has no layer 'layer2'; it has layer1"): published.ids('layer2')
    with expect_fail(MilanError, contains='4 images per unit'): found.select(k=4)
    with expect_fail(MilanError, contains='exists already'): found.export(folder)
    with expect_fail(MilanError, contains='holds no exemplars'): Exemplars.open(temporary())
    (folder/'layer1/masks.npy').rename(folder/'masks.npy')
    with expect_fail(MilanError, contains='layer1 holds no masks.npy'): Exemplars.open(folder)
    shutil.rmtree(folder)
