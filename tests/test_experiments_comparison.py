# Generated from nbs/13_experiments/11_comparison.ipynb by `make export`. Edit the notebook, not this file.

from milan import evaluation as metrics
from milan.concepts.segmentations import Concept
from milan.config import MilanError
from milan.evaluation.verification import unit_scores
from milan.experiments.comparison import (
    agreement_of,
    BEAM,
    captioner_for,
    captions,
    compared_sets,
    COMPEXP,
    dissections,
    GREEDY,
    missing_for_paper,
    NETDISSECT,
    plot_held_out,
    PMI,
    recovered,
    scores_of,
    UNTHRESHOLDED,
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
from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.evaluation.verification import verify
from milan.experiments.figures import plot_methods, plot_units
from milan.experiments.transfer import interval
from milan.testing import colour_units, untaught_captioner

@functools.cache
def everything():
    "What all methods say about the colour units."
    return {**dissections(colour_units()), **captions(colour_units(), untaught_captioner()[0])}


# 11_comparison.ipynb, section "What every method says"
def test_what_every_method_says():
    unit_set, said = colour_units(), everything()
    pd.DataFrame({'planted': unit_set.truth, **{name: table.description for name, table in said.items()}}).head(4)

    test_eq(list(said), [NETDISSECT, UNTHRESHOLDED, COMPEXP, GREEDY, BEAM, PMI])
    test_eq(said[NETDISSECT].description[:9].tolist(), unit_set.truth[:9])
    for table in said.values():
        test_eq(list(zip(table.layer, table.unit)), [tuple(unit) for unit in unit_set.found.units])

    clip, reason = usable_clip('nobody/no-such-clip', 'cpu')
    assert clip is None and 'no-such-clip' in reason


# 11_comparison.ipynb, section "Did a method find what was planted?"
def test_did_a_method_find_what_was_planted():
    concepts = [Concept(name) for name in ('red', 'circle', 'star', 'letter', 'letter A')]
    table = recovered(['(red AND NOT star)', 'Red circles', 'red things', 'blue', '', 'the letter A', 'NOT red',
                       'red'], [*['red'] * 4, '', 'letter', 'red', 'red'], concepts)
    table

    test_eq(table.named.tolist(), [True, True, True, False, False, False, True])
    test_eq(table.plain.tolist(), [False, False, True, False, False, False, True])


# 11_comparison.ipynb, section "Agreement"
def test_agreement():
    unit_set, said = colour_units(), everything()
    table = agreement_of(said, unit_set, unit_set.named, ['word_f1'])
    table.round(2)

    value = table.set_index('row').value
    assert value[NETDISSECT] > value[f'{NETDISSECT}, shuffled'] and 0 < value['constant'] < 1
    test_eq((int(table.n.unique()[0]), list(table.row).count('constant'), 'annotators' in table.row.tolist()),
            (9, 1, True))
    test_close(value[NETDISSECT], metrics.word_f1(said[NETDISSECT].description[:9].tolist(),
                                                  unit_set.references[:9]).value)

    with expect_fail(MilanError, contains='other units'): agreement_of({'mine': said[PMI][::-1]}, unit_set)


# 11_comparison.ipynb, section "Several trainings"
def test_several_trainings():
    unit_set, said = colour_units(), everything()
    both = [scores_of([said[name]] * 2, unit_set, 'word_f1') for name in (NETDISSECT, GREEDY)]
    interval(both[0] - both[1])

    test_eq(both[0].shape, (2, len(unit_set)))
    test_close(both[0][0], metrics.word_f1(said[NETDISSECT].description.tolist(), unit_set.references).values)
    seen = unit_scores(said[GREEDY], unit_set.observed, unit_set.predictor, unit_set.out, measures=['pearson'])
    test_close(scores_of([said[GREEDY]], unit_set, 'pearson')[0], seen[seen.row == 'ours'].pearson.to_numpy())


# 11_comparison.ipynb, section "Figures"
def test_figures():
    unit_set, said = colour_units(), everything()
    scores = verify({name: table.iloc[:9] for name, table in said.items()}, unit_set.observed, unit_set.predictor,
                    unit_set.out, measures=['pearson', 'pixel iou'])
    figure = plot_methods(pd.concat([agreement_of(said, unit_set, unit_set.named, ['word_f1']), scores]),
                          {'word_f1': 'agreement (word F1)', 'pearson': 'correlation',
                           'pixel iou': 'IoU of regions'})
    test_eq(
        [tick.get_text() for tick in figure.axes[0].get_yticklabels()],
        [NETDISSECT, UNTHRESHOLDED, COMPEXP, GREEDY, BEAM, PMI, 'always true', 'constant', 'layer constant',
         'best concept', 'annotators', 'oracle'],
    )
    figure

    figure = plot_units(
        unit_set.found,
        {'planted': unit_set.truth, **{name: table.description.tolist() for name, table in said.items()}},
        [0, 5],
    )
    test_eq(figure.axes[0].get_title(loc='left'), 'colours, unit 0')
    figure

    figure = plot_held_out(
        unit_set,
        {'planted': unit_set.truth, **{name: said[name].description.tolist() for name in (NETDISSECT, GREEDY)}},
        [0, 5],
        shown=120,
    )
    test_eq(len(figure.axes), 2)
    figure


# 11_comparison.ipynb, section "The three profiles"
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
    with expect_fail(MilanError, contains='broden1_224'): compared_sets('paper', ['resnet152/imagenet'])
    with expect_fail(MilanError, contains='milannotations-alexnet-imagenet'): compared_sets('paper')
    with expect_fail(MilanError, contains="no profile 'bogus': choose smoke, demo, paper"): compared_sets('bogus')
    with expect_fail(MilanError, contains="no profile 'bogus'"): captioner_for('bogus', 'photographs')
    del os.environ['MILAN_DATA_DIR']


# 11_comparison.ipynb, section "All planted units"
@pytest.mark.slow
@pytest.mark.training
def test_all_planted_units_slow():
    (name, unit_set), = compared_sets('smoke').items()
    said = {**dissections(unit_set), **captions(unit_set, captioner_for('smoke', name))}
    found = {
        name: (
            recovered(table.description.tolist(), unit_set.truth, unit_set.concepts.concepts)[
                ['named', 'plain']
            ].mean()
        )
        for name, table in said.items()
    }
    assert all(shares.named >= .9 for shares in found.values())
    pd.DataFrame(found).T.round(2)
