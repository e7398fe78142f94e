# Generated from nbs/05_exemplars/21_deciles.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.deciles import (
    active_deciles,
    draw_deciles,
    sample_deciles,
)

import functools
import itertools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.config import MilanError
from milan.exemplars.compute import compute
from milan.exemplars.show import strip
from milan.images.sets import ShapeScenes


@functools.cache
def colours(count=300):
    "The planted colour units, which need no training; scenes; and their exemplars."
    network, scenes = networks.load('planted/shapes', pretrained=False), ShapeScenes(count)
    found = compute(network, scenes, ['colours'], k=5, size=64, batch_size=50, quiet=True, keep_maxima=True,
                    out=Path(tempfile.mkdtemp())/'found')
    return network, scenes, found


# 21_deciles.ipynb, section "Tenths of the active pictures"
def test_tenths_of_the_active_pictures():
    maxima = np.random.default_rng(1).normal(size=1000)
    parts, others = active_deciles(maxima, 1.)
    [round(float(maxima[part].mean()), 2) for part in parts], len(others)

    assert maxima[others].max() <= 1 < maxima[parts[-1]].min()
    assert all(maxima[one].min() > maxima[next_one].max() for one, next_one in itertools.pairwise(parts))
    held_out = np.arange(1000) % 2 == 0
    assert all((part % 2 == 0).all() for part in active_deciles(maxima, 1., held_out)[0])
    test_eq([len(part) for part in active_deciles(maxima[:3], -9.)[0]], [1] * 3 + [0] * 7)


# 21_deciles.ipynb, section "Drawn pictures"
def test_drawn_pictures():
    network, scenes, found = colours()
    drawn = draw_deciles(found)
    drawn.groupby('decile').activation.describe()[['count', 'min', 'max']].round(3)

    one = draw_deciles(found, [('colours', 3)])
    test_eq(one.picture.tolist(), drawn[drawn.unit == 3].picture.tolist())
    assert (one.activation > found.thresholds('colours')[found.row('colours', 3)]).all()
    test_close(one.activation, found.maxima('colours')[one.picture, found.row('colours', 3)], 1e-6)
    assert one.groupby('decile').activation.apply(lambda values: values.is_monotonic_decreasing).all()
    pairs = draw_deciles(found, groups=np.arange(300) // 2)
    assert not pairs.assign(source=pairs.picture // 2).duplicated(['unit', 'source']).any()


# 21_deciles.ipynb, section "With their regions"
def test_with_their_regions():
    network, scenes, found = colours()
    samples = sample_deciles(found, scenes, network)
    strip(samples.lookup('colours', 3, 0), 64)

    strip(samples.lookup('colours', 3, 4), 64)

    strip(samples.lookup('colours', 3, 9), 64)

    for row in range(0, len(samples.table), 7): # half precision
        test_close(samples.maps[row].max().item(), samples.table.activation[row], 1e-3)
    known, compared = found.lookup('colours', 3), 0
    drawn = sample_deciles(found, scenes, network, units=[('colours', 3)], deciles=[0], each=100)
    one = drawn.lookup('colours', 3, 0)
    for picture, image, mask in zip(known.ids, known.images, known.masks, strict=True):
        [place] = np.flatnonzero(one.ids == picture)
        test_close(one.images[place], image, .01)
        test_eq(one.masks[place], mask)
    whole = sample_deciles(found, scenes, deciles=[9], each=2)
    test_eq((whole.deciles, whole.lookup('colours', 3, 9).masks.min().item()), ([9], 1))
    test_eq(whole.lookup('colours', 3, 0), None)


# 21_deciles.ipynb, section "Errors"
def test_errors():
    network, scenes, found = colours()
    with expect_fail(MilanError, contains='sources of 2 pictures'): draw_deciles(found, groups=['a', 'b'])
    with expect_fail(MilanError, contains='unit 99 of layer'): draw_deciles(found, [('colours', 99)])
    few = compute(network, scenes, ['colours'], k=5, size=64, batch_size=50, quiet=True,
                  out=Path(tempfile.mkdtemp())/'few')
    with expect_fail(MilanError, contains='keep_maxima=True'): draw_deciles(few)
    with expect_fail(MilanError, contains='item 0 of the data set'):
        sample_deciles(found, [None] * 300, network)
    none = sample_deciles(found, scenes, network, units=[])
    test_eq((none.deciles, none.lookup('colours', 3, 0)), ([], None))
