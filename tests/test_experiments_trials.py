# Generated from nbs/13_experiments/16_trials.ipynb by `make export`. Edit the notebook, not this file.

from milan.networks.network import Network
from pathlib import Path
import numpy as np
import pandas as pd
from milan.experiments.trials import (
    described_units,
    design,
    in_words,
    over_networks,
    run_trials,
    trained_network,
)
import pytest

import tempfile

import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan.experiments.classifiers import small_cnn

def coloured(count, seed=0): # squares of three colours on noise
    chance = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 90, (count, 3, 24, 24), generator=chance, dtype=torch.uint8)
    images[torch.arange(count), labels, 6:18, 6:18] = 220
    return images, labels.numpy()


# 16_trials.ipynb, section "Means over networks"
def test_means_over_networks():
    over_networks([20, -2, 52, 21, 13])

    from scipy import stats

    values = np.random.default_rng(0).normal(1, 2, size=12)
    known = stats.ttest_1samp(values, 0)
    test_close(over_networks(values).interval, known.confidence_interval(.95))
    test_close(over_networks(values).p, known.pvalue)
    test_eq(over_networks([3.]), (3, None, 1, None, None))
    test_eq(over_networks([0, 0, 0]).p, 1)

    test_eq(in_words(over_networks([.01, .03]), 100), '+2.0 [-10.7, +14.7]')
    in_words(over_networks([20, -2, 52, 21, 13]))


# 16_trials.ipynb, section "How many networks?"
def test_how_many_networks():
    pd.DataFrame({number: design(3.9, number)._asdict() for number in (5, 10, 16, 30)}).T.round(2)

    test_close(design(np.std([1, 2, 4], ddof=1), 3).half, np.diff(over_networks([1, 2, 4]).interval) / 2)
    wide, narrow = design(3.9, 5), design(3.9, 20)
    assert wide.half > 2 * narrow.half and narrow.detectable > narrow.half


# 16_trials.ipynb, section "A network is trained once"
@pytest.mark.training
def test_a_network_is_trained_once():
    TRAINING = {'epochs': 2, 'batch_size': 16, 'learning_rate': .01, 'seed': 0, 'device': 'cpu'}

    with tempfile.TemporaryDirectory() as folder:
        first = trained_network(small_cnn(3, 4, 2), *coloured(120), 24, folder, **TRAINING)
        kept = [path.name for path in Path(folder, 'networks').iterdir()]
        second = trained_network(small_cnn(3, 4, 2), *coloured(120), 24, folder, **TRAINING)
        test_eq([path.name for path in Path(folder, 'networks').iterdir()], kept)
    assert torch.equal(first.module.head.weight, second.module.head.weight)
    first.layers, len(kept)


# 16_trials.ipynb, section "Its units are described"
def test_its_units_are_described():
    class Numbering: # a captioner that says each unit's number
        def describe(self, found, cache, progress):
            rows = [(layer, unit, f'unit {unit}', 0.) for layer in found.layers
                    for unit in found.unit_numbers(layer).tolist()]
            return pd.DataFrame(rows, columns=['layer', 'unit', 'description', 'score'])


    module = small_cnn(3, 4, 2)
    found, table = described_units(Network('trial', module, module.layers, 24), coloured(40)[0], Numbering())
    test_eq(len(table), 4 + 4 + 8)
    found.k, table.tail(2)


# 16_trials.ipynb, section "A network is measured once"
def test_a_network_is_measured_once():
    measured, dies = [], {2}


    def measure(number):
        if number in dies: raise RuntimeError('killed')
        measured.append(number)
        return pd.DataFrame({'layer': ['stem'], 'description': ['a dog'], 'right': [True], 'share': [number / 3]})


    with tempfile.TemporaryDirectory() as folder:
        with expect_fail(RuntimeError): run_trials(measure, range(4), 'toy', {'epochs': 2}, folder)
        dies.clear()
        table = run_trials(measure, range(4), 'toy', {'epochs': 2}, folder)
        test_eq(measured, [0, 1, 2, 3])
        again = run_trials(measure, range(4), 'toy', {'epochs': 2}, folder)
        other = run_trials(measure, range(1), 'toy', {'epochs': 3}, folder)
    test_eq(measured, [0, 1, 2, 3, 0])
    assert table.equals(again) and table.right.dtype == bool
    table
