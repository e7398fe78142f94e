# Generated from nbs/07_captioner/15_demo.ipynb by `make export`. Edit the notebook, not this file.

from milan import images
from milan import networks
from milan.captioner.grammar import SILENT
from milan.config import MilanError
import numpy as np
import torch
from milan.captioner.demo import (
    held_out_pictures,
    NeuronRecipe,
    prepare,
    recipe,
    shares_words,
    some_units,
    support,
    train,
)
import pytest

import os
import tempfile

from fastcore.test import expect_fail, test_eq

from milan.captioner.grammar import automaton, forms_of, well_formed


# 15_demo.ipynb, section "Recipes"
def test_recipes():
    recipe('shapes')

    with expect_fail(MilanError, contains="'birds'; there are stamps, shapes, neurons"): recipe('birds')
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
    said = ['red birds', 'birds', 'tops of birds']
    [shares_words(text, said) for text in ('Birds', 'Blue birds', 'Tops of red things', 'Blue cats', 'Things')]

    test_eq([shares_words(text, ['red birds', 'birds']) for text in
             ('Red birds', 'Blue birds', 'Tops of blue birds', 'Blue things', 'No description')],
            [True, True, False, False, False])
    assert shares_words('No description', ['no description'])

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


# 15_demo.ipynb, section "Taught by neurons"
@pytest.mark.slow
@pytest.mark.training
def test_taught_by_neurons_slow():
    tiny = NeuronRecipe('shapes', 'planted/shapes', ('colours', 'textures', 'shapes', 'letters'),
                        teachers=('colours', 'textures', 'shapes', 'letters'), networks=('planted/shapes',),
                        directions=6, members=15, drawn=300, components=16, batch_size=16)
    os.environ['MILAN_RESULTS_DIR'] = tempfile.mkdtemp()
    lessons = prepare(tiny, progress=False, pictures=images.ShapeScenes(150, 112))
    captioner = train('neurons-scenes', what=tiny, training_data=lessons, progress=False)
    units = lessons.draw(0, torch.Generator().manual_seed(0), lessons.held_out)
    found = captioner.decode(units)
    list(zip(found.captions, found.likelihood.exp().tolist(), lessons.held_out.annotations))[:4]

    silent = [word is None and set(said) == {SILENT} for word, said in
              zip(lessons.training.words, lessons.training.annotations)]
    assert .14 < sum(silent) / len(silent) and not set(map(str, lessons.held_out.words)) - {'None'}
    rules = automaton(forms_of(captioner.card['nouns']))
    assert all(well_formed(text, rules) for texts in [found.captions, *found.beam] for text in texts)
    least = captioner.card['threshold']
    test_eq([text == SILENT.capitalize() for text in found.captions],
            [sure < least or beam[0] == SILENT.capitalize()
             for sure, beam in zip(found.likelihood.exp().tolist(), found.beam)])
    captioner.card['threshold'] = 1.
    test_eq(set(captioner.decode(units[:5]).captions), {SILENT.capitalize()})
    again = train('neurons-scenes', what=tiny, pictures=lessons.pictures) # read, not trained
    test_eq((again.card['threshold'], again.decode(units).captions), (least, found.captions))
