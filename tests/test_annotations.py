# Generated from nbs/20_annotations.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import numpy as np
from milan.annotations import (
    BASE,
    load,
    read_annotations,
    resolve,
)
import pytest

import json
import shutil
import tempfile

from fastcore.test import expect_fail, test_eq

from milan.config import oracle_dir


def tiny_set(*lines, # of annotations.csv
             folder=None, # where; None: a new folder
             layers={'conv1': [0, 1], '3': [4, 7]}): # layer → unit numbers
    "A folder in the published layout with two images of 8 x 8 pixels per unit."
    folder = Path(folder or tempfile.mkdtemp())
    for layer, units in layers.items():
        (folder/layer).mkdir(parents=True)
        shape = (len(units), 2)
        images = np.full((*shape, 3, 8, 8), 0, dtype=np.uint8) + 10 * np.array(units, dtype=np.uint8)[:, None, None, None, None]
        np.save(folder/layer/'images.npy', images)
        np.save(folder/layer/'masks.npy', np.ones((*shape, 1, 8, 8), dtype=np.uint8))
        np.savetxt(folder/layer/'ids.csv', np.zeros(shape), fmt='%d', delimiter=',')
        np.savetxt(folder/layer/'activations.csv', np.ones(shape), fmt='%.5e', delimiter=',')
        if units != list(range(len(units))):
            np.save(folder/layer/'units.npy', np.array(units))
    if lines:
        (folder/'annotations.csv').write_text('\n'.join(['layer,unit,summary', *lines]) + '\n')
    return folder


THREE = [f'{layer},{unit},{layer}/{unit} {which}' for layer, unit in (('conv1', 0), ('conv1', 1), ('3', 4), ('3', 7)) for which in 'abc']


# 20_annotations.ipynb, section "Names of the published sets"
def test_names_of_the_published_sets():
    test_eq(resolve('gen'), ('biggan/imagenet', 'biggan/places365'))
    test_eq(resolve('imagenet'), ('alexnet/imagenet', 'resnet152/imagenet', 'biggan/imagenet'))
    test_eq(resolve('dino_vits8/imagenet'), ('dino_vits8/imagenet',))
    assert set(resolve('not-alexnet-imagenet')) == set(BASE) - {'alexnet/imagenet'}
    with expect_fail(MilanError, contains='alexnet/places365'): resolve('alexnet/places')
    resolve('cls')


# 20_annotations.ipynb, section "Reading annotations.csv"
def test_reading_annotations_csv():
    folder = tiny_set('3,4,"a dog, or two"', '3,4,NA', '3,7, ', 'conv1,0,none')
    table = read_annotations(folder/'annotations.csv')
    test_eq(table.summary.tolist(), ['a dog, or two', 'NA', 'none'])
    test_eq(table.layer.tolist(), ['3', '3', 'conv1'])
    table

    (folder/'annotations.csv').write_bytes('\ufefflayer,unit,summary\r\n3,4,caf\u00e9s\r\n'.encode())
    test_eq(read_annotations(folder/'annotations.csv').values.tolist(), [['3', 4, 'caf\u00e9s']])
    for wrong, said in ((b'layer,unit\n3,4\n', 'no column summary'), (b'layer,unit,summary\n3,4.5,x\n', "row 2: unit '4.5'"),
                        (b'layer,unit,summary\n3,4,caf\xe9s\n', 'UTF-8'), (b'', 'cannot be read')):
        (folder/'annotations.csv').write_bytes(wrong)
        with expect_fail(MilanError, contains=said): read_annotations(folder/'annotations.csv')
    shutil.rmtree(folder)


# 20_annotations.ipynb, section "Loading"
def test_loading():
    folder = tiny_set(*THREE)
    (folder/'viz').mkdir()
    found = load(folder)
    found.units

    unit = found.lookup(3, 7)
    test_eq((unit.layer, unit.unit, unit.annotations), ('3', 7, ['3/7 a', '3/7 b', '3/7 c']))
    test_eq(tuple(unit.images.shape), (2, 3, 8, 8))
    assert (unit.images * 255 == 70).all()
    unit.annotations

    test_eq(len(found), 4)
    test_eq(found.units, [*sorted(found.layer('3').units), *found.layer('conv1').units])
    test_eq([one.unit for one in found], [unit.unit for unit in found.units])
    test_eq(found[-1].annotations, found.annotations[-1])
    test_eq(found[1:3].units, found.units[1:3])
    test_eq(found.layer('conv1').annotations[0], ['conv1/0 a', 'conv1/0 b', 'conv1/0 c'])
    found.table().head(3)

    with expect_fail(MilanError, contains='4 to 7'): found.lookup('3', 0)
    with expect_fail(MilanError, contains='layers: 3, conv1'): found.lookup('conv9', 0)
    with expect_fail(MilanError, contains="no layer 'conv9'"): found.layer('conv9')
    with expect_fail(IndexError): found[4]

    shutil.rmtree(folder)
    folder = tiny_set(*THREE[:-1], 'conv1,0,a fourth')
    test_eq(len(load(folder)), 3)
    test_eq([len(texts) for texts in load(folder, count=None).layer('conv1').annotations], [4, 3])
    test_eq(len(load(folder, count=None)), 4)
    test_eq(len(load(folder, count=None).lookup(3, 7).annotations), 2)
    with expect_fail(MilanError, contains='the most is 4'): load(folder, count=5)
    load(folder).layer('conv1').annotations

    shutil.rmtree(folder)
    home = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='alexnet-imagenet.zip'): load('base', home)
    (home/'alexnet'/'places365').mkdir(parents=True)
    with expect_fail(MilanError, contains='holds no annotations.csv'): load('alexnet/places365', home)
    with expect_fail(MilanError, contains='neither a folder nor a set'): load('vgg/imagenet', home)
    with expect_fail(MilanError, contains='does not exist'): load(home/'nothing')
    other = tiny_set('fc6,0,grass')
    with expect_fail(MilanError, contains='layers fc6 against 3, conv1'): load(other)
    shutil.rmtree(other)
    shutil.rmtree(home)


# 20_annotations.ipynb, section "Groups of sets"
def test_groups_of_sets():
    home = Path(tempfile.mkdtemp())
    for name in resolve('gen'): tiny_set(*THREE, folder=home/name)
    found = load('gen', home)
    test_eq(found.sets, ['biggan/imagenet', 'biggan/places365'])
    test_eq([one.set for one in found], ['biggan/imagenet'] * 4 + ['biggan/places365'] * 4)
    with expect_fail(MilanError, contains='say which with set='): found.lookup('conv1', 1)
    test_eq(found.lookup('conv1', 1, set='biggan/places365').set, 'biggan/places365')
    found

    test_eq(list(found.table().columns), ['layer', 'unit', 'summary', 'set'])
    test_eq(list(found[:4].table().columns), ['layer', 'unit', 'summary'])
    found.table().groupby('set').summary.count()

    training, held = found.split(.25, seed=1)
    test_eq((len(training), len(held)), (6, 2))
    test_eq(found.split(.25, seed=1)[1].units, held.units)
    keys = [{(one.set, one.layer, one.unit) for one in part} for part in (training, held)]
    assert not keys[0] & keys[1] and len(keys[0] | keys[1]) == 8
    with expect_fail(MilanError, contains='leaves one part empty'): found[:2].split(.1)
    shutil.rmtree(home)
    held


# 20_annotations.ipynb, section "A set the original wrote"
@pytest.mark.oracle
def test_a_set_the_original_wrote_oracle():
    golden = json.loads((oracle_dir()/'milan.json').read_text())
    found = load(oracle_dir()/'data'/'tinynet'/'tinyset')
    test_eq([list(unit) for unit in found.units], golden['units'])
    test_eq(found.annotations, golden['annotations'])
    unit = found.lookup('layer2', 4)
    images = np.load(oracle_dir()/'data'/'tinynet'/'tinyset'/'layer2'/'images.npy', mmap_mode='r')
    assert np.array_equal((unit.images * 255).round().numpy().astype(np.uint8), images[3])
    assert not unit.masks[2].any()
    test_eq(load(str(oracle_dir()/'data'/'tinynet'/'tinyset')).units, found.units)
    len(found), unit.annotations
