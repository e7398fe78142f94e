# Generated from nbs/13_experiments/14_conformance.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import pandas as pd
from milan.experiments.conformance import (
    as_markdown,
    audited_networks,
    Choice,
    CHOICES,
    conformance_table,
    NOT_AUDITED,
)

import importlib
import inspect

from fastcore.test import expect_fail, test_eq
from IPython.display import Markdown


# 14_conformance.ipynb, section "A row"
def test_a_row():
    Choice('importance', 'range', 'analyze.py', '0 to 18 %', '0 to 20 %', 'one step more',
           switch='ablation.sweep.nested')


# 14_conformance.ipynb, section "The table"
def test_the_table():
    table = conformance_table()
    assert not table.duplicated(['experiment', 'choice']).any()
    assert (table[['original', 'ours', 'reason']] != '').all().all()
    test_eq(set(conformance_table('audit').experiment), {'audit'})
    switched = table.switch != ''
    assert switched.sum() > 10
    pd.DataFrame({'choices': table.groupby('experiment', sort=False).size(),
                  'can be switched': switched.groupby(table.experiment, sort=False).sum()})

    Markdown(as_markdown(table))


# 14_conformance.ipynb, section "Every switch exists"
def test_every_switch_exists():
    for one in (one for one in CHOICES if one.switch):
        name, _, argument = one.switch.partition(': ')
        module, _, function = name.rpartition('.')
        found = inspect.signature(getattr(importlib.import_module(f'milan.{module}'), function)).parameters
        wanted = argument.partition('=')[0] or 'as_original'
        assert wanted in found, f'{one.switch} has no {wanted}'
        if not argument: assert found[wanted].default is False


# 14_conformance.ipynb, section "The audit's networks"
def test_the_audit_s_networks():
    test_eq((len(audited_networks()), len(audited_networks(as_original=True))), (15, 12))
    test_eq(set(audited_networks()) - set(audited_networks(as_original=True)), set(NOT_AUDITED))
    audited_networks(as_original=True)


# 14_conformance.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='importance'): conformance_table('agreement')
