# Generated from nbs/13_experiments/20_repairs.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.experiments.repairs import (
    accuracies_alone,
    repair_curves,
    repair_gains,
    repair_orders,
    share_on_words,
    text_among_best,
    units_of,
)

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan.experiments.classifiers import small_cnn
from milan.networks.network import Network


def some_units(text=(1, 3), count=6): # of one layer; each alone leaves a known accuracy
    return pd.DataFrame({'layer': 'stem', 'unit': range(count), 'text': [row in text for row in range(count)],
                         'text as original': [row in (*text, 0) for row in range(count)],
                         'plain': np.arange(count) / 10, 'named': np.arange(count)[::-1] / 10,
                         'hindsight': [.5, .9, .5, .8, .1, .2]})


module = small_cnn(3, 4, 2)
network = Network('toy', module, module.layers, 24)
images, labels = torch.randint(0, 256, (30, 3, 24, 24), dtype=torch.uint8), np.arange(30) % 3
units = pd.DataFrame({'layer': 'stage2', 'unit': range(8)})


# 20_repairs.ipynb, section "Where a unit looks"
def test_where_a_unit_looks():
    words = torch.zeros(4, 8, 8, dtype=torch.bool)
    words[:2, 4:] = True # images 0 and 1 have words in their lower half
    masks = torch.zeros(2, 2, 8, 8, dtype=torch.bool)
    masks[0, :, 6:], masks[1, :, :4] = True, True # the first unit looks at the lower border
    found = SimpleNamespace(layers=['stem'], ids=lambda layer: np.array([[0, 1], [0, 3]]),
                            masks=lambda layer, size: masks)
    test_eq(share_on_words(found, words), [1, 0])


# 20_repairs.ipynb, section "Each unit alone"
def test_each_unit_alone():
    alone = accuracies_alone(network, units, {'plain': (images, labels), 'few': (images[:6], labels[:6])})
    assert alone.plain.between(0, 1).all()
    alone.head(3)


# 20_repairs.ipynb, section "Orders"
def test_orders():
    orders = repair_orders(some_units())
    test_eq([unit.unit for unit in orders['text units sorted'][0]], [3, 1])
    test_eq([unit.unit for unit in orders['all units sorted'][0]], [5, 4, 3, 2, 1, 0])
    test_eq([unit.unit for unit in orders['text units, as original'][0]], [0, 1, 3])
    test_eq([unit.unit for unit in orders['all units, as original'][0]], [0, 1, 2])
    test_eq([len(one) for one in orders['random units']], [6, 6, 6])
    {name: [unit.unit for unit in some[0]] for name, some in orders.items()}


# 20_repairs.ipynb, section "Accuracy along an order"
def test_accuracy_along_an_order():
    curves = repair_curves(network, images, labels, {'two': [units_of(units)[:2]], 'none': [[]]}, most=4)
    two = curves[curves.order == 'two'].accuracy.tolist()
    test_eq(two[2:], [two[2]] * 3)
    test_eq(curves[curves.order == 'none'].accuracy.nunique(), 1)
    curves.pivot(index='order', columns='off', values='accuracy').round(2)


# 20_repairs.ipynb, section "How many units, and what they gain"
def test_how_many_units_and_what_they_gain():
    toy = pd.concat([pd.DataFrame({'network': number, 'order': 'sorted', 'off': range(3), 'accuracy': some})
                     for number, some in enumerate([[.5, .7, .6], [.5, .8, .6], [.5, .4, .6]])])
    found = repair_gains(toy, 'sorted')
    test_eq(found.off.tolist(), [1, 2, 1]) # the mean of the first and the third is .55 with one, .6 with two
    test_close(found.gain, [.2, .1, -.1])
    test_eq(repair_gains(toy[toy.network == 2], 'sorted').off.tolist(), [2])
    found

    figure, axis = plt.subplots(figsize=(3.6, 2.2), layout='constrained')
    for number, some in toy.groupby('network'): axis.plot(some.off, some.accuracy, label=f'network {number}')
    axis.plot(found.off, [.7, .6, .4], 'ko', mfc='none', label='chosen by the others')
    axis.set(xlabel='units switched off', xticks=range(3), ylabel='accuracy')
    axis.legend(frameon=False, fontsize=7)
    plt.show()


# 20_repairs.ipynb, section "Are the best units text units?"
def test_are_the_best_units_text_units():
    found = text_among_best(some_units().assign(network=7), first=2)
    test_close(found.loc[7], [1, 1 / 3])
    found


# 20_repairs.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains="no order 'bogus', but sorted"):
        repair_gains(pd.DataFrame({'network': [0], 'order': ['sorted'], 'off': [0], 'accuracy': [1.]}), 'bogus')
