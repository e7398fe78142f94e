# Generated from nbs/24_segmentations.ipynb by `make export`. Edit the notebook, not this file.

from milan.segmentations import (
    _broden_concepts,
    Broden,
    Labelled,
    load,
    Pictures,
    Scenes,
    shrink,
)

import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_eq
from PIL import Image

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

from milan.config import MilanError
from milan.images import COLUMNS, ImageSet, ShapeScenes


def tiny_broden():
    "A folder in Broden's format: three images of 8 x 8, masks of 4 x 4."
    folder = Path(tempfile.mkdtemp())
    (folder/'images').mkdir()
    for name, shade in (('a', 40), ('b', 120), ('c', 200)): Image.new('RGB', (8, 8), (shade, shade, shade)).save(folder/f'images/{name}.jpg')
    labels = {'a_object': [[0, 0, 300, 300]] * 4, 'a_part': [[0, 0, 0, 5]] * 4, 'a_more': [[6, 0, 0, 0]] * 4, 'b_object': [[300] * 4, [0] * 4, [0] * 4, [7] * 4]}
    for name, numbers in labels.items():
        numbers = np.array(numbers)
        Image.fromarray(np.stack([numbers % 256, numbers // 256, 0 * numbers], 2).astype(np.uint8)).save(folder/f'images/{name}.png')
    (folder/'index.csv').write_text('image,split,ih,iw,sh,sw,color,object,part,material,scene,texture\n'
                                    'a.jpg,train,8,8,4,4,,a_object.png,a_part.png;a_more.png,,12,\n'
                                    'b.jpg,val,8,8,4,4,,b_object.png,,,,\nc.jpg,val,8,8,4,4,9,,,,12,\n')
    (folder/'category.csv').write_text('name,first,last,count,frequency\nobject,300,300,2,2\npart,5,6,2,1\nscene,12,12,1,2\ncolor,9,9,1,1\n')
    (folder/'label.csv').write_text('number,name,category,frequency,coverage,syns\n5,wheel,part(1),1,.25,\n6,door,part(1),1,.2,portal\n7,door,object(1),1,.3,\n'
                                    '9,blue-c,color(1),1,1,\n12,street-s,scene(2),2,2,\n300,car,object(2);part(1),2,.8,auto;automobile\n')
    for name, rows in {'object': '1,300,car,2,.7\n2,7,door,1,.3', 'part': '1,5,wheel,1,.25\n2,6,door,1,.2\n3,300,car,1,.1', 'scene': '1,12,street-s,2,2',
                       'color': '1,9,blue-c,1,1'}.items():
        (folder/f'c_{name}.csv').write_text(f'code,number,name,frequency,coverage\n{rows}\n')
    return folder


# 24_segmentations.ipynb, section "Your own labels"
def test_your_own_labels():
    left, top = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :3], top[:2] = True, True
    own = Labelled(torch.zeros(3, 3, 8, 12, dtype=torch.uint8), [{'grass': left, 'sky': top}, {'sky': top}, {}], {'sky': 'object'})
    own, own.concepts, {own.concepts[i].name: mask.sum() for i, mask in own.regions(0).items()}

    test_eq(own.masks(0), [top, left])
    test_eq(own.masks(2).sum(), 0)
    test_eq((len(own), own[1].shape, own.categories), (3, (3, 8, 12), ['object', '']))
    some = own.subset([1, 0])
    test_eq((len(some), list(some.regions(0)), some.concepts), (2, [0], own.concepts))
    test_eq(len(own.subset(np.array([True, False, True]))), 2)
    with expect_fail(MilanError, contains='one dictionary per image'): Labelled([], [{}])
    with expect_fail(MilanError, contains='one height and width'): Labelled([1, 2], [{'a': left}, {'a': left[:2]}])


# 24_segmentations.ipynb, section "Generated scenes"
def test_generated_scenes():
    scenes = Scenes(ShapeScenes(20))
    scenes, {scenes.concepts[i].name: int(mask.sum()) for i, mask in scenes.regions(1).items()}

    test_eq(scenes.categories, ['colour', 'texture', 'shape', 'letter'])
    test_eq([concept.name for concept in scenes.concepts if concept.category == 'letter'][:2], ['letter', 'letter A'])
    test_eq({scenes.concepts[i].name for i in scenes.regions(3)}, set(ShapeScenes(20).concepts(3)))
    assert torch.equal(scenes[3], ShapeScenes(20)[3])
    assert scenes.fingerprint and scenes.subset([1]).fingerprint not in (scenes.fingerprint, scenes.subset([2]).fingerprint)


# 24_segmentations.ipynb, section "The demo's pictures"
def test_the_demo_s_pictures():
    test_eq(shrink(np.arange(16).reshape(4, 4), (2, 2)), [[5, 7], [13, 15]])
    test_eq(shrink(np.arange(4).reshape(2, 2), (4, 4))[0], [0, 0, 1, 1])

    y, x = np.mgrid[:28, :28]
    disc, pixels = (y - 14) ** 2 + (x - 14) ** 2 < 90, np.full((3, 28, 28, 3), 128, np.uint8)
    pixels[0][disc], pixels[1][disc] = (225, 20, 20), (20, 30, 220)
    table = pd.DataFrame({column: [''] * 3 for column in COLUMNS})
    table['description'], table['group'] = ['A tomato', 'A ball', 'Fog and a ball'], list('abc')
    outlines = np.stack([np.packbits(mask) for mask in (disc, disc, disc & False)])
    stamps = Pictures(ImageSet('made up', table, pixels, outlines, 'made up'), least=1, side=14)
    [{stamps.concepts[i].name: int(mask.sum()) for i, mask in stamps.regions(index).items()} for index in range(3)]

    names = [{stamps.concepts[i].name for i in stamps.regions(index)} for index in range(3)]
    assert {'tomato', 'red'} <= names[0] and {'ball', 'blue'} <= names[1] and {'ball', 'fog', 'gray'} <= names[2]
    test_eq(stamps.masks(2)[[concept.name for concept in stamps.concepts].index('ball')].all(), True)
    assert 'red' not in names[1] and Pictures(stamps.images, 1, colours=False).categories == ['noun']


# 24_segmentations.ipynb, section "Broden"
def test_broden():
    folder = tiny_broden()
    _broden_concepts(folder, ['object', 'part', 'color', 'scene'])

    broden = Broden(tiny_broden())
    [{broden.concepts[i].name: int(mask.sum()) for i, mask in broden.regions(index).items()} for index in range(3)]

    test_eq([(concept.name, concept.category) for concept in broden.concepts],
            [('wheel', 'part'), ('door', 'part'), ('door (object)', 'object'), ('blue', 'color'), ('street', 'scene'), ('car', 'object')])
    test_eq(broden.concepts[-1].synonyms, ('auto', 'automobile'))
    test_eq(broden.concepts[2].synonyms, ('door',))
    test_eq(broden.regions(0)[5][:, 2:].all() and not broden.regions(0)[5][:, :2].any(), True)
    test_eq([broden.annotated(index) for index in range(3)], [{'object', 'part', 'scene'}, {'object'}, {'color', 'scene'}])
    test_eq((broden[0].shape, broden.size), ((3, 8, 8), (4, 4)))
    test_eq(len(Broden(broden.folder, split='val')), 2)
    test_eq(len(Broden(broden.folder, ['part'])), 1)
    with expect_fail(MilanError, contains='choose from object, part'): Broden(broden.folder, ['thing'])
    with expect_fail(MilanError, contains="split 'test'"): Broden(broden.folder, split='test')
    with expect_fail(MilanError, contains='category.csv cannot be read'): Broden(broden.folder/'images')
    (broden.folder/'index.csv').write_text('image,split\na.jpg,train\n')
    with expect_fail(MilanError, contains='has no column sh, sw'): Broden(broden.folder)

    with expect_fail(MilanError, contains='holds no index.csv'): load(broden.folder/'images')
    load('shapes')

    shutil.rmtree(broden.folder)
