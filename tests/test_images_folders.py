# Generated from nbs/02_images/02_folders.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from milan.images.files import READER
from milan.images.files import _ENDINGS
from milan.images.files import centre_crop
from milan.images.files import open_picture
from pathlib import Path
import numpy as np
import os
import pandas as pd
import torch
import warnings
from milan.images.folders import (
    _COUNTED,
    _find_files,
    COLUMNS,
    concatenate,
    ImageFolder,
    ImageSet,
    LabelledFolder,
    resized_crop,
)

import shutil
import tempfile
from unittest.mock import patch

from fastcore.test import expect_fail, test_eq

from milan.config import import_torchvision
from milan.images.latents import read_latents
from milan.testing import made_up_folder

def class_folders():
    """A folder as ImageFolder wants it, with what can go wrong in sorting: capitals, numbers, inner folders,
    other files."""
    folder, random = Path(tempfile.mkdtemp()), np.random.default_rng(0)
    for name in ('b/10.png', 'b/9.png', 'b/Z.PNG', 'b/inner/1.png', 'a/c.png', 'B/x.png', 'a/note.txt',
                 'a/d.gif'):
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (int(random.integers(20, 90)), int(random.integers(20, 90)), 3),
                                 dtype=np.uint8)
        (
            Image.fromarray(pixels).save(folder / name)
            if name[-3:] in ('png', 'PNG')
            else (folder / name).write_text('no picture')
        )
    return folder


# 02_folders.ipynb, section "A set of images"
def test_a_set_of_images():
    def tiny(name, count):
        "A set of `count` random 8 x 8 images; the first has a mask."
        random, masks = np.random.default_rng(count), np.zeros((count, 8), np.uint8)
        masks[0] = np.packbits(np.eye(8, dtype=bool))
        table = pd.DataFrame({column: [f'{column} {i}' for i in range(count)] for column in COLUMNS})
        return ImageSet(name, table, random.integers(0, 255, (count, 8, 8, 3), dtype=np.uint8), masks,
                        f'{name}{count}')


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


# 02_folders.ipynb, section "A folder of images"
def test_a_folder_of_images():
    folder = made_up_folder()
    (folder/'red'/'circle').symlink_to('.')
    (folder/'red'/'another').symlink_to('.')
    (folder/'red'/'nothing.png').symlink_to('nowhere')
    os.mkfifo(folder/'red'/'x.jpg')
    for follow in (False, True):
        test_eq(
            _find_files(folder / 'red', _ENDINGS, follow)[1],
            {'nothing.png': 'a link to no file', 'x.jpg': 'not a file'},
        )
    _find_files(folder/'red', _ENDINGS, True)[0]

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

    before = ImageFolder(folder, 32).fingerprint
    # what was computed with another reader is not used
    with patch.dict(ImageFolder.__init__.__globals__, READER=READER + 1):
        assert ImageFolder(folder, 32).fingerprint != before
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        some = ImageFolder(folder, 32, skip_broken=True)
    assert (len(told) == 1 and '1 files are left out' in str(told[0].message)
            and 'red/1.jpg: ' in str(told[0].message))
    test_eq(len(list(some)), len(photos) - 1)
    (folder/'red'/'1.jpg').unlink()
    test_eq(ImageFolder(folder, 32).fingerprint, some.fingerprint) # as if it weren't there
    some.broken


# 02_folders.ipynb, section "Prepared as in the paper"
def test_prepared_as_in_the_paper():
    transforms = import_torchvision().transforms
    random = np.random.default_rng(0)
    for width, height in [(300, 200), (200, 301), (256, 256), (90, 500), (401, 257), (224, 1001)]:
        picture = Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8))
        theirs = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(picture)
        test_eq(np.asarray(resized_crop(picture)), np.asarray(theirs))
    resized_crop(picture, 64).size


# 02_folders.ipynb, section "Class folders"
def test_class_folders():
    folder = class_folders()
    labelled = LabelledFolder(folder, 32, name='made up')
    labelled, labelled.recipe, labelled.table[['file', 'class', 'label']].values.tolist()

    torchvision = import_torchvision()
    transforms = torchvision.transforms
    for fit, steps in [('crop', [transforms.Resize(256), transforms.CenterCrop(224)]),
                       ('squash', [transforms.Resize((224, 224))])]:
        theirs = torchvision.datasets.ImageFolder(folder, transforms.Compose(steps))
        ours = LabelledFolder(folder, fit=fit)
        test_eq([str(folder/file) for file in ours.files], [file for file, _ in theirs.samples])
        test_eq(ours.labels.tolist(), theirs.targets)
        test_eq(ours.classes, theirs.classes)
        for index, (picture, _) in enumerate(theirs):
            test_eq(ours[index].numpy().transpose(1, 2, 0), np.asarray(picture))
    assert ours.fingerprint != LabelledFolder(folder).fingerprint and ours.mask(0) is None
    copy = Path(shutil.copytree(folder, Path(tempfile.mkdtemp())/'copy'))
    test_eq(LabelledFolder(copy, fit='squash').fingerprint, ours.fingerprint)
    test_eq(ours.subset([3, 0]).table['class'].tolist(), [ours.classes[ours.labels[3]], 'B'])

    (copy/'c').mkdir()
    with expect_fail(MilanError, contains='copy/c holds no images'): LabelledFolder(copy)
    with expect_fail(MilanError, contains='holds 2 images and no folders'):
        LabelledFolder(made_up_folder() / 'blue')
    with expect_fail(MilanError, contains='"crop" or "squash"'): LabelledFolder(copy, fit='stretch')
    with expect_fail(MilanError, contains='no folder'): LabelledFolder(copy/'absent')
    (copy/'c').rmdir()
    whole = (copy/'b'/'9.png').read_bytes()
    (copy/'b'/'9.png').write_bytes(whole[:40])
    (copy/'a'/'circle').symlink_to('.')
    (copy/'a'/'another').symlink_to('.')
    os.mkfifo(copy/'a'/'x.jpg') # reading it would block
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        some = LabelledFolder(copy, skip_broken=True)
    assert 'a/x.jpg: not a file' in str(told[0].message) and list(some.broken) == ['a/x.jpg', 'b/9.png']
    test_eq(some.files, [file for file in ours.files if file != 'b/9.png'])
    test_eq(len(some.labels), len(some))


# 02_folders.ipynb, section "Errors"
def test_errors():
    made = made_up_folder()
    marks = lambda: [LabelledFolder(made).fingerprint, LabelledFolder(made, upright=False).fingerprint]
    before = marks()
    with patch.dict(ImageFolder.__init__.__globals__, READER=READER + 1):
        test_eq(
            [one == other for one, other in zip(before, marks(), strict=True)], [False, True]
        ) # the paper's way of reading stays

    import io
    import struct
    import zlib


    def png(width, height, *chunks, bits=8, colour=0):
        "A PNG with any size in its head, and any chunks."
        parts = [(b'IHDR', struct.pack('>IIBBBBB', width, height, bits, colour, 0, 0, 0)), *chunks,
                 (b'IEND', b'')]
        return b'\x89PNG\r\n\x1a\n' + b''.join(
            struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
            for kind, body in parts
        )


    def saved(values, **options):
        "An array as the bytes of a TIFF."
        Image.fromarray(values).save(file := io.BytesIO(), 'TIFF', **options)
        return file.getvalue()


    folder, row = made_up_folder(), zlib.compress(bytes(2) * 300_000)
    photo = (folder/'red'/'1.jpg').read_bytes()
    bad = {
        'thin.png': (png(1, 300_000, (b'IDAT', row)), '1 x 300000 pixels; pictures more than 200 times'),
        'wide.png': (png(100_000, 1, (b'IDAT', row)), '100000 x 1'),
        'large.png': (png(20_000, 3_000, (b'IDAT', row)), 'more than 50,000,000'),
        'bomb.png': (png(2**31 - 1, 2**31 - 1, (b'IDAT', row)), 'bomb'),
        'none.png': (png(0, 0, (b'IDAT', row)), ''),
        'text.png': (png(2, 2, (b'zTXt', b'a\0\0' + zlib.compress(bytes(200_000_000))), (b'IDAT', row)), ''),
        'empty.png': (b'', 'cannot identify'),
        'head.png': (png(8, 8)[:20], ''),
        'no body.png': (png(8, 8), ''),
        'zeros.jpg': (bytes(4096), 'cannot identify'),
        'page.png': (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n', 'cannot identify'),
        'cut.jpg': (photo[: len(photo) // 2], ''),
        'bits.png': (png(8, 8, (b'IDAT', row), bits=7), ''),
        'whole numbers.tif': (saved(np.full((2, 2), 70_000, np.int32)), 'unknown which of them is white'),
        'fractions.tif': (saved(np.full((2, 2), 255, np.float32)), 'its fractions run from 255 to 255'),
        'nan.tif': (saved(np.full((2, 2), np.nan, np.float32)), 'nan'),
        'cut.tif': (saved(np.zeros((99, 99), np.uint16))[:500], ''),
    }
    for name, (body, why) in bad.items():
        (folder/name).write_bytes(body)
        with expect_fail(MilanError, contains=name): open_picture(folder/name, 'RGB', 224)
        with expect_fail(MilanError, contains=why): open_picture(folder/name)
    os.mkfifo(folder/'fifo.jpg')
    for place in (folder/'fifo.jpg', '/dev/zero', folder, folder/('x' * 300), folder/'a\0b.png'):
        with expect_fail(MilanError, contains='cannot be read as an image'): open_picture(place)

    # says nothing, and takes nothing with it
    exif = b'Exif\0\0' + b'II*\0\x08\0\0\0' + struct.pack('<HHHII', 1, 0x0112, 3, 2**31, 2**31)
    (folder/'exif.jpg').write_bytes(photo[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + photo[2:])
    with warnings.catch_warnings(action='ignore'):
        test_eq(np.asarray(open_picture(folder / 'exif.jpg')), np.asarray(open_picture(folder / 'red' / '1.jpg')))
    full = saved(np.full((2, 2), 65535, np.uint16))
    # 12 bits, all set; 0 is white; 0 is black
    for tag, value, grey in [(258, 12, 255), (262, 0, 0), (262, 1, 255)]:
        start = full.index(struct.pack('<HHI', tag, 3, 1)) + 8
        (folder/'full.tif').write_bytes(full[:start] + struct.pack('<I', value) + full[start + 4:])
        test_eq(open_picture(folder/'full.tif').getpixel((0, 0)), (grey, grey, grey, 255))
    deep = folder/'/'.join(['d'] * 120)
    deep.mkdir(parents=True)
    with expect_fail(MilanError, contains='100 folders deep'): ImageFolder(folder)
    shutil.rmtree(folder/'d')
    for name in ('b', 'a'): (folder/name/'x').mkdir(parents=True)
    # each leads into the other
    for place, link in [('a/x', 'b'), ('b/x', 'a')]: (folder/place/'other').symlink_to(folder/link)
    (folder/'a'/'1.jpg').write_bytes(photo)
    test_eq(sorted(_find_files(folder/'a', _COUNTED, True)[0]), ['1.jpg', 'x/other/x/other/1.jpg'][:1])
    for name in ('x' * 300, 'a\0b', 'a\nb'):
        for kind in (ImageFolder, LabelledFolder):
            with expect_fail(MilanError, contains='no folder'): kind(folder/name)
    (folder/'b'/os.fsdecode(b'\xff.png')).write_bytes(photo)
    test_eq(_find_files(folder/'b', _ENDINGS), ([], {'\\udcff.png': 'its name is no text'}))
    for crop in (centre_crop, resized_crop):
        with expect_fail(MilanError, contains='1 x 300000'): crop(Image.new('RGB', (1, 300_000)), 224)
    for images in (None, 3, np.zeros((2, 4, 4, 3), np.uint8), np.zeros((1, 4, 4, 3)),
                   np.zeros((1, 4, 5, 3), np.uint8), np.zeros((1, 4, 4), np.uint8), np.zeros(1, np.uint8)):
        with expect_fail(MilanError, contains='must be uint8'):
            ImageSet('x', pd.DataFrame({'file': ['a']}), images)
    with patch('os.scandir', side_effect=lambda path,
               scan=os.scandir: ((_ for _ in ()).throw(PermissionError(13, 'no')) if str(path).endswith('red')
                                 else scan(path))):
        test_eq(_find_files(made_up_folder(), _ENDINGS)[1], {'red': 'a folder that cannot be listed'})
    for size in (0, -1, 10**9, 1.5, '224', None, float('nan')):
        for kind in (ImageFolder, LabelledFolder):
            with expect_fail(MilanError, contains='1 … 4096 pixels'): kind(made_up_folder(), size)
    os.mkfifo(folder/'z.pth')
    with expect_fail(MilanError, contains='z.pth (not a file)'): read_latents(folder)
    with expect_fail(MilanError, contains='holds no .pth'): read_latents(folder/'absent')
    with expect_fail(MilanError, contains='none of the 1 pictures'):
        (folder/'a'/'1.jpg').write_bytes(b'')
        ImageFolder(folder/'a', skip_broken=True)
