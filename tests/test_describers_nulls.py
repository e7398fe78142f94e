# Generated from nbs/08_nulls.ipynb by `make export`. Edit the notebook, not this file.

import numpy as np
from milan.describers.nulls import (
    evidence_rows,
    evidence_table,
    random_units,
    top_auc,
)

import tempfile
from pathlib import Path

from milan import exemplars, networks
from milan import images as pictures
from milan.describers.concepts import ConceptsDescriber, recorded_units

def example():
    scenes, planted = pictures.ShapeScenes(300, seed=1), networks.load('planted/shapes')
    found = exemplars.compute(
        planted,
        scenes,
        ['colours', 'shapes'],
        k=30,
        size=64,
        batch_size=50,
        quiet=True,
        keep_maxima=True,
        out=Path(tempfile.mkdtemp()) / 'found',
    )
    return ConceptsDescriber(scenes), found


# 08_nulls.ipynb, section "The table"
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


# 08_nulls.ipynb, section "Random units"
def test_random_units():
    describer, found = example()
    real = recorded_units(found, describer.groups, describer.part)
    random = random_units(real, describer.sources, describer.groups, describer.part)
    one, other = describer.assess_all([real, random], progress=False)
    {
        name: float((assessed.table().silent == '').mean())
        for name, assessed in (('planted units', one), ('random units', other))
    }

    assert (one.table().silent == '').mean() > 0.7 and (other.table().silent == '').mean() < 0.05
    for layer, values in random.activations.items():
        assert (np.sort(values, 0) == np.sort(real.activations[layer], 0)).all() and (
            values != real.activations[layer]
        ).any()
    assert (np.abs(other.layers[0].found.held_out) < 0.5).all()
