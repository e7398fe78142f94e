# Generated from nbs/25_observations.ipynb by `make export`. Edit the notebook, not this file.

from milan.observations import (
    _above,
    count,
    Masks,
    observe,
    Observed,
    overlaps,
    pack,
    packed,
    unpack,
)

import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

from milan import networks
from milan.config import MilanError
from milan.exemplars import compute, upsample
from milan.images import ShapeScenes
from milan.segmentations import Labelled, Scenes, shrink


# 25_observations.ipynb, section "Regions as bits"
def test_regions_as_bits():
    masks = np.random.default_rng(0).random((3, 5, 7, 11)) < .3
    pack(masks).shape, count(pack(masks))[0]

    test_eq(unpack(pack(masks), (7, 11)), masks)
    test_eq(count(pack(masks)), masks.sum((2, 3)))
    test_eq(pack(np.ones((56, 56), bool)).shape, (49,))

    full = np.random.default_rng(0).random((4, 6, 5, 5)) < .1
    full[:, 2] = full[1, :5] = False
    masks = Masks.of(full)
    len(masks.row), masks.areas(), masks.of_row(1)[0]

    test_eq(masks.areas(), full.sum((1, 2, 3)))
    test_close(masks.shares(), full.mean((2, 3)).T, eps=1e-6)
    for row in range(4): test_eq(unpack(masks.dense(row), (5, 5)), full[row])
    chosen = masks.subset(np.array([5, 2, 0]))
    for row in range(4): test_eq(unpack(chosen.dense(row), (5, 5)), full[row][[5, 2, 0]])
    entry, place = masks.at(np.array([3, 1]))
    test_eq(masks.image[entry], np.array([3, 1])[place])
    test_eq(Masks.of(full[:, :0]).areas(), [0] * 4)

    generator = np.random.default_rng(1)
    one, other = generator.random((4, 6, 5, 9)) < .3, generator.random((3, 6, 5, 9)) < .4
    one[:, 3] = other[2] = False
    found = overlaps(Masks.of(one), Masks.of(other))
    found

    test_eq(found, np.einsum('uihw,cihw->uc', one.astype(int), other.astype(int)))
    with expect_fail(MilanError, contains='same images and size'): overlaps(Masks.of(one), Masks.of(other[:, :2]))


# 25_observations.ipynb, section "A data set, packed"
def test_a_data_set_packed():
    scenes = Scenes(ShapeScenes(60))
    concepts = packed(scenes)
    dict(list(zip(concepts.names, concepts.masks.areas().tolist()))[:5])

    test_close(concepts.masks.areas(), 3136 / 4096 * sum(scenes.masks(i).sum((1, 2)) for i in range(60)), eps=150)
    test_eq(unpack(concepts.masks.dense(0)[:5], (56, 56))[3], shrink(scenes.masks(3)[0], (56, 56)))
    often = concepts.frequent(8)
    assert 0 < len(often.concepts) < 26 and (often.masks.areas() == concepts.masks.areas()[[name in often.names for name in concepts.names]]).all()
    test_eq(concepts.annotated.all(), True)


    class Halves(Labelled):
        "Labelled with things, or with scenes, but not with both."
        def annotated(self, index): return {['thing', 'scene'][index]}


    mask = np.ones((4, 4), bool)
    halves = packed(Halves([torch.zeros(3, 8, 8)] * 2, [{'cup': mask, 'dog': mask}, {'street': mask}], {'cup': 'thing', 'dog': 'thing', 'street': 'scene'}), (8, 4))
    test_eq(halves.annotated, [[True, True, False], [False, False, True]])
    test_eq((halves.masks.size, halves.masks.areas()), ((8, 4), [32, 32, 32]))


# 25_observations.ipynb, section "What units do on images"
def test_what_units_do_on_images():
    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(64))
    watched = observe(network, scenes, 'colours')
    [tuple(unit) for unit in watched.units[:3]], watched.masks.areas()[:9], watched.peaks.shape

    with torch.inference_mode(): maps = network.module.colours(torch.stack([scenes[i] for i in range(64)]).float() / 255)
    levels = np.quantile(maps.numpy(), .995, axis=(0, 2, 3), method='hazen')
    test_close(watched.levels, levels, eps=1e-5)
    test_close(watched.peaks, maps.amax((2, 3)).numpy(), eps=1e-6)
    test_close(watched.means, maps.mean((2, 3)).numpy(), eps=1e-6)
    above = upsample(maps, (56, 56)).numpy() - watched.levels[:, None, None]
    ours = np.stack([unpack(watched.masks.dense(unit), (56, 56)) for unit in range(12)], 1)
    assert ours[above > 1e-6].all() and not ours[above < -1e-6].any()      # those between are the level but for rounding

    folder = Path(tempfile.mkdtemp())
    again = Observed.load(watched.save(folder/'watched.npz'))
    test_eq((again.units, again.peaks, again.means, again.levels), (watched.units, watched.peaks, watched.means, watched.levels))
    test_eq((again.masks.bits, again.masks.row, again.masks.size), (watched.masks.bits, watched.masks.row, watched.masks.size))
    (folder/'watched.npz').write_bytes((folder/'watched.npz').read_bytes()[:2000])
    with expect_fail(MilanError, contains='holds no observations'): Observed.load(folder/'watched.npz')
    shutil.rmtree(folder)

    folder, scenes = Path(tempfile.mkdtemp()), scenes.subset(range(24))
    found = compute(network, scenes, ['colours', 'letters'], k=3, quantile=.99, units={'colours': [4, 7]}, out=folder/'found', quiet=True)
    same = observe(network, scenes, ['colours', 'letters'], levels=found)
    test_eq([unit.unit for unit in same.units], [4, 7, *range(7)])
    exemplar = found.lookup('colours', 7)
    for mask, image in zip(found.view(size=56).lookup('colours', 7).masks[:, 0], exemplar.ids): test_eq(unpack(same.masks.dense(1)[image], (56, 56)), mask.bool().numpy())
    some = observe(network, scenes, 'colours', levels={'colours': watched.levels}, units={'colours': [7]}, batch_size=7, size=(28, 56))
    test_eq((some.masks.rows, some.masks.size, some.levels[0]), (1, (28, 56), watched.levels[7]))
    negative = torch.full((1, 2, 3, 3), -1.)
    test_eq(len(_above(negative, torch.tensor([-.6, .5]), (6, 6), 'zeros')[0]), 1)     # zeros outside lie above a level below zero
    test_eq(len(_above(negative, torch.tensor([-.6, .5]), (6, 6), 'replicate')[0]), 0)
    with expect_fail(MilanError, contains='unit 3 of layer'): observe(network, scenes, 'colours', levels=found, units={'colours': [3]})
    with expect_fail(MilanError, contains="for layer 'shapes', which"): observe(network, scenes, 'colours', units={'shapes': [3]})
    with expect_fail(MilanError, contains="no levels for layer 'shapes'"): observe(network, scenes, 'shapes', levels={'colours': levels})
    with expect_fail(MilanError, contains='no images'): observe(network, [], 'colours')
    shutil.rmtree(folder)

    squares = torch.zeros(12, 3, 28, 28, dtype=torch.uint8)
    for image in range(12): squares[image, image % 2, 4:14 + image, 6:20] = 255
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1, bias=False), torch.nn.ReLU6()).eval()
    network[0].weight.data = 60 * torch.eye(3)[:, :, None, None]
    folder = Path(tempfile.mkdtemp())
    with warnings.catch_warnings(record=True): # `compute` tells that they tie
        found = compute(network, list(squares), 1, k=3, quantile=.9, size=28, out=folder/'found', quiet=True)
    watched = observe(network, list(squares), 1, quantile=.9, size=28)
    same = observe(network, list(squares), 1, levels=found, size=28)
    watched.peaks.max(0), watched.masks.areas()

    white = squares.transpose(0, 1).bool().numpy()
    for seen in (watched, same):
        for unit in range(3): test_eq(unpack(seen.masks.dense(unit), (28, 28)), white[unit])
    test_close(watched.levels, [6, 6, 0], eps=1e-4)
    again = observe(network, list(squares), 1, levels={'1': watched.levels}, size=28)
    test_eq(again.masks.bits, watched.masks.bits)
    shutil.rmtree(folder)
