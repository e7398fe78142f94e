# Generated from nbs/02_images/12_photographs.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from milan.data import manifests
from milan.images.files import centre_crop
import numpy as np
import pandas as pd
from milan.images.photographs import (
    crop_boxes,
    is_flat,
    photograph_credits,
    photographs,
)

import tempfile
import warnings
import zipfile

from fastcore.test import expect_fail, test_eq

from milan.data.formats import load
from milan.testing import forget, user_folder, write_manifest

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

def meadow(width=120, height=80):
    "A made-up photograph: a plain sky above, noise below."
    pixels = np.full((height, width, 3), (90, 140, 220), np.uint8)
    below = pixels[height // 2:]
    below[:] = np.random.default_rng(0).integers(0, 255, below.shape)
    return Image.fromarray(pixels)


# 12_photographs.ipynb, section "Crops"
def test_crops():
    boxes = crop_boxes(120, 80)
    len(boxes), boxes[:4]

    test_eq(len(boxes), 1 + 2 * 3 + 3 * 4 + 4 * 6 // 2)
    test_eq(boxes[0], (20, 0, 100, 80)) # the middle
    test_eq(boxes[1:4], [(0, 0, 40, 40), (40, 0, 80, 40), (80, 0, 120, 40)])
    for width, height in ((120, 80), (81, 120), (1, 1), (3, 2), (1000, 90)):
        for left, top, right, bottom in crop_boxes(width, height):
            assert 0 <= left < right <= width and 0 <= top < bottom <= height and right - left == bottom - top
    test_eq([box[2] for box in crop_boxes(1000, 90)[:11]][-1], 1000)

    picture = meadow()
    pd.DataFrame([(box, is_flat(picture.crop(box))) for box in crop_boxes(*picture.size)[:7]],
                 columns=['box', 'flat'])

    flat = [is_flat(picture.crop(box)) for box in crop_boxes(*picture.size)[:7]]
    test_eq(flat, [False] + [True] * 3 + [False] * 3)


# 12_photographs.ipynb, section "The photographs"
def test_the_photographs():
    photograph_credits().groupby('licence').size().to_frame('photographs')

    table = photograph_credits()
    assert table['name'].str.lower().is_unique and table['file'].is_unique and (table != '').all(axis=None)
    fetched = {f'{part["name"]}/{member}' for part in load('photographs')['parts']
               for member in part['sources'][0]['members']}
    test_eq(sorted(table['file']), sorted(file for file in fetched if file.endswith(('.jpg', '.png'))))

    folder = user_folder()
    meadow().save(folder/'Meadow.png')
    meadow(80, 130).save(folder/'Path.png')
    with zipfile.ZipFile(folder/'backgrounds.zip', 'w') as archive:
        for name in ('Meadow.png', 'Path.png'): archive.write(folder/name, name)
    write_manifest(folder, 'photographs', [dict(kind='local', file='backgrounds.zip', unpack='zip', sha256=None)])
    manifest = folder/'manifests'/'photographs.yaml'
    manifest.write_text(manifest.read_text().replace('10000', '1000000'))
    pd.DataFrame([('Meadow.png', 'Meadow', 'CC0-1.0', 'A. Lens'), ('Path.png', 'Path', 'CC-BY-4.0', 'B. Lens'),
                  ('Gone.png', 'Gone', 'CC0-1.0', 'C. Lens')], columns=['file', 'name', 'licence', 'credit']
                ).to_csv(folder/'manifests'/'photographs.csv', index=False)
    (folder/'data'/'downloads').mkdir(parents=True)
    (folder/'backgrounds.zip').rename(folder/'data'/'downloads'/'backgrounds.zip')
    manifests.fetch('photographs', quiet=True)
    small = photographs(32)
    small.table.groupby('group')[['licence', 'credit', 'variant', 'side']].max()

    Image.fromarray(np.hstack([small.picture(i) for i in range(12)]))

    test_eq(small.table['group'].unique().tolist(), ['photographs/Meadow', 'photographs/Path'])
    test_eq(set(small.table['kind']), {'photo'})
    assert (small.table[['description', 'keywords']] == '').all(axis=None) and small.mask(0) is None
    for _, crops in small.table.groupby('group'): test_eq(crops['variant'].tolist(), list(range(len(crops))))
    test_eq(photographs(48).table['left'].tolist(), small.table['left'].tolist()) # another size, the same crops
    test_eq(photographs(32).fingerprint, small.fingerprint)
    test_eq(small[0].numpy().transpose(1, 2, 0), np.asarray(centre_crop(meadow().crop((20, 0, 100, 80)), 32)))
    forget(folder)


# 12_photographs.ipynb, section "Errors"
def test_errors():
    folder = user_folder()
    with expect_fail(MilanError, contains='photographs.csv cannot be read'): photograph_credits()
    for body in (b'', b'file,name\na,b\n', b'\xff\xfe'):
        (folder/'manifests'/'photographs.csv').write_bytes(body)
        with expect_fail(MilanError, contains='photographs.csv cannot be read'): photograph_credits()
    forget(folder)
