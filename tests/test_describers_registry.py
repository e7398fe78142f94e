# Generated from nbs/10_describers/20_registry.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.clip import Clip
from milan.config import MilanError
from milan.describers.registry import (
    Describer,
    LabelDescriber,
    load,
    OwnDescriber,
    require_table,
)
import pytest

import tempfile
from pathlib import Path

import pandas as pd
from fastcore.test import test_eq

from milan import exemplars, networks
from milan import images as pictures
from milan.concepts.segmentations import Scenes

def example():
    scenes, planted = pictures.ShapeScenes(300, seed=1), networks.load('planted/shapes')
    found = exemplars.compute(planted, scenes, ['colours'], k=30, size=64, batch_size=50, quiet=True,
                              keep_maxima=True, out=Path(tempfile.mkdtemp())/'found')
    return scenes, planted, found


# 20_registry.ipynb, section "A describer of your own"
def test_a_describer_of_your_own():
    def brightest(exemplar): # which channel is brightest in the regions?
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


# 20_registry.ipynb, section "Captioners, and labels"
@pytest.mark.training
def test_captioners_and_labels():
    scenes, planted, found = example()
    dissected = LabelDescriber('netdissect', planted, Scenes(scenes)).describe(found, progress=False)
    dissected.assign(planted=planted.planted['colours']).head(4).round(2)

    pairs = zip(dissected.label[:9], planted.planted['colours'][:9], strict=True)
    assert sum(one == other for one, other in pairs) >= 8


# 20_registry.ipynb, section "By name"
@pytest.mark.training
def test_by_name():
    global Clip
    scenes, planted, found = example()
    describer = load('concepts', images=scenes)
    table = require_table(describer.describe(found, progress=False), describer.name)
    named = table.assign(planted=planted.planted['colours'])
    named[['planted', 'description', 'evidence', 'presence']].head(9).round(2)

    assert isinstance(describer, Describer) and describer.settings()['name'] == 'concepts'
    pairs = zip(named.planted[:9], named.description[:9], strict=True)
    assert sum(said in (one, f'{one} areas') for one, said in pairs) >= 7

    from milan.testing.chat import ChatServer, name_colours

    scenes, planted, found = example()
    with ChatServer(name_colours) as server:
        seeing = load(f'openai:toy@{server.url}', several=2, concurrency=4, folder=Path(tempfile.mkdtemp()))
        table = require_table(seeing.describe(found, progress=False), seeing.name)
    table[['unit', 'description', 'candidates']].assign(planted=planted.planted['colours']).head(4)

    test_eq(table.description.tolist()[:4], [f'{name} things' for name in planted.planted['colours'][:4]])
    assert isinstance(seeing, Describer) and seeing.name == 'openai:toy'
    test_eq([seeing.model.concurrency, seeing.several, seeing.settings()['candidates']], [4, 2, 2])
    sure = load(f'verified:openai:toy@{server.url}', images=scenes, teacher=None)
    test_eq([sure.name, sure.describer.model.address], ['verified openai:toy', server.url])
    test_eq(load('openai:a@b:7b@http://c/v1').model.model, 'a@b:7b')

    from milan.captioner.clip import Clip
    from milan.testing import small_clip

    scenes, planted, found = example()
    clip, words = Clip(*small_clip()), Path(tempfile.mkdtemp())/'words.txt'
    words.write_text('red\nblue\na green ring\n')
    plain = load('clip-dissect', images=scenes, words=words, clip=clip)
    sure = load('verified:clip-dissect', images=scenes, words=words, clip=clip)
    labels = load('verified:netdissect', images=scenes, network=planted, segmentations=Scenes(scenes))
    [sure.name, len(sure.describer.pictures), len(labels.describer.segmentations), len(scenes)]

    assert isinstance(plain, Describer) and isinstance(sure, Describer)
    test_eq(len(labels.describer.segmentations), len(sure.describer.pictures))
    table = require_table(plain.describe(found, progress=False), plain.name)
    test_eq(set(table.description) <= {'red', 'blue', 'a green ring'}, True)
    names = labels.describe(found, progress=False).assign(planted=planted.planted['colours'])[:9]
    assert (names.description == names.planted).mean() > .7
    of_words = load('concepts', images=scenes, words=words, clip=clip)
    test_eq(of_words.teacher.names, ('red', 'blue', 'a green ring'))
    test_eq(load('linear', images=scenes, words=words, clip=clip).families, ['class'])
    chosen = sure.describe(found, units={'colours': [0]}, progress=False)
    assert set(chosen.description) <= {'', 'red', 'blue', 'a green ring'}

    scenes, planted, found = example()
    sums = load('linear', images=scenes, families=['word'], most=2)
    table = require_table(sums.describe(found, progress=False), sums.name)
    file = Path(tempfile.mkdtemp())/'own.py'
    file.write_text('def brightest(one):\n    parts = (one.images * one.masks).sum((0, 2, 3))\n'
                    '    return ("red", "green", "blue")[int(parts.argmax())]\n')
    in_file = load(f'{file}:brightest', trust=True)
    own = in_file.describe(found)
    shown = table[['unit', 'description', 'score']].assign(own=own.description)
    shown.assign(planted=planted.planted['colours']).head(4)

    assert isinstance(sums, Describer) and sums.settings()['families'] == ['word']
    tops = list(zip(table.concept0, planted.planted['colours']))[:9]
    assert sum(one == other for one, other in tops) >= 8
    test_eq([own.description[0], in_file.name], ['red', 'own:brightest'])
    assert in_file.settings()['version']
    test_eq(load(f'verified:{file}:brightest', images=scenes, trust=True).name, 'verified own:brightest')


# 20_registry.ipynb, section "Errors"
def test_errors():
    global MilanError, pytest
    import pytest

    from milan.config import MilanError

    columns = {'layer': ['a', 'a'], 'unit': [1, 1]}
    code, broken = (Path(tempfile.mkdtemp())/name for name in ('code.py', 'broken.py'))
    code.touch(), broken.write_text('1 / 0')
    for make, text in ((lambda: load('concept'), "did you mean 'concepts'"),
                       (lambda: load('openai'), "no describer 'openai'; there are"),
                       (lambda: load('openai:a@http://b/v1', colour='red'), "unexpected keyword argument 'col"),
                       (lambda: load('openai:a@http://me:key@b/v1'), 'not of the form'),
                       (lambda: load('hf:/no/such/folder'), 'cannot be loaded'),
                       (lambda: load('concepts'), 'needs images='),
                       (lambda: load('verified:milan:stamps'), 'needs images='),
                       (lambda: load('clip-dissect', images=[]), "needs words=: a text file with one word"),
                       (lambda: load('verified:concepts', images=[]), 'leave out verified:'),
                       (lambda: load('verified:concept', images=[]), "did you mean 'concepts'"),
                       (lambda: load('linear', images=[0] * 50, words=['red']), 'has 1 words'),
                       (lambda: load('/no/such.py:name'), 'does not exist'),
                       (lambda: load(f'{code}:name'), 'say so: .*trust=True'),
                       (lambda: load(f'{code}:name', trust=True), "no function 'name'"),
                       (lambda: load(f'{broken}:name', trust=True), 'cannot be run .ZeroDivisionError'),
                       (lambda: load('netdissect', network='planted/shapes'), 'needs segmentations='),
                       (lambda: require_table(pd.DataFrame(columns), 'mine'), "no column 'description'"),
                       (lambda: require_table(pd.DataFrame(columns | {'description': '', 'score': 0}), 'mine'),
                        'twice')):
        with pytest.raises(MilanError, match=text):
            make()
