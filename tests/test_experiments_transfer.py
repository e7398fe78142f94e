# Generated from nbs/13_experiments/09_transfer.ipynb by `make export`. Edit the notebook, not this file.

from milan import evaluation as metrics
from milan.config import MilanError
from pathlib import Path
import numpy as np
import torch
from milan.experiments.transfer import (
    _demo_plan,
    _leave_out,
    _smoke_plan,
    _table,
    _tested,
    _within,
    AXES,
    ceiling,
    compare,
    interval,
    networks_of,
    predict,
    predict_all,
    Predictions,
    ROWS,
    SETTINGS,
    Transfer,
    transfers,
    unit_scores,
)
import pytest

import tempfile
from dataclasses import replace

from fastcore.test import expect_fail, test_close, test_eq

from milan.evaluation import intervals
from milan.experiments.annotated import toy_networks


def quick():
    "Settings for a captioner that trains in a second."
    return replace(SETTINGS['smoke'], batch_size=12, lm_batch_size=24, epochs=6, components=8)


def three_transfers():
    "Within a network, to another network, and leaving one out."
    return [Transfer(AXES[0], 'first', 'first', ('first',), ('first',)),
            Transfer(AXES[1], 'first', 'second', ('first',), ('second',)),
            Transfer(AXES[5], 'all others', 'third', ('first', 'second'), ('third',), paper=.3)]


# 09_transfer.ipynb, section "From which networks to which"
def test_from_which_networks_to_which():
    one = Transfer('across data', 'lite0', 'cnn', ('lite0',), ('cnn',))
    test_eq((one.title, Transfer(AXES[0], 'cnn', 'cnn', ('cnn',), ('cnn',)).title), ('lite0 → cnn', 'cnn'))

    test_eq(networks_of(three_transfers()), ['first', 'second', 'third'])
    [one.title for one in three_transfers()]

    test_eq([one.title for one in _within('ab')], ['a', 'b'])
    test_eq([one.sources for one in _leave_out('abc', 'b')], [('a', 'c')])

    test_eq({one.axis for one in _smoke_plan()}, set(AXES))

    test_eq({one.axis for one in _demo_plan()}, set(AXES))

    for profile in ('smoke', 'demo', 'paper'):
        for one in transfers(profile):
            same, shared = one.sources == one.targets, set(one.sources) & set(one.targets)
            assert same == (one.axis == AXES[0]) or not shared
    test_eq({one.axis for one in transfers('demo')}, set(AXES))
    test_eq(len([one for one in transfers('paper') if one.paper]), 6 + 7 + 4)
    [one.title for one in transfers('demo', ['across data'])]


# 09_transfer.ipynb, section "One captioner per source and trial"
@pytest.mark.training
def test_one_captioner_per_source_and_trial():
    toys, folder = toy_networks(['first', 'second']), tempfile.mkdtemp()
    found = predict([toys['first']], list(toys.values()), quick(), within=True, keep=folder, device='cpu')
    found.descriptions['second'][:3], [texts[0] for texts in toys['second'].annotations[:3]], found.held_out

    pairs = zip(found.descriptions['second'], toys['second'].annotations)
    right = np.mean([texts[0] in text.lower() for text, texts in pairs])
    assert right > .6
    test_eq((len(found.descriptions['first']), len(found.held_out['first']), len(found.training)), (60, 20, 40))
    test_eq(predict([toys['first']], list(toys.values()), quick(), within=True, keep=folder, device='cpu'), found)
    test_eq(len(list(Path(folder).iterdir())), 1)
    again = predict([toys['first']], list(toys.values()), quick(), within=True, device='cpu')
    test_eq(again.held_out, found.held_out)
    other = predict([toys['first']], [toys['second']], quick(), trial=1, device='cpu')
    test_eq((other.held_out, len(other.training)), ({}, 60))
    right


# 09_transfer.ipynb, section "Scores of every unit"
def test_scores_of_every_unit():
    people = toy_networks(['first'])['first'].annotations
    said = [three[0] if row % 3 else 'dogs' for row, three in enumerate(people)] # two units in three are right
    found = unit_scores(said, people, 'red circles')
    test_eq(tuple(found), ROWS)
    assert found['ours'].mean() > max(found['constant'].mean(), found['shuffled'].mean())
    test_close(found['ours'], metrics.word_f1(said, people).values)
    {row: round(float(values.mean()), 3) for row, values in found.items()}


# 09_transfer.ipynb, section "Intervals over units and trials"
def test_intervals_over_units_and_trials():
    random = np.random.default_rng(0)
    sample = random.normal(size=400)
    test_close(interval(sample[None], seed=1)[1:], intervals.bootstrap(sample, seed=2), eps=.02)
    trials = np.tile(np.array([[.2], [.4], [.6]]), (1, 50))
    test_close(interval(trials), (.4, .2667, .5333), eps=.07)
    apart = np.full((4, 400), np.nan)
    for trial in range(4): apart[trial, trial * 100:(trial + 1) * 100] = sample[trial * 100:(trial + 1) * 100]
    both = [interval(one) for one in (apart, sample[None])]
    test_close(both[0][0], both[1][0], 1e-9)
    assert 1 < (both[0][2] - both[0][1]) / (both[1][2] - both[1][1]) < 2
    test_eq(interval(np.ones((2, 3))), (1, 1, 1))
    interval(sample[None])


# 09_transfer.ipynb, section "All transfers"
@pytest.mark.training
def test_all_transfers():
    found = Predictions({}, {'cnn': [3]}, [])
    test_eq(_tested(Transfer(AXES[0], 'cnn', 'cnn', ('cnn',), ('cnn',)), found, {'cnn': range(5)}), [('cnn', 3)])

    references = [['red circles'], ['dogs'], ['green squares']]
    ceiling(['Dogs', 'Red circles', 'Dogs'], references)

    test_eq(ceiling(['Dogs', 'Red circles', 'Dogs'], references), [1, 1, 0]) # no one said green squares

    values = {'ours': np.array([[.2, .4]]), 'constant': np.array([[.1, .1]])}
    table = _table(values, Transfer(AXES[0], 'cnn', 'cnn', ('cnn',), ('cnn',), .39), ['a cup'], 0)
    test_close(table['value'].to_numpy(), np.array([.3, .1]))
    table

    plan, toys = three_transfers(), toy_networks(['first', 'second', 'third'], units=40)
    found = predict_all(plan, toys, quick(), trials=2, device='cpu', progress=False)
    table = compare(plan, toys, found, measures=['word_f1'])
    table[['transfer', 'row', 'value', 'low', 'high', 'n', 'trials', 'paper']].round(2)

    rows = table.set_index(['transfer', 'row'])
    test_eq(rows.n['first', 'ours'], 27) # two trials, two of three folds
    test_eq((rows.n['first → second', 'ours'], rows.trials['first', 'ours']), (40, 2))
    assert (table.low <= table.value + 1e-9).all() and (table.value <= table.high + 1e-9).all()
    assert rows.low['first → second', 'ours − shuffled'] > 0

    part = rows.value['first → second']
    test_close(part['ours − shuffled'], part['ours'] - part['shuffled'], 1e-9)
    test_eq(rows.paper['all others → third', 'ours'], .3)

    noise = torch.randn(60, 5, 12, generator=torch.Generator().manual_seed(5))
    blind = toy_networks(['first', 'second'], units=60)
    blind['second'] = replace(blind['second'], features=noise)
    found = predict_all(plan[1:2], blind, quick(), trials=2, device='cpu', progress=False)
    table = compare(plan[1:2], blind, found, ['word_f1']).set_index('row')
    assert table.low['ours − shuffled'] < .08 and abs(table.value['ours − shuffled']) < .15
    table[['value', 'low', 'high']].round(2)


# 09_transfer.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains="'across time'"): transfers('demo', ['across time'])
    with expect_fail(MilanError, contains='choose within network'): transfers('paper', ['across network'])
    with expect_fail(MilanError, contains='tested no unit'): interval(np.array([[1., 2.], [np.nan, np.nan]]))
    with expect_fail(MilanError, contains='no units of second'):
        predict_all(three_transfers()[1:2], toy_networks(['first']), quick())
