# Generated from nbs/11_images.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from PIL import ImageDraw
from milan import shapes
from milan.config import MilanError
from pathlib import Path
import functools
import numpy as np
import pandas as pd
import torch
from milan.images import (
    _clipart_rows,
    _emoji_rows,
    _gcompris_rows,
    _stamp_rows,
    centre_crop,
    clipart_words,
    COLUMNS,
    compose,
    concatenate,
    decoded,
    demo,
    difference_hash,
    emoji_categories,
    emoji_names,
    file_words,
    fit_object,
    groups,
    ImageFolder,
    ImageSet,
    licence_of,
    licences,
    load,
    name_stem,
    open_picture,
    ShapeScenes,
    stamp_kind,
    stamps,
)

import os
import tempfile

from fastcore.test import expect_fail, test_eq

def disc(side=64, colour=(220, 40, 30), background=(0, 0, 0, 0), box=(8, 16, 40, 48)):
    "A picture of a disc, by default on a transparent ground."
    picture = Image.new('RGBA', (side, side), background)
    ImageDraw.Draw(picture).ellipse(box, fill=colour)
    return picture


def speckled():
    "Something that looks like a photograph to `stamp_kind`: every pixel another colour."
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(np.dstack([colours, np.full((64, 64), 255, np.uint8)]))


def made_up_folder(count=3):
    "A folder with `count` small photographs in two sub-folders."
    folder = Path(tempfile.mkdtemp())
    for i in range(count):
        path = folder/f'{"red" if i % 2 else "blue"}'/f'{i}.jpg'
        path.parent.mkdir(exist_ok=True)
        disc(80, background=(40, 60, 90 + i, 255)).convert('RGB').save(path)
    return folder


# 11_images.ipynb, section "Opening a picture"
def test_opening_a_picture():
    folder = made_up_folder()
    open_picture(folder/'red'/'1.jpg').size

    test_eq(open_picture(folder/'red'/'1.jpg', 'RGB').mode, 'RGB')
    whole = (folder/'red'/'1.jpg').read_bytes()
    (folder/'cut.jpg').write_bytes(whole[:len(whole) // 2])
    (folder/'text.png').write_text('no picture')
    for name in ('cut.jpg', 'text.png', 'nowhere.png'):
        with expect_fail(MilanError, contains=name): open_picture(folder/name)


# 11_images.ipynb, section "One shape for all"
def test_one_shape_for_all():
    wide = Image.new('RGB', (200, 100), (0, 0, 255))
    wide.paste((255, 0, 0), (0, 0, 40, 100))
    middle = np.asarray(centre_crop(wide, 64))
    test_eq(middle.shape, (64, 64, 3))
    assert (middle == (0, 0, 255)).all()
    fitted = np.asarray(fit_object(disc(), 50))[..., 3] > 127
    test_eq(fitted.shape, (50, 50))
    assert 43 <= fitted.any(0).sum() <= 46 and 43 <= fitted.any(1).sum() <= 46
    fit_object(disc(), 50).getbbox()


# 11_images.ipynb, section "Backgrounds"
def test_backgrounds():
    image, mask = compose(fit_object(disc(), 96), np.random.default_rng(0))
    Image.fromarray(np.hstack([image, np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)]))

    inside, outside = image[mask].astype(float).mean(0), image[~mask].astype(float).mean(0)
    assert np.linalg.norm(inside - outside) > 100
    again, _ = compose(fit_object(disc(), 96), np.random.default_rng(0))
    test_eq(image, again)
    other, _ = compose(fit_object(disc(), 96), np.random.default_rng(1))
    assert (other[~mask] != image[~mask]).any()


# 11_images.ipynb, section "Two pictures of one thing"
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


# 11_images.ipynb, section "A set of images"
def test_a_set_of_images():
    def tiny(name, count):
        "A set of `count` random 8 x 8 images; the first has a mask."
        random, masks = np.random.default_rng(count), np.zeros((count, 8), np.uint8)
        masks[0] = np.packbits(np.eye(8, dtype=bool))
        table = pd.DataFrame({column: [f'{column} {i}' for i in range(count)] for column in COLUMNS})
        return ImageSet(name, table, random.integers(0, 255, (count, 8, 8, 3), dtype=np.uint8), masks, f'{name}{count}')


    five = tiny('five', 5)
    five, five[0].shape, five[0].dtype

    assert torch.equal(five.mask(0), torch.eye(8, dtype=torch.bool)) and five.mask(1) is None
    test_eq(five[0].numpy().transpose(1, 2, 0), np.asarray(five.picture(0)))
    test_eq(len(list(five)), 5)
    with expect_fail(IndexError): five[5]
    both = concatenate([five, tiny('two', 2)])
    test_eq((both.name, len(both)), ('five+two', 7))
    assert torch.equal(both[-2], tiny('two', 2)[0]) and both.mask(5) is not None
    some = both.subset([6, 0])
    test_eq(some.table['file'].tolist(), ['file 1', 'file 0'])
    assert torch.equal(some[1], five[0])
    assert some.fingerprint != both.fingerprint and some.fingerprint == both.subset([6, 0]).fingerprint
    test_eq(len(five.subset(five.table['file'] == 'file 3')), 1)
    with expect_fail(MilanError, contains='all of one size'): concatenate([])


# 11_images.ipynb, section "Decoded once"
def test_decoded_once():
    def row(file, draw, **more):
        "A row as the sets below make them."
        return {**dict.fromkeys(COLUMNS, ''), 'file': file, 'name': file, 'variant': 0, 'draw': draw, **more}


    folder = made_up_folder()
    os.environ['MILAN_DATA_DIR'] = str(folder/'data')
    paint = lambda seed: compose(fit_object(disc(), 32), np.random.default_rng(seed))
    discs = decoded('discs', 1, 32, lambda: [row(f'disc{i}.png', functools.partial(paint, i)) for i in range(4)], progress=False)
    discs, discs.table['group'].tolist()

    def never(): raise AssertionError('the cache should have served')
    again = decoded('discs', 1, 32, never)
    assert torch.equal(again[2], discs[2]) and torch.equal(again.mask(2), discs.mask(2)) and again.fingerprint == discs.fingerprint
    pd.testing.assert_frame_equal(again.table, discs.table, check_dtype=False)
    broken = lambda: [row('cut.png', lambda: compose(open_picture(folder/'cut.png'), np.random.default_rng(0)))]
    with expect_fail(MilanError, contains='cut.png'): decoded('broken', 1, 32, broken, progress=False)
    test_eq([path.name.split('-')[0] for path in (folder/'data'/'cache').iterdir()], ['discs'])
    del os.environ['MILAN_DATA_DIR']


# 11_images.ipynb, section "Stamps"
def test_stamps():
    [stamp_kind(file, picture) for file, picture in (('symbols/a.png', None), ('animals/frog.png', disc()), ('animals/frog.png', speckled()))]

    test_eq(stamp_kind('animals/cartoon/frog.png', speckled()), 'drawing')
    test_eq(stamp_kind('animals/frog.png', speckled()), 'photo')

    folder = Path(tempfile.mkdtemp())
    for file in ('animals/amphibians/frog.png', 'animals/amphibians/frog_mirror.png', 'symbols/a.png', 'food/fruit/cartoon/plum.png'):
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


# 11_images.ipynb, section "Photographs with backgrounds"
def test_photographs_with_backgrounds():
    [file_words(name) for name in ('hammer3.webp', 'statueofLiberty.webp', 'polar_bear.webp', 'TajMahal_background.webp', 'main_droite_paume_0.webp')]

    test_eq(file_words('statueofLiberty.webp'), 'statue of liberty')
    test_eq(file_words('main_droite_paume_0.webp'), 'hand')

    text = 'Files: *\nCopyright: 2010 A\n  2011 B\nLicense: GPL-3+\n\nFiles: src/owl.webp\n src/bee.webp\nCopyright: 2012 C. Lens\nLicense: CC-BY-4.0\n more'
    licence_of('src/bee.webp', licences(text)), licence_of('src/else.webp', licences(text))

    test_eq(licence_of('src/bee.webp', licences(text)), ('CC-BY-4.0', 'C. Lens'))
    test_eq(licence_of('src/else.webp', licences(text)), ('GPL-3+', 'A; B'))

    folder = Path(tempfile.mkdtemp())
    for file, picture in (('erase/resource/polar_bear.webp', speckled().resize((200, 120))), ('erase/resource/bee.webp', speckled()),
                          ('lang/resource/words_sample/nine.png', disc(128)), ('paintings/resource/image/x_a1.webp', speckled()),
                          ('categorization/resource/images/tools/hammer2.png', disc(128, background=(250, 250, 250, 255)))):
        (folder/'activities'/file).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder/'activities'/file)
    rows = _gcompris_rows(folder, 48)
    pd.DataFrame(rows)[['file', 'description', 'category', 'kind', 'has_mask']]

    test_eq(sorted(row['description'] for row in rows), ['hammer', 'nine', 'polar bear'])
    for row in rows:
        image, mask = row['draw']()
        test_eq(image.shape, (48, 48, 3))
        test_eq(mask is not None, row['has_mask'])


# 11_images.ipynb, section "Clip art"
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


# 11_images.ipynb, section "Emoji"
def test_emoji():
    emoji_categories('# c\n[🐱🐶-🐸{👨‍⚕️}] ; Animals & Nature ; animal-mammal')

    test_eq(list(emoji_categories('[🐱🐶-🐸{👨‍⚕️}] ; Animals ; mammal')), ['🐱', '🐶', '🐷', '🐸'])
    annotations = Path(tempfile.mkdtemp())/'en.xml'
    annotations.write_text('<ldml><annotations><annotation cp="🐸">face | frog</annotation><annotation cp="🐸" type="tts">frog</annotation></annotations></ldml>')
    test_eq(emoji_names(annotations), {'🐸': ('frog', ['face', 'frog'])})

    with expect_fail(OSError): _emoji_rows(Path(tempfile.mkdtemp()), 32)


# 11_images.ipynb, section "Generated scenes"
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


# 11_images.ipynb, section "A folder of images"
def test_a_folder_of_images():
    folder = made_up_folder()
    photos = ImageFolder(folder, 32)
    photos, photos.table[['file', 'category']].values.tolist()

    test_eq(photos[0].shape, (3, 32, 32))
    assert photos.mask(0) is None
    whole = (folder/'red'/'1.jpg').read_bytes()
    (folder/'red'/'1.jpg').write_bytes(whole[:len(whole) // 3])
    with expect_fail(MilanError, contains='1.jpg'): list(photos)
    (folder/'empty').mkdir()
    with expect_fail(MilanError, contains='no images in'): ImageFolder(folder/'empty')
    with expect_fail(MilanError, contains='beside it lie empty'): ImageFolder(folder/'emty')


# 11_images.ipynb, section "Loading by name"
def test_loading_by_name():
    load('shapes'), load(made_up_folder(), 48)

    with expect_fail(MilanError, contains='the nearest are stamps'): load('stamp')
    with expect_fail(MilanError, contains='no folder'): load('somewhere/photos')
    with expect_fail(MilanError, contains='choose from'): demo(sets=['imagenet'])
