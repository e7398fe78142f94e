# Generated from nbs/06_annotations/01_sets.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.exemplars.store import Exemplars
from pathlib import Path
import numpy as np
import os
import pandas as pd
import warnings
from milan.annotations.sets import (
    annotate,
    BASE,
    concatenate,
    load,
    present,
    read_annotations,
    resolve,
    SETS,
)
import pytest

import json
import shutil
import tempfile

import pytest
import torch
from fastcore.test import expect_fail, test_eq
from IPython.display import display

from milan.config import oracle_dir
from milan.testing import THREE, annotated_set
from milan.testing.hub import HubServer


# 01_sets.ipynb, section "Names of the published sets"
def test_names_of_the_published_sets():
    test_eq(resolve('gen'), ('biggan/imagenet', 'biggan/places365'))
    test_eq(resolve('imagenet'), ('alexnet/imagenet', 'resnet152/imagenet', 'biggan/imagenet'))
    test_eq(resolve('dino_vits8/imagenet'), ('dino_vits8/imagenet',))
    test_eq(sum(SETS[name] for name in resolve('base')), 19072)
    assert set(resolve('not-alexnet-imagenet')) == set(BASE) - {'alexnet/imagenet'}
    with expect_fail(MilanError, contains='alexnet/places365'): resolve('alexnet/places')
    resolve('cls')


# 01_sets.ipynb, section "Reading annotations.csv"
def test_reading_annotations_csv():
    folder = annotated_set('3,4,"a dog, or two"', '3,4,NA', '3,7, ', 'conv1,0,none')
    table = read_annotations(folder/'annotations.csv')
    test_eq(table.summary.tolist(), ['a dog, or two', 'NA', 'none'])
    test_eq(table.layer.tolist(), ['3', '3', 'conv1'])
    test_eq(table.unit.dtype, int)
    table

    (folder/'annotations.csv').write_bytes('\ufefflayer,unit,summary\r\n3,4,caf\u00e9s\r\n'.encode())
    test_eq(read_annotations(folder/'annotations.csv').values.tolist(), [['3', 4, 'caf\u00e9s']])
    for wrong, said in (
        (b'layer,unit\n3,4\n', 'no column summary'), (b'layer,unit,summary\n3,4.5,x\n', "line 2: unit '4.5'"),
        (b'layer,unit,summary\n3,4,caf\xe9s\n', 'UTF-8'), (b'', 'it is empty'),
        (b'layer,unit,summary\n3,4,dogs, cats\n', 'line 2: 4 values')
    ):
        (folder/'annotations.csv').write_bytes(wrong)
        with expect_fail(MilanError, contains=said): read_annotations(folder/'annotations.csv')
    shutil.rmtree(folder)


# 01_sets.ipynb, section "Exemplars with their annotations"
def test_exemplars_with_their_annotations():
    folder = annotated_set()
    texts = pd.DataFrame({'layer': ['3', '3', 3], 'unit': 4, 'summary': ['dogs', 'dogs', 'a dog']})
    found = annotate(Exemplars.open(folder), texts, 'mine')
    found, found[0].annotations

    test_eq(found.units, [('3', 4)])

    lists = [list(texts.summary[(texts.layer.astype(str) == layer) & (texts.unit == unit)])
             for layer, unit in Exemplars.open(folder).units]
    test_eq([(one.units, one.annotations) for one in [annotate(Exemplars.open(folder), lists, 'mine')]],
            [(found.units, found.annotations)])
    with expect_fail(MilanError, contains='give one for each'):
        annotate(Exemplars.open(folder), lists[1:], 'mine')

    test_eq(len(annotate(Exemplars.open(folder), texts, count=None)), 4)
    with expect_fail(MilanError, contains='the most is 3'): annotate(Exemplars.open(folder), texts, count=4)
    with expect_fail(MilanError, contains='count=0'): annotate(Exemplars.open(folder), texts, count=0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        annotate(Exemplars.open(folder), pd.concat([texts, texts.assign(layer='fc6')]), 'mine')
    test_eq([str(one.message) for one in caught],
            ['mine has annotations of fc6, but no exemplars of them; they are left out'])
    shutil.rmtree(folder)


# 01_sets.ipynb, section "Loading"
def test_loading():
    folder = annotated_set(*THREE)
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
    test_eq(found[np.array([True, False, False, True])].units, found[[0, 3]].units)
    test_eq(found.layer('conv1').annotations[0], ['conv1/0 a', 'conv1/0 b', 'conv1/0 c'])
    test_eq(found.sets, ['/'.join(folder.parts[-2:])])
    found.table().head(3)

    with expect_fail(MilanError, contains='4 to 7'): found.lookup('3', 0)
    with expect_fail(MilanError, contains='layers: 3, conv1'): found.lookup('conv9', 0)
    with expect_fail(MilanError, contains="no layer 'conv9'"): found.layer('conv9')
    with expect_fail(MilanError, contains='2 times True or False for 4 units'): found[[True, False]]
    with expect_fail(IndexError): found[4]

    shutil.rmtree(folder)
    folder = annotated_set(*THREE[:-1], 'conv1,0,a fourth')
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
    with expect_fail(MilanError, contains='`milan data fetch milannotations-alexnet-places365`'):
        load('alexnet/places365', home)
    with expect_fail(MilanError, contains='neither a folder nor a set'): load('vgg/imagenet', home)
    with expect_fail(MilanError, contains='does not exist'): load(home/'nothing')
    other = annotated_set('fc6,0,grass')
    with expect_fail(MilanError, contains='layers fc6 against 3, conv1'): load(other)
    shutil.rmtree(other)
    shutil.rmtree(home)


# 01_sets.ipynb, section "On a hub"
def test_on_a_hub():
    pytest.importorskip('pyarrow') # the extra `hub`
    home = Path(tempfile.mkdtemp())
    os.environ['MILAN_RESULTS_DIR'] = str(home/'results')
    own = load(annotated_set(*THREE, 'conv1,0,"a ""dog"", or two"', folder=home/'net'/'photos'))
    with HubServer() as hub:
        own.push('user/photos', pictures=True, quality=None)
        back, sent = load('hf:user/photos'), sorted(hub.files('datasets/user/photos'))
    back, sent

    test_eq((back.sets, back.units, back.annotations), (['user/photos'], own.units, own.annotations))
    for one, other in zip(back, own, strict=True):
        test_eq((one.images, one.masks, one.ids), (other.images, other.masks, other.ids))
    again = load(own.push(home/'pushed', pictures=False), source=[torch.zeros(3, 8, 8)], count=None)
    test_eq((again.units, again.annotations), (own.units, own.annotations))
    with expect_fail(MilanError, contains='take one set'): concatenate([own, back]).push(home/'both')
    del os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(home)


# 01_sets.ipynb, section "Groups of sets"
def test_groups_of_sets():
    home = Path(tempfile.mkdtemp())
    for name in resolve('gen'): annotated_set(*THREE, folder=home/name)
    found = load('gen', home)
    test_eq(found.sets, ['biggan/imagenet', 'biggan/places365'])
    test_eq([one.set for one in found], ['biggan/imagenet'] * 4 + ['biggan/places365'] * 4)
    with expect_fail(MilanError, contains='say which with set='): found.lookup('conv1', 1)
    test_eq(found.lookup('conv1', 1, set='biggan/places365').set, 'biggan/places365')
    found

    test_eq(list(found.table().columns), ['layer', 'unit', 'summary', 'set'])
    test_eq(list(found[:4].table().columns), ['layer', 'unit', 'summary'])
    test_eq(found.of('biggan/places365').keys, found.keys[4:])
    with expect_fail(MilanError, contains="no set 'alexnet/imagenet'"): found.of('alexnet/imagenet')
    found.table().groupby('set').summary.count()

    own = annotated_set(*THREE, folder=home/'mynet'/'photos')
    test_eq(concatenate([found, load(own)]).sets, ['biggan/imagenet', 'biggan/places365', 'mynet/photos'])
    with expect_fail(MilanError, contains='4 units would be there twice'):
        concatenate([found, load('biggan/imagenet', home)])
    with expect_fail(MilanError, contains='no units'): concatenate([])
    shutil.rmtree(home)


# 01_sets.ipynb, section "Which sets are there"
def test_which_sets_are_there():
    home = Path(tempfile.mkdtemp())
    for name in ('alexnet/imagenet', 'alexnet/places365', 'biggan/imagenet'):
        annotated_set(*THREE, folder=home / name)
    for layer in ('3', 'conv1'): (home/'alexnet'/'imagenet'/layer/'images.npy').unlink()
    (home/'biggan'/'imagenet'/'3'/'ids.csv').unlink()
    sets = present(home)
    sets

    test_eq(sets.state.tolist(), ['without images', 'there', 'missing', 'missing', 'damaged', 'missing',
                                  'missing'])
    test_eq(sets.units.tolist(), [4, 4, 0, 0, 0, 0, 0])
    test_eq(load('alexnet/imagenet', home).annotations[0], ['3/4 a', '3/4 b', '3/4 c'])
    with expect_fail(MilanError, contains='milan.annotations.images'): load('alexnet/imagenet', home)[0]
    shutil.rmtree(home)


# 01_sets.ipynb, section "What is wrong with a set, and what is said"
def test_what_is_wrong_with_a_set_and_what_is_said():
    def change(folder, file, function): # an array of the set
        np.save(folder/file, function(np.load(folder/file)))


    def rewrite(folder, file, old, new): # bytes of a table
        content = (folder/file).read_bytes()
        assert old in content
        (folder/file).write_bytes(content.replace(old, new, 1))


    def cut(folder, file): # the end of a file is missing
        content = (folder/file).read_bytes()
        (folder/file).write_bytes(content[:len(content) - 100])


    FAULTS = {
        'masks.npy is cut off': lambda folder: cut(folder, '3/masks.npy'),
        'images.npy is cut off': lambda folder: cut(folder, '3/images.npy'),
        'masks.npy is a web page': (
            lambda folder: (folder / '3/masks.npy').write_text('<html>404 Not Found</html>')
        ),
        'masks.npy holds Python objects': lambda folder: np.save(
            folder / '3/masks.npy', np.array([{}, {}], dtype=object), allow_pickle=True
        ),
        'images.npy has 4 dimensions': lambda folder: change(
            folder, '3/images.npy', lambda images: images.reshape(4, 3, 8, 8)
        ),
        'images.npy holds floats': lambda folder: change(folder, '3/images.npy', lambda images: images / 255),
        'channels come last': lambda folder: change(
            folder, '3/images.npy', lambda images: np.moveaxis(images, 2, 4)
        ),
        'masks have another size': lambda folder: change(folder, '3/masks.npy', lambda masks: masks[..., :4, :4]),
        'masks are of fewer units': lambda folder: change(folder, '3/masks.npy', lambda masks: masks[:1]),
        'masks.npy is missing': lambda folder: (folder / '3/masks.npy').unlink(),
        'ids.csv is missing': lambda folder: (folder / '3/ids.csv').unlink(),
        'ids.csv is empty': lambda folder: (folder / '3/ids.csv').write_text(''),
        'a number in ids.csv is negative': lambda folder: rewrite(folder, '3/ids.csv', b'0,0\n0,0', b'0,0\n0,-5'),
        'ids.csv holds a word': lambda folder: rewrite(folder, '3/ids.csv', b'0,0', b'0,cat'),
        'ids.csv lacks a column': lambda folder: rewrite(folder, '3/ids.csv', b'0,0\n0,0', b'0\n0'),
        'ids.csv lacks one value': lambda folder: rewrite(folder, '3/ids.csv', b'0,0\n0,0', b'0,0\n0'),
        'ids.csv is not UTF-8': lambda folder: rewrite(folder, '3/ids.csv', b'0,0', b'0,\xe9'),
        'units.npy has a unit twice': lambda folder: change(folder, '3/units.npy', lambda units: units * 0),
        'units.npy has a negative unit': lambda folder: change(folder, '3/units.npy', lambda units: -units),
        'units.npy lacks a unit': lambda folder: change(folder, '3/units.npy', lambda units: units[:1]),
        'annotations.csv has other columns': lambda folder: rewrite(
            folder, 'annotations.csv', b'summary', b'text'
        ),
        'a unit is no number': lambda folder: rewrite(folder, 'annotations.csv', b'3,4,', b'3,four,'),
        'a layer is missing': lambda folder: rewrite(folder, 'annotations.csv', b'3,4,', b',4,'),
        'a text has a comma and no quotes': lambda folder: rewrite(
            folder, 'annotations.csv', b'3,4,', b'3,4,dogs, '
        ),
        'a quote is never closed': lambda folder: rewrite(folder, 'annotations.csv', b'3,4,', b'3,4,"'),
        'annotations.csv is not UTF-8': lambda folder: rewrite(
            folder, 'annotations.csv', b'3,4,', b'3,4,caf\xe9 '
        ),
        'annotations.csv is empty': lambda folder: (folder / 'annotations.csv').write_text(''),
        'annotations.csv is missing': lambda folder: (folder / 'annotations.csv').unlink(),
        'the folder is empty': lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    }


    def said_of(spoil):
        "What `load` says about a set that `spoil` has spoilt."
        folder = annotated_set(*THREE)
        spoil(folder)
        try:
            load(folder)[0]
            return ''
        except MilanError as error:
            return str(error).replace(str(folder), 'set').replace('/'.join(folder.parts[-2:]), 'set')
        finally:
            shutil.rmtree(folder)

    refused = pd.DataFrame(
        {'what is wrong': list(FAULTS), 'what is said': [said_of(spoil) for spoil in FAULTS.values()]}
    )
    with pd.option_context('display.max_colwidth', None, 'display.max_rows', None): display(refused)

    assert refused['what is said'].str.contains('set').all()
    for fault, words in {'masks.npy is cut off': 'set/3/masks.npy cannot be read',
                         'images.npy has 4 dimensions': '(4, 3, 8, 8)', 'masks have another size': '4 x 4',
                         'a number in ids.csv is negative': '-5', 'ids.csv is missing': 'set/3/ids.csv',
                         'units.npy has a unit twice': 'units.npy', 'masks.npy is missing': 'masks.npy',
                         'a text has a comma and no quotes': 'line 8',
                         'annotations.csv is empty': 'it is empty'}.items():
        assert words in refused.set_index('what is wrong')['what is said'][fault], (fault, words)

    def windows(folder): # as a spreadsheet on Windows saves a table
        for file in ('annotations.csv', '3/ids.csv', '3/activations.csv'):
            (folder/file).write_bytes(b'\xef\xbb\xbf' + (folder/file).read_bytes().replace(b'\n', b'\r\n'))


    def extra(folder, *lines): # more annotations
        with open(folder/'annotations.csv', 'a') as file: file.write('\n'.join(lines) + '\n')


    ODD = {
        'nothing': lambda folder: None,
        "Windows' line ends and byte-order mark": windows,
        'three annotators say the same': lambda folder: [
            rewrite(folder, 'annotations.csv', f'3/4 {which}'.encode(), b'dogs') for which in 'abc'
        ],
        'a text has a line break, in quotes': lambda folder: rewrite(
            folder, 'annotations.csv', b'3/4 a', b'"a dog\nor two"'
        ),
        'annotations.csv has more columns': (
            lambda folder: (folder / 'annotations.csv').write_text(
                'worker,layer,unit,summary\n' + ''.join(f'{number},{line}\n' for number, line in enumerate(THREE))
            )
        ),
        'four annotations of a unit': lambda folder: extra(folder, '3,4,dogs'),
        'annotations of a unit without exemplars': lambda folder: extra(folder, *['3,99,dogs'] * 3),
        'a folder viz/, a file beside the layers': lambda folder: (
            (folder / 'viz').mkdir(),
            (folder / 'README').write_text('read me'),
        ),
        # as scripts/export_milannotations.py of the original packs a set
        'activations.csv is missing': lambda folder: (folder / '3/activations.csv').unlink(),
        'masks of True and False': lambda folder: change(folder, '3/masks.npy', lambda masks: masks.astype(bool)),
        'masks of 0 and 255': lambda folder: change(folder, '3/masks.npy', lambda masks: masks * 255),
    }


    def read_of(make_odd):
        "Units, the annotations of the first one, and the values of its masks."
        folder = annotated_set(*THREE)
        make_odd(folder)
        found = load(folder)
        values = (len(found), ' · '.join(found[0].annotations), sorted(set(found[0].masks.flatten().tolist())))
        shutil.rmtree(folder)
        return values


    read = pd.DataFrame([(odd, *read_of(make_odd)) for odd, make_odd in ODD.items()],
                        columns=['what is odd', 'units', 'annotations of unit 4', 'masks'])
    read

    test_eq(read.units.tolist(), [4] * len(ODD))
    test_eq(read.masks.tolist(), [[1.]] * len(ODD))
    first = read.set_index('what is odd')['annotations of unit 4']
    test_eq(first['three annotators say the same'], 'dogs · dogs · dogs')
    test_eq(first['a text has a line break, in quotes'], 'a dog\nor two · 3/4 b · 3/4 c')
    assert (first.drop(['three annotators say the same', 'a text has a line break, in quotes'])
            == '3/4 a · 3/4 b · 3/4 c').all()


# 01_sets.ipynb, section "A set the original wrote"
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
