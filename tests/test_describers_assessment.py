# Generated from nbs/10_describers/06_assessment.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.sweep import Regions
from milan.concepts.vocabulary import Candidates
from milan.config import MilanError
from milan.hooks.layers import Unit
from milan.describers.assessment import (
    assess_layer,
    Assessed,
    COLUMNS,
    combinations,
    for_pages,
    halves_of,
    intervals,
    Recorded,
    rows_of,
)

import numpy as np
import pandas as pd
from fastcore.test import test_eq

from milan.concepts.sweep import SIDE

def toy(): # 60 units: 20 follow the first concept and show it, 20 the second, 20 none
    random = np.random.default_rng(0)
    halves = halves_of([None] * 400)
    values = (random.random((400, 3)) < .3).astype(np.float32)
    activations = random.normal(size=(400, 60))
    activations[:, :20] += 1.5 * values[:, :1]
    activations[:, 20:40] += 1.5 * values[:, 1:2]
    units = [Unit('layer', number) for number in range(60)]
    regions = Regions(units, np.zeros((60, 15), int), np.zeros((60, 15, SIDE * SIDE // 8), np.uint8))
    present = np.zeros((60, 3), bool)
    present[:20, 0] = present[20:40, 1] = present[40:, 2] = True
    options = Candidates(['cat', 'red', 'sky'], np.array(['word', 'look', 'word']), values, present,
                         present * .8, gates=np.full(3, .15))
    return Recorded({'layer': activations}, regions), options, halves


# 06_assessment.ipynb, section "Halves"
def test_halves():
    class Pictures(list): # stands in for a set of pictures
        table = pd.DataFrame({'group': [f'object {i // 2}' for i in range(200)],
                              'set': ['drawings'] * 100 + ['photographs'] * 100})

    halves = halves_of(Pictures([None] * 200))
    np.bincount(halves.part), halves.groups[:3]

    test_eq(np.bincount(halves.part).tolist(), [50] * 4)
    test_eq([halves.part[i] == halves.part[i + 1] for i in range(0, 200, 2)], [True] * 100)
    test_eq(halves_of([None] * 80).sources, [''] * 80)


# 06_assessment.ipynb, section "A layer"
def test_a_layer():
    recorded, options, halves = toy()
    layer = assess_layer('layer', recorded, options, halves)
    [options.names[layer.concepts[row]] for row in layer.spoken][::6]

    test_eq({options.names[i] for i in layer.concepts[:20]}, {'cat'})
    test_eq({options.names[i] for i in layer.concepts[20:40]}, {'red'})
    assert set(range(40)) >= set(layer.spoken) and len(layer.spoken) > 35


# 06_assessment.ipynb, section "Intervals and combinations"
def test_intervals_and_combinations():
    recorded, options, halves = toy()
    layer = assess_layer('layer', recorded, options, halves)
    low, high = intervals(layer, options, halves)
    made, held = combinations(layer, options, halves)
    low[:2].round(2), high[:2].round(2), made[0], held[:2].round(2)

    value = layer.found.held_out[np.arange(60), layer.concepts]
    assert ((low < value) & (value < high)).all() and (low[:40] > 0).all()
    assert all(one.concepts[0] == 0 for one in made[:20]) and held[:40].min() > .2


# 06_assessment.ipynb, section "The table"
def test_the_table():
    recorded, options, halves = toy()
    assessed = Assessed(options, [assess_layer('layer', recorded, options, halves)], halves)
    table = assessed.table()
    table.iloc[[0, 1, 20, 40]].round(2).T

    test_eq(set(table.columns), {'layer', 'unit', 'description', 'score', *COLUMNS})
    test_eq(set(table.description), {'cat', 'red', ''})
    assert (table.silent != '').sum() == (table.description == '').sum() == (table.source == '').sum()

    recorded, options, halves = toy()
    shown = for_pages(Assessed(options, [assess_layer('layer', recorded, options, halves)],
                               halves).table())
    shown.iloc[[0, 59]].round(2).T

    assert (shown.nearest[shown.description != ''] == '').all()
    assert shown.presence[shown.description == ''].isna().all()

    test_eq(rows_of(pd.DataFrame({'layer': ['a', 'a', 'b'], 'unit': [0, 1, 0]}),
                    {'a': [1, 5], 'b': [0]}).unit.tolist(), [1, 0])


# 06_assessment.ipynb, section "Errors"
def test_errors():
    global MilanError
    import pytest

    from milan.config import MilanError

    with pytest.raises(MilanError, match='at least 40 different ones'):
        halves_of([None] * 30)
