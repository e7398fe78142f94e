# Generated from nbs/09_evaluation/09_readings.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.vocabulary import Candidates
import numpy as np
from milan.evaluation.readings import (
    _shorter,
    as_candidates,
    names_for,
    predicted,
    read,
    readable,
    shares,
)

import pandas as pd
from fastcore.test import test_close, test_eq

def toy():
    "Seven concepts on four pictures and in the regions of three units."
    names = ['bird', 'orange', 'orange areas', 'vertical edges', 'rising edges', 'small dark spots',
             'plain background around objects']
    families = np.array(['word', 'class', 'look', 'look', 'look', 'look', 'cluster'])
    values = np.array([[1, 0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0, 0], [0, 1, 1, 0, 1, 0, 0],
                       [0, 0, 0, 1, 0, 1, 1.]])
    share = np.array([[.8, .0, .5, .1, .3, .0, .2], [.1, .7, .9, .0, .6, .1, .0],
                      [.0, .0, .0, .4, .2, .3, .9]])
    gates = np.array([.1, .1, .25, .25, .25, .25, .16])
    return Candidates(names, families, values, share > .45, share, gates)


# 09_readings.ipynb, section "The words for a concept"
def test_the_words_for_a_concept():
    test_eq([' '.join(one) for one in _shorter('small dark spots')],
            ['small dark spot', 'small spot', 'dark spot', 'spot'])
    test_eq(_shorter('orange things') + _shorter('spotted round things'), [('orange',), ('spotted', 'round')])
    test_eq(_shorter('fists and paws'), [('fist',), ('paw',)])
    test_eq(_shorter('space above round things'), [('space',)])

    known = names_for(toy())
    {" ".join(one): known[one] for one in (('crane',), ('orange',), ('edge',), ('outline',), ('spot',),
                                                 ('plain', 'background'), ('top',)) if one in known}

    test_eq(known[('orange',)], ['orange', 'orange areas'])
    test_eq(known[('outline',)], ['vertical edges', 'rising edges'])
    test_eq(known[('dark', 'spot')], ['small dark spots'])
    assert ('slanted', 'edge') in known and ('areas',) not in known and ('woman',) not in known


# 09_readings.ipynb, section "Reading"
def test_reading():
    texts = ['Outlines of birds', 'tops of orange things', 'slanted edges', 'Small spots on a bird',
             'orange birds or tall backgrounds', 'various things', '(bird AND NOT orange areas)', 'tall', '']
    pd.Series([str(one) for one in read(texts, toy())], texts, name='reading').to_frame()

    test_eq([str(one) for one in read(texts, toy())],
            ['((vertical edges OR rising edges) AND bird)', '(orange OR orange areas)', 'rising edges',
             '(small dark spots AND bird)',
             '(((orange OR orange areas) AND bird) OR plain background around objects)', 'anything',
             '(bird AND NOT orange areas)', 'None', 'None'])
    test_eq(readable(texts, toy()), [True] * 7 + [False] * 2)
    test_eq(str(read(['plain background around objects'], toy())[0]), 'plain background around objects')
    test_eq(str(read(['birds and things'], toy())[0]), 'bird')


# 09_readings.ipynb, section "Where a text holds"
def test_where_a_text_holds():
    said = ['birds', 'birds with outlines', 'outlines of birds', 'orange', 'various things', 'tall']
    pd.DataFrame(predicted(said, toy()), columns=said).round(2)

    values = predicted(said, toy())
    test_close(values[:, 0], [1, 1, -1, -1])
    assert values[:, 2].argmax() == 1 and not values[:, 4:].any()
    test_close(predicted(['NOT bird', 'NOT things'], toy()), np.stack([-values[:, 0], 0 * values[:, 0]], 1))
    test_close(predicted(['orange bird'], toy())[:, 0], (values[:, 0] + values[:, 3]) / 2)


# 09_readings.ipynb, section "Where a text is present"
def test_where_a_text_is_present():
    said = ['birds', 'birds with outlines', 'outlines of birds', 'orange', 'various things', 'tall']
    pd.DataFrame(shares(said, toy()), columns=said)

    test_eq(shares(['orange birds', 'birds or oranges', 'NOT bird', 'things', 'tall'], toy())[0],
            [.5, .8, 1 - .8, 1, 0])

    phrases = as_candidates(said, toy())
    rows = {f'present, unit {unit}': row for unit, row in enumerate(phrases.present)}
    pd.DataFrame({'gate': phrases.gates, **rows}, said)

    test_eq(phrases.gates, [.1, .1, .25, .25, 1, 1])
    test_eq(phrases.present[0], [True, True, False, True, True, False])
    test_eq(phrases.values.shape, (4, 6))
