# Generated from nbs/07_registry.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.describers.registry import (
    Describer,
    LabelDescriber,
    load,
    OwnDescriber,
    require_table,
)

import tempfile
from pathlib import Path

import pandas as pd
from fastcore.test import test_eq

from milan import exemplars, networks
from milan import images as pictures

def example():
    scenes, planted = pictures.ShapeScenes(300, seed=1), networks.load('planted/shapes')
    found = exemplars.compute(
        planted,
        scenes,
        ['colours'],
        k=30,
        size=64,
        batch_size=50,
        quiet=True,
        keep_maxima=True,
        out=Path(tempfile.mkdtemp()) / 'found',
    )
    return scenes, planted, found


# 07_registry.ipynb, section "A describer of your own"
def test_a_describer_of_your_own():
    def brightest(exemplar):  # which channel is brightest in the regions?
        red, green, blue = (exemplar.images * exemplar.masks).sum((0, 2, 3))
        return max(('red', red), ('green', green), ('blue', blue), key=lambda pair: pair[1])[0]


    scenes, planted, found = example()
    own = OwnDescriber('brightest channel', brightest)
    own.describe(found).assign(planted=planted.planted['colours']).head(6)

    table = own.describe(found)
    said = dict(zip(planted.planted['colours'], table.description, strict=True))
    test_eq([said['red'], said['green'], said['blue']], ['red', 'green', 'blue'])
    assert isinstance(own, Describer)
    test_eq(own.describe(found, units={'colours': [2, 4]}).unit.tolist(), [2, 4])


# 07_registry.ipynb, section "Captioners, and labels"
def test_captioners_and_labels():
    from milan.concepts.segmentations import Scenes

    scenes, planted, found = example()
    dissected = LabelDescriber('netdissect', planted, Scenes(scenes)).describe(found, progress=False)
    dissected.assign(planted=planted.planted['colours']).head(4).round(2)

    named = dissected.label[:9].tolist()
    assert sum(one == other for one, other in zip(named, planted.planted['colours'], strict=False)) >= 8


# 07_registry.ipynb, section "By name"
def test_by_name():
    scenes, planted, found = example()
    describer = load('concepts', images=scenes)
    table = require_table(describer.describe(found, progress=False), describer.name)
    table.assign(planted=planted.planted['colours'])[['planted', 'description', 'evidence', 'presence']].head(
        9
    ).round(2)

    assert isinstance(describer, Describer) and describer.settings()['name'] == 'concepts'
    right = [
        one == other or f'{one} areas' == other
        for one, other in zip(planted.planted['colours'][:9], table.description[:9], strict=True)
    ]
    assert sum(right) >= 7


# 07_registry.ipynb, section "Errors"
def test_errors():
    global MilanError
    import pytest

    from milan.config import MilanError

    for make, text in (
        (lambda: load('concept'), "did you mean 'concepts'"),
        (lambda: load('concepts'), 'give images='),
        (lambda: load('netdissect', network='planted/shapes'), 'needs segmentations='),
        (lambda: require_table(pd.DataFrame({'layer': ['a'], 'unit': [1]}), 'mine'), "no column 'description'"),
        (
            lambda: require_table(
                pd.DataFrame({'layer': ['a', 'a'], 'unit': [1, 1], 'description': '', 'score': 0}), 'mine'
            ),
            'twice',
        ),
    ):
        with pytest.raises(MilanError, match=text):
            make()
