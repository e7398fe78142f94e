# Generated from nbs/07_captioner/20_grammar.ipynb by `make export`. Edit the notebook, not this file.

from milan.annotations.simulated import ADJECTIVES
from milan.annotations.simulated import COLOURS
from milan.annotations.simulated import PARTS
from milan.captioner.text import Vocabulary
from milan.config import MilanError
import numpy as np
import torch
from milan.captioner.grammar import (
    automaton,
    forms_of,
    next_states,
    SILENT,
    speaking_threshold,
    well_formed,
)

from itertools import product

from fastcore.test import expect_fail, test_eq

from milan.annotations.simulated import phrase
from milan.captioner.decoder import Decoder
from milan.captioner.search import sample, search


# 20_grammar.ipynb, section "Forms"
def test_forms():
    forms = forms_of(['birds', 'ice creams'])
    [' '.join(filter(None, (slot[-1] for slot in form))) for form in forms]


# 20_grammar.ipynb, section "An automaton"
def test_an_automaton():
    rules = automaton(forms_of(['birds', 'ice creams']))
    len(rules), [*rules[0]][:8], rules[rules[0]['ice']]

    broken = ['Thin', 'Blue blue', 'Wide left sides of wide', 'Tops of', 'Blue', 'Ice', 'Things', '', 'Dark']
    fine = ['Thin birds', 'Blue ice creams', 'Left sides of wide things', 'Tops of things', 'Line-drawn birds',
            'Blue vertical edges', 'Dark red small spots', 'No description', 'Areas around blue birds.']
    assert all(well_formed(text, rules) for text in fine)
    assert not any(well_formed(text, rules) for text in broken)

    every = [phrase(*words) for words in product([None, 'bird', 'ice cream'], [None, *COLOURS],
                                                 [None, *ADJECTIVES], [None, *PARTS])]
    assert all(well_formed(text, rules) for text in every)
    len(set(every))


# 20_grammar.ipynb, section "Next words for the search"
def test_next_words_for_the_search():
    nouns = ['birds', 'ice creams']
    vocabulary = Vocabulary('birds ice creams blue line - drawn tops of things no description'.split())
    table = next_states(nouns, vocabulary)
    torch.manual_seed(0)
    decoder, features = Decoder(vocabulary, features=4, embedding_size=4, hidden_size=8), torch.randn(3, 5, 4)
    found = search(decoder, features, strategy='beam', beam_size=200, grammar=table)
    said = [[vocabulary.caption(ids) for ids, score in zip(*unit) if score > -torch.inf]
            for unit in zip(found.beam_tokens, found.beam_scores)]
    len(said[0]), said[0][:6]

    rules = automaton(forms_of(nouns))
    looks = [*product(['', 'tops of '], ['', 'line-drawn '], ['', 'blue '], nouns + ['things'])]
    possible = {''.join(words) for words in looks} - {'things'} | {SILENT}
    for phrases in said: test_eq({text.lower() for text in phrases}, possible)
    assert len(said[0]) == len(possible) and all(well_formed(text, rules) for text in said[0])

    free = search(decoder, features, strategy='beam', beam_size=200)
    assert not all(well_formed(vocabulary.caption(ids), rules) for ids in free.beam_tokens[0])
    for strategy in ('greedy', 'sample'):
        for seed in range(30):
            found = search(decoder, torch.randn(3, 5, 4), strategy=strategy, seed=seed, grammar=table)
            assert all(well_formed(vocabulary.caption(ids), rules) for ids in found.tokens)


# 20_grammar.ipynb, section "When to say nothing"
def test_when_to_say_nothing():
    confidence, right = np.array([.9, .2, .7, .5, .1]), np.array([True, False, True, False, True])
    speaking_threshold(confidence, right)

    test_eq(speaking_threshold(confidence, right), .7)
    test_eq(speaking_threshold(confidence, ~np.ones(5, bool)), 1.) # nothing is ever right: it never speaks
    test_eq(speaking_threshold(np.full(4, .5), np.array([True, False, False, False])), 1.)
    test_eq(speaking_threshold(np.full(4, .5), np.array([True, False, True, True])), .5)
    test_eq(speaking_threshold(np.array([]), np.array([], bool)), 1.)


# 20_grammar.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='no well-formed phrase can be made of the 2 words'):
        next_states(['birds'], Vocabulary(['blue', 'dogs']))
