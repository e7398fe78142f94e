# Generated from nbs/15_demo.ipynb by `make export`. Edit the notebook, not this file.

from milan import images
from milan import networks
from milan.config import MilanError
import numpy as np
import torch
from milan.captioner.demo import (
    held_out_pictures,
    prepare,
    recipe,
    some_units,
    support,
    train,
)
import pytest

import os
import tempfile

from fastcore.test import expect_fail, test_eq


# 15_demo.ipynb, section "Recipes"
def test_recipes():
    recipe('shapes')

    with expect_fail(MilanError, contains="'birds'; there are stamps, shapes"): recipe('birds')
    test_eq(recipe('stamps').key, recipe('stamps').key)
    assert recipe('stamps').key != recipe('shapes').key


# 15_demo.ipynb, section "Exemplars of all layers at once"
def test_exemplars_of_all_layers_at_once():
    network = networks.load('planted/shapes', pretrained=False)
    some_units(network, ['letters', 'colours'], 3)

    test_eq(some_units(network, ['letters'], 99), {'letters': list(range(7))})


# 15_demo.ipynb, section "Everything that is learnt from"
def test_everything_that_is_learnt_from():
    pictures = images.ShapeScenes(count=50)
    held = held_out_pictures(pictures, recipe('shapes'))
    test_eq(int(held.sum()), round(.12 * 50))
    test_eq(len(set(pictures.table.group[held.numpy()]) & set(pictures.table.group[~held.numpy()])), 0)


# 15_demo.ipynb, section "Training"
def test_training():
    support(['Red birds', 'Small spots', 'People'], np.array([[0, 1], [0, 1], [1, 2]]),
            [frozenset({'bird'}), frozenset({'person'}), frozenset({'person', 'bird'})])

    np.testing.assert_equal(support(['Red birds', 'Small spots'], np.array([[0, 1], [0, 1]]),
                                    [frozenset({'bird'}), frozenset({'person'})]), [0.5, np.nan])


# 15_demo.ipynb, section "Training"
@pytest.mark.slow
@pytest.mark.training
def test_training_slow():
    os.environ['MILAN_RESULTS_DIR'] = os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    training_data = prepare('shapes', progress=False)
    captioner = train('shapes', profile='smoke', training_data=training_data, progress=False)
    said = captioner.decode(training_data.draw(0, torch.Generator().manual_seed(0),
                                               training_data.held_out)).captions
    right = [
        word.split()[-1].lower() in text.lower() for word, text in zip(training_data.held_out.words, said) if word
    ]
    np.mean(right), list(zip(training_data.held_out.words, said))[:6]

    assert np.mean(right) > .3
    again = train('shapes', profile='smoke', training_data=training_data, progress=False)
    test_eq(again.decode(training_data.draw(0, torch.Generator().manual_seed(0),
                                            training_data.held_out)).captions, said)
