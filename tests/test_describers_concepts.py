# Generated from nbs/06_concepts.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.sweep import Batch
from milan.concepts.sweep import SIDE
from milan.config import MilanError
import numpy as np
from milan.describers.concepts import (
    COLUMNS,
    ConceptsDescriber,
    families_of,
    for_pages,
)

import tempfile
from pathlib import Path

from fastcore.test import test_eq

from milan import exemplars, networks
from milan import images as pictures

def few_scenes():
    return pictures.ShapeScenes(300, seed=1)


# 06_concepts.ipynb, section "Which families can be measured"
def test_which_families_can_be_measured():
    scenes = few_scenes()
    {family.name: len(family.concepts) for family in families_of(scenes)}

    test_eq([family.name for family in families_of(scenes)], ['look', 'word'])
    red = families_of(scenes)[1].maps(Batch(None, None, range(4)))
    test_eq(red.shape[2:], (SIDE, SIDE))


# 06_concepts.ipynb, section "The describer"
def test_the_describer():
    scenes, planted = few_scenes(), networks.load('planted/shapes')
    found = exemplars.compute(planted, scenes, k=30, size=64, batch_size=50, quiet=True, keep_maxima=True,
                              out=Path(tempfile.mkdtemp())/'found')
    describer = ConceptsDescriber(scenes)
    table = describer.describe(found, progress=False)
    table['planted'] = [planted.planted[layer][unit] for layer, unit in found.units]
    table[['layer', 'unit', 'planted', 'description', 'evidence', 'low', 'high', 'presence', 'silent']].round(2)

    concept = table[table.planted != '']
    named = [
        one in said.split() or one == said for one, said in zip(concept.planted, concept.description, strict=True)
    ]
    assert np.mean(named) > 0.95
    nothing = table[table.planted == '']
    assert (nothing.description == '').mean() > 0.8  # control units mix what they see
    assert (
        (concept.evidence > 0.5).all()
        and (concept.low < concept.evidence).all()
        and (concept.evidence < concept.high).all()
    )

    again = describer.describe(found, units={'colours': [0, 3]}, progress=False)
    test_eq(again.description.tolist(), table.description[[0, 3]].tolist())
    test_eq(set(again.columns) - {'layer', 'unit', 'description', 'score'}, set(COLUMNS))

    shown = for_pages(table)
    assert (shown.nearest[shown.description != ''] == '').all() and shown.presence[
        shown.description == ''
    ].isna().all()


# 06_concepts.ipynb, section "Errors"
def test_errors():
    import pytest

    scenes = few_scenes()
    few = exemplars.compute(
        networks.load('planted/shapes'),
        scenes,
        ['colours'],
        k=5,
        size=64,
        batch_size=50,
        quiet=True,
        keep_maxima=True,
        out=Path(tempfile.mkdtemp()) / 'few',
    )
    with pytest.raises(MilanError, match='give both the same images'):
        ConceptsDescriber(pictures.ShapeScenes(20)).describe(few, progress=False)
    with pytest.warns(UserWarning, match='compute exemplars with k=45'):
        ConceptsDescriber(scenes).describe(few, progress=False)
    plain = exemplars.compute(
        networks.load('planted/shapes'),
        scenes,
        ['colours'],
        k=5,
        size=64,
        batch_size=50,
        quiet=True,
        out=Path(tempfile.mkdtemp()) / 'plain',
    )
    with pytest.raises(MilanError, match='keep_maxima=True'):
        ConceptsDescriber(scenes).describe(plain, progress=False)
