# Generated from nbs/42_evaluation.ipynb by `make export`. Edit the notebook, not this file.

from milan.evaluation import (
    _choices,
    ALL,
    Compared,
    formula_of,
    held_out,
    Labels,
    made_up_units,
    MEASURES,
    mentioned,
    names_of,
    QUESTIONABLE,
    sanity,
    share,
    Similarities,
    spoilt,
    unit_scores,
    verify,
    wins,
)
import pytest

import functools
import itertools
import warnings

import numpy as np
import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq
from sklearn import metrics as reference

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

from milan import networks, stats
from milan.baselines import netdissect
from milan.config import MilanError
from milan.hooks import Unit
from milan.images import ShapeScenes
from milan.observations import ConceptMasks, Masks, Observed, observe, packed, unpack
from milan.segmentations import Concept, Scenes


@functools.cache
def colour_case(count=120):
    "The planted colour units, which need no fitting, on generated scenes; and what was planted."
    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(count))
    watched = observe(network, scenes, 'colours', units={'colours': range(9)})
    truth = pd.DataFrame({'layer': 'colours', 'unit': range(9), 'description': [f'{colour} things' for colour in network.planted['colours'][:9]]})
    return watched, Labels(packed(scenes)), truth


def noisy_units(images, share, units=8):
    "Made-up units, active where their concept is, on that share of the images, but for noise: activations, active, present, each (images, units)."
    present = np.random.default_rng(0).random((images, units)) < share
    return *made_up_units(present), present


# 42_evaluation.ipynb, section "From words to regions"
def test_from_words_to_regions():
    known = names_of([Concept('dog'), Concept('letter'), Concept('letter A'), Concept('car', 'object', ('automobile',)), Concept('orange', 'colour'),
                      Concept('orange (fruit)', 'food', ('orange',))])
    [[str(one) for one in mentioned(text, known)] for text in ('the letters A and E', 'two Dogs in automobiles', 'oranges')]

    test_eq([str(one) for one in mentioned('the letter A', known)], ['letter A'])
    test_eq([str(one) for one in mentioned('letter B dog', known)], ['letter', 'dog'])
    test_eq([str(one) for one in mentioned('an orange', known)], ['(orange OR orange (fruit))'])
    test_eq(mentioned('various things', known), [])

    known = names_of([Concept(name) for name in ('red', 'blue', 'circle', 'dog', 'cat', 'bird', 'grass', 'letter', 'letter A', 'water')])
    {text: str(formula_of(text, known)) for text in ('round red circles', 'Dogs, cats and birds.', 'a bird on grass', 'tops of birds', 'blue letter A or water',
                                                     '((waters OR bird) AND (NOT blue))', 'various things', '(water OR sky)')}

    expected = {'round red circles': '(red AND circle)', 'Dogs, cats and birds.': '((dog OR cat) OR bird)', 'a bird on grass': 'bird', 'tops of birds': 'bird',
                'blue letter A or water': '((blue AND letter A) OR water)', '((waters OR bird) AND (NOT blue))': '((water OR bird) AND NOT blue)',
                'various things': 'None', '(water OR sky)': 'None', 'the word NOT on a dog': 'dog', 'dogs and dogs': 'dog', '': 'None'}
    for text, formula in expected.items(): test_eq(str(formula_of(text, known)), formula)


# 42_evaluation.ipynb, section "What a description predicts"
def test_what_a_description_predicts():
    watched, labels, truth = colour_case()
    predicted = labels.predict(['red circles', 'letters', 'various things'])
    predicted.present.sum(0), predicted.shares[:4].round(3), predicted.known

    red, circle = (unpack(labels.concepts.masks.dense(labels.candidates.index(name)), (56, 56)) for name in ('red', 'circle'))
    test_close(predicted.shares[:, 0], (red & circle).mean((1, 2)), eps=1e-6)
    test_eq(predicted.present[:, 2].any(), False)
    test_eq(predicted.subset(np.array([3, 1])).shares, predicted.shares[[3, 1]])
    similar = Similarities(np.arange(20.).reshape(10, 2) % 7, ['a', 'b'], share=.2)
    assert 1 <= similar.predict(['b', 'a']).present[:, 0].sum() <= 2
    with expect_fail(MilanError, contains="no similarities to 'c'"): similar.predict(['c'])
    with expect_fail(MilanError, contains='one column per text'): Similarities(np.zeros((3, 2)), ['a'])


# 42_evaluation.ipynb, section "Measures"
def test_measures():
    generator = np.random.default_rng(0)
    pair = Compared(generator.normal(size=(40, 3)), generator.random((40, 3)) < .3, (generator.random((40, 4)) * 5).round() / 5, generator.random((40, 4)) < .4)
    table = pd.DataFrame({name: measure(pair).ravel() for name, measure in (MEASURES | QUESTIONABLE).items()})
    table.head(3).round(2)

    for (unit, text), row in zip(itertools.product(range(3), range(4)), table.to_dict('records'), strict=True):
        a, on, h, p = pair.activations[:, unit], pair.active[:, unit], pair.holds[:, text], pair.present[:, text]
        test_close(row['pearson'], np.corrcoef(a, h)[0, 1])
        test_close(row['cosine'], (a.clip(0) @ h) / np.linalg.norm(a.clip(0)) / np.linalg.norm(h))
        test_close(row['auprc'], reference.average_precision_score(on, h))
        for name, measure in (('f1', reference.f1_score), ('iou', reference.jaccard_score), ('accuracy', reference.accuracy_score), ('recall', reference.recall_score),
                              ('precision', reference.precision_score), ('balanced accuracy', reference.balanced_accuracy_score)): test_close(row[name], measure(on, p))
        test_close(row['inverse auc'], reference.roc_auc_score(p, a))
        test_close(row['mean difference'], (a[p].mean() - a[~p].mean()) / a.std())
    flat = Compared(np.zeros((5, 1)), np.zeros((5, 1), bool), np.zeros((5, 1)), np.zeros((5, 1), bool))
    for name, measure in (MEASURES | QUESTIONABLE).items(): assert np.isfinite(measure(flat)).all(), name


# 42_evaluation.ipynb, section "Two tests of a measure"
def test_two_tests_of_a_measure():
    present = np.eye(4, dtype=bool)
    activations, active = made_up_units(present)
    test_eq(active, present)
    assert (made_up_units(present, noise=2.)[1] != present).any()
    activations.round(2)

    rare, common = sanity(*noisy_units(12_000, .001), samples=2), sanity(*noisy_units(2000, .1), samples=2)
    rare.merge(common, on='measure', suffixes=(' (rare)', ' (common)'))

    for table in (rare, common):
        passes = table.set_index('measure').passes
        assert passes[list(MEASURES)].all() and not passes[['recall', 'precision']].any()
    assert not rare.set_index('measure').passes[list(QUESTIONABLE)].any()
    present = noisy_units(2000, .1)[2]
    missing, extra = spoilt(present)
    test_close(missing.sum() / present.sum(), .5, eps=.03)
    test_close(extra.sum() / present.sum(), 2, eps=.05)
    assert not (missing & ~present).any() and not (present & ~extra).any()


# 42_evaluation.ipynb, section "Held-out images"
def test_held_out_images():
    test_eq(held_out(10).sum(), 5)
    test_eq(len(set(held_out(6, ['a', 'b', 'a', 'c', 'd', 'b'])[[0, 2]])), 1)
    held_out(6, ['a', 'b', 'a', 'c', 'd', 'b'])


# 42_evaluation.ipynb, section "Are the descriptions true?"
def test_are_the_descriptions_true():
    watched, labels, truth = colour_case()
    out = held_out(120)
    table = unit_scores(truth, watched, labels, out)
    table.groupby('row', sort=False)[list(ALL)].mean().round(2)

    by = {row: part.reset_index(drop=True) for row, part in table.groupby('row')}
    for name in ALL: assert (by['ours'][name] > by['shuffled'][name]).all() and by['ours'][name].mean() > by['constant'][name].mean(), name
    test_eq(by['oracle'].description.tolist(), [text.split()[0] for text in truth.description])
    test_close(by['oracle'][list(ALL)].values, by['ours'][list(ALL)].values, eps=1e-9)
    test_eq(len(by['constant'].description.unique()), 1)
    test_eq(_choices({'pearson': 'red', 'f1': 'red'}), 'red')
    _choices({'pearson': 'red', 'f1': 'pink'})

    red = unpack(labels.concepts.masks.dense(labels.candidates.index('red')), (56, 56))[out]
    unit = unpack(watched.masks.dense(0), (56, 56))[out]
    test_close(by['ours'].pearson[0], np.corrcoef(watched.peaks[out, 0], red.any((1, 2)))[0, 1], eps=1e-6)
    test_close(by['ours']['pixel iou'][0], (red & unit).sum() / (red | unit).sum())
    active = watched.peaks[:, 0] > np.quantile(watched.peaks[~out, 0], .9)
    test_close(by['ours'].f1[0], reference.f1_score(active[out], red.any((1, 2))))
    mean = unit_scores(truth, watched, labels, out, summary='mean', measures=['pearson'])
    test_close(mean.pearson[0], np.corrcoef(watched.means[out, 0], red.mean((1, 2)))[0, 1], eps=1e-6)
    swapped = unit_scores(truth.assign(description=truth.description.to_numpy()[::-1]), watched, labels, out)
    own, mixed = (swapped[swapped.row == row].pearson.to_numpy() for row in ('ours', 'shuffled'))
    test_close(mixed, (8 * by['shuffled'].pearson + by['ours'].pearson - own) / 8)
    nothing = unit_scores(truth.assign(description='various things'), watched, labels, out)
    test_eq((nothing[nothing.row == 'ours'].pearson == 0).all() and not nothing[nothing.row == 'ours'].known.any(), True)

    with expect_fail(MilanError, contains="'mode'"): unit_scores(truth, watched, labels, out, summary='mode')
    with expect_fail(MilanError, contains="'auc' is unknown"): unit_scores(truth, watched, labels, out, measures=['auc'])
    with expect_fail(MilanError, contains='mark some, not all'): unit_scores(truth, watched, labels, out | True)
    with expect_fail(MilanError, contains='layer names'): unit_scores(truth.assign(layer='x'), watched, labels, out)
    with expect_fail(MilanError, contains='no column unit'): unit_scores(truth.drop(columns='unit'), watched, labels, out)

    here = np.arange(60) % 3 == 0
    regions = np.zeros((2, 60, 4, 4), bool)
    regions[0, here, :2], regions[1, ::2] = True, True
    masks = Masks.of(np.stack([regions[0], regions[0] & False]))
    values = np.stack([np.where(here, 6, .5), np.zeros(60)], 1).astype(np.float32)
    saturated = Observed([Unit('relu6', 0), Unit('relu6', 1)], masks, values, values, np.array([6 - 1e-5, 0]))
    judge = Labels(ConceptMasks([Concept('a'), Concept('b')], Masks.of(regions), np.ones((60, 2), bool)))
    said = pd.DataFrame({'layer': 'relu6', 'unit': [0, 1], 'description': ['a', 'a']})
    table = pd.concat([unit_scores(said, saturated, judge, held_out(60), summary=summary) for summary in ('max', 'mean')])
    table[table.row == 'ours'].round(2)

    test_close(table[(table.row == 'ours') & (table.unit == 0)][['auprc', 'f1', 'iou', 'pixel iou']].values, 1)
    test_eq(table[(table.row == 'ours') & (table.unit == 1)][list(ALL)].values.any(), False)
    test_eq(Similarities(values, ['a', 'b'], share=.1).predict(['a', 'b']).present, np.stack([here, here & False], 1))


# 42_evaluation.ipynb, section "One table"
def test_one_table():
    watched, labels, truth = colour_case()
    out = held_out(120)
    table = verify({'truth': truth, 'Network Dissection': netdissect(watched.subset(~out), labels.concepts.subset(~out))}, watched, labels, out, measures=['pearson', 'pixel iou'])
    table.round(2)

    value = table.set_index(['measure', 'row']).value
    test_eq(list(table.row[:6]), ['truth', 'truth, shuffled', 'constant', 'oracle', 'Network Dissection', 'Network Dissection, shuffled'])
    for measure in ('pearson', 'pixel iou'):
        assert value[measure, 'Network Dissection'] > value[measure, 'Network Dissection, shuffled'] and value[measure, 'truth'] > value[measure, 'constant']
    test_eq(verify(truth, watched, labels, out, measures=['f1']).row.tolist(), ['ours', 'shuffled', 'constant', 'oracle'])
    assert (table.low <= table.value).all() and (table.value <= table.high).all()

    watched, labels, truth = colour_case()
    texts = [*labels.candidates, *truth.description]
    values = np.concatenate([labels.predict_candidates().shares, labels.predict(truth.description).shares], 1)
    table = verify(truth, watched, Similarities(values, texts, labels.candidates), held_out(120))
    test_eq(sorted(table.measure.unique()), ['auprc', 'cosine', 'f1', 'iou', 'pearson'])
    scores = table.set_index(['row', 'measure']).value
    assert (scores['ours'] > scores['shuffled']).all()
    table[table.measure == 'pearson'].round(2)


# 42_evaluation.ipynb, section "For how many units?"
def test_for_how_many_units():
    watched, labels, truth = colour_case()
    scored = unit_scores(truth, watched, labels, held_out(120))
    wins(scored).round(2)

    test_eq(wins(scored).value.tolist(), [1] * 6)
    test_eq(wins(scored, 'oracle', ['f1']).value[0], 0)     # equal to it
    test_close(share([True] * 25)[1], (1 / (1 + 1.959964 ** 2 / 25), 1))
    test_close([share([True, False] * 50)[0], *share([True, False] * 50)[1]], [.5, .4038, .5962], eps=1e-3)
    test_eq(share([False] * 9)[1][0], 0)
    with expect_fail(MilanError, contains="no row 'human': there are constant"): wins(scored, 'human')
    with expect_fail(MilanError, contains='at least one unit'): share([])


# 42_evaluation.ipynb, section "On all planted units"
@pytest.mark.slow
@pytest.mark.training
def test_on_all_planted_units_slow():
    network, scenes = networks.load('planted/shapes'), Scenes(ShapeScenes(800, seed=5))
    watched, labels, out = observe(network, scenes, quantile=.99), Labels(packed(scenes)), held_out(800)
    concepts = [network.planted[layer][unit] for layer, unit in watched.units]
    units = np.flatnonzero([bool(concept) for concept in concepts])
    present = labels.predict_candidates().present[:, [labels.candidates.index(concepts[unit]) for unit in units]]
    activations = watched.peaks[:, units]
    table = sanity(activations, stats.active(activations, .9), present)
    assert table.set_index('measure').passes[list(MEASURES)].all()
    table

    truth = pd.DataFrame([(*watched.units[unit], concepts[unit]) for unit in units], columns=['layer', 'unit', 'description'])
    scored = unit_scores(truth, watched, labels, out)
    better = wins(scored)
    assert better.value.min() >= .95
    better.round(2)

    dissected = netdissect(watched.subset(~out), labels.concepts.subset(~out))
    described = dissected.iloc[units]
    table = verify({'planted': truth, 'Network Dissection': described}, watched, labels, out)
    table[table.measure.isin(['pearson', 'auprc', 'pixel iou'])].round(2)
