# Generated from nbs/05_exemplars/07_layouts.ipynb by `make export`. Edit the notebook, not this file.

from dataclasses import replace
from milan.exemplars.masks import MaskRule
from milan.exemplars.layouts import (
    _load,
    _natural,
    _open_pictures,
    _read_csv,
    _unit_numbers,
    FILES,
    first_images,
    MAXIMA,
    of_different_sources,
    open_images,
    open_layers,
    open_maxima,
    open_native,
    open_published,
    read_about,
    view_key,
    view_layer,
    view_native,
    write_about,
)

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_eq

from milan.config import MilanError
from milan.exemplars.masks import upsample
from milan.testing import made_up_set, published_by_hand


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def native(folder, layer='conv1'):
    "A layer of a set in this package's layout."
    images, ids = open_images(folder)
    return open_native(folder/layer, images, ids, MaskRule())


# 07_layouts.ipynb, section "This package's layout"
def test_this_package_s_layout():
    folder = made_up_set()          # two layers, three units each; maps of 8 x 8, images of 32 x 32
    sorted(path.name for path in (folder/'conv1').iterdir())

    test_eq(sorted(f'{name}.npy' for name in FILES), sorted(path.name for path in (folder/'conv1').iterdir()))

    read_about(folder)

    test_eq(read_about(folder)['layers'], ['conv1', 'conv2'])
    with expect_fail(MilanError, contains='it is no file'): read_about(folder/'conv1')

    open_images(folder)[0].shape, open_images(folder)[1]

    test_eq(len(open_images(folder)[1]), 9)
    with expect_fail(MilanError, contains='nothing.npy cannot be read'): _load(folder/'conv1'/'nothing.npy')

    layer = native(folder)
    images, masks = layer.read(1)
    images.shape, masks.shape, layer.units

    expected = upsample(torch.from_numpy(np.load(folder/'conv1/maps.npy')[1]), (32, 32)) > layer.quantiles[1]
    test_eq(masks[:, 0].bool(), expected)

    np.save(folder/'conv1'/MAXIMA, np.arange(90, dtype=np.float16).reshape(30, 3))
    open_maxima(native(folder), 30)[[0, 29]]

    test_eq(type(open_maxima(native(folder), None)), np.memmap)
    with expect_fail(MilanError, contains='keep_maxima=True'): open_maxima(native(folder, 'conv2'), 30)
    (folder/'conv1'/MAXIMA).unlink()

    wider = view_native(layer, size=64, quantile=.5)
    [float(one.read(1)[1].mean()) for one in (layer, wider)]

    test_eq(wider.read(1)[1].shape, (3, 1, 64, 64))
    assert (view_native(layer, quantile=.5).read(1)[1] >= masks).all()
    # nothing exceeds the maximum: where it is reached
    assert 0 < view_native(layer, quantile=1).read(1)[1].sum() <= 32


# 07_layouts.ipynb, section "The published layout"
def test_the_published_layout():
    folder = published_by_hand(temporary())/'layer1'
    (_read_csv(folder/'ids.csv', int), _open_pictures(folder/'masks.npy', 1).shape,
     _unit_numbers(folder/'units.npy', 3))

    with expect_fail(MilanError, contains='for 2 units'): _unit_numbers(folder/'units.npy', 2)
    with expect_fail(MilanError, contains='(units, k, 3, height, width)'): _open_pictures(folder/'masks.npy', 3)

    layer = open_published(folder, None)
    layer.read(0)[0].shape, layer.units, layer.ids[2]

    np.save(folder/'masks.npy', np.full((3, 2, 1, 8, 8), 255, np.uint8))
    test_eq(open_published(folder, None).read(0)[1].unique().tolist(), [1])
    test_eq(replace(layer, size=16).read(0)[1].shape, (2, 1, 16, 16))

    (folder/'images.npy').unlink()
    layer = open_published(folder, source=[torch.full((3, 16, 16), i / 10) for i in range(10)])
    layer.read(0)[0][:, 0, 0, 0]

    test_eq(layer.read(0)[0][:, 0, 0, 0], torch.tensor([.5, .2]))
    with expect_fail(MilanError, contains='source='): open_published(folder, None).read(0)
    with expect_fail(MilanError, contains='refers to picture 9'): open_published(folder, layer.source[:9]).read(2)

    first_images(layer, 1).read(0)[0].shape, view_key(layer)['ids'][0]

    test_eq(first_images(native(made_up_set()), 2).read(1)[0].shape, (2, 3, 32, 32))
    assert view_key(layer) != view_key(replace(layer, size=7)) and view_key(layer) == view_key(replace(layer))
    ours = native(made_up_set())
    for change in ({'size': 7}, {'borders': 'replicate'}, {'quantile': .5}):
        assert view_key(view_native(ours, **change)) != view_key(ours)
    # other names, and features that were kept on disk would be computed again
    test_eq(' '.join(sorted(view_key(ours))), 'activations borders ids image_ids images levels maps size units')

    found = native(made_up_set())
    apart = of_different_sources(found, np.zeros(100, int), 2) # one source only: the best, and the next best
    test_eq(apart.ids, found.ids[:, :2])
    source = np.arange(100)
    source[found.ids[0, 1]] = source[found.ids[0, 0]] # the second image of unit 0 has the source of the first
    test_eq(of_different_sources(found, source, 2).ids[0], found.ids[0, [0, 2]])
    test_eq(of_different_sources(found, source, 3).activations[0], found.activations[0])
    wanted = np.ones(100, bool)
    wanted[found.ids[0, 0]] = False
    test_eq(of_different_sources(found, np.arange(100), 2, wanted).ids[0], found.ids[0, [1, 2]])
    test_eq(of_different_sources(found, np.arange(100), found.ids.shape[1], wanted).ids[0], found.ids[0])


# 07_layouts.ipynb, section "A set of layers"
def test_a_set_of_layers():
    layers, about = open_layers(made_up_set())
    list(layers), about['borders']

    test_eq(sorted(['blocks.10', 'blocks.9', '3'], key=_natural), ['3', 'blocks.9', 'blocks.10'])
    test_eq((list(layers), about['borders']), (['conv1', 'conv2'], 'zeros'))
    test_eq(list(open_layers(published_by_hand(temporary()))[0]), ['layer1'])

    view_layer(layers['conv1'], size=64, quantile=.5, borders='replicate').read(0)[1].shape

    test_eq(view_layer(layers['conv1'], size=64, quantile=.5, borders=None).read(0)[1].shape, (3, 1, 64, 64))
    with expect_fail(MilanError, contains='size = 0'): view_layer(layers['conv1'], size=0)


# 07_layouts.ipynb, section "Errors"
def test_errors():
    folder = published_by_hand(temporary())/'layer1'
    wrong = (('images.npy', np.zeros((6, 3, 8, 8), np.uint8), '(6, 3, 8, 8)'),
             ('masks.npy', np.zeros((3, 2, 1, 8, 8)), 'float64'),
             ('images.npy', np.zeros((3, 2, 3, 4, 4), np.uint8), 'masks of 8 x 8'),
             ('units.npy', np.array([1, 1, 4]), 'different'))
    for file, array, said in wrong:
        whole = (folder/file).read_bytes()
        np.save(folder/file, array)
        with expect_fail(MilanError, contains=said): open_published(folder, None)
        (folder/file).write_bytes(whole)
    (folder/'ids.csv').write_text('5,2\n0,-1\n9,3\n')
    with expect_fail(MilanError, contains='row 2: image number -1'): open_published(folder, None)
    (folder/'ids.csv').rename(folder.parent/'ids.csv')
    with expect_fail(MilanError, contains='ids.csv cannot be read'): open_published(folder, None)
    with open(folder/'masks.npy', 'wb') as file: np.savez(file, masks=np.zeros(3))
    with expect_fail(MilanError, contains='is an archive'): open_published(folder, None)
    shutil.rmtree(folder.parent)

    folder, outside = made_up_set(), made_up_set()
    about, ids = json.loads((folder/'exemplars.json').read_text()), np.load(folder/'conv1'/'ids.npy')


    def refused(said, **change):
        "Opened with a change to `exemplars.json`."
        (folder/'exemplars.json').write_text(json.dumps({**about, **change} if change else said))
        with expect_fail(MilanError, contains='exemplars.json is damaged'): read_about(folder)


    for layer in ('../x', str(outside/'conv1'), f'../../{outside.parent.name}/set/conv1', '', 'a/../b', 'a\0b',
                  'a\\b', 3, None):
        refused('', layers=[layer])
    for change in ({'layers': []}, {'layers': 'conv1'}, {'size': 0}, {'size': '8'}, {'size': 1.5},
                   {'borders': 'wrap'}, {'borders': None}):
        refused('', **change)
    for said in ([], 'text', None, 7): refused(said)
    for said, why in (('[' * 100_000, 'damaged'), ('{"form', 'damaged'),
                      ('{"format": "milan exemplars 1"}', "'milan exemplars 1'")):
        (folder/'exemplars.json').write_text(said)
        with expect_fail(MilanError, contains=why): read_about(folder)
    write_about(folder, about)
    read_about(folder)

    def damaged(file, arrays):
        "Opened with another array in a file."
        kept = (folder/file).read_bytes()
        for array in arrays:
            np.save(folder/file, array)
            with expect_fail(MilanError, contains='damaged'): native(folder)
        (folder/file).write_bytes(kept)


    missing = ids.copy()
    missing[1, 1] = 5                                        # not kept: another image must not take its place
    damaged('conv1/ids.npy', [missing, ids.astype(float), ids[:, :2], ids.ravel()])
    damaged('conv1/units.npy', [np.array([1, 1, 7]), np.array([-1, 4, 7]), np.array([1., 4, 7]), np.arange(4)])
    damaged('conv1/levels.npy', [np.zeros(2), np.zeros((3, 1)), np.array(['a', 'b', 'c']), np.full(3, np.nan)])
    damaged('conv1/maps.npy', [np.zeros((3, 3, 8)), np.zeros((3, 3, 8, 8), int), np.zeros((3, 3, 0, 8))])
    damaged('conv1/activations.npy', [np.arange(9.).reshape(3, 3), np.full((3, 3), np.inf)])
    damaged('images.npy', [np.zeros((9, 3, 32, 32)), np.zeros((8, 3, 32, 32), np.uint8),
                           np.zeros((9, 1, 32, 32), np.uint8)])
    damaged('image_ids.npy', [np.arange(9)[::-1], np.zeros(9, int), np.arange(9.)])
    layer = native(folder)
    np.save(folder/'conv1'/'quantiles.npy', np.zeros((3, 4)))
    with expect_fail(MilanError, contains='quantiles.npy'): view_native(layer, quantile=.5)
    for wrong in (np.zeros((30, 3)), np.zeros((30, 3), np.int16), np.zeros((30, 2), np.float16),
                  np.zeros((29, 3), np.float16), np.zeros((3, 3), np.float16), np.zeros(90, np.float16)):
        np.save(folder/'conv1'/MAXIMA, wrong)
        with expect_fail(MilanError, contains='maxima.npy holds'): open_maxima(layer, 30)
    np.save(folder/'conv1'/MAXIMA, np.zeros((3, 3), np.float16))   # the top images have numbers up to 27
    with expect_fail(MilanError, contains='maxima.npy holds'): open_maxima(layer, None)
    (folder/'conv1'/MAXIMA).write_bytes((folder/'conv1'/MAXIMA).read_bytes()[:-1])
    with expect_fail(MilanError, contains='maxima.npy cannot be read'): open_maxima(layer, 3)
    whole = (folder/'conv1'/'maps.npy').read_bytes()
    (folder/'conv1'/'maps.npy').write_bytes(whole[:len(whole) // 2])
    with expect_fail(MilanError, contains='maps.npy cannot be read'): native(folder)
    for one in (folder, outside): shutil.rmtree(one.parent)
