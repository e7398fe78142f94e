# Generated from nbs/10_comparison.ipynb by `make export`. Edit the notebook, not this file.

from milan import evaluation as metrics
from milan import exemplars
from milan import images
from milan.annotations.simulated import ABSTAIN
from milan.concepts.observations import observe
from milan.concepts.segmentations import Concept
from milan.concepts.segmentations import Scenes
from milan.config import MilanError
from milan.evaluation.verification import unit_scores
from milan.experiments.comparison import (
    agreement_of,
    annotated_case,
    BEAM,
    captioner_for,
    captions,
    Case,
    cases,
    COMPEXP,
    dissections,
    gain,
    GREEDY,
    missing_for_paper,
    NETDISSECT,
    observe_once,
    pictures_case,
    planted_captioner,
    planted_case,
    plot_held_out,
    PMI,
    recovered,
    scene_groups,
    speaking,
    usable_clip,
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

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

from milan import networks
from milan.annotations.sets import annotate
from milan.evaluation.verification import verify
from milan.experiments.figures import plot_methods, plot_units
from milan.images.folders import COLUMNS, ImageSet


@functools.cache
def colours():
    "The planted colour units, which need no fitting, on few scenes."
    os.environ['MILAN_RESULTS_DIR'] = tempfile.mkdtemp()
    case = planted_case(240, network=networks.load('planted/shapes', 'cpu', pretrained=False),
                        layers=['colours'])
    del os.environ['MILAN_RESULTS_DIR']
    return case


SMALL = 100, 150, 4 # scenes, groups, epochs


@functools.cache
def small_captioner():
    "One that hardly learnt; it is kept in a folder of its own."
    os.environ['MILAN_MODELS_DIR'] = small_captioner.place = tempfile.mkdtemp()
    captioner = planted_captioner(*SMALL, network=colours().network, device='cpu')
    del os.environ['MILAN_MODELS_DIR']
    return captioner


@functools.cache
def everything():
    "What all methods say about the colour units."
    return {**dissections(colours()), **captions(colours(), small_captioner())}


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


# 10_comparison.ipynb, section "A case"
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


# 10_comparison.ipynb, section "Planted units"
@pytest.mark.training
def test_planted_units():
    case = colours()
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


# 10_comparison.ipynb, section "A captioner in seconds"
@pytest.mark.training
def test_a_captioner_in_seconds():
    captioner = small_captioner()
    captioner

    case, place = colours(), Path(small_captioner.place)
    test_eq(len(list((place/'captioners').iterdir())), 1)
    os.environ['MILAN_MODELS_DIR'] = str(place)
    again = planted_captioner(*SMALL, network=case.network, device='cpu')
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


# 10_comparison.ipynb, section "Photographs"
def test_photographs():
    case = discs()
    case, case.references[0], case.concepts.names[:4]

    held = {name for name, out in zip(case.pictures.images.table['group'], case.out) if out}
    test_eq(held & {name for name, out in zip(case.pictures.images.table['group'], case.out) if not out}, set())
    test_eq((len(case), len(case.training), case.found.layers), (12, 5, ['colours']))
    red = [tuple(unit) for unit in case.found.units].index(('colours', 0))
    assert any('red' in text or 'tomato' in text for text in case.references[red]), case.references[red]


# 10_comparison.ipynb, section "Annotated units"
def test_annotated_units():
    one = colours()
    table = pd.DataFrame([(*unit, text) for unit, said in zip(one.found.units, one.references) for text in said],
                         columns=['layer', 'unit', 'summary'])
    case = annotated_case(annotate(one.found, table, 'planted/made up'), one.network, one.pictures, [['things']],
                          progress=False)
    case

    test_eq((case.references, case.observed.units), (one.references, one.observed.units))
    maps = observe(case.network, case.pictures.subset(~case.out), 'colours')
    test_close(case.observed.thresholds, maps.thresholds, eps=1e-6)     # of the first half
    test_close(case.observed.peaks[~case.out], maps.peaks, eps=1e-6)


# 10_comparison.ipynb, section "What every method says"
def test_what_every_method_says():
    case, said = colours(), everything()
    pd.DataFrame({'planted': case.truth, **{name: table.description for name, table in said.items()}}).head(4)

    test_eq(list(said), [NETDISSECT, COMPEXP, GREEDY, BEAM, PMI])
    test_eq(said[NETDISSECT].description[:9].tolist(), case.truth[:9])
    for table in said.values():
        test_eq(list(zip(table.layer, table.unit)), [tuple(unit) for unit in case.found.units])
    clip, reason = usable_clip('nobody/no-such-clip', 'cpu')
    assert clip is None and 'no-such-clip' in reason


# 10_comparison.ipynb, section "Did a method find what was planted?"
def test_did_a_method_find_what_was_planted():
    concepts = [Concept(name) for name in ('red', 'circle', 'star', 'letter', 'letter A')]
    table = recovered(['(red AND NOT star)', 'Red circles', 'red things', 'blue', '', 'the letter A', 'NOT red',
                       'red'], [*['red'] * 4, '', 'letter', 'red', 'red'], concepts)
    table

    test_eq(table.named.tolist(), [True, True, True, False, False, False, True])
    test_eq(table.plain.tolist(), [False, False, True, False, False, False, True])


# 10_comparison.ipynb, section "Agreement"
def test_agreement():
    case, said = colours(), everything()
    table = agreement_of(said, case, case.named, ['word_f1'])
    table.round(2)

    value = table.set_index('row').value
    assert value[NETDISSECT] > value[f'{NETDISSECT}, shuffled'] and 0 < value['constant'] < 1
    test_eq((int(table.n.unique()[0]), list(table.row).count('constant'), 'annotators' in table.row.tolist()),
            (9, 1, True))
    test_close(value[NETDISSECT], metrics.word_f1(said[NETDISSECT].description[:9].tolist(),
                                                  case.references[:9]).value)
    with expect_fail(MilanError, contains='other units'): agreement_of({'mine': said[PMI][::-1]}, case)


# 10_comparison.ipynb, section "What a change is worth"
def test_what_a_change_is_worth():
    case, said = colours(), everything()
    table = gain(said, NETDISSECT, GREEDY, case, case.named, ['word_f1'], ['pearson'])
    table.round(2)

    first, second = (unit_scores(said[name][:9], case.observed, case.judge, case.out,
                                 measures=['pearson'])[:9].pearson for name in (NETDISSECT, GREEDY))
    test_close(table.value[1], (first - second).mean())
    test_eq(gain(said, PMI, PMI, case, checks=['f1']).value.tolist(), [0, 0, 0])


# 10_comparison.ipynb, section "Figures"
def test_figures():
    case, said = colours(), everything()
    scores = verify({name: table.iloc[:9] for name, table in said.items()}, case.observed, case.judge, case.out,
                    measures=['pearson', 'pixel iou'])
    figure = plot_methods(pd.concat([agreement_of(said, case, case.named, ['word_f1']), scores]),
                          {'word_f1': 'agreement (word F1)', 'pearson': 'correlation',
                           'pixel iou': 'IoU of regions'})
    test_eq(
        [tick.get_text() for tick in figure.axes[0].get_yticklabels()],
        [NETDISSECT, COMPEXP, GREEDY, BEAM, PMI, 'constant', 'annotators', 'oracle'],
    )
    figure

    figure = plot_units(
        case.found, {'planted': case.truth, **{name: table.description.tolist() for name, table in said.items()}},
        [0, 5]
    )
    test_eq(figure.axes[0].get_title(loc='left'), 'colours, unit 0')
    figure

    figure = plot_held_out(
        case, {'planted': case.truth, **{name: said[name].description.tolist() for name in (NETDISSECT, GREEDY)}},
        [0, 5], shown=120
    )
    test_eq(len(figure.axes), 2)
    figure


# 10_comparison.ipynb, section "The three profiles"
def test_the_three_profiles():
    os.environ['MILAN_DATA_DIR'] = tempfile.mkdtemp()
    needs = missing_for_paper(['alexnet/imagenet'], 'no/broden')
    del os.environ['MILAN_DATA_DIR']
    needs

    assert any('milannotations-resnet152-places365' in need for need in needs) and any(
        'broden1_224' in need for need in needs
    )
    test_eq([need for need in needs if 'dino' in need], [])

    os.environ['MILAN_DATA_DIR'] = tempfile.mkdtemp()
    with expect_fail(MilanError, contains='broden1_224'): cases('paper', ['resnet152/imagenet'])
    with expect_fail(MilanError, contains='milannotations-alexnet-imagenet'): cases('paper')
    with expect_fail(MilanError, contains="no profile 'bogus': choose smoke, demo, paper"): cases('bogus')
    with expect_fail(MilanError, contains="no profile 'bogus'"): captioner_for('bogus', 'photographs')
    del os.environ['MILAN_DATA_DIR']


# 10_comparison.ipynb, section "All planted units"
@pytest.mark.slow
@pytest.mark.training
def test_all_planted_units_slow():
    (name, case), = cases('smoke').items()
    said = {**dissections(case), **captions(case, captioner_for('smoke', name))}
    found = {
        name: recovered(table.description.tolist(), case.truth, case.concepts.concepts)[['named', 'plain']].mean()
        for name, table in said.items()
    }
    assert all(shares.named >= .9 for shares in found.values())
    pd.DataFrame(found).T.round(2)
