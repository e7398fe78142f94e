# Generated from nbs/13_experiments/18_costs.ipynb by `make export`. Edit the notebook, not this file.

from milan import annotations
import pandas as pd
from milan.experiments.costs import (
    estimate,
    estimate_text,
    network_cost,
    speed,
    steps_of,
)

import warnings

from fastcore.test import test_close, test_eq

warnings.filterwarnings('ignore', message='IProgress') # a warning of a progress-bar library


# 18_costs.ipynb, section "Of one network"
def test_of_one_network():
    test_eq(network_cost('resnet18/imagenet').units, 64 + 64 + 128 + 256 + 512)
    test_close(network_cost('resnet18/imagenet').operations, 3.6e9, eps=1e8)
    test_eq(network_cost('resnet152/imagenet').units, annotations.SETS['resnet152/imagenet'])
    network_cost('resnet152/imagenet')


# 18_costs.ipynb, section "Notebooks"
def test_notebooks():
    pd.DataFrame(steps_of('importance')).round(1)


# 18_costs.ipynb, section "This machine"
def test_this_machine():
    assert 1e8 < speed(seconds=.1) < 1e16

    names = ['agreement', 'audit', 'baselines', 'editing', 'generalization', 'importance', 'language',
             'milannotations', 'summary', 'sweep', 'train_a_captioner', 'verification']
    table = estimate(names, 1e13) # such as a good GPU
    assert (table.set_index('notebook').drop('summary').data > 0).all()
    assert table.results.iloc[-1] <= table.results[:-1].sum()
    table.round(1)

    print(estimate_text(['sweep']).splitlines()[1])
