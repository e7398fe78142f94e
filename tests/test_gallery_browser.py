# Generated from nbs/12_gallery/02_browser.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from milan.gallery.browser import (
    is_local,
    page_folder,
    server,
    serving,
)

import http.client
import os
import shutil
import tempfile
import urllib.request

from fastcore.test import expect_fail, test_eq


def ask(address: str, path: str = '/', host: str | None = None) -> int:
    "The status of an answer."
    place = address.split('/')[2]
    connection = http.client.HTTPConnection(place, timeout=10)
    connection.request('GET', path, headers={'Host': place if host is None else host})
    status = connection.getresponse().status
    connection.close()
    return status


# 02_browser.ipynb, section "Which requests are answered"
def test_which_requests_are_answered():
    hosts = 'localhost:8000', '[::1]', 'evil.example', ''
    test_eq([is_local([host]) for host in hosts], [True, True, False, False])


# 02_browser.ipynb, section "The server"
def test_the_server():
    folder = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='no index.html'): page_folder(folder)
    (folder/'mine'/'gallery'/'empty').mkdir(parents=True)
    (folder/'mine'/'gallery'/'index.html').write_text('<h1>Units</h1>')
    page_folder(folder/'mine').name

    with serving(folder/'mine') as address:
        test_eq(urllib.request.urlopen(address).read(), b'<h1>Units</h1>')
        taken = int(address.rsplit(':')[-1].strip('/'))
        with expect_fail(MilanError, contains=f'port {taken}'): server(folder/'mine', taken)

    (folder/'diary.txt').write_text('private')
    (folder/'mine'/'gallery'/'diary.txt').symlink_to(folder/'diary.txt')
    (folder/'mine'/'gallery'/'outside').symlink_to(folder)
    (folder/'mine'/'gallery'/'page').mkdir()
    (folder/'mine'/'gallery'/'page'/'index.html').symlink_to(folder/'diary.txt')
    (folder/'mine'/'gallery'/'same.html').symlink_to('index.html')
    os.mkfifo(folder/'mine'/'gallery'/'waits')
    with serving(folder/'mine') as address:
        inside, outside = ('/', '/index.html', '/same.html'), ('/diary.txt', '/outside/diary.txt', '/outside/',
                                                               '/page/', '/../diary.txt', '/%2e%2e/diary.txt',
                                                               '/empty/', '/waits')
        test_eq([ask(address, path) for path in (*inside, *outside)], [200] * len(inside) + [404] * len(outside))
        ours, others = ('localhost', 'LOCALHOST:8000', '127.0.0.1', '[::1]:80'), (
            'evil.example', f'evil.example:{taken}', '127.0.0.1.evil.example', '', '192.168.0.1',
            'localhost@evil.example'
        )
        test_eq([ask(address, host=host) for host in (*ours, *others)], [200] * len(ours) + [403] * len(others))
    (folder/'linked').mkdir()
    (folder/'linked'/'gallery').symlink_to(folder/'mine'/'gallery')
    with expect_fail(MilanError, contains='no index.html'): server(folder/'linked')
    shutil.rmtree(folder)
