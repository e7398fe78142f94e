# Generated from nbs/09_evaluation/06_activations.ipynb by `make export`. Edit the notebook, not this file.

import numpy as np
import pandas as pd
from milan.evaluation.activations import (
    _own_scores,
    accuracy,
    auprc,
    balanced_accuracy,
    Compared,
    corrupted,
    cosine,
    f1,
    inverse_auc,
    iou,
    mean_difference,
    pearson,
    precision,
    QUESTIONABLE,
    recall,
    RELIABLE,
    sanity,
    simulated_units,
)
import pytest

import itertools
import warnings

import matplotlib.pyplot as plt
from fastcore.test import test_close, test_eq
from sklearn import metrics as reference

from milan import networks
from milan.concepts.observations import observe, pack_concepts
from milan.concepts.segmentations import Scenes
from milan.evaluation.predictors import Labels
from milan.exemplars import masks
from milan.images.sets import ShapeScenes

warnings.filterwarnings('ignore', message='IProgress') # of libraries' progress bars


# 06_activations.ipynb, section "Measures"
def test_measures():
    activations, active = np.array([[3., 2., 0., 1.]]).T, np.array([[True, True, False, False]]).T
    holds = np.array([[True, False, False, False], [True, False, True, False]]).T
    few = Compared(activations, active, holds.astype(float), holds)
    test_eq(few.counts()[0], [[1, 1]])
    few.counts()

    test_close(pearson(few)[0, 0], np.corrcoef(activations[:, 0], holds[:, 0])[0, 1])
    pearson(few).round(2), cosine(few).round(2)

    test_close(auprc(few), np.array([[.75, .5]]))
    auprc(few)

    test_close(f1(few), np.array([[2 / 3, .5]]))
    test_close(iou(few), np.array([[.5, 1 / 3]]))
    f1(few).round(2), iou(few).round(2)

    test_eq(recall(few), [[.5, .5]])

    test_eq(precision(few), [[1, .5]])

    test_eq(accuracy(few), [[.75, .5]])
    recall(few), precision(few), accuracy(few)

    test_close(balanced_accuracy(few), np.array([[.75, .5]]))

    test_close(inverse_auc(few), np.array([[1, .5]]))

    test_close(mean_difference(few)[0, 0], (3 - 1) / np.std([3, 2, 0, 1]))
    balanced_accuracy(few).round(2), inverse_auc(few).round(2), mean_difference(few).round(2)

    generator = np.random.default_rng(0)
    pair = Compared(generator.normal(size=(40, 3)), generator.random((40, 3)) < .3,
                    (generator.random((40, 4)) * 5).round() / 5, generator.random((40, 4)) < .4)
    table = pd.DataFrame({name: measure(pair).ravel() for name, measure in (RELIABLE | QUESTIONABLE).items()})
    table.head(3).round(2)

    peers = {'f1': reference.f1_score, 'iou': reference.jaccard_score, 'accuracy': reference.accuracy_score,
             'recall': reference.recall_score, 'precision': reference.precision_score,
             'balanced accuracy': reference.balanced_accuracy_score}
    for (unit, text), row in zip(itertools.product(range(3), range(4)), table.to_dict('records'), strict=True):
        a, on, h, p = pair.activations[:, unit], pair.active[:, unit], pair.holds[:, text], pair.present[:, text]
        test_close(row['pearson'], np.corrcoef(a, h)[0, 1])
        test_close(row['cosine'], (a.clip(0) @ h) / np.linalg.norm(a.clip(0)) / np.linalg.norm(h))
        test_close(row['auprc'], reference.average_precision_score(on, h))
        for name, measure in peers.items(): test_close(row[name], measure(on, p))
        test_close(row['inverse auc'], reference.roc_auc_score(p, a))
        test_close(row['mean difference'], (a[p].mean() - a[~p].mean()) / a.std())
    flat = Compared(np.zeros((5, 1)), np.zeros((5, 1), bool), np.zeros((5, 1)), np.zeros((5, 1), bool))
    for name, measure in (RELIABLE | QUESTIONABLE).items(): assert np.isfinite(measure(flat)).all(), name


# 06_activations.ipynb, section "Two tests of a measure"
def test_two_tests_of_a_measure():
    present = np.random.default_rng(0).random((2000, 8)) < .1
    missing, extra = corrupted(present)
    test_close(missing.sum() / present.sum(), .5, eps=.03)
    test_close(extra.sum() / present.sum(), 2, eps=.05)
    assert not (missing & ~present).any() and not (present & ~extra).any()
    missing.sum(0), present.sum(0), extra.sum(0)

    same = np.eye(4, dtype=bool)
    test_close(_own_scores(f1, same.astype(float), same, same), np.ones(4))

    present = np.eye(4, dtype=bool)
    activations, active = simulated_units(present)
    test_eq(active, present)
    assert (simulated_units(present, noise=2.)[1] != present).any()
    activations.round(2)

    def tested(images, share):
        present = np.random.default_rng(0).random((images, 8)) < share
        return sanity(*simulated_units(present), present, samples=2)


    rare, common = tested(12_000, .001), tested(2000, .1)
    rare.merge(common, on='measure', suffixes=(' (rare)', ' (common)'))

    figure, axis = plt.subplots(figsize=(5, 2.6), layout='constrained')
    worst = rare[['missing', 'extra']].min(axis=1)
    axis.barh(rare.measure, worst, color=['#0072B2' if name in RELIABLE else '#E69F00' for name in rare.measure])
    axis.axvline(.9, color='black', linestyle='--')
    axis.invert_yaxis()
    axis.set(xlabel='share of units whose score falls (rare concepts, worse of both tests)')
    plt.show()

    for table in (rare, common):
        passes = table.set_index('measure').passes
        assert passes[list(RELIABLE)].all() and not passes[['recall', 'precision']].any()
    assert not rare.set_index('measure').passes[list(QUESTIONABLE)].any()


# 06_activations.ipynb, section "Two tests of a measure"
@pytest.mark.slow
@pytest.mark.training
def test_two_tests_of_a_measure_slow():
    network, scenes = networks.load('planted/shapes'), Scenes(ShapeScenes(800, seed=5))
    watched, labels = observe(network, scenes, quantile=.99), Labels(pack_concepts(scenes))
    concepts = [network.planted[layer][unit] for layer, unit in watched.units]
    units = np.flatnonzero([bool(concept) for concept in concepts])
    present = labels.predict_candidates().present[:, [labels.candidates.index(concepts[unit]) for unit in units]]
    activations = watched.peaks[:, units]
    table = sanity(activations, masks.active(activations, .9), present)
    assert table.set_index('measure').passes[list(RELIABLE)].all()
    table
