# Generated from nbs/06_annotations/09_exporting.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.store import Exemplars
from pathlib import Path
from milan.annotations.exporting import (
    export_zip,
)

import tempfile
import warnings
import zipfile

import pandas as pd
import torch
from fastcore.test import expect_fail, test_eq, test_warns

from milan.annotations.sets import annotate, concatenate, load
from milan.config import MilanError
from milan.data.archives import unpack_zip
from milan.files import remove
from milan.images.sets import ShapeScenes
from milan.testing import THREE, annotated_set, made_up_set


class Licensed:
    "A data set of which only the licences matter."
    def __init__(self, *licences):
        self.table = pd.DataFrame({'licence': licences, 'credit': 'somebody', 'file': 'a.png'})


def opened(packed, **settings):
    "The set in a zip."
    folder = Path(tempfile.mkdtemp())/'net'/'photos'
    folder.mkdir(parents=True)
    unpack_zip(zipfile.ZipFile(packed), folder, holds='annotations.csv')
    return load(folder, **settings)


# 09_exporting.ipynb, section "The zip"
def test_the_zip():
    home = Path(tempfile.mkdtemp())
    own = load(annotated_set(*THREE, folder=home/'net'/'photos')) # its pictures are all number 0
    packed = export_zip(own, home/'net-photos.zip', images=Licensed('CC-BY-4.0'))
    zipfile.ZipFile(packed).namelist()

    back = opened(packed)
    test_eq((back.units, back.annotations), (own.units, own.annotations))
    for one, other in zip(back, own, strict=True):
        assert (one.images == other.images).all() and (one.masks == other.masks).all()
        test_eq(one.activations, other.activations)
    test_eq(zipfile.ZipFile(packed).read('credits.csv').decode().split(),
            ['image,licence,credit', '0,CC-BY-4.0,somebody'])

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        bare = export_zip(own, home/'bare.zip', images=Licensed('NOASSERTION'))
    str(told[0].message)

    assert not any('images' in name or 'credits' in name for name in zipfile.ZipFile(bare).namelist())
    back = opened(bare)
    test_eq((back.units, back.annotations), (own.units, own.annotations))
    with expect_fail(MilanError, contains='images.npy'): back[0]
    test_eq(opened(bare, source=[torch.zeros(3, 8, 8)])[0].images.shape, (2, 3, 8, 8))
    test_eq(export_zip(own, home/'new'/'said.zip', pictures=False).read_bytes(), bare.read_bytes())

    test_warns(lambda: export_zip(own, home/'unknown.zip'))
    whole = export_zip(own, home/'whole.zip', pictures=True) # on one's own responsibility
    assert any('images' in name for name in zipfile.ZipFile(whole).namelist())
    test_eq(opened(whole)[1].images, own[1].images)

    folder = made_up_set()
    table = [[f'{unit.unit} {which}' for which in 'abc'] for unit in Exemplars.open(folder).units]
    native = annotate(Exemplars.open(folder), table, 'net/scenes')
    back = opened(export_zip(native, home/'native.zip', images=ShapeScenes(40)))
    test_eq((back.units, back.annotations), (native.units, native.annotations))
    assert all((one.masks == other.masks).all() for one, other in zip(back, native, strict=True))
    assert all((one.images - other.images).abs().max() < .003 for one, other in zip(back, native, strict=True))
    few = annotate(own._entries[0].exemplars.select(k=1), own.annotations)
    test_eq(opened(export_zip(few, home/'few.zip', pictures=True))[0].images.shape, (1, 3, 8, 8))
    sorted(zipfile.ZipFile(home/'native.zip').namelist())[:8]

    part = own[:2]
    test_eq(opened(export_zip(part, home/'part.zip', pictures=True)).units, part.units)
    text = annotate(own._entries[0].exemplars, [['a, "b"\nc']] * 4, count=1)
    test_eq(opened(export_zip(text, home/'text.zip', pictures=True), count=1).annotations, text.annotations)
    remove(folder.parent)

    both = concatenate([own, load(annotated_set(*THREE, folder=home/'other'/'photos'))])
    with expect_fail(MilanError, contains='take one set'): export_zip(both, home/'both.zip')
    with expect_fail(MilanError, contains='exists already'): export_zip(own, packed, pictures=True)
    (home/'net'/'photos'/'3'/'images.npy').unlink()
    with expect_fail(MilanError, contains='no images.npy'):
        export_zip(load(home/'net'/'photos'), home/'b.zip', pictures=True)
    for name in ('ids.csv', 'activations.csv'): (home/'other'/'photos'/'3'/name).unlink()
    with expect_fail(MilanError, contains='no ids.csv'):
        export_zip(load(home/'other'/'photos'), home/'b.zip', pictures=False)
    assert not any(path.name.startswith('.') or path.name in ('b.zip', 'both.zip') for path in home.iterdir())
    remove(home)
