# Generated from nbs/09_evaluation/01_intervals.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
from milan.evaluation.intervals import (
    _bootstrap_draws,
    bootstrap,
    detectable_effect,
    difference,
    holm,
    proportion,
    summarise,
)

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq
from scipy import stats


# 01_intervals.ipynb, section "The bootstrap"
def test_the_bootstrap():
    sample = np.random.default_rng(1).normal(size=400)
    error = 1.96 * sample.std() / 20
    test_close(bootstrap(sample, seed=2), (sample.mean() - error, sample.mean() + error), eps=.02)
    test_eq(bootstrap(np.ones(5)), (1, 1))
    bootstrap(sample, seed=2)

    theirs = stats.bootstrap([sample], np.mean, method='percentile', n_resamples=1000, rng=0).confidence_interval
    test_close(bootstrap(sample), theirs, eps=.02)
    tuple(map(float, theirs))

    low, high = bootstrap(sample, seed=2)
    figure, axis = plt.subplots(figsize=(4.5, 2.2), layout='constrained')
    axis.hist(_bootstrap_draws(sample, float, 1000, 2), 40, color='#56B4E9')
    for end in (low, high): axis.axvline(end, color='#D55E00', linestyle='--')
    axis.set(xlabel='mean of the resampled units', ylabel='resamples',
             title='95 % of the means lie between the dashed lines')
    plt.show()


# 01_intervals.ipynb, section "One measure over units"
def test_one_measure_over_units():
    test_eq(summarise([0, 1, 1, 0]).value, .5)
    summarise([0, 1, 1, 0])

    good, bad = summarise(np.linspace(.4, .9, 50)), summarise(np.linspace(.3, .8, 50))
    test_close(difference(good, bad).interval, (.1, .1))
    difference(good, bad)


# 01_intervals.ipynb, section "What could have been found"
def test_what_could_have_been_found():
    test_close(detectable_effect((-1.96, 1.96)), 1.96 + .8416, eps=1e-3)
    test_close(detectable_effect((2, 4), freedom=5), 1 + .9195 / 2.5706, eps=1e-3)
    detectable_effect((-.02, .04))

    random, n = np.random.default_rng(0), 50
    smallest = detectable_effect((-1.96 / n ** .5, 1.96 / n ** .5))
    samples = random.normal(smallest, size=(400, n))
    found = np.mean(samples.mean(1) - 1.96 * samples.std(1, ddof=1) / n ** .5 > 0)
    assert .74 < found < .86
    found


# 01_intervals.ipynb, section "Several questions at once"
def test_several_questions_at_once():
    test_close(holm([.01, .04, .03, .005]), [.03, .06, .06, .02])
    test_eq(holm([]).tolist(), [])
    holm([.01, .04, .03, .005])


# 01_intervals.ipynb, section "Proportions"
def test_proportions():
    test_close(proportion([True] * 25)[1], (1 / (1 + 1.959964 ** 2 / 25), 1))
    test_eq(proportion([False] * 9)[1][0], 0)
    proportion([True, False] * 50)

    share, interval = proportion([True, False] * 50)
    test_close([share, *interval], [.5, .4038, .5962], eps=1e-3)
    theirs = stats.binomtest(37, 100).proportion_ci(method='wilson')
    test_close(proportion([True] * 37 + [False] * 63)[1], theirs, eps=1e-6)


# 01_intervals.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='no units'): bootstrap(np.empty(0))
    with expect_fail(MilanError, contains='1 scores against 2'): difference(summarise([0]), summarise([0, 1]))
    with expect_fail(MilanError, contains='at least one unit'): proportion([])
