# Generated from nbs/10_describers/09_nulls.ipynb by `make export`. Edit the notebook, not this file.

from milan.describers.nulls import (
    evidence_rows,
    evidence_table,
    random_units,
    top_auc,
)
import pytest

import tempfile
from pathlib import Path

import numpy as np

from milan import exemplars, networks
from milan import images as pictures
from milan.describers.assessment import recorded_units
from milan.describers.concepts import ConceptsDescriber, assess_all

def example():
    scenes, planted = pictures.ShapeScenes(300, seed=1), networks.load('planted/shapes')
    found = exemplars.compute(planted, scenes, ['colours', 'shapes'], k=30, size=64, batch_size=50,
                              quiet=True,
                              keep_maxima=True, out=Path(tempfile.mkdtemp())/'found')
    return ConceptsDescriber(scenes), found


# 09_nulls.ipynb, section "The table"
@pytest.mark.training
def test_the_table():
    describer, found = example()
    assessed = describer.assess(found, progress=False)
    rows = evidence_rows(assessed)
    evidence_table(rows).round(3)

    mean = {name: values.mean() for name, values in rows.items()}
    assert mean['spoken'] > .8 and mean['constant'] < .3 and abs(mean['shuffled within layer']) < .2
    assert mean['oracle'] >= mean['best concept'] > mean['layer constant']
    auc = top_auc(assessed)
    assert len(auc) == len(rows['spoken']) and auc.mean() > .95


# 09_nulls.ipynb, section "Random units"
@pytest.mark.training
def test_random_units():
    describer, found = example()
    real = recorded_units(found, describer.halves)
    random = random_units(real, describer.halves)
    one, other = assess_all(describer, [real, random], progress=False)
    {name: float((some.table().silent == '').mean()) for name, some in (('planted', one), ('random', other))}

    assert (one.table().silent == '').mean() > .7 and (other.table().silent == '').mean() < .05
    for layer, values in random.activations.items():
        assert (np.sort(values, 0) == np.sort(real.activations[layer], 0)).all()
        assert (values != real.activations[layer]).any()
    assert (np.abs(other.layers[0].found.held_out) < .5).all()
