# Generated from nbs/13_experiments/17_audits.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
from milan.experiments.audits import (
    lost_units,
    marked_units,
    unit_counts,
    words_against_labels,
)

from types import SimpleNamespace

import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq


def made_up(seed, lost=3, fewer=0, birds=10, fruits=8): # a network and its twins, with known numbers of units
    rows = []
    for trained, some in {'ordinary': (birds, fruits), 'bird': (birds - lost - fewer, fruits - fewer),
                          'fruit': (birds - fewer, fruits - lost - fewer)}.items():
        for thing, count in zip(('bird', 'fruit'), some):
            rows += [{'network': seed, 'trained': trained, 'says bird': thing == 'bird',
                      'says fruit': thing == 'fruit'}] * count
    return pd.DataFrame(rows)


# 17_audits.ipynb, section "What a unit is said to see, and what its exemplars show"
def test_what_a_unit_is_said_to_see_and_what_its_exemplars_show():
    words, names = {'bird': ['bird', 'parrot'], 'fruit': ['fruit']}, ['fruit', 'bird']
    ids = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    found = SimpleNamespace(layers=['stem'], ids=lambda layer: ids)
    table = pd.DataFrame({'layer': 'stem', 'unit': [0, 1], 'description': ['Green parrots', 'Round things']})
    marked = marked_units(table, found, words, np.array([1, 1, 1, 0, 0, 0, 0, 1]), names)
    test_eq((marked['says bird'].tolist(), marked['says fruit'].tolist()), ([True, False], [False, False]))
    test_close([*marked['shows bird'], *marked['shows fruit']], [.75, .25, .25, .75])
    assert 'shows bird' not in marked_units(table, found, words)
    marked


# 17_audits.ipynb, section "Counts"
def test_counts():
    told = pd.concat([made_up(seed, lost=3 + seed, fewer=seed) for seed in range(3)])
    counts = unit_counts(told, ['bird', 'fruit'])
    test_eq(counts.loc[0, 'bird'].tolist(), [7, 8])
    counts


# 17_audits.ipynb, section "Differences in differences"
def test_differences_in_differences():
    told = pd.concat([made_up(seed, lost=3 + seed, fewer=seed) for seed in range(3)])
    found = lost_units(unit_counts(told, ['bird', 'fruit']), ['bird', 'fruit'])
    test_eq(found.own.tolist(), [3, 5, 7])
    test_eq(found.others.tolist(), [0, 1, 2])
    test_eq(found.did.tolist(), [3, 4, 5])
    test_eq(lost_units(unit_counts(made_up(0, lost=0, fewer=4), ['bird', 'fruit']), ['bird', 'fruit']).did[0], 0)
    found


# 17_audits.ipynb, section "Words against labels"
def test_words_against_labels():
    some = pd.DataFrame({'network': 0, 'says bird': [True, True, False, False],
                         'shows bird': [.9, .1, .6, 0]})
    test_close(words_against_labels(some, ['bird']).loc[0], [.5, .5, .5])
    silent = some.assign(**{'says bird': False})
    assert np.isnan(words_against_labels(silent, ['bird']).precision[0])
    words_against_labels(some, ['bird'])


# 17_audits.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='no column shows bird'): unit_counts(made_up(0), ['bird'], 'shows')
    with expect_fail(MilanError, contains='only thing'):
        lost_units(unit_counts(made_up(0), ['bird']), ['bird'])
