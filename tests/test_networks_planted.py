# Generated from nbs/04_networks/05_planted.ipynb by `make export`. Edit the notebook, not this file.

from milan.images.scenes import COLOURS
from milan.networks.planted import (
    _auroc,
    _PLANTED,
    _training_data,
    _trunk,
    _units,
    check_planted,
    ColourUnits,
    fit,
    PLANTED_LAYERS,
    planted_network,
    PlantedNetwork,
)
import pytest

import matplotlib.pyplot as plt
import numpy as np
import torch
from fastcore.test import test_eq

from milan.images.scenes import draw_scene, make_scene


# 05_planted.ipynb, section "A network with planted units"
def test_a_network_with_planted_units():
    _PLANTED

    ColourUnits()(torch.rand(2, 3, 64, 64)).shape

    test_eq(_trunk().eval()(torch.rand(1, 3, 64, 64)).shape, (1, 40, 16, 16))
    [_units(layer) for layer in PLANTED_LAYERS]

    network = PlantedNetwork().eval()
    test_eq(sum(concept != '' for planted in network.planted.values() for concept in planted),
            sum(map(len, _PLANTED.values())))
    [tuple(part.shape) for part in network.maps(torch.rand(2, 3, 64, 64))]

    network = PlantedNetwork().eval()
    image = torch.full((1, 3, 64, 64), 0.5)
    image[0, :, 20:44, 20:44] = torch.tensor(COLOURS['orange'])[:, None, None] / 255
    answers = network.colours(image)[0].amax((1, 2))
    test_eq(network.planted['colours'][answers[:9].argmax()], 'orange')
    assert answers[1] > 0.99 and answers[[0, 2, 3, 4, 5, 6, 7, 8]].max() < 0.5
    answers

    scene = draw_scene(2)
    maps = PlantedNetwork().colours(torch.from_numpy(scene.image).permute(2, 0, 1)[None] / 255)[0]
    figure, axes = plt.subplots(1, 5, figsize=(7.5, 1.9), dpi=70)
    axes[0].imshow(scene.image)
    strongest = maps[:9].amax((1, 2)).argsort(descending=True)[:4].tolist()
    for axis, unit in zip(axes[1:], strongest, strict=True):
        axis.imshow(maps[unit].numpy(), cmap='cividis', vmin=0, vmax=1)
    for axis, title in zip(axes, ['scene', *(list(COLOURS)[unit] for unit in strongest)], strict=True):
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
    axes[0].set(xlabel='columns', ylabel='rows')
    figure.supxlabel('activation of colour units: dark 0, bright 1', fontsize=9)
    figure.tight_layout()


# 05_planted.ipynb, section "Fitting the trunk"
@pytest.mark.training
def test_fitting_the_trunk():
    images, targets = _training_data(3, 0)
    test_eq((images.shape, targets.shape[2:]), ((3, 3, 32, 32), (8, 8)))
    assert 0 < targets.max() <= 1

    quick = PlantedNetwork()
    before = fit(quick, count=64, epochs=1)
    after = fit(quick, count=128, epochs=3)
    before, after

    assert after < before
    assert not torch.equal(quick.textures.weight, PlantedNetwork(0).textures.weight)
    assert torch.equal(quick.colours.centres, PlantedNetwork(0).colours.centres)

    assert torch.equal(planted_network(pretrained=False).textures.weight, PlantedNetwork(0).textures.weight)


# 05_planted.ipynb, section "Do the units find what was planted?"
def test_do_the_units_find_what_was_planted():
    test_eq(_auroc(np.array([1., 2., 2., 3.]), np.array([False, False, True, True])), 0.875)

    colours_only = check_planted(planted_network(pretrained=False), scenes=200)
    colours_only[colours_only['layer'] == 'colours'].round(3)

    by_layer = colours_only.groupby('layer')['hits'].mean()
    test_eq(by_layer['colours'], 1.0)
    assert by_layer['letters'] < 0.6


# 05_planted.ipynb, section "Do the units find what was planted?"
@pytest.mark.slow
@pytest.mark.training
def test_do_the_units_find_what_was_planted_slow():
    measured = check_planted(planted_network())
    assert (measured['hits'] >= 0.9).all() and (measured['auroc'] > 0.85).all()
    measured.round(3)
