# Generated from nbs/06_annotations/06_crowdsourcing.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from milan.exemplars.store import Exemplars
from pathlib import Path
import numpy as np
import pandas as pd
import re
from milan.annotations.crowdsourcing import (
    _pixels,
    _problem,
    hits,
    image_columns,
    picture_path,
    pictures,
    task_page,
    unreachable,
    web_address,
)

import base64
import html.parser
import http.server
import os
import shutil
import tempfile
import threading
import unittest.mock

from fastcore.test import expect_fail, test_eq
from IPython.display import HTML

from milan.testing import made_up_exemplars


# 06_crowdsourcing.ipynb, section "What a worker sees"
def test_what_a_worker_sees():
    page = task_page(['1.png', 'a&b.png'], instructions='Not <b>bold</b>', site='https://workersandbox.mturk.com')
    assert ('&lt;b&gt;' in page and 'src="a&amp;b.png"' in page
            and 'action="https://workersandbox.mturk.com/mturk/externalSubmit"' in page)
    assert page.count('http') == 1                            # nothing else is fetched
    html.parser.HTMLParser().feed(page)
    print(page[page.index('<p>'):page.index('<script>')])


# 06_crowdsourcing.ipynb, section "Pictures to host"
def test_pictures_to_host():
    test_eq(picture_path('blocks.9.mlp.fc1', 12, 1), 'blocks.9.mlp.fc1/12_1')
    assert (len({picture_path(layer, 0, 1) for layer in ('a/b', 'a b', 'a-b', 'a-2fb', 'a.b', 'a_b', '..', '',
                                                         'ä')}) == 9)
    assert all(
        re.fullmatch(r'[\w.-]+/0_1', picture_path(layer, 0, 1), re.ASCII)
        for layer in ('a/b', '', '../x', 'ä', '#?%')
    )
    test_eq(web_address('https://exämple.org:8000/a%20b/50%/ä?x=1 2'),
            'https://xn--exmple-cua.org:8000/a%20b/50%25/%C3%A4?x=1%202')
    for wrong in ('pictures', 'file:///etc/passwd', 'https://', 'https://anna:secret@example.org', 'https://[x',
                  'https://a b/c', 'https://a:b'):
        with expect_fail(MilanError, contains='not an address on the web'): web_address(wrong)
    picture_path('head #2', 0, 1), web_address('https://example.org/my pictures')

    found, folder = (Exemplars.open(made_up_exemplars(['blocks.9.mlp.fc1', 'head #2'], units=3, k=5, side=48)),
                     Path(tempfile.mkdtemp()))
    table = hits(found, 'https://example.org/my pictures/', folder/'site', progress=False)
    test_eq(table.columns.tolist(), ['layer', 'unit', *(f'image_url_{i}' for i in range(1, 6))])
    test_eq(table.image_url_2[3], 'https://example.org/my%20pictures/head-20-232/0_2.png')
    assert pd.read_csv(folder/'site/hits.csv').equals(table) and len(pictures(folder/'site')) == 6 * 5
    with expect_fail(MilanError, contains='call that first'): pictures(folder)
    assert np.array_equal(np.asarray(Image.open(folder / 'site/head-20-232/2_5.png')),
                          _pixels(found.lookup('head #2', 2), 0.75)[4])
    table.iloc[:, :3]

    page = (folder/'site/example.html').read_text()
    for picture in sorted((folder/'site/blocks.9.mlp.fc1').glob('0_*.png')):
        page = page.replace(f'{picture.parent.name}/{picture.name}',
                            'data:image/png;base64,' + base64.b64encode(picture.read_bytes()).decode())
    test_eq(page.count('data:image/png'), 5)
    HTML(f'<div><iframe srcdoc="{html.escape(page)}" style="width: 100%; height: 34rem; border: 1px solid'
         ' #ccc"></iframe></div>')

    written, lost = {
        file: file.stat().st_mtime_ns for file in (folder / 'site').rglob('*.png')
    }, folder / 'site/head-20-232/1_3.png'
    lost.unlink()
    hits(found, 'https://example.org', folder/'site', progress=False)
    assert lost.exists() and all(file.stat().st_mtime_ns == written[file]
                                 for file in written if '1_' not in file.name)
    for said, given in (('another way', {'opacity': 0.5}), ("'bmp'", {'kind': 'bmp'}),
                        ('listed twice', {'units': [('head #2', 1)] * 2}),
                        ('unit 9', {'units': [('head #2', 9)]}),
                        ('for several', {'path': lambda layer, unit, rank: layer}),
                        ('outside', {'path': lambda *unit: '../{}{}{}'.format(*unit)})):
        with expect_fail(MilanError, contains=said):
            hits(found, 'https://example.org', folder / 'site', progress=False, **given)
    with expect_fail(MilanError, contains='other exemplars'):
        hits(found.view(size=24), 'https://example.org', folder / 'site', progress=False)
    with expect_fail(MilanError, contains='other files'):
        hits(found, 'https://example.org', folder, progress=False)
    with expect_fail(MilanError, contains='? or #'): hits(found, 'https://example.org/?a=')
    own = hits(found, 'https://example.org', folder / 'own', units=[('head #2', 1)], kind='jpg',
               path=lambda layer, unit, rank: f'{layer}/{unit} {rank}', progress=False)
    test_eq(Image.open(folder/'own/head #2/1 5.jpg').format, 'JPEG')
    shutil.rmtree(folder)
    own.image_url_1[0]


# 06_crowdsourcing.ipynb, section "Can the pictures be reached?"
def test_can_the_pictures_be_reached():
    class Host(http.server.BaseHTTPRequestHandler):
        "/1.png and /2.png are pictures, /page is a page, /slow is slow, the rest is missing."

        def do_HEAD(self):
            if self.path == '/slow':
                threading.Event().wait(.5)
            known = {'/1.png': 'image/png', '/2.png': 'image/png', '/page': 'text/html', '/slow': 'image/png'}
            refused = self.path == '/2.png' and self.command == 'HEAD'
            self.send_response(405 if refused else 200 if self.path in known else 404)
            self.send_header('Content-Type', known.get(self.path, 'text/plain'))
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *arguments):
            "Say nothing."


    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}'
    asked = pd.DataFrame(
        [['conv1', 0, f'{address}/1.png', f'{address}/2.png'], ['conv1', 1, f'{address}/page',
                                                                f'{address}/no such']],
        columns=['layer', 'unit', 'image_url_1', 'image_url_2']
    )
    with unittest.mock.patch.dict(os.environ, no_proxy='127.0.0.1'):
        failing = unreachable(asked, progress=False)
        late = unreachable([f'{address}/slow'] * 3, timeout=.1, progress=False)
    server.shutdown()
    server.server_close()
    test_eq(failing.problem.tolist(), ['no picture, but text/html', 'HTTP 404: Not Found'])
    assert failing.address[1].endswith('/no%20such')
    test_eq(late.problem.tolist(), ['timed out'])
    assert 'refused' in _problem(address, 1).lower()          # the connection is closed
    with expect_fail(MilanError, contains='not an address'): unreachable(['file:///etc/hosts'])
    with expect_fail(MilanError, contains='has layer, unit'): unreachable(asked[['layer', 'unit']])
    test_eq(
        image_columns(pd.DataFrame(columns=['layer', 'unit', *(f'image_url_{i}' for i in range(1, 12))]))[-2:],
        ['image_url_10', 'image_url_11'],
    )
    failing.assign(address=failing.address.str.replace(address, 'http://host'))
