# Generated from nbs/09_evaluation/10_class_weights.ipynb by `make export`. Edit the notebook, not this file.

from milan.images.wordnet import Synset
from milan.evaluation.class_weights import (
    class_words,
    denoted,
    head_weights,
    weight_auc,
)

import numpy as np
import pytest
import torch
from torch import nn

from milan.config import MilanError


# 10_class_weights.ipynb, section "The classes that words denote"
def test_the_classes_that_words_denote():
    nouns = {1: Synset(('animal', 'beast'), ()), 2: Synset(('bird',), (1,)), 3: Synset(('Cock',), (2,)),
             4: Synset(('hen',), (2,)), 5: Synset(('poodle',), (1,)), 6: Synset(('structure',), ()),
             7: Synset(('barn',), (6,))}
    known = class_words(nouns, [3, 4, 5, 7])
    {word: which.astype(int).tolist() for word, which in known.items()}

    assert known['bird'].tolist() == [True, True, False, False] and known['beast'].sum() == 3
    assert 'structure' not in known and 'animal' not in class_words(nouns, [3, 4, 5, 7], most=2)

    nouns = {1: Synset(('bird',), ()), 2: Synset(('hen',), (1,)), 3: Synset(('cock',), (1,)),
             4: Synset(('barn',), ())}
    known = class_words(nouns, [2, 3, 4])
    said = ['tops of red birds', 'hens and barns', 'vertical edges', 'bird AND NOT hen']
    denoted(said, known).astype(int)

    assert denoted(said, known).tolist() == [[True, True, False], [True, False, True], [False] * 3,
                                             [True, True, False]]


# 10_class_weights.ipynb, section "The weights of the head"
def test_the_weights_of_the_head():
    torch.manual_seed(0)
    toy = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
    head_weights(toy, list('abcd')).shape

    assert np.array_equal(head_weights(toy, list('abcd')), toy[4].weight.detach().numpy().T)
    with pytest.raises(MilanError, match='cannot be a teacher'): head_weights(nn.Conv2d(3, 5, 3))


# 10_class_weights.ipynb, section "The area under the curve"
def test_the_area_under_the_curve():
    weights = np.array([[.9, .8, .1, 0], [0, 1, .5, .2], [.3, .3, .3, .3], [1, 2, 3, 4]])
    denotes = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], bool)
    weight_auc(weights, denotes)

    assert np.array_equal(weight_auc(weights, denotes), [1, .5, .5, np.nan], equal_nan=True)

    random = np.random.default_rng(0)
    denotes = random.random((400, 50)) < .2
    weights = random.normal(size=(400, 50)) + denotes
    {'true': weight_auc(weights, denotes).mean(), 'shuffled': weight_auc(weights, np.roll(denotes, 1, 0)).mean()}

    assert weight_auc(weights, denotes).mean() > .7
    assert abs(weight_auc(weights, np.roll(denotes, 1, 0)).mean() - .5) < .03
