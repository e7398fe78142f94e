# Generated from nbs/02_images/06_probes.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from pathlib import Path
import numpy as np
from milan.images.probes import (
    _gcompris_rows,
    _stamp_rows,
    file_words,
    licence_of,
    licences,
    stamp_kind,
    stamps,
)

import tempfile
import warnings

import pandas as pd
from fastcore.test import expect_fail, test_eq

from milan.testing import disc

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

def speckled():
    "Something that looks like a photograph to `stamp_kind`: every pixel another colour."
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(np.dstack([colours, np.full((64, 64), 255, np.uint8)]))


# 06_probes.ipynb, section "Stamps"
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


# 06_probes.ipynb, section "Photographs with backgrounds"
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
