# Generated from nbs/09_evaluation/07_verification.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.observations import Observed
from milan.config import MilanError
import numpy as np
import pandas as pd
from milan.evaluation.verification import (
    ALL_MEASURES,
    held_out,
    REFERENCES,
    unit_scores,
    verify,
    wins,
)
import pytest

import functools
import warnings

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq
from sklearn import metrics as reference

from milan import networks
from milan.concepts.observations import ConceptMasks, Masks, observe, pack_concepts, unpack
from milan.concepts.segmentations import Concept, Scenes
from milan.evaluation.predictors import Labels, Similarities
from milan.describers.dissection import netdissect
from milan.hooks.layers import Unit
from milan.images.sets import ShapeScenes

warnings.filterwarnings('ignore', message='IProgress') # of libraries' progress bars


@functools.cache
def colour_case(count=120):
    "The planted colour units, which need no training, on generated scenes; labels; and what was planted."
    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(count))
    watched = observe(network, scenes, 'colours', units={'colours': range(9)})
    planted = [f'{colour} things' for colour in network.planted['colours'][:9]]
    truth = pd.DataFrame({'layer': 'colours', 'unit': range(9), 'description': planted})
    return watched, Labels(pack_concepts(scenes)), truth


# 07_verification.ipynb, section "Held-out images"
def test_held_out_images():
    test_eq(held_out(10).sum(), 5)
    test_eq(len(set(held_out(6, ['a', 'b', 'a', 'c', 'd', 'b'])[[0, 2]])), 1)
    held_out(6, ['a', 'b', 'a', 'c', 'd', 'b'])


# 07_verification.ipynb, section "Scores of one unit"
def test_scores_of_one_unit():
    watched, labels, truth = colour_case()
    out = held_out(120)
    table = unit_scores(truth, watched, labels, out)
    table.groupby('row', sort=False)[list(ALL_MEASURES)].mean().round(2)

    present, peaks = labels.predict(['red things']).present[out, 0], watched.peaks[out, 0]
    active = peaks > np.quantile(watched.peaks[~out, 0], .9)
    figure, (left, right) = plt.subplots(1, 2, figsize=(6, 2.4), layout='constrained')
    left.hist([peaks[present], peaks[~present]], 20, stacked=True, color=['#D55E00', '#56B4E9'],
              label=['red', 'no red'])
    left.set(xlabel='largest activation', ylabel='held-out images')
    left.legend()
    precision, recall, _ = reference.precision_recall_curve(active, labels.predict(['red things']).shares[out, 0])
    right.step(recall, precision, where='pre', color='#0072B2')
    right.set(xlabel='recall', ylabel='precision', ylim=(0, 1.05))
    plt.show()

    by = {row: part.reset_index(drop=True) for row, part in table.groupby('row')}
    for name in ALL_MEASURES:
        assert (by['ours'][name] > by['shuffled'][name]).all()
        assert by['ours'][name].mean() > by['constant'][name].mean()
    test_eq(by['best concept'].description.tolist(), [text.split()[0] for text in truth.description])
    test_close(by['best concept'][list(ALL_MEASURES)].values, by['ours'][list(ALL_MEASURES)].values, eps=1e-9)
    assert (by['oracle']['partial r'] >= by['best concept']['partial r']).all()
    assert (by['always true'][['partial r', 'pearson']] == 0).all(axis=None) and (by['always true'].f1 > 0).all()
    test_eq(len(by['constant'].description.unique()), 1)

    red = unpack(labels.concepts.masks.dense(labels.candidates.index('red')), (56, 56))[out]
    unit = unpack(watched.masks.dense(0), (56, 56))[out]
    test_close(by['ours'].pearson[0], np.corrcoef(watched.peaks[out, 0], red.any((1, 2)))[0, 1], eps=1e-6)
    test_close(by['ours']['pixel iou'][0], (red & unit).sum() / (red | unit).sum())
    test_close(by['ours'].f1[0], reference.f1_score(active, red.any((1, 2))))
    mean = unit_scores(truth, watched, labels, out, summary='mean', measures=['pearson'])
    test_close(mean.pearson[0], np.corrcoef(watched.means[out, 0], red.mean((1, 2)))[0, 1], eps=1e-6)

    swapped = unit_scores(truth.assign(description=truth.description.to_numpy()[::-1]), watched, labels, out)
    own, mixed = (swapped[swapped.row == row].pearson.to_numpy() for row in ('ours', 'shuffled'))
    test_close(mixed, (8 * by['shuffled'].pearson + by['ours'].pearson - own) / 8)
    nothing = unit_scores(truth.assign(description='various things'), watched, labels, out).query('row == "ours"')
    test_eq((nothing.pearson == 0).all() and not nothing.known.any(), True)

    here = np.arange(60) % 3 == 0
    regions = np.zeros((2, 60, 4, 4), bool)
    regions[0, here, :2], regions[1, ::2] = True, True
    masks = Masks.of(np.stack([regions[0], regions[0] & False]))
    values = np.stack([np.where(here, 6, .5), np.zeros(60)], 1).astype(np.float32)
    saturated = Observed([Unit('relu6', 0), Unit('relu6', 1)], masks, values, values, np.array([6 - 1e-5, 0]))
    predictor = Labels(ConceptMasks([Concept('a'), Concept('b')], Masks.of(regions), np.ones((60, 2), bool)))
    described = pd.DataFrame({'layer': 'relu6', 'unit': [0, 1], 'description': ['a', 'a']})
    table = pd.concat([unit_scores(described, saturated, predictor, held_out(60), by) for by in ('max', 'mean')])
    table[table.row == 'ours'].round(2)

    test_close(table[(table.row == 'ours') & (table.unit == 0)][['auprc', 'f1', 'iou', 'pixel iou']].values, 1)
    test_eq(table[(table.row == 'ours') & (table.unit == 1)][list(ALL_MEASURES)].values.any(), False)


# 07_verification.ipynb, section "One table"
def test_one_table():
    watched, labels, truth = colour_case()
    out = held_out(120)
    dissected = netdissect(watched.subset(~out), labels.concepts.subset(~out))
    tables = {'truth': truth, 'Network Dissection': dissected}
    table = verify(tables, watched, labels, out, measures=['pearson', 'pixel iou'])
    table.round(2)

    value = table.set_index(['measure', 'row']).value
    test_eq(list(table.row[:9]), ['truth', 'truth, shuffled', *REFERENCES, 'Network Dissection',
                                  'Network Dissection, shuffled'])
    for measure in ('pearson', 'pixel iou'):
        assert value[measure, 'Network Dissection'] > value[measure, 'Network Dissection, shuffled']
        assert value[measure, 'truth'] > value[measure, 'constant']

    single = verify(truth, watched, labels, out, measures=['f1'])
    test_eq(single.row.tolist(), ['ours', 'shuffled', *REFERENCES])
    assert (table.low <= table.value).all() and (table.value <= table.high).all()
    partial = verify(truth, watched, labels, out, measures=['partial r']).set_index('row')
    assert partial.value['always true'] == 0 and abs(partial.value['shuffled']) < .2 < partial.low['ours']
    groups = np.arange(120) // 12
    few = verify(truth, watched, labels, out, measures=['partial r'], groups=groups).set_index('row')
    assert few.value['ours'] == partial.value['ours'] and few.low['ours'] != partial.low['ours']

    watched, labels, truth = colour_case()
    texts = [*labels.candidates, *truth.description]
    values = np.concatenate([labels.predict_candidates().shares, labels.predict(truth.description).shares], 1)
    table = verify(truth, watched, Similarities(values, texts, labels.candidates), held_out(120))
    test_eq(sorted(table.measure.unique()), ['auprc', 'cosine', 'f1', 'iou', 'partial r', 'pearson'])
    scores = table.set_index(['row', 'measure']).value
    assert (scores['ours'] > scores['shuffled']).all()
    table[table.measure == 'pearson'].round(2)


# 07_verification.ipynb, section "For how many units?"
def test_for_how_many_units():
    watched, labels, truth = colour_case()
    scored = unit_scores(truth, watched, labels, held_out(120))
    wins(scored).round(2)

    test_eq(wins(scored).value.tolist(), [1] * 7)
    test_eq(wins(scored, 'best concept', ['f1']).value[0], 0) # equal to it


# 07_verification.ipynb, section "On all planted units"
@pytest.mark.slow
@pytest.mark.training
def test_on_all_planted_units_slow():
    network, scenes = networks.load('planted/shapes'), Scenes(ShapeScenes(800, seed=5))
    watched, labels, out = observe(network, scenes, quantile=.99), Labels(pack_concepts(scenes)), held_out(800)
    planted = [(*unit, network.planted[unit.layer][unit.unit]) for unit in watched.units]
    truth = pd.DataFrame([row for row in planted if row[2]], columns=['layer', 'unit', 'description'])
    better = wins(unit_scores(truth, watched, labels, out))
    assert better.value.min() >= .95
    better.round(2)

    dissected = netdissect(watched.subset(~out), labels.concepts.subset(~out))
    described = dissected[[bool(row[2]) for row in planted]]
    table = verify({'planted': truth, 'Network Dissection': described}, watched, labels, out)
    table[table.measure.isin(['pearson', 'auprc', 'pixel iou'])].round(2)


# 07_verification.ipynb, section "Errors"
def test_errors():
    watched, labels, truth = colour_case()
    arguments = watched, labels, held_out(120)
    with expect_fail(MilanError, contains="'mode'"): unit_scores(truth, *arguments, summary='mode')
    with expect_fail(MilanError, contains="'auc' is unknown"): unit_scores(truth, *arguments, measures=['auc'])
    with expect_fail(MilanError, contains='not all'): unit_scores(truth, watched, labels, np.ones(120, bool))
    with expect_fail(MilanError, contains='layer names'): unit_scores(truth.assign(layer='x'), *arguments)
    with expect_fail(MilanError, contains='no column unit'): unit_scores(truth.drop(columns='unit'), *arguments)
    with expect_fail(MilanError, contains="no row 'human': there are always true"):
        wins(unit_scores(truth, *arguments), 'human')
