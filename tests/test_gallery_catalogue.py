# Generated from nbs/12_gallery/05_catalogue.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.exemplars.show import as_picture
from milan.exemplars.store import Exemplars
import io
import pandas as pd
from milan.gallery.catalogue import (
    export_catalogue,
    make_catalogue,
    read_catalogue,
)

import json
import tempfile
import zipfile

import numpy as np
from fastcore.test import expect_fail, test_eq
from PIL import Image

from milan.files import remove
from milan.testing import made_up_exemplars


def described(found):
    "A table with one row per unit."
    return pd.DataFrame(found.units, columns=['layer', 'unit']).assign(
        description=[f'a round blob {unit}' for _, unit in found.units])


# 05_catalogue.ipynb, section "data.json"
def test_data_json():
    folder = made_up_exemplars(units=2, k=3)
    found = Exemplars.open(folder)
    made = make_catalogue(found, described(found), 'toy/discs', 'https://example.org/catalogue/')
    made.units[1]

    test_eq((made.name, made.architecture, made.dataset), ('toy_discs', 'toy', 'discs'))
    test_eq(made.layers, ['blocks.2', 'blocks.10'])
    few = make_catalogue(found, described(found), 'toy/discs', count=1)
    test_eq(few.units[0].images, ['toy_discs/blocks.2_0_0.png'])
    remove(folder)


# 05_catalogue.ipynb, section "The zip"
def test_the_zip():
    folder = made_up_exemplars(units=2, k=3)
    found = Exemplars.open(folder)
    packed = zipfile.ZipFile(export_catalogue(found, described(found), folder/'discs.zip', 'toy/discs'))
    packed.namelist()[:4]

    read = read_catalogue(packed.read('data.json'))
    test_eq([address for unit in read.units for address in unit.images], packed.namelist()[1:])
    test_eq([(unit.layer, unit.unit) for unit in read.units], found.units)
    picture = Image.open(io.BytesIO(packed.read('toy_discs/blocks.10_1_2.png')))
    test_eq(np.asarray(picture), np.asarray(as_picture(found.lookup('blocks.10', 1).masked()[2])))
    picture

    records = json.loads(packed.read('data.json')) # the keys of the original's script, in its order
    test_eq(list(records), ['name', 'architecture', 'dataset', 'layers', 'units'])
    test_eq(list(records['units'][0]), ['layer', 'unit', 'images', 'description'])

    table = described(found)
    with expect_fail(MilanError, contains='exists already'):
        export_catalogue(found, table, folder/'discs.zip', 'a/b')
    with expect_fail(MilanError, contains='give key='): export_catalogue(found, table, folder/'b.zip')
    with expect_fail(MilanError, contains='two rows'): make_catalogue(found, pd.concat([table, table]), 'a/b')
    with expect_fail(MilanError, contains='units.0.unit'):
        read_catalogue(json.dumps(records | {'units': [records['units'][0] | {'unit': -1}]}))
    (folder/'blocks.2'/'images.npy').unlink()
    with expect_fail(MilanError, contains='no images.npy'):
        export_catalogue(Exemplars.open(folder), table, folder/'b.zip', 'a/b')
    assert not (folder/'b.zip').exists()
    remove(folder)
