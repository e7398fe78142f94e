# Generated from nbs/45_generalization.ipynb by `make export`. Edit the notebook, not this file.

from milan import exemplars
from milan import metrics
from milan import networks
from milan.captioner.encoder import PyramidEncoder
from milan.config import MilanError
from milan.regions import ABSTAIN
import numpy as np
import torch
from milan.generalization import (
    AXES,
    compare,
    features_of,
    hear,
    held_scenes,
    interval,
    listen,
    Look,
    missing_sets,
    noun_classes,
    resized,
    ROWS,
    SETTINGS,
    simulated_sets,
    SIZES,
    small_world,
    speak,
    Trip,
    trips,
    unit_scores,
)
import pytest

import os
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

from fastcore.test import expect_fail, test_close, test_eq

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


def quick():
    "Settings for a captioner of a second."
    return replace(SETTINGS['smoke'], batch_size=12, lm_batch_size=24, epochs=6, components=8)


def looked():
    "Scenes, ready for annotators, a network with planted colours, and its exemplars."
    look = Look.at(*held_scenes(80))
    planted = networks.load('planted/shapes', 'cpu', pretrained=False)
    layers = ['colours', 'shapes', 'textures']
    return look, planted, exemplars.compute(planted, look.pictures, layers, k=10, out=tempfile.mkdtemp() + '/planted', quiet=True)


# 45_generalization.ipynb, section "Trips"
def test_trips():
    {axis: [trip.title for trip in trips('demo', [axis])] for axis in AXES}

    for profile in ('smoke', 'demo', 'paper'):
        for trip in trips(profile): assert (set(trip.sources) == set(trip.targets)) == (trip.axis == AXES[0]) or not set(trip.sources) & set(trip.targets), trip
    test_eq({trip.axis for trip in trips('demo')}, set(AXES))
    test_eq(len([trip for trip in trips('paper') if trip.paper]), 6 + 7 + 4)
    test_eq([trip.title for trip in trips('demo', ['across data'])], ['lite0 → lite0 drawings', 'lite0 drawings → lite0'])
    with expect_fail(MilanError, contains="'across time'"): trips('demo', ['across time'])
    with expect_fail(MilanError, contains='choose from within network'): trips('paper', ['across network'])


# 45_generalization.ipynb, section "A network's annotated units"
def test_a_network_s_annotated_units():
    world = small_world(['first', 'second'])
    world['first'].annotations[:2], tuple(world['first'].features.shape)

    test_eq(small_world(['first', 'second'])['second'].key, world['second'].key)
    assert world['first'].annotations != world['second'].annotations


# 45_generalization.ipynb, section "One captioner per source and trial"
@pytest.mark.training
def test_one_captioner_per_source_and_trial():
    world = small_world(['first', 'second'])
    folder = tempfile.mkdtemp()
    heard = hear([world['first']], list(world.values()), quick(), within=True, keep=folder, device='cpu')
    list(zip(heard.said['second'], (said[0] for said in world['second'].annotations)))[:3], heard.tested

    right = np.mean([said[0] in text.lower() for text, said in zip(heard.said['second'], world['second'].annotations)])
    assert right > .6
    test_eq((len(heard.said['first']), len(heard.tested['first']), len(heard.training)), (60, 6, 54))
    test_eq(hear([world['first']], list(world.values()), quick(), within=True, keep=folder, device='cpu'), heard)
    test_eq(len(list(Path(folder).iterdir())), 1)
    again = hear([world['first']], list(world.values()), quick(), within=True, device='cpu')
    test_eq(again.tested, heard.tested)
    other = hear([world['first']], [world['second']], quick(), trial=1, device='cpu')
    test_eq((other.tested, len(other.training)), ({'first': []}, 60))
    right


# 45_generalization.ipynb, section "Scores of every unit"
def test_scores_of_every_unit():
    people = small_world(['first'])['first'].annotations
    said = [three[0] if row % 3 else 'dogs' for row, three in enumerate(people)] # right of two units in three
    found = unit_scores(said, people, 'red circles')
    {row: round(float(values.mean()), 3) for row, values in found.items()}

    test_eq(tuple(found), ROWS)
    assert found['ours'].mean() > max(found['constant'].mean(), found['shuffled'].mean())
    test_close(found['ours'], metrics.word_f1(said, people).values)


# 45_generalization.ipynb, section "Intervals over units and trials"
def test_intervals_over_units_and_trials():
    random = np.random.default_rng(0)
    sample = random.normal(size=400)
    test_close(interval(sample[None], seed=1)[1:], metrics.bootstrap(sample, seed=2), eps=.02)
    trials = np.tile(np.array([[.2], [.4], [.6]]), (1, 50))
    value, low, high = interval(trials)
    test_close((value, low, high), (.4, .2667, .5333), eps=.07)
    apart = np.full((4, 400), np.nan)
    for trial in range(4): apart[trial, trial * 100:(trial + 1) * 100] = sample[trial * 100:(trial + 1) * 100]
    both = [interval(one) for one in (apart, sample[None])]
    test_close(both[0][0], both[1][0], 1e-9)
    assert 1 < (both[0][2] - both[0][1]) / (both[1][2] - both[1][1]) < 2
    test_eq(interval(np.ones((2, 3))), (1, 1, 1))
    with expect_fail(MilanError, contains='tested no unit'): interval(np.array([[1., 2.], [np.nan, np.nan]]))
    interval(sample[None])


# 45_generalization.ipynb, section "All trips"
@pytest.mark.training
def test_all_trips():
    plan = [Trip(AXES[0], 'first', 'first', ('first',), ('first',)), Trip(AXES[1], 'first', 'second', ('first',), ('second',)),
            Trip(AXES[5], 'all others', 'third', ('first', 'second'), ('third',), paper=.3)]
    world = small_world(['first', 'second', 'third'], units=40)
    heard = listen(plan, world, quick(), trials=2, device='cpu', progress=False)
    table = compare(plan, world, heard, measures=['word_f1'])
    table.drop(columns=['axis', 'measure', 'note']).round(2)

    rows = table.set_index(['trip', 'row'])
    test_eq((rows.n['first', 'ours'] <= 8, rows.n['first → second', 'ours'], rows.trials['first', 'ours']), (True, 40, 2))
    assert (table.low <= table.value + 1e-9).all() and (table.value <= table.high + 1e-9).all()
    assert rows.low['first → second', 'ours − shuffled'] > 0
    test_close(rows.value['first → second', 'ours − shuffled'], rows.value['first → second', 'ours'] - rows.value['first → second', 'shuffled'], 1e-9)
    test_eq(rows.paper['all others → third', 'ours'], .3)
    with expect_fail(MilanError, contains='no units of fourth'): listen([Trip(AXES[1], 'first', 'fourth', ('first',), ('fourth',))], world, quick())

    blind = small_world(['first', 'second'], units=60)
    blind['second'] = replace(blind['second'], features=torch.randn(60, 5, 12, generator=torch.Generator().manual_seed(5)))
    table = compare(plan[1:2], blind, listen(plan[1:2], blind, quick(), trials=2, device='cpu', progress=False), ['word_f1']).set_index('row')
    assert table.low['ours − shuffled'] < .08 and abs(table.value['ours − shuffled']) < .15
    table[['value', 'low', 'high']].round(2)


# 45_generalization.ipynb, section "Simulated annotators"
def test_simulated_annotators():
    look, planted, found = looked()
    spoken = speak(found, look)
    list(zip(spoken.units, spoken.annotations))[:4], f'{spoken.named} of {spoken.asked} units can be named'

    colours = [(planted.planted['colours'][unit.unit], ' '.join(said)) for unit, said in zip(spoken.units, spoken.annotations) if unit.layer == 'colours' and planted.planted['colours'][unit.unit]]
    assert np.mean([colour in said for colour, said in colours if colour in ('red', 'green', 'blue', 'yellow', 'purple')]) > .5
    test_eq((len(spoken.regions), spoken.asked, spoken.named), (10 * len(spoken), len(found), len(spoken)))
    test_eq(speak(found, look).annotations, spoken.annotations)
    assert all(len(three) == 3 and ABSTAIN not in three for three in spoken.annotations)
    test_eq(len(speak(found, look, count=10)), 10)
    letters, _ = held_scenes(80, ['letter'])
    assert 0 < len(letters) < 80
    with expect_fail(MilanError, contains='can be named'): speak(found.select(['textures']), look)


# 45_generalization.ipynb, section "Features"
def test_features():
    look, planted, found = looked()
    spoken = speak(found, look)
    encoder = PyramidEncoder(planted, ['colours', 'shapes'])
    seen = features_of(encoder, look, {'planted': spoken, 'some of it': speak(found, look, count=10)}, keep=False)
    tuple(seen['planted'].shape)

    test_eq((seen['planted'].shape, seen['some of it'].shape[:2]), ((len(spoken), 10, 12 + found.select(['shapes']).unit_numbers('shapes').size), (10, 10)))
    by_hand = encoder.read(look.pictures[int(spoken.regions.ids[0])][None], spoken.regions.masks[0][None, None].float())
    test_close(seen['planted'][0, 0], by_hand[0], 1e-2)


# 45_generalization.ipynb, section "Small networks, trained here"
@pytest.mark.training
def test_small_networks_trained_here():
    classes, numbers = noun_classes([frozenset({'dog', 'animal'}), frozenset({'cat', 'animal'}), frozenset({'cat'}), frozenset()], least=2)
    classes, numbers

    test_eq((set(classes), numbers[3]), ({'animal', 'cat'}, None))
    with expect_fail(MilanError, contains='at least two'): noun_classes([frozenset({'dog'})] * 5, least=3)
    test_eq(resized(64)(torch.rand(2, 3, 112, 112)).shape, (2, 3, 64, 64))


# 45_generalization.ipynb, section "The sets of a profile"
def test_the_sets_of_a_profile():
    os.environ['MILAN_RESULTS_DIR'] = os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    sets, looks, overview = simulated_sets('smoke', ['planted', 'cnn', 'generator'], device='cpu')
    overview

    test_eq([tuple(sets[name].features.shape[:2]) for name in sets], [(len(sets[name]), SIZES['smoke'].k) for name in sets])
    test_eq(len({sets[name].features.shape[2] for name in sets}), 1)
    again, _, _ = simulated_sets('smoke', ['planted', 'cnn', 'generator'], device='cpu')
    test_eq([again[name].key for name in sets], [sets[name].key for name in sets])
    for name in ('MILAN_RESULTS_DIR', 'MILAN_MODELS_DIR'): del os.environ[name]


# 45_generalization.ipynb, section "The published annotations"
def test_the_published_annotations():
    missing = missing_sets(trips('paper'), data_dir=tempfile.mkdtemp())
    [line.split(':')[0] for line in missing]

    assert sum('milan data fetch milannotations-' in line for line in missing) == 7
    assert any('images of alexnet/imagenet' in line for line in missing)
    test_eq(sum('annotations of' in line for line in missing_sets(trips('paper', ['across task']), data_dir=tempfile.mkdtemp())), 6)
