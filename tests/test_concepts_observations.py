# Generated from nbs/08_concepts/02_observations.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.segmentations import Concept
from milan.concepts.segmentations import shrink
from milan.config import MilanError
from milan.exemplars.masks import upsample
from milan.exemplars.passes import Pass
from milan.hooks.layers import layers_of
from milan.networks.registry import as_network
from pathlib import Path
import numpy as np
import torch
from milan.concepts.observations import (
    _above,
    _check_same,
    _mask_arrays,
    _masks,
    _masks_from,
    _measured_thresholds,
    ConceptMasks,
    count,
    Masks,
    observe,
    Observed,
    overlaps,
    pack,
    pack_concepts,
    unpack,
)

import shutil
import tempfile
import warnings

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.concepts.segmentations import Labelled, Scenes
from milan.exemplars.compute import compute
from milan.images.sets import ShapeScenes

warnings.filterwarnings('ignore', message='IProgress') # of libraries' progress bars


# 02_observations.ipynb, section "Masks as bits"
def test_masks_as_bits():
    masks = np.random.default_rng(0).random((3, 5, 7, 11)) < .3
    test_eq(pack(np.ones((2, 3), bool)), [63])
    pack(masks).shape, pack(masks[0, 0])

    count(pack(masks))[0]

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

    few = masks.select(np.array([2, 0]))
    test_eq(few.areas(), masks.areas()[[2, 0]])
    test_eq(few.dense(1), masks.dense(0))

    entry, place = masks.at(np.array([3, 1]))
    test_eq(masks.image[entry], np.array([3, 1])[place])
    test_eq(Masks.of(full[:, :0]).areas(), [0] * 4)

    with expect_fail(MilanError, contains='the same images'):
        _check_same(Masks.of(np.ones((1, 2, 3, 3), bool)), Masks.of(np.ones((1, 3, 3, 3), bool)))

    generator = np.random.default_rng(1)
    one, other = generator.random((4, 6, 5, 9)) < .3, generator.random((3, 6, 5, 9)) < .4
    one[:, 3] = other[2] = False
    found = overlaps(Masks.of(one), Masks.of(other))
    found

    test_eq(found, np.einsum('uihw,cihw->uc', one.astype(int), other.astype(int)))


# 02_observations.ipynb, section "A packed data set"
def test_a_packed_data_set():
    some = ConceptMasks([Concept('a'), Concept('b')], Masks.of(np.eye(2, dtype=bool)[:, :, None, None]),
                        np.ones((2, 2), bool))
    test_eq((some.names, some.frequent(2).names, some.subset(np.array([0])).masks.areas()),
            (['a', 'b'], [], [1, 0]))

    test_eq(_masks([], 3, 2, (4, 4)).areas(), [0, 0, 0])

    scenes = Scenes(ShapeScenes(60))
    concepts = pack_concepts(scenes)
    dict(list(zip(concepts.names, concepts.masks.areas().tolist()))[:5])

    regions = [scenes.regions(i) for i in range(60)]
    sizes = [sum(found[number].sum() for found in regions if number in found) for number in range(26)]
    test_close(concepts.masks.areas(), 3136 / 4096 * np.array(sizes), eps=150)
    for image in range(5):
        expected = shrink(regions[image].get(0, np.zeros((64, 64), bool)), (56, 56))
        test_eq(unpack(concepts.masks.dense(0)[image], (56, 56)), expected)

    often = concepts.frequent(8)
    assert 0 < len(often.concepts) < 26
    test_eq(often.masks.areas(), concepts.masks.areas()[[name in often.names for name in concepts.names]])
    test_eq(concepts.annotated.all(), True)

    class Halves(Labelled):
        "Labelled with things or with scenes, but not with both."
        def annotated(self, index): return {['thing', 'scene'][index]}


    mask, kinds = np.ones((4, 4), bool), {'cup': 'thing', 'dog': 'thing', 'street': 'scene'}
    halves = Halves([torch.zeros(3, 8, 8)] * 2, [{'cup': mask, 'dog': mask}, {'street': mask}], kinds)
    packed = pack_concepts(halves, (8, 4))
    test_eq((packed.masks.size, packed.masks.areas()), ((8, 4), [32, 32, 32]))
    test_eq(packed.annotated, [[True, True, False], [False, False, True]])
    packed.annotated


# 02_observations.ipynb, section "Units on images"
def test_units_on_images():
    full = np.eye(5, dtype=bool)[None, None]
    test_eq(_masks_from(_mask_arrays(Masks.of(full))).areas(), [5])

    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(64))
    run = Pass(as_network(network), layers_of(network.module, 'colours'), scenes, 64, True)
    with torch.inference_mode(): maps = next(run.run(''))[1]['colours']
    limit = _measured_thresholds(run, {}, .995)['colours'][1][0]
    image = int(maps[:, 0].amax((1, 2)).argmax())
    large = upsample(maps[image, :1], (56, 56))[0]
    figure, axes = plt.subplots(1, 4, figsize=(6.4, 1.8), layout='constrained')
    shown = {'image': scenes[image].permute(1, 2, 0), 'map': maps[image, 0], '56 x 56': large,
             f'above {limit:.2f}': large > limit}
    for axis, (title, values) in zip(axes, shown.items(), strict=True):
        axis.imshow(values, cmap='gray' if title[0] == 'a' else 'viridis')
        axis.set_title(title, size=9)
        axis.axis('off')
    plt.show()

    watched = observe(network, scenes, 'colours')
    [tuple(unit) for unit in watched.units[:3]], watched.masks.areas()[:9], watched.peaks.shape

    with torch.inference_mode(): maps = network.module.colours(torch.stack([scenes[i] for i in range(64)]) / 255)
    test_close(watched.thresholds, np.quantile(maps.numpy(), .995, axis=(0, 2, 3), method='hazen'), eps=1e-5)
    test_close(watched.peaks, maps.amax((2, 3)).numpy(), eps=1e-6)
    test_close(watched.means, maps.mean((2, 3)).numpy(), eps=1e-6)
    above = upsample(maps, (56, 56)).numpy() - watched.thresholds[:, None, None]
    ours = np.stack([unpack(watched.masks.dense(unit), (56, 56)) for unit in range(12)], 1)
    assert ours[above > 1e-6].all() and not ours[above < -1e-6].any() # rounding decides between these

    folder = Path(tempfile.mkdtemp())
    again = Observed.load(watched.save(folder/'watched.npz'))
    for name in ('units', 'peaks', 'means', 'thresholds'): test_eq(getattr(again, name), getattr(watched, name))
    for name in ('bits', 'row', 'size'): test_eq(getattr(again.masks, name), getattr(watched.masks, name))
    (folder/'watched.npz').write_bytes((folder/'watched.npz').read_bytes()[:2000])
    with expect_fail(MilanError, contains='holds no observations'): Observed.load(folder/'watched.npz')
    shutil.rmtree(folder)

    folder, few = Path(tempfile.mkdtemp()), scenes.subset(range(24))
    found = compute(network, few, ['colours', 'letters'], k=3, quantile=.99, units={'colours': [4, 7]},
                    out=folder/'found', quiet=True)
    same = observe(network, few, ['colours', 'letters'], thresholds=found)
    test_eq([unit.unit for unit in same.units], [4, 7, *range(7)])
    exemplar, masks = found.lookup('colours', 7), found.view(size=56).lookup('colours', 7).masks[:, 0]
    for mask, image in zip(masks, exemplar.ids):
        test_eq(unpack(same.masks.dense(1)[image], (56, 56)), mask.bool().numpy())
    shutil.rmtree(folder)

    given = {'colours': watched.thresholds}
    some = observe(network, few, 'colours', thresholds=given, units={'colours': [7]}, batch_size=7, size=(28, 56))
    test_eq((some.masks.rows, some.masks.size, some.thresholds[0]), (1, (28, 56), watched.thresholds[7]))
    negative, limits = torch.full((1, 2, 3, 3), -1.), torch.tensor([-.6, .5])
    test_eq(len(_above(negative, limits, (6, 6), 'zeros')[0]), 1) # padded zeros are above a negative threshold
    test_eq(len(_above(negative, limits, (6, 6), 'replicate')[0]), 0)

    squares = torch.zeros(12, 3, 28, 28, dtype=torch.uint8)
    for image in range(12): squares[image, image % 2, 4:14 + image, 6:20] = 255
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1, bias=False), torch.nn.ReLU6()).eval()
    network[0].weight.data = 60 * torch.eye(3)[:, :, None, None]
    folder = Path(tempfile.mkdtemp())
    with warnings.catch_warnings(record=True): # `compute` warns that activations tie
        found = compute(network, list(squares), 1, k=3, quantile=.9, size=28, out=folder/'found', quiet=True)
    watched = observe(network, list(squares), 1, quantile=.9, size=28)
    same = observe(network, list(squares), 1, thresholds=found, size=28)
    watched.peaks.max(0), watched.masks.areas()

    white = squares.transpose(0, 1).bool().numpy()
    for seen in (watched, same):
        for unit in range(3): test_eq(unpack(seen.masks.dense(unit), (28, 28)), white[unit])
    test_close(watched.thresholds, [6, 6, 0], eps=1e-4)
    again = observe(network, list(squares), 1, thresholds={'1': watched.thresholds}, size=28)
    test_eq(again.masks.bits, watched.masks.bits)
    shutil.rmtree(folder)


# 02_observations.ipynb, section "Errors"
def test_errors():
    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(4))
    given = {'colours': np.zeros(3)}
    with expect_fail(MilanError, contains='unit 3 of layer'):
        observe(network, scenes, 'colours', thresholds=given, units={'colours': [3]})
    with expect_fail(MilanError, contains="for layer 'shapes', which"):
        observe(network, scenes, 'colours', units={'shapes': [3]})
    with expect_fail(MilanError, contains="no thresholds for layer 'shapes'"):
        observe(network, scenes, 'shapes', thresholds=given)
    with expect_fail(MilanError, contains='no images'): observe(network, [], 'colours')
    ones = np.ones((1, 2, 3, 3), bool)
    with expect_fail(MilanError, contains='same images and size'): overlaps(Masks.of(ones), Masks.of(ones[:, :1]))
