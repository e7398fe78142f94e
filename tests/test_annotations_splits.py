# Generated from nbs/06_annotations/02_splits.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from milan.annotations.splits import (
    read_split,
    write_split,
)

import json
import shutil
import tempfile

from fastcore.test import expect_fail, test_eq

from milan.annotations.sets import load, resolve
from milan.testing import THREE, annotated_set


# 02_splits.ipynb, section "Splits"
def test_splits():
    home = Path(tempfile.mkdtemp())
    for name in resolve('gen'): annotated_set(*THREE, folder=home/name)
    found = load('gen', home)
    training, held = found.split(.25, seed=1)
    held.keys

    test_eq((len(training), len(held)), (6, 2))
    test_eq(found.split(.25, seed=1)[1].units, held.units)
    assert not set(training.keys) & set(held.keys) and set(training.keys) | set(held.keys) == set(found.keys)
    with expect_fail(MilanError, contains='leaves one part empty'): found[:2].split(.1)
    shutil.rmtree(home)

    folder = annotated_set(*THREE, folder=Path(tempfile.mkdtemp())/'mynet'/'photos')
    found = load(folder)
    training, held = found.split(.25, seed=1)
    write_split(folder/'split.json', {'training': training, 'held out': held})
    (folder/'split.json').read_text()

    again = read_split(folder/'split.json', found)
    test_eq(list(again), ['training', 'held out'])
    test_eq((again['training'].keys, again['held out'].keys), (training.keys, held.keys))
    moved = folder.rename(folder.with_name('pictures'))
    test_eq(read_split(moved/'split.json', load(moved))['held out'].units, held.units)
    again['held out'].annotations

    with expect_fail(MilanError, contains='2 of its units are not there'):
        read_split(moved / 'split.json', load(moved).layer('conv1'))

    write_split(moved/'part.json', {'a': found[:1], 'b': found[1:3]})
    with expect_fail(MilanError, contains='1 units are in none of its parts'):
        read_split(moved / 'part.json', found)
    with expect_fail(MilanError, contains='1 units are in two parts'):
        write_split(moved / 'wrong.json', {'a': found[:2], 'b': found[1:]})
    with expect_fail(MilanError, contains="'b' is empty"):
        write_split(moved / 'wrong.json', {'a': found, 'b': found[:0]})

    assert not (moved/'wrong.json').exists()
    for text, said in (
        ('{"parts": ', 'cannot be read as a split'), ('{"format": "milan split 0"}', "'milan split 0'"),
        ('[]', 'cannot be read as a split')
    ):
        (moved/'wrong.json').write_text(text)
        with expect_fail(MilanError, contains=said): read_split(moved/'wrong.json', found)
    shutil.rmtree(moved.parent.parent)
