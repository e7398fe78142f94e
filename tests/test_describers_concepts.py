# Generated from nbs/10_describers/07_concepts.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.sweep import Batch
from milan.concepts.sweep import SIDE
from milan.concepts.vocabulary import RULES
from milan.config import MilanError
from milan.describers.concepts import (
    ConceptsDescriber,
    families_of,
)
import pytest

import tempfile
from pathlib import Path

import numpy as np
from fastcore.test import test_eq

from milan import exemplars, networks
from milan import images as pictures

def few_scenes():
    return pictures.ShapeScenes(300, seed=1)


# 07_concepts.ipynb, section "Which families can be measured"
def test_which_families_can_be_measured():
    scenes = few_scenes()
    {family.name: len(family.concepts) for family in families_of(scenes)}

    test_eq([family.name for family in families_of(scenes)], ['look', 'word'])
    red = families_of(scenes)[1].maps(Batch(None, None, range(4)))
    test_eq(red.shape[2:], (SIDE, SIDE))


# 07_concepts.ipynb, section "The describer"
@pytest.mark.training
def test_the_describer():
    scenes, planted = few_scenes(), networks.load('planted/shapes')
    found = exemplars.compute(planted, scenes, k=30, size=64, batch_size=50, quiet=True, keep_maxima=True,
                              out=Path(tempfile.mkdtemp())/'found')
    describer = ConceptsDescriber(scenes)
    table = describer.describe(found, progress=False)
    table['planted'] = [planted.planted[layer][unit] for layer, unit in found.units]
    table[['layer', 'unit', 'planted', 'description', 'evidence', 'low', 'high', 'presence', 'silent']].round(2)

    concept = table[table.planted != '']
    named = [said in (one, f'{one} areas') for one, said in zip(concept.planted, concept.description,
                                                                strict=True)]
    assert np.mean(named) > .9
    assert (table[table.planted == ''].description == '').mean() > .7
    assert concept.evidence[named].min() > .4 and (concept.low < concept.evidence).all()

    again = describer.describe(found, units={'colours': [0, 3]}, progress=False)
    test_eq(again.description.tolist(), table.description[[0, 3]].tolist())
    assert describer.rules['look'].gate == .55 and ConceptsDescriber([None] * 50).rules is RULES


# 07_concepts.ipynb, section "A list of words of your own"
@pytest.mark.training
def test_a_list_of_words_of_your_own():
    from milan.captioner.clip import Clip
    from milan.concepts.clip_teacher import load_clip_teacher
    from milan.testing import small_clip

    scenes, planted = few_scenes(), networks.load('planted/shapes')
    found = exemplars.compute(planted, scenes, ['colours'], k=30, size=64, batch_size=50, quiet=True,
                              keep_maxima=True, out=Path(tempfile.mkdtemp())/'found')
    plain = ConceptsDescriber(scenes).describe(found, progress=False)
    words = load_clip_teacher(Clip(*small_clip()), ['harbours', 'deserts', 'meadows'])
    reader = ConceptsDescriber(scenes, words)
    by_clip = reader.describe(found, progress=False)
    {family.name: family.concepts[:3] for family in families_of(scenes, words)}

    test_eq(by_clip.description.tolist(), plain.description.tolist())
    test_eq(reader.settings()['teacher'], words.identity())
    measured = reader.assess(found, progress=False).options
    test_eq(sorted(name for name, kind in zip(measured.names, measured.families) if kind == 'class'),
            ['deserts', 'harbours', 'meadows'])


# 07_concepts.ipynb, section "Errors"
def test_errors():
    global MilanError, pytest
    import pytest

    from milan.config import MilanError

    def only_colours(**settings):
        return exemplars.compute(networks.load('planted/shapes'), few_scenes(), ['colours'], k=5, size=64,
                                 batch_size=50,
                                 quiet=True, out=Path(tempfile.mkdtemp())/'few', **settings)

    few = only_colours(keep_maxima=True)
    with pytest.raises(MilanError, match='give both the same images'):
        ConceptsDescriber(pictures.ShapeScenes(80)).describe(few, progress=False)
    with pytest.warns(UserWarning, match='compute exemplars with k=45'):
        ConceptsDescriber(few_scenes()).describe(few, progress=False)
    with pytest.raises(MilanError, match='keep_maxima=True'):
        ConceptsDescriber(few_scenes()).describe(only_colours(), progress=False)
