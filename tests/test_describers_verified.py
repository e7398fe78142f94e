# Generated from nbs/10_describers/10_verified.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.vocabulary import Candidates
from milan.describers.assessment import Assessed
from milan.describers.assessment import rows_of
from milan.describers.concepts import ConceptsDescriber
import numpy as np
import pandas as pd
from milan.describers.verified import (
    _distinct,
    _own,
    assess_phrases,
    either,
    evidence_of,
    OrElse,
    phrases_table,
    Verified,
)
import pytest

import tempfile
from pathlib import Path

from fastcore.test import test_eq

from milan import exemplars as stored
from milan import networks
from milan import images as pictures
from milan.concepts.sweep import SIDE, Regions
from milan.describers.assessment import Recorded, assess_layer, halves_of, recorded_units
from milan.describers.concepts import assess_all
from milan.describers.nulls import evidence_table, random_units
from milan.hooks.layers import Unit

def toy():
    "Sixty units: ten follow red birds, ten avoid them, ten follow cats, ten avoid them, twenty do neither."
    random = np.random.default_rng(0)
    halves, bird, red, cat = halves_of([None] * 800), *(random.random((3, 800)) < .5)
    activations = random.normal(size=(800, 60))
    for start, shown in ((0, bird & red), (20, cat)):
        activations[:, start:start + 10] += 2 * shown[:, None]
        activations[:, start + 10:start + 20] -= 2 * shown[:, None]
    values, share = np.stack([bird, red, cat], 1).astype(np.float32), np.zeros((60, 3))
    share[:10, :2] = share[20:30, 2] = .9
    options = Candidates(['bird', 'red areas', 'cat'], np.array(['word', 'look', 'word']), values, share > .5,
                         share, gates=np.array([.1, .25, .1]))
    units = [Unit('layer', number) for number in range(60)]
    regions = Regions(units, np.zeros((60, 15), int), np.zeros((60, 15, SIDE * SIDE // 8), np.uint8))
    recorded = Recorded({'layer': activations}, regions)
    return Assessed(options, [assess_layer('layer', recorded, options, halves)], halves)

SAID = ['various things', 'cats', 'birds', 'tops of birds', 'thin red birds', 'red birds', 'tall']

def sentences(texts=SAID, units=60): # the same for all units: the first says nothing, and is the likeliest
    rows = [('layer', unit, rank, text, -rank) for unit in range(units) for rank, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=['layer', 'unit', 'rank', 'description', 'score'])


# 10_verified.ipynb, section "Choice"
def test_choice():
    assessed = toy()
    kept = _distinct(sentences(), assessed.options)
    kept[kept.unit == 0].description.tolist()

    test_eq(kept[kept.unit == 0].description.tolist(), ['cats', 'birds', 'tall', 'various things', 'red birds'])
    test_eq(_own(kept, assessed.layers[0], ['cats', '', 'dogs'] + SAID[:1] + SAID[2:])[7].tolist()[:3],
            [True, False, False])

    chosen = phrases_table(assess_phrases(sentences(), toy()), 'captioner')
    chosen.iloc[[0, 1, 10, 20, 59]].round(2).T

    follows = chosen.unit.isin([*range(10), *range(20, 30)])
    test_eq(chosen.description[:10].tolist(), ['red birds'] * 10) # neither the first nor half of the truth
    test_eq(chosen.description[20:30].tolist(), ['cats'] * 10)
    test_eq(set(chosen.description[~follows]), {''})
    assert (chosen.evidence > .4)[follows].all() and (chosen.low < chosen.evidence)[follows].all()
    assert set(chosen.source[follows]) == {'captioner'} and (chosen.silent != '')[~follows].all()
    assert set(chosen.nearest) <= {'red birds', 'birds', 'cats'}

    few = phrases_table(assess_phrases(sentences(['red birds', 'tall'], 9), toy()), 'captioner')
    test_eq([set(few.description[:9]), set(few.description[9:])], [{'red birds'}, {''}])
    test_eq(set(few.nearest[9:]), {''}) # these have no candidates


# 10_verified.ipynb, section "How true is any description?"
def test_how_true_is_any_description():
    assessed = toy()
    likeliest = sentences(['cats', 'red birds']).drop_duplicates(['layer', 'unit'])
    chosen = phrases_table(assess_phrases(sentences(), assessed), 'captioner')
    rows = {'captioner': evidence_of(likeliest, assessed), 'captioner verified': evidence_of(chosen, assessed)}
    evidence_table(rows).round(3)

    assert np.allclose(evidence_of(chosen, assessed)[:10], chosen.evidence[:10])
    assert not evidence_of(chosen, assessed)[30:].any()
    assert not evidence_of(sentences(['various things']), assessed).any()


# 10_verified.ipynb, section "The describer"
@pytest.mark.training
def test_the_describer():
    class Guesses:
        "Says the same of every unit: round things first, and each colour further down."
        name = 'guesses'
        texts = ('round shapes', 'tall things', *sorted(pictures.scenes.COLOURS), 'circles', 'squares')

        def candidates(self, exemplars, *, units=None, progress=True):
            rows = [(layer, unit, rank, text, -rank) for layer, unit in exemplars.units
                    for rank, text in enumerate(self.texts)]
            return pd.DataFrame(rows, columns=['layer', 'unit', 'rank', 'description', 'score'])

        def describe(self, exemplars, *, units=None, progress=True):
            return self.candidates(exemplars).drop_duplicates(['layer', 'unit'])

        def settings(self):
            return {'name': self.name, 'texts': self.texts}

    def example():
        scenes, planted = pictures.ShapeScenes(300, seed=1), networks.load('planted/shapes')
        found = stored.compute(planted, scenes, ['colours'], k=45, size=64, batch_size=50, quiet=True,
                               keep_maxima=True, out=Path(tempfile.mkdtemp())/'found')
        return Verified(Guesses(), ConceptsDescriber(scenes)), planted, found

    describer, planted, found = example()
    table = describer.describe(found, progress=False).assign(planted=planted.planted['colours'])
    table[['planted', 'description', 'evidence', 'low', 'high', 'presence', 'silent']].round(2)

    colours = table[table.planted.isin(pictures.scenes.COLOURS)]
    assert (colours.description == colours.planted).mean() > .7
    assert (table.description[table.planted == ''] == '').mean() > .7
    test_eq(describer.name, 'verified guesses')
    test_eq(describer.describe(found, units={'colours': [1]}, progress=False).description[0],
            table.description[1])

    class Says: # one description for each unit: only the gate is left
        name = 'says'
        def settings(self): return {}
        def describe(self, exemplars, *, units=None, progress=True):
            return pd.DataFrame(exemplars.units, columns=['layer', 'unit']).assign(description='red things')

    single = Verified(Says(), describer.concepts).describe(found, progress=False)
    test_eq(set(single.description[table.planted == 'red']), {'red things'})
    test_eq(set(single.description[table.planted != 'red']), {''})

    describer, planted, found = example()
    halves = describer.concepts.halves
    dealt = random_units(recorded_units(found, halves), halves)
    random, = assess_all(describer.concepts, [dealt], progress=False)
    false = phrases_table(assess_phrases(describer.candidates(found), random), 'guesses')
    float((false.description != '').mean())

    assert (false.description != '').mean() < .1


# 10_verified.ipynb, section "One describer, or else another"
def test_one_describer_or_else_another():
    first = pd.DataFrame({'layer': 'a', 'unit': range(4), 'description': ['cat', '', '', 'dog'],
                          'evidence': [.5, .1, .0, .4], 'source': ['concepts', '', '', 'concepts'],
                          'silent': ['', 'not there', 'not there', ''], 'nearest': ['cat', 'car', 'sun', 'dog'],
                          'combination': ['.5 cat', '.2 car', '', '.4 dog']})
    second = pd.DataFrame({'layer': 'a', 'unit': [3, 2, 1], 'description': ['red dogs', '', 'red cars'],
                           'evidence': [.6, .0, .3], 'silent': ['', 'not there', ''],
                           'nearest': ['red dogs', 'skies', 'red cars'], 'source': ['stamps', '', 'stamps']})
    filled = either(first, second, 'stamps')
    filled

    test_eq(filled.description.tolist(), ['cat', 'red cars', '', 'dog'])
    test_eq(filled.source.tolist(), ['concepts', 'stamps', '', 'concepts'])
    test_eq(filled.evidence.tolist(), [.5, .3, .0, .4])
    test_eq([filled.silent[2], filled.nearest[2], filled.combination[1]], ['not there', 'sun', '.2 car'])
    test_eq(either(first, second.drop(columns='source'), 'stamps').source.tolist(), filled.source.tolist())

    class Table:
        "A describer that says what is in a table."
        def __init__(self, name, table): self.name, self.table = name, table
        def describe(self, exemplars, *, units=None, progress=True): return rows_of(self.table, units)
        def settings(self): return {'name': self.name}

    both = OrElse(Table('concepts', first), Table('stamps', second))
    test_eq(both.describe(None, units={'a': [1, 2]}).description.tolist(), ['red cars', ''])
    test_eq([both.name, both.settings()['second']], ['concepts, or else stamps', {'name': 'stamps'}])
