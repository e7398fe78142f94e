# Generated from nbs/04_sets.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from milan.images import scenes as shapes
from milan.images.files import COLUMNS
from milan.images.files import ImageFolder
from milan.images.files import LabelledFolder
from milan.images.files import Latents
from milan.images.files import fit_object
from milan.images.files import open_picture
from pathlib import Path
import functools
import numpy as np
import pandas as pd
import torch
from milan.images.sets import (
    _clipart_rows,
    _emoji_rows,
    _gcompris_rows,
    _stamp_rows,
    clipart_words,
    compose,
    decoded,
    demo,
    difference_hash,
    emoji_categories,
    emoji_names,
    file_words,
    groups,
    latents,
    licence_of,
    licences,
    load,
    name_stem,
    names,
    published,
    ShapeScenes,
    spurious,
    stamp_kind,
    stamps,
)

import os
import tempfile
import warnings

from fastcore.test import expect_fail, test_eq

from milan.testing import disc, made_up_folder

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

def speckled():
    "Something that looks like a photograph to `stamp_kind`: every pixel another colour."
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(np.dstack([colours, np.full((64, 64), 255, np.uint8)]))


# 04_sets.ipynb, section "Backgrounds"
def test_backgrounds():
    image, mask = compose(fit_object(disc(), 96), np.random.default_rng(0))
    Image.fromarray(np.hstack([image, np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)]))

    inside, outside = image[mask].astype(float).mean(0), image[~mask].astype(float).mean(0)
    assert np.linalg.norm(inside - outside) > 100
    again, _ = compose(fit_object(disc(), 96), np.random.default_rng(0))
    test_eq(image, again)
    other, _ = compose(fit_object(disc(), 96), np.random.default_rng(1))
    assert (other[~mask] != image[~mask]).any()


# 04_sets.ipynb, section "Two pictures of one thing"
def test_two_pictures_of_one_thing():
    test_eq(name_stem('animals/frog-1.png'), 'frog')
    test_eq(name_stem('redPanda_02.webp'), 'panda')
    test_eq(name_stem('red.png'), 'red')
    frog, _ = compose(fit_object(disc(), 96), np.random.default_rng(0))
    darker = (frog * 0.8).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, frog.shape, dtype=np.uint8)
    hashes = np.stack([difference_hash(image) for image in (frog, noise, darker, noise[::-1])])
    groups(['frog1', 'static', 'toad', 'frog2'], hashes)

    test_eq(groups(['frog1', 'static', 'toad', 'frog2'], hashes), ['frog', 'static', 'frog', 'frog'])


# 04_sets.ipynb, section "Decoded once"
def test_decoded_once():
    def row(file, draw, **more):
        "A row as the sets below make them."
        return {**dict.fromkeys(COLUMNS, ''), 'file': file, 'name': file, 'variant': 0, 'draw': draw, **more}


    folder = made_up_folder()
    os.environ['MILAN_DATA_DIR'] = str(folder/'data')
    paint = lambda seed: compose(fit_object(disc(), 32), np.random.default_rng(seed))
    discs = decoded('discs', 1, 32, lambda: [row(f'disc{i}.png', functools.partial(paint, i)) for i in range(4)],
                    progress=False)
    discs, discs.table['group'].tolist()

    def never(): raise AssertionError('the cache should have served')
    again = decoded('discs', 1, 32, never)
    assert (torch.equal(again[2], discs[2]) and torch.equal(again.mask(2), discs.mask(2))
            and again.fingerprint == discs.fingerprint)
    pd.testing.assert_frame_equal(again.table, discs.table, check_dtype=False)
    broken = lambda: [row('cut.png', lambda: compose(open_picture(folder/'cut.png'), np.random.default_rng(0)))]
    with expect_fail(MilanError, contains='cut.png'): decoded('broken', 1, 32, broken, progress=False)
    test_eq([path.name.split('-')[0] for path in (folder/'data'/'cache').iterdir()], ['discs'])
    [cached] = (folder/'data'/'cache').iterdir()
    for name, body in [
        ('images.npy', b''),
        ('masks.npy', b'\x93NUMPY'),
        ('table.csv', b''),
        ('table.csv', b'file\na\n'),
        ('images.npy', b'PK'),
    ]: # damaged: an error, not drawn again
        whole = (cached/name).read_bytes()
        (cached/name).write_bytes(body)
        with expect_fail(MilanError, contains='is damaged'): decoded('discs', 1, 32, never)
        (cached/name).write_bytes(whole)
    del os.environ['MILAN_DATA_DIR']


# 04_sets.ipynb, section "Stamps"
def test_stamps():
    [stamp_kind(file, picture) for file, picture in (('symbols/a.png', None), ('animals/frog.png', disc()),
                                                     ('animals/frog.png', speckled()))]

    test_eq(stamp_kind('animals/cartoon/frog.png', speckled()), 'drawing')
    test_eq(stamp_kind('animals/frog.png', speckled()), 'photo')

    folder = Path(tempfile.mkdtemp())
    for file in ('animals/amphibians/frog.png', 'animals/amphibians/frog_mirror.png', 'symbols/a.png',
                 'food/fruit/cartoon/plum.png'):
        (folder/file).parent.mkdir(parents=True, exist_ok=True)
        disc(colour=(len(file) * 3, 90, 40)).save(folder/file)
    (folder/'animals/amphibians/frog.txt').write_text('A frog. \naf.utf8=Padda')
    rows = _stamp_rows(folder, 32, 2, None)
    pd.DataFrame(rows)[['file', 'description', 'category', 'kind', 'variant', 'keywords']]

    test_eq(len(rows), 6)
    image, mask = rows[0]['draw']()
    test_eq((image.shape, mask.shape), ((32, 32, 3), (32, 32)))
    other, same = rows[1]['draw']()
    test_eq(mask, same)
    assert (image != other).any()
    with expect_fail(MilanError, contains='"plain" or "photo"'): stamps(background='meadow')


# 04_sets.ipynb, section "Photographs with backgrounds"
def test_photographs_with_backgrounds():
    [file_words(name) for name in ('hammer3.webp', 'statueofLiberty.webp', 'polar_bear.webp',
                                   'TajMahal_background.webp', 'main_droite_paume_0.webp')]

    test_eq(file_words('statueofLiberty.webp'), 'statue of liberty')
    test_eq(file_words('main_droite_paume_0.webp'), 'hand')

    text = (
        'Files: *\nCopyright: 2010 A\n  2011 B\nLicense: GPL-3+\n\nFiles: src/owl.webp\n src/bee.webp\nCopyright:'
        ' 2012 C. Lens\nLicense: CC-BY-4.0\n more'
    )
    licence_of('src/bee.webp', licences(text)), licence_of('src/else.webp', licences(text))

    test_eq(licence_of('src/bee.webp', licences(text)), ('CC-BY-4.0', 'C. Lens'))
    test_eq(licence_of('src/else.webp', licences(text)), ('GPL-3+', 'A; B'))

    folder = Path(tempfile.mkdtemp())
    for file, picture in (
        ('erase/resource/polar_bear.webp', speckled().resize((200, 120))),
        ('erase/resource/bee.webp', speckled()),
        ('lang/resource/words_sample/nine.png', disc(128)),
        ('paintings/resource/image/x_a1.webp', speckled()),
        ('categorization/resource/images/tools/hammer2.png', disc(128, background=(250, 250, 250, 255))),
    ):
        (folder/'activities'/file).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder/'activities'/file)
    rows = _gcompris_rows(folder, 48)
    pd.DataFrame(rows)[['file', 'description', 'category', 'kind', 'has_mask']]

    test_eq(sorted(row['description'] for row in rows), ['hammer', 'nine', 'polar bear'])
    for row in rows:
        image, mask = row['draw']()
        test_eq(image.shape, (48, 48, 3))
        test_eq(mask is not None, row['has_mask'])


# 04_sets.ipynb, section "Clip art"
def test_clip_art():
    svg = '''<cc:Work><dc:title>Lemon_Half (B and W)</dc:title><dc:subject><rdf:Bag><rdf:li>fruit</rdf:li><rdf:li>unsorted</rdf:li></rdf:Bag>
</dc:subject><dc:creator><cc:Agent><dc:title>Gerald</dc:title></cc:Agent></dc:creator></cc:Work>'''
    clipart_words(svg, 'food/lemon')

    test_eq(clipart_words(svg, 'food/lemon'), ('lemon half', ['fruit'], 'Gerald'))
    test_eq(clipart_words(svg.replace('Lemon_Half', 'Various Cliparts'), 'food/lemon')[0], '')
    test_eq(clipart_words('', 'food/lemon'), ('', [], ''))

    folder = Path(tempfile.mkdtemp())
    for file in ('animals/bugs/bee_01', 'shapes/star', 'food/fruit/lemon', 'unsorted/thing'):
        for kind in ('png', 'svg'): (folder/kind/file).parent.mkdir(parents=True, exist_ok=True)
        disc(80).save(folder/'png'/f'{file}.png')
    (folder/'svg/food/fruit/lemon.svg').write_text(svg)
    rows = _clipart_rows(folder, 48)
    pd.DataFrame(rows)[['file', 'description', 'keywords', 'category', 'credit']]

    test_eq([row['category'] for row in rows], ['animals/insects', 'food/fruit'])
    test_eq(rows[0]['draw']()[0].shape, (48, 48, 3))


# 04_sets.ipynb, section "Emoji"
def test_emoji():
    emoji_categories('# c\n[🐱🐶-🐸{👨‍⚕️}] ; Animals & Nature ; animal-mammal')

    test_eq(list(emoji_categories('[🐱🐶-🐸{👨‍⚕️}] ; Animals ; mammal')), ['🐱', '🐶', '🐷', '🐸'])
    annotations = Path(tempfile.mkdtemp())/'en.xml'
    annotations.write_text('<ldml><annotations><annotation cp="🐸">face | frog</annotation><annotation cp="🐸"'
                           ' type="tts">frog</annotation></annotations></ldml>')
    test_eq(emoji_names(annotations), {'🐸': ('frog', ['face', 'frog'])})

    with expect_fail(OSError): _emoji_rows(Path(tempfile.mkdtemp()), 32)


# 04_sets.ipynb, section "Generated scenes"
def test_generated_scenes():
    scenes = ShapeScenes(12)
    scenes, scenes.table['description'][0]

    test_eq(len(ShapeScenes(0).table), 0)
    test_eq(scenes[3].shape, (3, 64, 64))
    test_eq(scenes[3].numpy().transpose(1, 2, 0), shapes.draw_scene(3).image)
    assert set(scenes.concepts(3)) <= set(shapes.concepts())
    test_eq(scenes.mask(3).numpy(), np.any(list(scenes.concepts(3).values()), axis=0))
    test_eq(scenes.subset([3]).table['description'][0], scenes.table['description'][3])
    assert torch.equal(scenes.subset([3])[0], scenes[3])
    assert scenes.fingerprint != ShapeScenes(12, seed=1).fingerprint
    Image.fromarray(np.hstack([scenes.picture(i) for i in range(6)]))


# 04_sets.ipynb, section "The paper's data sets"
def test_the_paper_s_data_sets():
    os.environ['MILAN_DATA_DIR'] = str(home := Path(tempfile.mkdtemp()))
    for name in ('imagenet/val/n01440764/ILSVRC2012_val_00000293',
                 'imagenet/val/n02123045/ILSVRC2012_val_00000012', 'imagenet/train/n01440764/n01440764_10026',
                 'places365/a/1'):
        (home/name).parent.mkdir(parents=True, exist_ok=True)
        disc(80, background=(40, 60, 90, 255)).convert('RGB').save((home/name).with_suffix('.JPEG'))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        found = published('imagenet')
    test_eq(len(said), 1)
    assert ("holds 2 images in 2 classes; ImageNet (ILSVRC 2012) has 50,000 in 1,000, so published image numbers"
            " don't hold" in str(said[0].message))
    found, found.table[['file', 'label']].values.tolist()

    with warnings.catch_warnings(action='ignore'):
        test_eq([published(name).name for name in ('imagenet/val', 'imagenet/train', 'places365')],
                ['imagenet', 'imagenet/train', 'places365'])
        test_eq(published('imagenet', 96)[0].shape, (3, 96, 96))
    with expect_fail(MilanError, contains='imagenet/val or imagenet/train'): published('imagenet/test')
    with expect_fail(MilanError, contains='imagenet-blurred/val should hold'): published('imagenet-blurred')
    (home/'imagenet'/'val').rename(home/'imagenet'/'valid')
    with expect_fail(MilanError, contains='train but no val'): published('imagenet')
    (home/'imagenet'/'train').rename(home/'imagenet'/'val')
    with expect_fail(MilanError, contains='n01440764_10026.JPEG'): published('imagenet')
    with expect_fail(MilanError, contains='imagenet/train should hold'): published('imagenet/train')
    (home/'imagenet'/'val').rename(home/'imagenet-blurred')
    (home/'imagenet-blurred'/'n01440764'/'n01440764_10026.JPEG').rename(home/'imagenet-blurred'/'1.JPEG')
    (home/'imagenet-blurred'/'n01440764').rmdir()
    with expect_fail(MilanError, contains='sort the images into a folder for each class'):
        published('imagenet-blurred')
    del os.environ['MILAN_DATA_DIR']

    os.environ['MILAN_DATA_DIR'], os.environ['MILAN_MANIFESTS_DIR'] = (
        str(home := Path(tempfile.mkdtemp())), tempfile.mkdtemp()
    )
    (home/'imagenet-spurious-text/50pct/test/tench').mkdir(parents=True)
    disc(80).convert('RGB').save(home/'imagenet-spurious-text/50pct/test/tench/1.png')
    (home/'biggan-zs-imagenet').mkdir()
    torch.save(torch.randn(3, 128), home/'biggan-zs-imagenet'/'z.pth')
    torch.save(torch.tensor([0, 999, 3]), home/'biggan-zs-imagenet'/'y.pth')
    spurious('imagenet-spurious-text/50pct/test'), latents('biggan-zs-imagenet')

    test_eq(spurious('imagenet-spurious-text/50pct/test').recipe, 'both sides 224, bilinear')
    test_eq(latents('biggan-zs-imagenet')[1][1].item(), 999)
    with expect_fail(MilanError, contains='here are imagenet-spurious-text/50pct/test'):
        spurious('imagenet-spurious-text')
    with expect_fail(MilanError, contains='here are imagenet-spurious-text/50pct/test'):
        spurious('imagenet-spurious-text/50pct/train')
    with expect_fail(MilanError, contains='<5pct|'): spurious('imagenet-spurious-color/50pct')
    with expect_fail(MilanError, contains='z and the classes y'): latents('biggan-zs-places365')
    for variable in ('MILAN_DATA_DIR', 'MILAN_MANIFESTS_DIR'): del os.environ[variable]


# 04_sets.ipynb, section "Loading by name"
def test_loading_by_name():
    load('shapes'), load(made_up_folder(), 48), names()

    folder = made_up_folder()
    (folder/'blue'/'cut.png').write_bytes(b'\x89PNG')
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        mine = load(folder, 48, skip_broken=True)
    len(mine), {name: str(error).replace(str(folder), '…') for name, error in mine.broken.items()}

    assert len(told) == 1 and 'blue/cut.png' in str(told[0].message)
    test_eq(len(load(folder, 48)), len(mine) + 1) # without it, the error comes when the picture is read
    with expect_fail(MilanError, contains='skip_broken=True'): list(load(folder, 48))
    for name in (None, 3, ['a'], b'a'):
        with expect_fail(MilanError, contains='give a name'): load(name)
    for count in (-1, '9', None, 1.5, 10**12):
        with expect_fail(MilanError, contains='scenes: give'): ShapeScenes(count)
    for name in ('x' * 300, 'a\0b', ''):
        with expect_fail(MilanError, contains='neither a set'): load(name)
    for size in (0, -5, 10**9):
        with expect_fail(MilanError, contains='1 … 4096'): load('shapes', size)

    with expect_fail(MilanError, contains='the nearest are stamps'): load('stamp')
    with expect_fail(MilanError, contains='no folder'): load('somewhere/photos')
    with expect_fail(MilanError, contains='choose from'): demo(sets=['imagenet'])
    os.environ['MILAN_DATA_DIR'] = str(home := Path(tempfile.mkdtemp()))
    with expect_fail(MilanError, contains='Places365 is not here'): load('places365')
    with expect_fail(MilanError, contains='the nearest are imagenet'): load('imagnet')
    (home/'places365/val/airfield').mkdir(parents=True)
    disc(80).convert('RGB').save(home/'places365/val/airfield/1.png')
    (home/'biggan-zs-imagenet').mkdir()
    torch.save({'z': torch.randn(3, 128), 'y': torch.arange(3)}, home/'biggan-zs-imagenet'/'zs.pth')
    os.environ['MILAN_MANIFESTS_DIR'] = tempfile.mkdtemp()
    with warnings.catch_warnings(action='ignore'): assert isinstance(load('places365', 32), LabelledFolder)
    assert isinstance(load('biggan-zs-imagenet'), Latents) and isinstance(load(home/'places365'), ImageFolder)
    for variable in ('MILAN_DATA_DIR', 'MILAN_MANIFESTS_DIR'): del os.environ[variable]
