# Generated from nbs/05_exemplars/17_neighbours.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.neighbours import (
    compare,
    correlations,
    neighbours,
    partners,
    renamed,
    responses,
)

import copy
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan.config import MilanError
from milan.exemplars.compute import compute
from milan.exemplars.layouts import read_about, write_about
from milan.exemplars.store import Exemplars
from milan.images.scenes import COLOURS
from milan.images.sets import ShapeScenes
from milan.networks.planted import planted_network
from milan.testing import made_up_exemplars


def maxima_of(network, layers=('colours',), scenes=80, **more):
    "Exemplars, with all maxima, of a network on generated scenes."
    return compute(network, ShapeScenes(scenes), list(layers), k=5, size=None, quiet=True, keep_maxima=True,
                   out=Path(tempfile.mkdtemp())/'set', **more)


def permuted(network, seed=0):
    "The network with the units of each layer in another order, and the orders: new unit → old unit."
    network, draw, orders = copy.deepcopy(network), np.random.default_rng(seed), {}
    for layer in ('colours', 'textures'):
        part = getattr(network, layer)
        weights = [part.centres] if layer == 'colours' else [part.weight.data, part.bias.data]
        orders[layer] = draw.permutation(len(weights[0]))
        for weight in weights: weight[:] = weight[orders[layer]].clone()
    return network, orders


def forget(*sets):
    "Remove the folders of exemplars."
    for one in sets: shutil.rmtree(one.folder.parent)


# 17_neighbours.ipynb, section "Correlation"
def test_correlation():
    draw = np.random.default_rng(0)
    one = draw.normal(size=(3000, 4)).astype(np.float16)
    other = np.stack([one[:, 2] * 3 + 7, -one[:, 0], draw.normal(size=3000), np.full(3000, .1)], 1)
    correlations(one, other.astype(np.float16)).round(2)

    test_close(correlations(one, one), np.corrcoef(one.astype(float).T), 1e-9)
    test_eq(correlations(one, other)[:, 3], np.zeros(4)) # a constant, which rounding does not make vary
    test_close(correlations(one, other)[[2, 0], [0, 1]], [1, -1], 1e-3)


# 17_neighbours.ipynb, section "Neighbours of a unit"
def test_neighbours_of_a_unit():
    network = planted_network(pretrained=False) # its colour units need no fitting
    found = maxima_of(network, ['colours', 'textures'])
    names = [*COLOURS, 'grey', 'grey', 'grey']
    near = neighbours(found, units=[('colours', names.index('red'))], count=3)
    near.round(2)

    whole = np.concatenate([found.maxima(layer) for layer in found.layers], 1).astype(float)
    expected = np.corrcoef(whole.T)[names.index('red')]
    expected[names.index('red')] = -1
    test_eq([found.units[i] for i in np.argsort(-expected)[:3]],
            list(zip(near.near_layer, near.near_unit, strict=True)))
    every = neighbours(found, count=2)
    test_eq(len(every), 2 * len(found))
    assert not ((every.layer == every.near_layer) & (every.unit == every.near_unit)).any()
    test_eq(neighbours(found.select(['colours']), count=99).groupby('unit').size().tolist(), [11] * 12)

    copied, orders = permuted(network)
    there = maxima_of(copied, ['colours', 'textures'])
    first = neighbours(found, there, count=1)
    right = [orders[layer][unit] for layer, unit in zip(first.near_layer, first.near_unit, strict=True)]
    test_eq((first.layer.tolist(), first.unit.tolist()), (first.near_layer.tolist(), right))
    forget(found, there)
    first.r.min().round(3)


# 17_neighbours.ipynb, section "Units that a picture excites"
def test_units_that_a_picture_excites():
    found = maxima_of(planted_network(pretrained=False))
    names = [*COLOURS, 'grey', 'grey', 'grey']
    picture = torch.tensor(COLOURS['green'], dtype=torch.uint8)[:, None, None].expand(3, 64, 64)
    seen = compute(planted_network(pretrained=False), [picture], ['colours'], k=1, size=None, quiet=True,
                   out=found.folder.parent/'one')
    response = responses(found, {'colours': seen.activations('colours')[:, 0]})
    response.assign(concept=[names[unit] for unit in response.unit]).head(3).round(2)

    test_eq(names[response.unit[0]], 'green')
    tenth = responses(found, {'colours': found.maxima('colours')[10]}).set_index('unit')
    maxima = found.maxima('colours').astype(float)
    test_close(tenth.z[3], (maxima[10, 3] - maxima[:, 3].mean()) / maxima[:, 3].std(), 1e-9)
    test_close(tenth.share[3], (maxima[:, 3] < maxima[10, 3]).mean())
    forget(found)


# 17_neighbours.ipynb, section "Partners"
def test_partners():
    partners(np.array([[.9, .8, 0], [.95, .7, 0], [.1, .2, .3]]))

    test_eq(partners(np.ones((3, 3))), [0, 1, 2]) # twins get one partner each
    test_eq(partners(np.zeros((2, 0))), [-1, -1])
    order = np.random.default_rng(1).permutation(50)
    test_eq(partners(np.eye(50)[:, order])[order], np.arange(50))


# 17_neighbours.ipynb, section "What changed"
def test_what_changed():
    network = planted_network(pretrained=False)
    copied, orders = permuted(network)
    before, after = (maxima_of(one, ['colours', 'textures']) for one in (network, copied))
    whole = compare(before, after)
    old = [orders[layer][unit] for layer, unit in zip(whole.layer, whole.unit, strict=True)]
    (whole.was_unit == old).mean(), whole.change.unique()

    test_eq(whole.was_unit.tolist(), old)
    test_eq((set(whole.change), len(whole)), ({'kept'}, len(before)))
    assert whole.r.min() > .99 and (whole.second <= whole.r).all()
    place = int(np.flatnonzero(orders['colours'] == 0)[0])
    copied.colours.centres[place] = torch.tensor([0., .5, .5]) # no shape has this colour
    changed = maxima_of(copied, ['colours', 'textures'])
    table = compare(before, changed).query('change != "kept"')
    table

    test_eq(table.change.tolist(), ['new', 'gone'])
    test_eq((table.unit.iloc[0], table.was_unit.iloc[1]), (place, 0))
    other = compare(before, after, {'textures': 'colours'})
    test_eq((set(other.layer.dropna()), set(other.was_layer.dropna())), ({'colours'}, {'textures'}))
    test_eq(compare(before, before.select(['colours'])).r.tolist(), [1] * 12) # two tables of the same units
    forget(before, after, changed)


# 17_neighbours.ipynb, section "Names that changed"
def test_names_that_changed():
    changes = pd.DataFrame({'layer': ['a', 'a', 'a', None], 'unit': [0, 1, 2, None],
                            'change': ['kept', 'kept', 'new', 'gone'], 'was_layer': ['a', 'a', None, 'a'],
                            'was_unit': [1, 0, None, 7], 'r': [.9, .8, None, None], 'second': .1})
    changes = changes.astype({'unit': 'Int64', 'was_unit': 'Int64'})
    before = pd.DataFrame({'layer': 'a', 'unit': [0, 1, 7], 'description': ['dog', 'red', 'cars']})
    after = pd.DataFrame({'layer': 'a', 'unit': [0, 1, 2], 'description': ['Red.', 'cats', 'sky']})
    named = renamed(changes, before, after)
    named[['unit', 'change', 'description', 'was']]

    test_eq(named.change.tolist(), ['kept', 'renamed', 'new', 'gone'])
    test_eq((named.description.tolist(), named.was.tolist()),
            (['Red.', 'cats', 'sky', ''], ['red', 'dog', '', 'cars']))


# 17_neighbours.ipynb, section "Errors"
def test_errors():
    found = maxima_of(planted_network(pretrained=False), ['colours', 'textures'], scenes=20)
    shorter = maxima_of(planted_network(pretrained=False), scenes=21)
    with expect_fail(MilanError, contains='different pictures'): compare(found, shorter)
    with expect_fail(MilanError, contains='different pictures'):
        neighbours(found, Exemplars.open(made_up_exemplars()))
    with expect_fail(MilanError, contains='is not among'): neighbours(found, units=[('colours', 99)])
    with expect_fail(MilanError, contains='has no layer'): neighbours(found, units=[('conv', 0)])
    with expect_fail(MilanError, contains='has no layer'): compare(found, found, {'colours': 'conv'})
    with expect_fail(MilanError, contains='the same one'):
        compare(found, found, {'colours': 'colours', 'textures': 'colours'})
    with expect_fail(MilanError, contains='least = 0'): compare(found, found, least=0)
    with expect_fail(MilanError, contains='3 maxima were given'): responses(found, {'colours': np.zeros(3)})

    other = maxima_of(planted_network(pretrained=False), ['shapes'], scenes=20)
    with expect_fail(MilanError, contains='no layer of the same name'): compare(found, other)
    resized = shutil.copytree(found.folder, found.folder.parent/'resized')
    write_about(resized, read_about(resized) | {'images_hash': 'of another size'})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        test_eq(set(compare(found, Exemplars.open(resized)).change), {'kept'})
    assert 'different sizes' in str(said[0].message)
    (found.folder/'colours'/'maxima.npy').unlink()
    found = Exemplars.open(found.folder)
    with expect_fail(MilanError, contains='keep_maxima'): neighbours(found)
    test_eq(set(compare(found, found).change), {'kept'}) # the same units, by two describers say
    forget(found, shorter, other)
