# Generated from nbs/13_experiments/15_simulation.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import numpy as np
from milan.experiments.simulation import (
    _wrong,
    agreement_and_simulation,
    made_up_tables,
    METHODS,
    rank_correlation,
    ranks_within,
    read_simulated,
)
import pytest

import tempfile

from fastcore.test import expect_fail, test_close, test_eq
from IPython.display import display
from scipy import stats

from milan.config import oracle_dir

def written(folder, layers=('layer1',), units=6): # five methods on a few units, the last one without a score
    for place in METHODS.values():
        (folder/place).mkdir(parents=True)
        text = 'bias,weight0,concept0' if 'ours' in place else 'description'
        before = '0,.5,' if 'ours' in place else ''
        for layer in layers:
            rows = [f'{unit},{before}thing {unit % 3},{unit / 10 if unit < units - 1 else ""}'
                    for unit in range(units)]
            (folder/place/f'resnet50_imagenet_{layer}.csv').write_text(
                '\n'.join([f'unit,{text},sim correlation', *rows]))
    return folder


# 15_simulation.ipynb, section "The tables"
def test_the_tables():
    with tempfile.TemporaryDirectory() as folder:
        tables = read_simulated(written(Path(folder)), 'ResNet-50/ImageNet', ['layer1'])
    test_eq(list(tables), list(METHODS))
    test_eq([len(one) for one in tables.values()], [5] * 5)
    tables['MILAN'].head(2)


# 15_simulation.ipynb, section "Ranks within layers"
def test_ranks_within_layers():
    found = ranks_within(np.array([5., 7, 6, 1, 1]), ['a', 'a', 'a', 'b', 'b'])
    test_close(found, [-2 / 3, 2 / 3, 0, 0, 0])
    found.round(2)

    random = np.random.default_rng(0)
    one = random.normal(size=300)
    other = one + random.normal(size=300)
    ranked = [ranks_within(values, ['a'] * 300) for values in (one, other)]
    value, interval = rank_correlation(*ranked)
    test_close(value, stats.spearmanr(one, other).statistic, eps=1e-6)
    assert interval[0] < value < interval[1]
    apart, ends = rank_correlation(*ranked, control=ranks_within(random.normal(size=300), ['a'] * 300))
    assert ends[0] > .3
    value, interval, apart


# 15_simulation.ipynb, section "Does agreement predict simulation?"
def test_does_agreement_predict_simulation():
    wrong = _wrong(np.array(['a', 'a', 'b', 'b', 'b']), np.random.default_rng(0))
    test_eq(sorted(wrong), list(range(5)))
    assert (wrong != np.arange(5)).all() and set(wrong[:2]) == {0, 1}

    table = agreement_and_simulation(made_up_tables()).set_index(['method', 'row'])
    knows, nothing = table.loc['knows half'], table.loc['knows nothing']
    assert knows.low['own unit'] > .3 and knows.low['own - wrong unit'] > .3
    assert abs(knows.value['wrong unit']) < .25 and abs(nothing.value['own unit']) < .25
    table.loc[['knows half', 'knows nothing']].round(2)


# 15_simulation.ipynb, section "The published tables"
@pytest.mark.oracle
def test_the_published_tables_oracle():
    folder = oracle_dir().parent/'data'/'linear_explanations'
    if folder.is_dir():
        tables = read_simulated(folder, 'ResNet-18/Places365')
        found = agreement_and_simulation(tables).set_index(['method', 'row'])
        assert len(tables['MILAN']) > 900 and .3 < found.value['MILAN', 'own unit'] < .5
        display(found.value.unstack().round(2))


# 15_simulation.ipynb, section "Errors"
def test_errors():
    with tempfile.TemporaryDirectory() as folder:
        folder = written(Path(folder))
        with expect_fail(MilanError, contains='does not exist'): read_simulated(folder, 'ResNet-18/Places365')
        (folder/METHODS['MILAN']/'resnet50_imagenet_layer1.csv').write_text('unit,text\n0,dog')
        with expect_fail(MilanError, contains='no column concept0'):
            read_simulated(folder, 'ResNet-50/ImageNet', ['layer1'])
