# Generated from nbs/02_images/05_drawing.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from milan.images.folders import COLUMNS
import numpy as np
import pandas as pd
from milan.images.drawing import (
    compose,
    decoded,
    difference_hash,
    groups,
    name_stem,
)

import functools
import os
import warnings

import torch
from fastcore.test import expect_fail, test_eq

from milan.images.files import fit_object, open_picture
from milan.testing import disc, made_up_folder

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


# 05_drawing.ipynb, section "Backgrounds"
def test_backgrounds():
    image, mask = compose(fit_object(disc(), 96), np.random.default_rng(0))
    Image.fromarray(np.hstack([image, np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)]))

    inside, outside = image[mask].astype(float).mean(0), image[~mask].astype(float).mean(0)
    assert np.linalg.norm(inside - outside) > 100

    again, _ = compose(fit_object(disc(), 96), np.random.default_rng(0))
    test_eq(image, again)

    other, _ = compose(fit_object(disc(), 96), np.random.default_rng(1))
    assert (other[~mask] != image[~mask]).any()


# 05_drawing.ipynb, section "Two pictures of one thing"
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


# 05_drawing.ipynb, section "Decoded once"
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
