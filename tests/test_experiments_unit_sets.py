# Generated from nbs/13_experiments/10_unit_sets.ipynb by `make export`. Edit the notebook, not this file.

from milan import exemplars
from milan import images
from milan.annotations.simulated import ABSTAIN
from milan.concepts.observations import observe
from milan.concepts.segmentations import Scenes
from milan.config import MilanError
from milan.experiments.unit_sets import (
    annotated_units,
    nameable,
    observe_once,
    pictures_set,
    planted_captioner,
    scene_groups,
    UnitSet,
)
import pytest

import functools
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.annotations.sets import annotate
from milan.images.folders import COLUMNS, ImageSet
from milan.testing import SCENES_GROUPS_EPOCHS, colour_units, untaught_captioner

@functools.cache
def discs():
    "Made-up pictures, a disc each, that somebody named by its colour, and the colour units."
    names, paints = ['tomato', 'leaf', 'sea'], np.array([[225, 20, 20], [30, 160, 40], [20, 40, 220]],
                                                        np.uint8)
    y, x = np.mgrid[:112, :112]
    pixels, outlines = np.full((90, 112, 112, 3), 200, np.uint8), np.zeros((90, 112, 112), bool)
    for i in range(90):
        outlines[i] = (y - 40 - i % 5 * 8) ** 2 + (x - 40 - i % 4 * 9) ** 2 < (20 + i % 3 * 6) ** 2
        pixels[i][outlines[i]] = paints[i // 3 % 3]
    table = pd.DataFrame({column: [''] * 90 for column in COLUMNS})
    table['description'], table['group'] = [f'A {names[i // 3 % 3]}' for i in range(90)], [
        f'thing {i // 2}' for i in range(90)
    ]
    os.environ['MILAN_RESULTS_DIR'] = tempfile.mkdtemp()
    network = networks.load('planted/shapes', 'cpu', pretrained=False)
    unit_set = pictures_set(ImageSet('made up', table, pixels,
                                  np.stack([np.packbits(outline) for outline in outlines]), 'made up'),
                         network, ['colours'], ['textures'], 99)
    del os.environ['MILAN_RESULTS_DIR']
    return unit_set


# 10_unit_sets.ipynb, section "A set of units"
def test_a_set_of_units():
    os.environ['MILAN_RESULTS_DIR'] = place = tempfile.mkdtemp()
    network, scenes = networks.load('planted/shapes', 'cpu', pretrained=False), Scenes(images.ShapeScenes(20))
    found = exemplars.compute(network, scenes, 'colours', k=3, units={'colours': [7, 2]}, quiet=True)
    made, read = (observe_once(network, scenes, found) for _ in range(2))
    made.units, made.peaks.shape

    test_eq((len(list(Path(place).glob('observed/*.npz'))), made.units, list(found.units)),
            (1, read.units, made.units))
    test_close(made.peaks, observe(network, scenes, 'colours', thresholds=found, units={'colours': [2, 7]}).peaks)

    observe_once(network, scenes.subset(range(9)), found)
    test_eq(len(list(Path(place).glob('observed/*.npz'))), 2)
    del os.environ['MILAN_RESULTS_DIR']


# 10_unit_sets.ipynb, section "Planted units"
@pytest.mark.training
def test_planted_units():
    unit_set = colour_units()
    unit_set

    test_eq((len(unit_set), int(unit_set.named.sum()), int(unit_set.out.sum())), (12, 9, 120))
    test_eq({len(said) for said in unit_set.references}, {3})
    agreeing = [
        any(concept in text.lower() for text in said)
        for concept, said in zip(unit_set.truth, unit_set.references)
        if concept
    ]
    assert np.mean(agreeing) > .8
    # not from the other half
    test_close(
        unit_set.found.lookup('colours', 7).activations[0], unit_set.observed.peaks[~unit_set.out, 7].max(),
        eps=1e-5
    )
    assert unit_set.observed.peaks[unit_set.out, 7].max() != unit_set.observed.peaks[~unit_set.out, 7].max()
    unit_set.truth[7], unit_set.references[7], unit_set.training[:2]

    with expect_fail(MilanError, contains='same units in the same order'):
        UnitSet(unit_set.network, unit_set.found, unit_set.observed, unit_set.concepts, unit_set.out,
                unit_set.references[:-1], [], unit_set.named)
    test_eq(nameable([['dogs', ABSTAIN, 'cats'], [ABSTAIN, ABSTAIN, 'dogs']]), [True, False])


# 10_unit_sets.ipynb, section "A captioner in seconds"
@pytest.mark.training
def test_a_captioner_in_seconds():
    captioner, _ = untaught_captioner()
    captioner

    unit_set, place = colour_units(), untaught_captioner()[1]
    test_eq(len(list((place/'captioners').iterdir())), 1)
    os.environ['MILAN_MODELS_DIR'] = str(place)
    again = planted_captioner(*SCENES_GROUPS_EPOCHS, network=unit_set.network, device='cpu')
    del os.environ['MILAN_MODELS_DIR']
    test_eq(len(list((place/'captioners').iterdir())), 1)
    said = [one.describe(unit_set.found, strategy='greedy', cache=False, progress=False).description.tolist()
            for one in (captioner, again)]
    test_eq(said[0], said[1])

    features, annotated = scene_groups(captioner.encoder, images.ShapeScenes(12, seed=9), 6, seed=2)
    test_eq(features.shape[1], captioner.decoder.features)
    test_eq([len(group) for group in annotated.groups], [15] * 6)
    list(zip(captioner.decode(features[torch.stack(annotated.groups)]).captions,
             [said[0] for said in annotated.annotations]))[:3]


# 10_unit_sets.ipynb, section "Photographs"
def test_photographs():
    unit_set = discs()
    unit_set, unit_set.references[0], unit_set.concepts.names[:4]

    held = {name for name, out in zip(unit_set.pictures.images.table['group'], unit_set.out) if out}
    test_eq(held & {name for name, out in zip(unit_set.pictures.images.table['group'], unit_set.out) if not out},
            set())
    test_eq((len(unit_set), len(unit_set.training), unit_set.found.layers), (12, 5, ['colours']))
    red = [tuple(unit) for unit in unit_set.found.units].index(('colours', 0))
    assert any('red' in text or 'tomato' in text for text in unit_set.references[red]), unit_set.references[red]


# 10_unit_sets.ipynb, section "Annotated units"
def test_annotated_units():
    one = colour_units()
    table = pd.DataFrame([(*unit, text) for unit, said in zip(one.found.units, one.references) for text in said],
                         columns=['layer', 'unit', 'summary'])
    unit_set = annotated_units(annotate(one.found, table, 'planted/made up'), one.network, one.pictures,
                                  [['things']], progress=False)
    unit_set

    test_eq((unit_set.references, unit_set.observed.units), (one.references, one.observed.units))
    maps = observe(unit_set.network, unit_set.pictures.subset(~unit_set.out), 'colours')
    test_close(unit_set.observed.thresholds, maps.thresholds, eps=1e-6)     # of the first half
    test_close(unit_set.observed.peaks[~unit_set.out], maps.peaks, eps=1e-6)
