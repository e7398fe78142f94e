# Generated from nbs/12_gallery/01_pages.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.show import strip
from milan.gallery.templates import Card
from milan.gallery.templates import slug
from milan.gallery.pages import (
    _card,
    _columns,
    _draw,
    _in_order,
    _More,
    _neighbours,
    _require_gallery,
    _shown,
    _strip_count,
    write,
)

import html.parser
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_eq
from PIL import Image
from torch import nn

from milan.captioner.encoder import PyramidEncoder
from milan.config import MilanError
from milan.evaluation.clarity import meanings
from milan.exemplars.compute import compute
from milan.exemplars.deciles import sample_deciles
from milan.exemplars.show import Exemplar
from milan.exemplars.store import Exemplars
from milan.images.scenes import COLOURS
from milan.images.sets import ShapeScenes
from milan.networks.planted import ColourUnits
from milan.testing import EitherColour, made_up_exemplars


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def described(exemplars, words='a round blob', **columns):
    "A table with one row per unit."
    rows = [{'layer': layer, 'unit': unit, 'description': f'{words} {unit}', 'score': -unit / 4}
            for layer, unit in exemplars.units]
    return pd.DataFrame(rows).assign(**columns)


class Renamed:
    "Exemplars whose layers have other names."
    def __init__(self, found, names):
        self.found, self.names, self.layers, self.k = found, names, list(names), found.k
    def lookup(self, layer, unit): return self.found.lookup(self.names[layer], unit)


class Links(html.parser.HTMLParser):
    "The links, pictures and tags of a page."
    def __init__(self, page):
        super().__init__()
        self.links, self.images, self.tags = [], [], []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.links += [attributes[name] for name in ('href', 'src') if name in attributes]
        if tag == 'img': self.images.append(attributes['alt'])


# 01_pages.ipynb, section "What goes on a page"
def test_what_goes_on_a_page():
    row = {'layer': 'a', 'unit': 1, 'description': 'b', 'purity': 1., 'rated': 'no', 'score': 2,
           'abstained': False}
    test_eq(_columns(pd.DataFrame([row])), (['score', 'purity'], ['rated', 'abstained']))

    row = {'layer': 'conv1', 'unit': 3, 'description': 'Dots', 'score': np.inf, 'purity': .2, 'rated': 'no'}
    card = _card(row, ['score', 'purity'], ['rated'])
    test_eq(card.facts, ['score inf', 'purity 0.20', 'rated: no'])
    test_eq((card.words, card.values), ('dots no', {1: .2}))


# 01_pages.ipynb, section "The pages"
def test_the_pages():
    _shown(300, 15, 96, 60), _shown(2500, 15, 96, 60), _shown(50_000, 15, 96, 60)

    test_eq(_shown(1, 2, 96, 60), 2)

    rows = pd.DataFrame({'layer': 'conv1', 'unit': [0, 1], 'description': ['<b>', '']})
    near = pd.DataFrame({'layer': 'conv1', 'unit': [1, 1, 0], 'near_layer': 'conv1', 'near_unit': [0, 7, 1],
                         'r': [.91, .9, .91]})
    _neighbours(rows, near)

    test_eq([len(links) for links in _neighbours(rows, near).values()], [1, 1]) # unit 7 has no page
    with expect_fail(MilanError, contains='no column near_layer'): _neighbours(rows, rows)

    found = Exemplars.open(made_up_exemplars())
    more = _More(meanings={('blocks.2', 0): np.arange(found.k) % 2 == 1})
    [(name, caption, len(one.images)) for name, caption, one in more.strips('blocks.2', 0, found[0])]

    test_eq(list(more.strips('blocks.2', 1, found[1])), [])

    found, place = Exemplars.open(made_up_exemplars()), temporary()
    card = _draw(Card('blocks.2', 1, 'blobs'), found, place, 3, 48, _More())
    test_eq([path.name for path in place.iterdir()], ['1.jpg'])
    shutil.rmtree(place)
    card.strip.size

    rows = pd.DataFrame({'unit': [0, 1, 2], 'description': ['dots', 'lines', ''], 'score': [.1, .3, .9]})
    test_eq(list(_in_order(rows, ['score'])['unit']), [1, 0, 2])
    test_eq(list(_in_order(rows, [])['unit']), [0, 1, 2])

    table = described(Exemplars.open(made_up_exemplars()))
    more = _More(meanings={('blocks.2', 0): np.ones(4, bool), ('blocks.7', 0): np.ones(4, bool)})
    test_eq(_strip_count(table, more, 4), len(table) + 1)
    with expect_fail(MilanError, contains='unit 0 of blocks.2 have the shape (4,)'): _strip_count(table, more, 5)

    place = temporary()
    _require_gallery(place)
    (place/'diary.txt').touch()
    with expect_fail(MilanError, contains='is no gallery'): _require_gallery(place)

    found = Exemplars.open(made_up_exemplars())
    folder = temporary()/'gallery'
    near = pd.DataFrame({'layer': 'blocks.2', 'unit': 0, 'near_layer': ['blocks.2', 'blocks.10'],
                         'near_unit': 3, 'r': .9})
    index = write(found, described(found, purity=0.4, rated='yes'), folder, title='Blobs',
                  note='Nobody looked at these.', neighbours=near)
    sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())

    for page in folder.rglob('*.html'):
        links = Links(page)
        for link in links.links:
            assert ':' not in link
            path, _, anchor = link.partition('#')
            target = (page.parent/path) if path else page
            assert target.exists(), link
            assert not anchor or f'id="{anchor}"' in target.read_text()
    page = (folder/'layers/layer-blocks.10.html').read_text()
    for unit in range(4): assert f'<h2>a round blob {unit}</h2>' in page
    assert all('excite unit' in alt for alt in Links(folder/'layers/layer-blocks.10.html').images)
    assert 'layer-blocks.10.html#unit-3">a round blob 3</a> 0.90' in (
        folder/'layers/layer-blocks.2.html').read_text()
    assert 'purity 0.4' in page and 'rated: yes' in page and 'Nobody looked' in index.read_text()
    test_eq(json.loads((folder/'gallery.json').read_text())['units'], 8)


# 01_pages.ipynb, section "Several meanings"
def test_several_meanings():
    units = nn.Sequential(EitherColour())
    scenes, place = ShapeScenes(200), temporary()
    found = compute(units, scenes, ['0'], k=12, size=64, quiet=True, keep_maxima=True, out=place/'set')
    divided = meanings(found, PyramidEncoder(nn.Sequential(ColourUnits()), ['0']))
    samples = sample_deciles(found, scenes, units, deciles=[4, 9])
    plain = write(found, described(found), place/'plain', width=48)
    index = write(found, described(found), place/'gallery', width=48, meanings=divided, samples=samples)
    page = (place/'gallery/layers/layer-0.html').read_text()
    [part.split('<')[0] for part in page.split('<article id="unit-10"')[1].split('<p class="facts">')[2:6]]

    pictures = place/'gallery/images/layer-0'
    for card in page.split('<article ')[1:]:
        unit = int(card.partition('data-unit="')[2].partition('"')[0])
        test_eq(('second meaning' in card, (pictures/f'{unit}-second.jpg').exists()), (unit >= len(COLOURS),) * 2)
        assert 'middle activation' in card and 'weak activation' in card
    size = {name: sum(path.stat().st_size for path in (place/name).rglob('*.jpg'))
            for name in ('plain', 'gallery')}
    assert size['gallery'] < 3 * size['plain']
    test_eq(json.loads((place/'gallery/gallery.json').read_text())['picture_bytes'], size['gallery'])
    for image in Links(place/'gallery/layers/layer-0.html').links:
        assert image.startswith('#') or ((place/'gallery/layers')/image).exists(), image
    size

    def stacked(paths):
        "Pictures below each other."
        parts = [Image.open(path) for path in paths]
        whole = Image.new('RGB', (max(one.width for one in parts), sum(one.height + 4 for one in parts)), 'white')
        for row, one in enumerate(parts): whole.paste(one, (0, sum(part.height + 4 for part in parts[:row])))
        return whole


    stacked(pictures/f'10-{name}.jpg' for name in ('first', 'second', 'decile-5', 'decile-10'))

    whole = sample_deciles(found, scenes, deciles=[9], each=2)
    write(found, described(found)[:2], place/'gallery', width=64, samples=whole)
    assert ', whole pictures' in (place/'gallery/layers/layer-0.html').read_text()
    with expect_fail(MilanError, contains='take them from the same set'):
        write(found.select(k=5), described(found), place/'gallery', meanings=divided)
    shutil.rmtree(place)


# 01_pages.ipynb, section "Text stays text"
def test_text_stays_text():
    class Tags(html.parser.HTMLParser):
        def __init__(self, page):
            super().__init__()
            self.tags = []
            self.feed(page)

        def handle_starttag(self, tag, attributes):
            self.tags.append(tag)
            assert not any(name.startswith('on') for name, _ in attributes), attributes


    evil = '<script>alert(1)</script>"><img src=x onerror=alert(2)> \' & </article>'
    found = Exemplars.open(made_up_exemplars(['a" onload="x'], units=2))
    folder = temporary()/'gallery'
    write(found, described(found, words=evil, rated=evil), folder, title=evil, note=evil)
    for page in folder.rglob('*.html'):
        tags = Tags(page.read_text()).tags
        test_eq(tags.count('script'), 1)
        assert 'onerror=alert(2)&gt;' in page.read_text()
    test_eq(Tags((folder/'layers'/f'{slug(found.layers[0])}.html').read_text()).tags.count('img'), 2)


# 01_pages.ipynb, section "Replaced, or left alone"
def test_replaced_or_left_alone():
    found, place = Exemplars.open(made_up_exemplars()), temporary()
    write(found, described(found), place/'gallery')
    write(found, described(found).query('layer == "blocks.2" and unit < 2'), place/'gallery')
    test_eq(len(list((place/'gallery').rglob('*.jpg'))), 2)
    with expect_fail(MilanError, contains='unit 9'): write(found, described(found).assign(unit=9), place/'other')
    test_eq([path.name for path in place.iterdir()], ['gallery'])
    (place/'letters').mkdir()
    (place/'letters/to_anna.txt').write_text('Dear Anna')
    with expect_fail(MilanError, contains='left alone'): write(found, described(found), place/'letters')
    with expect_fail(MilanError, contains='no rows'): write(found, described(found)[:0], place/'other')
    with expect_fail(MilanError, contains="'conv9'"):
        write(found, described(found).assign(layer='conv9'), place / 'other')

    write(found, described(found).drop(columns='score'), place/'gallery')
    assert '<span>score' not in (place/'gallery/layers/layer-blocks.2.html').read_text()
    partly = described(found)
    partly.loc[0, 'score'] = np.nan
    write(found, partly, place/'gallery', count=2, width=48)
    test_eq((place/'gallery/layers/layer-blocks.2.html').read_text().count('<span>score'), 3)
    shutil.rmtree(place)


# 01_pages.ipynb, section "Odd tables"
def test_odd_tables():
    layers = ['x' * 250, 'x' * 249 + 'y', 'é' * 120]
    found, place = Exemplars.open(made_up_exemplars(['a', 'b', 'c'], units=2)), temporary()
    found = Renamed(found, dict(zip(layers, found.layers)))
    table = pd.DataFrame([(layer, str(unit), None if unit else 'NA', value, ['two', 'words'], unit == 0)
                          for layer in layers for unit, value in enumerate((np.nan, np.inf))],
                         columns=['layer', 'unit', 'description', 'score', 'annotations', 'rated'])
    table[0] = pd.Series(['\ud800'] * len(table), dtype=object) # no text that pyarrow could hold
    write(found, table, place/'gallery')
    pages = sorted((place/'gallery'/'layers').iterdir())
    test_eq((len(pages), max(len(page.name) for page in pages) < 150), (3, True))
    page = pages[0].read_text()
    test_eq(Links(pages[0]).images[0].count('bright where it is active'), 1)
    assert ('score inf' in page and 'nan' not in page.lower() and 'two' in page
            and 'rated: True' in page and 'rated: False' not in page)
    [page.name[:12] + '…' for page in pages]

    shutil.rmtree(place)
    _shown(1, 4000, 2000, 1e9) # a strip is no wider than a JPEG may be


# 01_pages.ipynb, section "Errors"
def test_errors():
    found, place = Exemplars.open(made_up_exemplars()), temporary()
    table = described(found)
    for unit, told in ((np.nan, 'nan'), (None, 'None'), ('first', "'first'"), (1.5, '1.5'), (-1, '-1'),
                       (np.inf, 'inf'), (2**40, str(2**40)), ('1e99', '1e99'), (pd.NA, '<NA>'), ('', "''")):
        odd = table.astype({'unit': object})
        odd.loc[2, 'unit'] = unit
        with expect_fail(MilanError, contains='row 3 of the table: unit'): write(found, odd, place/'gallery')
        with expect_fail(MilanError, contains=told): write(found, odd, place/'gallery')
    for named in ({'width': 0}, {'width': -3}, {'width': 2.5}, {'width': 10**9}, {'count': 0}, {'count': -1},
                  {'megabytes': 0}, {'megabytes': np.nan}):
        with expect_fail(MilanError, contains=[*named][0]): write(found, table, place/'gallery', **named)
    for named in ({'width': 0}, {'count': 0}):
        with expect_fail(MilanError, contains=[*named][0]): strip(found[0], **named)
    with expect_fail(MilanError, contains='no column unit, description'):
        write(found, table[['layer']], place / 'gallery')
    with expect_fail(MilanError, contains="two columns 'score'"):
        write(found, pd.concat([table, table[['score']]], axis=1), place / 'gallery')
    with expect_fail(MilanError, contains='unit 0 of blocks.2 stands in two rows'):
        write(found, pd.concat([table, table]), place / 'gallery')
    with expect_fail(MilanError, contains="layer 'nan'"):
        write(found, table.assign(layer=np.nan), place / 'gallery')
    (place/'file').touch()
    for folder in (place/('n' * 250), place/'file'/'gallery', place/('n' * 300)):
        with expect_fail(MilanError): write(found, table, folder)
    test_eq([path.name for path in place.iterdir()], ['file'])
    shutil.rmtree(place)
