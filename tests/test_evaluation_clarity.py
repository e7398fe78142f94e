# Generated from nbs/09_evaluation/12_clarity.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from torch.nn import functional as F
import torch
from milan.evaluation.clarity import (
    clarity,
    clarity_table,
    meanings,
    polysemanticity,
    redundancy,
    two_clusters,
)

import functools
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from fastcore.test import expect_fail, test_close, test_eq
from sklearn.cluster import KMeans
from torch import nn

from milan.captioner.encoder import PyramidEncoder
from milan.exemplars.compute import compute
from milan.exemplars.show import grid
from milan.images.scenes import COLOURS
from milan.images.sets import ShapeScenes
from milan.networks.planted import ColourUnits
from milan.testing import EitherColour


@functools.cache
def either_colours(count=150):
    "Exemplars of units for one planted colour, and of units for either of two; an encoder of colours."
    found = compute(nn.Sequential(EitherColour()), ShapeScenes(count), ['0'], k=15, size=64, quiet=True,
                    out=Path(tempfile.mkdtemp())/'set')
    return found, PyramidEncoder(nn.Sequential(ColourUnits()), ['0'])


def toy_features():
    "Features of eight exemplars of three units, (3, 8, 32), and something they may share, (3, 1, 32)."
    draw = torch.Generator().manual_seed(0)
    return torch.randn(3, 8, 32, generator=draw), torch.randn(3, 1, 32, generator=draw)


# 12_clarity.ipynb, section "Clarity"
def test_clarity():
    noise, shared = toy_features()
    clarity(noise), clarity(noise + 3 * shared)

    unit = F.normalize(noise[0], dim=1)
    test_close(clarity(noise)[0], (unit @ unit.T)[~torch.eye(8, dtype=bool)].mean(), 1e-5)
    test_close(clarity(torch.ones(2, 5, 3)), torch.ones(2), 1e-5)


# 12_clarity.ipynb, section "Polysemanticity"
def test_polysemanticity():
    noise, shared = toy_features()
    two = noise.clone()
    two[:, :4] += 4 * shared
    two[:, 4:] -= 4 * torch.roll(shared, 1, 2)
    polysemanticity(two), polysemanticity(noise + 4 * shared)

    for unit in F.normalize(two, dim=2):
        label, centres = two_clusters(unit[None])
        expected = KMeans(2, n_init=10, random_state=0).fit(unit.numpy())
        test_eq(label[0].numpy() == label[0, 0].item(), expected.labels_ == expected.labels_[0])
        test_close(np.sort(centres[0].numpy(), 0), np.sort(expected.cluster_centers_, 0), 1e-5)
    test_close(polysemanticity(torch.ones(2, 5, 3)), torch.zeros(2), 1e-5) # one kind only


# 12_clarity.ipynb, section "Redundancy"
def test_redundancy():
    noise, shared = toy_features()
    twins = torch.cat([noise + 3 * shared, noise[:1] + 3 * shared[:1]])
    redundancy(twins)

    test_close(redundancy(twins)[[0, 3]], torch.ones(2), 1e-5)
    assert (redundancy(twins)[1:3] < .8).all()


# 12_clarity.ipynb, section "As columns of a table"
def test_as_columns_of_a_table():
    measured = clarity_table(*either_colours())
    measured['planted'] = np.where(measured.unit < len(COLOURS), 'one colour', 'either of two')
    measured.groupby('planted')[['clarity', 'polysemanticity', 'redundancy']].median().round(2)

    figure, axis = plt.subplots(figsize=(5, 2.5))
    for name, part in measured.groupby('planted'):
        axis.scatter(part.clarity, part.polysemanticity, label=name)
    axis.set(xlabel='clarity', ylabel='polysemanticity')
    axis.legend();

    either = measured.planted == 'either of two'
    assert measured.polysemanticity[~either].max() < .2 < .8 < measured.polysemanticity[either].min()
    assert measured.clarity[~either].min() > .8 > measured.clarity[either].max()


# 12_clarity.ipynb, section "Two meanings"
def test_two_meanings():
    found, encoder = either_colours()
    divided = meanings(found, encoder)
    {unit.unit: f'{(~second).sum()} + {second.sum()}' for unit, second in divided.items()}

    test_eq([unit for _, unit in divided], range(len(COLOURS), 2 * len(COLOURS))) # all that are either, no other
    assert not any(second[0] for second in divided.values())
    test_eq(meanings(found, encoder, least=2.), {})
    test_eq(meanings(found, encoder, alike=1.01), {})
    for unit in found.units[:3]: # the clarity of a part, from its centre
        [values] = encoder.encode(found.lookup(*unit).images[None], found.lookup(*unit).masks[None])
        label, centres = two_clusters(values[None])
        for side, rows in enumerate((~label[0], label[0])):
            if rows.sum() > 1:
                own = (rows.sum() * centres[0, side].square().sum() - 1) / (rows.sum() - 1)
                test_close(own, clarity(values[None, rows])[0], 1e-4)

    unit = found.units[len(COLOURS) + 1]
    exemplar, second = found.lookup(*unit), divided[unit]
    shown = exemplar.masked()[np.argsort(second, kind='stable')]
    grid(shown, columns=int((~second).sum()), width=48)

    colours = encoder.encode(exemplar.images, exemplar.masks)[:, :len(COLOURS)].argmax(1).numpy()
    test_eq([len(set(colours[rows])) for rows in (second, ~second)], [1, 1])
    assert colours[second][0] != colours[~second][0]


# 12_clarity.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='at least two exemplars'): clarity(torch.zeros(3, 1, 4))
    with expect_fail(MilanError, contains='(units, k, d)'): redundancy(torch.zeros(3, 4))
    test_eq(redundancy(torch.rand(1, 3, 4)).isnan().tolist(), [True])
    test_close(clarity(torch.zeros(2, 3, 4)), torch.full((2,), -.5), 1e-6) # dead features have nothing in common
