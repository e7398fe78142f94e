# Generated from nbs/09_evaluation/11_search.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
import pandas as pd
from milan.evaluation.search import (
    nearest_rows,
    search_descriptions,
    search_pictures,
    sentence_vectors,
)
import pytest

import warnings
from types import SimpleNamespace

import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan.evaluation.bertscore import missing_text_model, text_model
from milan.testing import COLOUR_PHRASES, colour_clip, plain_pictures

warnings.filterwarnings('ignore', message='IProgress not found') # transformers asks for a widget


# 11_search.ipynb, section "The nearest vectors"
def test_the_nearest_vectors():
    draw = np.random.default_rng(0).normal(size=(1000, 16))
    draw /= np.linalg.norm(draw, axis=1, keepdims=True)
    rows, cosines = nearest_rows(draw, draw[7], 3)
    rows, cosines.round(2)

    test_eq([len(nearest_rows(draw[:rows], draw[7])[0]) for rows in (0, 2, 99)], [0, 2, 10])
    test_eq(rows, np.argsort(-(draw @ draw[7]))[:3])
    test_eq(nearest_rows(np.ones((4, 1)), np.ones(1), 4)[0], [0, 1, 2, 3]) # ties in their order


# 11_search.ipynb, section "Vectors of sentences"
@pytest.mark.slow
def test_vectors_of_sentences_slow():
    if not missing_text_model():
        sentences = ['A brown dog.', 'puppies', 'red things', '']
        vectors = sentence_vectors(sentences)
        reader = text_model()
        given = reader.tokenizer('a brown dog', return_tensors='pt').to(reader.model.device)
        alone = reader.model(**given).last_hidden_state[0].mean(0).cpu()
        test_close(vectors[0], (alone / alone.norm()).numpy(), 1e-4)
        test_close((vectors**2).sum(1), [1, 1, 1, 0], 1e-4)
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


# 11_search.ipynb, section "Search by description"
def test_search_by_description():
    table = pd.DataFrame({'layer': 'conv', 'unit': range(5),
                          'description': ['red things', 'a brown dog', 'dogs', '', 'puppies']})
    search_descriptions(table, 'dog', 'words')

    test_eq(search_descriptions(table, 'dog', 'words').unit.tolist(), [2, 1])
    test_eq(len(search_descriptions(table, 'violins', 'words')), 0)
    test_eq(len(search_descriptions(table.assign(description=None), 'dog', 'words')), 0)


# 11_search.ipynb, section "Search by description"
@pytest.mark.slow
def test_search_by_description_slow():
    if not missing_text_model():
        table = pd.DataFrame({'unit': range(4), 'description': ['red things', 'a brown dog', 'dogs', 'puppies']})
        found = search_descriptions(table, 'dog', count=3)
        test_eq((found.unit[0], set(found.unit)), (2, {2, 1, 3}))


# 11_search.ipynb, section "Search by a text, with CLIP"
@pytest.mark.training
def test_search_by_a_text_with_clip():
    colours = [phrase.split()[0] for phrase in COLOUR_PHRASES]
    units = [SimpleNamespace(layer='conv', unit=number, images=plain_pictures([colour] * 4), masks=None)
             for number, colour in enumerate(colours)]
    first = [search_pictures(units, phrase, colour_clip()).unit[0] for phrase in COLOUR_PHRASES]
    test_eq(first, [0, 1, 2])
    test_eq(len(search_pictures(units, 'red', colour_clip(), 2)), 2)


# 11_search.ipynb, section "Errors"
def test_errors():
    table = pd.DataFrame({'layer': 'conv', 'unit': [0], 'description': ['dogs']})
    with expect_fail(MilanError, contains='no word'): search_descriptions(table, ' . ')
    with expect_fail(MilanError, contains='no word'): search_pictures([], '', None)
    with expect_fail(MilanError, contains="'words' or 'sentences'"): search_descriptions(table, 'dog', 'smell')
