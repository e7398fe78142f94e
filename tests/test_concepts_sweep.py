# Generated from nbs/08_concepts/08_sweep.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from torch.nn import functional
import numpy as np
import torch
from milan.concepts.sweep import (
    _region_values,
    Family,
    regions_of,
    SAMPLED,
    SIDE,
    sweep,
)
import pytest

import tempfile

from fastcore.test import test_close, test_eq

from milan import exemplars, images, networks
from milan.concepts.appearance import appearance

def toy_exemplars():
    "Sixty scenes, a network whose units are known, and ten exemplars of each unit."
    scenes, planted = images.ShapeScenes(60, seed=1), networks.load('planted/shapes')
    folder = Path(tempfile.mkdtemp())/'found'
    found = exemplars.compute(planted, scenes, k=10, size=64, batch_size=20, quiet=True, out=folder)
    return scenes, planted, found

def toy_regions(found):
    "Four regions of each unit. Three pictures have one source, and every fourth picture is not allowed."
    return regions_of(found, [i // 3 for i in range(60)], np.arange(60) % 4 > 0, k=4)


# 08_sweep.ipynb, section "Regions"
@pytest.mark.training
def test_regions():
    scenes, planted, found = toy_exemplars()
    regions = toy_regions(found)
    regions.pictures[:3]

    for row in regions.pictures:
        kept = row[row >= 0]
        assert (kept % 4 > 0).all() and len(set(kept // 3)) == len(kept)
    layer, unit = found.units[5]
    row = found.unit_numbers(layer).tolist().index(unit)
    place = found.ids(layer)[row].tolist().index(regions.pictures[5, 0])
    test_eq(regions.mask(5, 0), found.masks(layer, SIDE)[row, place].float())


# 08_sweep.ipynb, section "Families"
def test_families():
    toy = torch.zeros(2, 4, 4)
    toy[0, 0, 0], toy[1] = 8, 1
    corner = torch.zeros(1, SIDE, SIDE)
    corner[:, :SIDE // 2, :SIDE // 2] = 1 # the upper left quarter
    torch.cat([_region_values(toy, corner), _region_values(toy, 1 - corner)])

    test_eq(_region_values(toy, corner), torch.tensor([[2., 1.]]))
    test_close(_region_values(toy, 1 - corner), torch.tensor([[0., 1.]]))


# 08_sweep.ipynb, section "The pass"
@pytest.mark.training
def test_the_pass():
    def brightness(batch):
        gray = batch.pixels.mean(1)
        return torch.stack([gray, 1 - gray], 1)

    scenes, planted, found = toy_exemplars()
    regions = toy_regions(found)
    bright = Family('brightness', ['bright', 'dark'], brightness)
    looks = list(appearance(torch.zeros(1, 3, SIDE, SIDE)))
    look = Family('look', looks, lambda batch: torch.stack(list(appearance(batch.pixels).values()), 1),
                  sampled=True)
    measured = sweep(scenes, regions, [bright, look], progress=False)
    {name: (values.pictures.shape, values.regions.shape) for name, values in measured.items()}

    kinds = ('red', 'green', 'blue', 'yellow', 'purple', 'orange')
    columns = [look.concepts.index(f'{colour} areas') for colour in kinds]
    shares = measured['look'].regions.astype(float).sum(1)[:, columns] / regions.present.sum(1, keepdims=True)
    names = [planted.planted[layer][unit] for layer, unit in found.units]
    commonest = {name: kinds[share.argmax()] for name, share in zip(names, shares, strict=True) if name in kinds}
    commonest

    test_eq(len(commonest), len(kinds))
    assert all(name == colour for name, colour in commonest.items())
    gray = torch.stack([functional.adaptive_avg_pool2d(scenes[i].float() / 255, SIDE).mean(0) for i in range(60)])
    test_close(torch.from_numpy(measured['brightness'].pictures[:, 0]).float(), gray.amax((1, 2)), eps=1e-3)
    region = gray[regions.pictures[5, 0]][regions.mask(5, 0) > 0].mean()
    assert abs(measured['brightness'].regions[5, 0, 0] - region) < 1e-2
    test_eq(measured['look'].sample.shape, (60 * SAMPLED, len(look.concepts)))

    with tempfile.TemporaryDirectory() as folder:
        again = sweep(scenes, regions, [bright], folder=folder, progress=False)
        test_eq([path.name for path in Path(folder).iterdir()], ['part-000000.npz'])
        failing = Family('brightness', bright.concepts, lambda batch: 1 / 0) # an error if it is asked
        resumed = sweep(scenes, regions, [failing], folder=folder, progress=False)
        Path(folder, 'part-000000.npz').write_bytes(b'half a file') # is measured again
        repeated = sweep(scenes, regions, [bright], folder=folder, progress=False)
    for other in (resumed, repeated):
        test_eq(other['brightness'].regions, again['brightness'].regions)
