# Generated from nbs/02_images/07_clipart.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.images.clipart import (
    _clipart_rows,
    _emoji_rows,
    clipart_words,
    emoji_categories,
    emoji_names,
)

import tempfile
import warnings

import pandas as pd
from fastcore.test import expect_fail, test_eq

from milan.testing import disc

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


# 07_clipart.ipynb, section "Clip art"
def test_clip_art():
    svg = '''<cc:Work><dc:title>Lemon_Half (B and
W)</dc:title><dc:subject><rdf:Bag><rdf:li>fruit</rdf:li><rdf:li>unsorted</rdf:li></rdf:Bag>
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


# 07_clipart.ipynb, section "Emoji"
def test_emoji():
    emoji_categories('# c\n[🐱🐶-🐸{👨‍⚕️}] ; Animals & Nature ; animal-mammal')

    test_eq(list(emoji_categories('[🐱🐶-🐸{👨‍⚕️}] ; Animals ; mammal')), ['🐱', '🐶', '🐷', '🐸'])

    annotations = Path(tempfile.mkdtemp())/'en.xml'
    annotations.write_text('<ldml><annotations><annotation cp="🐸">face | frog</annotation><annotation cp="🐸"'
                           ' type="tts">frog</annotation></annotations></ldml>')
    test_eq(emoji_names(annotations), {'🐸': ('frog', ['face', 'frog'])})

    with expect_fail(OSError): _emoji_rows(Path(tempfile.mkdtemp()), 32)
