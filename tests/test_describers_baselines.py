# Generated from nbs/10_describers/03_baselines.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
import pandas as pd
from milan.describers.baselines import (
    constant,
    other_rows,
    shuffled,
)

from fastcore.test import expect_fail, test_close, test_eq


# 03_baselines.ipynb, section "A constant description"
def test_a_constant_description():
    texts = ['dogs', 'cats', 'sky', 'sea']
    table = pd.DataFrame({'layer': 'a', 'unit': range(4), 'description': texts, 'score': [.1, .2, .3, .4]})
    same = constant(table, [['dogs', 'Sky.'], ['sky'], ['a cat']])
    test_eq(same.description.tolist(), ['sky'] * 4)
    test_close(same.score[0], 2 / 3)
    same


# 03_baselines.ipynb, section "Shuffled descriptions"
def test_shuffled_descriptions():
    texts = ['dogs', 'cats', 'sky', 'sea']
    table = pd.DataFrame({'layer': 'a', 'unit': range(4), 'description': texts, 'score': [.1, .2, .3, .4]})
    for seed in range(5):
        moved = shuffled(table, seed)
        test_eq(sorted(moved.description), sorted(table.description))
        assert (moved.description != table.description).all() and (moved.unit == table.unit).all()
    test_eq(moved.set_index('description').score['sky'], .3)
    with expect_fail(MilanError, contains='single description'): shuffled(table[:1])
    moved

    for count in (2, 3, 10):
        other = other_rows(count, np.random.default_rng(count))
        assert sorted(other) == list(range(count)) and (other != np.arange(count)).all()
