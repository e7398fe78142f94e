# Generated from nbs/08_concepts/01_segmentations.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.images.folders import ImageSet
from milan.images.scenes import SHAPES
from milan.images.scenes import TEXTURES
from milan.images.sets import ShapeScenes
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from milan.concepts.segmentations import (
    _broden_concepts,
    _broden_size,
    _category,
    _coverage,
    _integer,
    _main_categories,
    Broden,
    Concept,
    Labelled,
    load,
    Pictures,
    Scenes,
    shrink,
)

import shutil
import tempfile
import warnings

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_eq
from PIL import Image

from milan.images.folders import COLUMNS

warnings.filterwarnings('ignore', message='IProgress') # of libraries' progress bars

def label_image(numbers, path):
    "Write numbers as Broden does: red + 256 · green."
    numbers = np.array(numbers)
    Image.fromarray(np.stack([numbers % 256, numbers // 256, 0 * numbers], 2).astype(np.uint8)).save(path)


def tiny_broden():
    "A folder in Broden's format: three images of 8 x 8, masks of 4 x 4."
    folder = Path(tempfile.mkdtemp())
    (folder/'images').mkdir()
    for name, shade in (('a', 40), ('b', 120), ('c', 200)):
        Image.new('RGB', (8, 8), (shade, shade, shade)).save(folder/f'images/{name}.jpg')
    labels = {'a_object': [[0, 0, 300, 300]] * 4, 'a_part': [[0, 0, 0, 5]] * 4, 'a_more': [[6, 0, 0, 0]] * 4,
              'b_object': [[300] * 4, [0] * 4, [0] * 4, [7] * 4]}
    for name, numbers in labels.items(): label_image(numbers, folder/f'images/{name}.png')
    tables = {
        'index': 'image,split,ih,iw,sh,sw,color,object,part,material,scene,texture\n'
                 'a.jpg,train,8,8,4,4,,a_object.png,a_part.png;a_more.png,,12,\n'
                 'b.jpg,val,8,8,4,4,,b_object.png,,,,\nc.jpg,val,8,8,4,4,9,,,,12,\n',
        'category': 'name,first,last,count,frequency\nobject,300,300,2,2\npart,5,6,2,1\nscene,12,12,1,2\n'
                    'color,9,9,1,1\n',
        'label': 'number,name,category,frequency,coverage,syns\n5,wheel,part(1),1,.25,\n6,door,part(1),1,.2,'
                 'portal\n7,door,object(1),1,.3,\n9,blue-c,color(1),1,1,\n12,street-s,scene(2),2,2,\n'
                 '300,car,object(2);part(1),2,.8,auto;automobile\n',
        'c_object': 'code,number,name,frequency,coverage\n1,300,car,2,.7\n2,7,door,1,.3\n',
        'c_part': 'code,number,name,frequency,coverage\n1,5,wheel,1,.25\n2,6,door,1,.2\n3,300,car,1,.1\n',
        'c_scene': 'code,number,name,frequency,coverage\n1,12,street-s,2,2\n',
        'c_color': 'code,number,name,frequency,coverage\n1,9,blue-c,1,1\n'}
    for name, text in tables.items(): (folder/f'{name}.csv').write_text(text)
    return folder


def areas(images, index):
    "Positions of each concept in one image."
    return {images.concepts[i].name: int(mask.sum()) for i, mask in images.regions(index).items()}


# 01_segmentations.ipynb, section "The interface"
def test_the_interface():
    test_eq(Concept('car').synonyms, ())
    Concept('car', 'object', ('automobile',))


# 01_segmentations.ipynb, section "Your own labels"
def test_your_own_labels():
    left, top = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :3], top[:2] = True, True
    pictures = torch.zeros(3, 3, 8, 12, dtype=torch.uint8)
    regions = [{'grass': left, 'sky': top}, {'sky': top}, {}]
    own = Labelled(pictures, regions, {'sky': 'object'})
    own, own.concepts, areas(own, 0)

    test_eq(own.regions(0), {0: top, 1: left})
    test_eq(own.regions(2), {})
    test_eq((len(own), own[1].shape, own.categories), (3, (3, 8, 12), ['object', '']))

    some = own.subset([1, 0])
    test_eq((len(some), list(some.regions(0)), some.concepts), (2, [0], own.concepts))
    test_eq(len(own.subset(np.array([True, False, True]))), 2)


# 01_segmentations.ipynb, section "Generated scenes"
def test_generated_scenes():
    test_eq([_category(name) for name in (next(iter(SHAPES)), next(iter(TEXTURES)), 'letter B')],
            ['shape', 'texture', 'letter'])

    scenes = Scenes(ShapeScenes(20))
    scenes, areas(scenes, 1)

    figure, axes = plt.subplots(1, 5, figsize=(6.4, 1.6), layout='constrained')
    axes[0].imshow(scenes[1].permute(1, 2, 0))
    axes[0].set_title('image 1', size=9)
    for axis, (number, mask) in zip(axes[1:], scenes.regions(1).items(), strict=False):
        axis.imshow(mask, cmap='gray')
        axis.set_title(scenes.concepts[number].name, size=9)
    for axis in axes: axis.axis('off')
    plt.show()

    test_eq(scenes.categories, ['colour', 'texture', 'shape', 'letter'])

    letters = [concept.name for concept in scenes.concepts if concept.category == 'letter']
    test_eq(letters[:2], ['letter', 'letter A'])
    test_eq(set(areas(scenes, 3)), set(ShapeScenes(20).concepts(3)))
    assert torch.equal(scenes[3], ShapeScenes(20)[3])
    assert len({scenes.fingerprint, scenes.subset([1]).fingerprint, scenes.subset([2]).fingerprint}) == 3


# 01_segmentations.ipynb, section "The demo's pictures"
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
    [areas(stamps, index) for index in range(3)]

    names = [set(areas(stamps, index)) for index in range(3)]
    assert {'tomato', 'red'} <= names[0] and {'ball', 'blue'} <= names[1] and {'ball', 'fog', 'gray'} <= names[2]
    test_eq(areas(stamps, 2)['ball'], 14 * 14)
    assert 'red' not in names[1] and Pictures(stamps.images, 1, colours=False).categories == ['noun']


# 01_segmentations.ipynb, section "Broden"
def test_broden():
    test_eq(_integer(Path('label.csv'), 'number', '12'), 12)
    test_eq(_coverage(Path('c_part.csv'), '.25'), .25)
    with expect_fail(MilanError, contains='not a finite number'): _coverage(Path('c_part.csv'), 'nan')

    folder = tiny_broden()
    _main_categories(folder, ['object', 'part', 'color', 'scene'])

    folder = tiny_broden()
    _broden_concepts(folder, ['object', 'part', 'color', 'scene'])

    broden = Broden(tiny_broden())
    [areas(broden, index) for index in range(3)]

    test_eq([concept[:2] for concept in broden.concepts],
            [('wheel', 'part'), ('door', 'part'), ('door (object)', 'object'), ('blue', 'color'),
             ('street', 'scene'), ('car', 'object')])
    test_eq(broden.concepts[-1].synonyms, ('auto', 'automobile'))
    test_eq(broden.concepts[2].synonyms, ('door',))
    test_eq(broden.regions(0)[5][:, 2:].all() and not broden.regions(0)[5][:, :2].any(), True)

    test_eq(broden.annotated(0), {'object', 'part', 'scene'})
    test_eq([broden.annotated(index) for index in (1, 2)], [{'object'}, {'color', 'scene'}])
    test_eq((broden[0].shape, broden.size), ((3, 8, 8), (4, 4)))
    test_eq(len(Broden(broden.folder, split='val')), 2)
    test_eq(len(Broden(broden.folder, ['part'])), 1)

    test_eq(_broden_size(Path('index.csv'), pd.DataFrame({'sh': ['4'], 'sw': ['6']})), (4, 6))


# 01_segmentations.ipynb, section "Labelled images by name"
def test_labelled_images_by_name():
    load('shapes')


# 01_segmentations.ipynb, section "Errors"
def test_errors():
    left, folder = np.ones((4, 6), bool), tiny_broden()
    with expect_fail(MilanError, contains='one dictionary per image'): Labelled([], [{}])
    with expect_fail(MilanError, contains='one height'): Labelled([1, 2], [{'a': left}, {'a': left[:2]}])
    with expect_fail(MilanError, contains='choose from object, part'): Broden(folder, ['thing'])
    with expect_fail(MilanError, contains="split 'test'"): Broden(folder, split='test')
    with expect_fail(MilanError, contains='category.csv cannot be read'): Broden(folder/'images')
    with expect_fail(MilanError, contains='has no index.csv'): load(folder/'images')
    (folder/'index.csv').write_text('image,split\na.jpg,train\n')
    with expect_fail(MilanError, contains='has no column sh, sw'): Broden(folder)
    shutil.rmtree(folder)
