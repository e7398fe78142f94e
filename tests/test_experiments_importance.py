# Generated from nbs/13_experiments/13_importance.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.experiments.importance import (
    first_of_layers,
    merged_sets,
    order_band,
    regress,
    standardised_within,
)

import numpy as np
import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq

from milan.hooks.layers import Unit


# 13_importance.ipynb, section "The same share of every layer"
def test_the_same_share_of_every_layer():
    scores = {Unit(layer, number): number for layer, count in (('early', 4), ('late', 10))
              for number in range(count)}
    test_eq(first_of_layers(scores, .2), [('early', 3), ('late', 9), ('late', 8)])
    drawn = {tuple(first_of_layers(dict.fromkeys(scores, 0), .2, seed=seed)) for seed in range(20)}
    assert len(drawn) > 10 and {len(units) for units in drawn} == {3}
    first_of_layers(scores, .5, descending=False)

    both = [Unit('x', 0), Unit('x', 1)]
    some = merged_sets({'a': both, 'b': both[::-1], 'c': both[:1]})
    test_eq((some.number, len(some.sets)), ({'a': 0, 'b': 0, 'c': 1}, 2))
    some


# 13_importance.ipynb, section "The band of random orders"
def test_the_band_of_random_orders():
    draws = np.random.default_rng(0).normal(.6, .02, size=(2000, 41)) # 40 orders, and one more
    inside = [abs(one[40] - (band := order_band(one[:40])).middle) < band.half for one in draws]
    assert .93 < np.mean(inside) < .97
    small = np.mean([order_band(one[:40]).p(one[40]) < .05 for one in draws])
    test_close(small, 1 - np.mean(inside))
    order_band(draws[0, :40])

    found = [order_band(one[:40]) for one in draws[:400]]
    lower = np.mean([abs(one[40] - band.detectable - band.middle) > band.half for one, band in zip(draws, found)])
    assert .73 < lower < .87 # an effect of this size is found in about 80 of 100 cases
    lower


# 13_importance.ipynb, section "Units instead of curves"
def test_units_instead_of_curves():
    test_close(standardised_within([1, 3, 10, 10], ['a', 'a', 'b', 'b']), [-1, 1, 0, 0])
    standardised_within([1, 3, 5, 50], ['a', 'a', 'b', 'b'])

    random = np.random.default_rng(1)
    layers = np.repeat(['early', 'late'], 300)
    late = layers == 'late'
    texts = pd.DataFrame({'adjectives': random.normal(size=600), 'length': random.normal(size=600) + 3 * late,
                          'verbs': 0.})
    damage = .4 * texts.adjectives + 2 * late + random.normal(size=600) * .8
    found = regress(damage, texts, layers).set_index('property')
    found.round(3)

    test_eq(list(found.index), ['adjectives', 'length']) # verbs never vary
    assert found.low['adjectives'] > .2 and found.holm['adjectives'] < .01
    assert found.low['length'] < 0 < found.high['length']
    assert abs(np.corrcoef(texts.length, damage)[0, 1]) > .5 # which is the layers' doing
    assert .05 < found.detectable['length'] < .2 # 2.8 / √600 = .11
    dependent = pd.DataFrame({'one': texts.adjectives, 'same': texts.adjectives})
    test_close(regress(damage, dependent, layers).value.sum(), found.value['adjectives'], eps=.05)


# 13_importance.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='at least two'): order_band([.5])
    test_eq((order_band([.5, .5]).p(.5), order_band([.5, .5]).p(.4)), (1, 0))
    test_eq(len(regress([0., 1.], pd.DataFrame({'a': [0, 0]}), ['x', 'x'])), 0)
