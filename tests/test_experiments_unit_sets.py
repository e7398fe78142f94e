# Generated from nbs/10_unit_sets.ipynb by `make export`. Edit the notebook, not this file.

from milan import exemplars
from milan import images
from milan.annotations.simulated import ABSTAIN
from milan.concepts.observations import observe
from milan.concepts.segmentations import Scenes
from milan.config import MilanError
from milan.experiments.unit_sets import (
    annotated_case,
    Case,
    observe_once,
    pictures_case,
    planted_captioner,
    scene_groups,
    speaking,
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
    case = pictures_case(ImageSet('made up', table, pixels,
                                  np.stack([np.packbits(outline) for outline in outlines]), 'made up'),
                         network, ['colours'], ['textures'], 99)
    del os.environ['MILAN_RESULTS_DIR']
    return case


# 10_unit_sets.ipynb, section "A case"
def test_a_case():
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
    case = colour_units()
    case

    test_eq((len(case), int(case.named.sum()), int(case.out.sum())), (12, 9, 120))
    test_eq({len(said) for said in case.references}, {3})
    agreeing = [
        any(concept in text.lower() for text in said) for concept, said in zip(case.truth, case.references)
        if concept
    ]
    assert np.mean(agreeing) > .8
    # not from the other half
    test_close(case.found.lookup('colours', 7).activations[0], case.observed.peaks[~case.out, 7].max(), eps=1e-5)
    assert case.observed.peaks[case.out, 7].max() != case.observed.peaks[~case.out, 7].max()
    case.truth[7], case.references[7], case.training[:2]

    with expect_fail(MilanError, contains='same units in the same order'):
        Case(case.network, case.found, case.observed, case.concepts, case.out, case.references[:-1], [],
             case.named)
    test_eq(speaking([['dogs', ABSTAIN, 'cats'], [ABSTAIN, ABSTAIN, 'dogs']]), [True, False])


# 10_unit_sets.ipynb, section "A captioner in seconds"
@pytest.mark.training
def test_a_captioner_in_seconds():
    captioner, _ = untaught_captioner()
    captioner

    case, place = colour_units(), untaught_captioner()[1]
    test_eq(len(list((place/'captioners').iterdir())), 1)
    os.environ['MILAN_MODELS_DIR'] = str(place)
    again = planted_captioner(*SCENES_GROUPS_EPOCHS, network=case.network, device='cpu')
    del os.environ['MILAN_MODELS_DIR']
    test_eq(len(list((place/'captioners').iterdir())), 1)
    said = [one.describe(case.found, strategy='greedy', cache=False, progress=False).description.tolist()
            for one in (captioner, again)]
    test_eq(said[0], said[1])

    features, lesson = scene_groups(captioner.encoder, images.ShapeScenes(12, seed=9), 6, seed=2)
    test_eq(features.shape[1], captioner.decoder.features)
    test_eq([len(group) for group in lesson.groups], [15] * 6)
    list(zip(captioner.decode(features[torch.stack(lesson.groups)]).captions,
             [said[0] for said in lesson.annotations]))[:3]


# 10_unit_sets.ipynb, section "Photographs"
def test_photographs():
    case = discs()
    case, case.references[0], case.concepts.names[:4]

    held = {name for name, out in zip(case.pictures.images.table['group'], case.out) if out}
    test_eq(held & {name for name, out in zip(case.pictures.images.table['group'], case.out) if not out}, set())
    test_eq((len(case), len(case.training), case.found.layers), (12, 5, ['colours']))
    red = [tuple(unit) for unit in case.found.units].index(('colours', 0))
    assert any('red' in text or 'tomato' in text for text in case.references[red]), case.references[red]


# 10_unit_sets.ipynb, section "Annotated units"
def test_annotated_units():
    one = colour_units()
    table = pd.DataFrame([(*unit, text) for unit, said in zip(one.found.units, one.references) for text in said],
                         columns=['layer', 'unit', 'summary'])
    case = annotated_case(annotate(one.found, table, 'planted/made up'), one.network, one.pictures, [['things']],
                          progress=False)
    case

    test_eq((case.references, case.observed.units), (one.references, one.observed.units))
    maps = observe(case.network, case.pictures.subset(~case.out), 'colours')
    test_close(case.observed.thresholds, maps.thresholds, eps=1e-6)     # of the first half
    test_close(case.observed.peaks[~case.out], maps.peaks, eps=1e-6)
