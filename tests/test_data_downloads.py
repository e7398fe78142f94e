# Generated from nbs/01_data/02_downloads.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import http.client
import os
import socket
import time
import urllib.request
from milan.data.downloads import (
    _opener,
    _Page,
    _pieces,
    _request,
    begin_partial,
    confirmation,
    download,
    downloads_dir,
    failure_reason,
    hub_address,
    Interrupted,
    is_local,
    is_web,
    PartialDownload,
    range_headers,
    require_no_page,
)

import io
import tempfile
from types import SimpleNamespace
from unittest.mock import patch

from fastcore.test import expect_fail, test_eq

from milan.files import remove
from milan.testing import Site, user_folder

BODY = bytes(range(256)) * 100
PAGE = '''<!doctype html><title>Google Drive - Virus scan warning</title>
<form id="download-form" action="{}" method="get"><input type="hidden" name="id" value="1Bm">
<input type="hidden" name="confirm" value="t"><input type="submit"></form>'''


# 02_downloads.ipynb, section "Addresses"
def test_addresses():
    folder = user_folder('data')
    test_eq(downloads_dir().parent, folder/'data')
    remove(folder)

    test_eq([is_web(text) for text in ('https://example.org/x', 'ftp://example.org/x', 'http://[::1')],
            [True, False, False])
    assert not is_local('http://127.0.0.1.example.org/') and not is_local('http://127.0.0.1@example.org/')
    is_local('http://127.0.0.1:8000/x')

    os.environ['HF_ENDPOINT'] = 'https://example.org/'
    names = ('hf:user/name/a b/weights.pth@v1', 'hf:datasets/user/name/all.zip')
    examples = [hub_address(name) for name in names]
    del os.environ['HF_ENDPOINT']
    examples

    test_eq(examples[1], 'https://example.org/datasets/user/name/resolve/main/all.zip')
    for wrong in ('hf:user/name', 'hf:user/name/../x', 'https://example.org/a.zip', 'hf:user/name/x@a/b'):
        with expect_fail(MilanError, contains='no file on the hub'): hub_address(wrong)


# 02_downloads.ipynb, section "Requests"
def test_requests():
    _opener('https://example.org').addheaders

    test_eq(failure_reason(urllib.error.HTTPError('https://x', 503, 'Service Unavailable', None, None)),
            'the server answers 503 Service Unavailable')
    test_eq(failure_reason(urllib.error.URLError(TimeoutError())), 'no answer within 30 seconds')
    test_eq(failure_reason(http.client.IncompleteRead(b'')), 'IncompleteRead(0 bytes read)')
    failure_reason(urllib.error.URLError(socket.gaierror(-2, 'Name or service not known')))


# 02_downloads.ipynb, section "Web pages instead of files"
def test_web_pages_instead_of_files():
    drive = 'https://drive.google.com/uc?export=download&id=1Bm'
    confirmation(PAGE.format('https://drive.usercontent.google.com/download'), drive)

    test_eq(confirmation(PAGE.format('https://example.org/download'), drive), None)
    test_eq(confirmation(PAGE.format('https://drive.usercontent.google.com/download'),
                         'https://example.org/x'), None)
    test_eq(confirmation('<!doctype html><title>Quota exceeded</title>', drive), None)
    test_eq(confirmation('<a id="uc-download-link" href="/uc?export=download&amp;confirm=t&amp;id=1Bm">Download '
                         'anyway</a>', drive),
            'https://drive.google.com/uc?export=download&confirm=t&id=1Bm')

    test_eq(_Page('<html><title>Quota exceeded</title>').title, 'Quota exceeded')

    folder = Path(tempfile.mkdtemp())
    (folder/'base.pth').write_bytes(b'\n<HTML><title>Not here</title>')
    with expect_fail(MilanError, contains='base.pth: this is a web page, not a file (Not here)'):
        require_no_page(folder/'base.pth')

    (folder/'base.pth').write_bytes(b'PK\x03\x04')
    require_no_page(folder/'base.pth')
    remove(folder)
    with Site({'/sent.bin': 'http://example.org/x.bin', '/page.bin': b'<!doctype html><title>Quota '
                                                                     b'exceeded</title>'}) as site:
        for path, said in {'/none.bin': 'not have this file (404)',
                           '/sent.bin': 'redirects to http://example.org/x.bin',
                           '/page.bin': '(Quota exceeded)'}.items():
            with expect_fail(MilanError, contains=said):
                _request(_opener(site.address), site.address + path, {})


# 02_downloads.ipynb, section "Unfinished downloads"
def test_unfinished_downloads():
    test_eq(PartialDownload(Path('absent.partial')).size(), 0)
    test_eq(PartialDownload(Path('absent.partial')).read(), {})

    folder = Path(tempfile.mkdtemp())
    partial = PartialDownload(folder/'x.zip.partial')
    begin_partial(partial, 'https://example.org/x.zip', {'ETag': '"5f"'}, 100)
    partial.path.write_bytes(b'0' * 40)
    range_headers(partial, 'https://example.org/x.zip', False)

    test_eq(range_headers(partial, 'https://elsewhere.org/x.zip', False), {})
    test_eq(range_headers(partial, 'https://elsewhere.org/x.zip', True), {'Range': 'bytes=40-'})

    begin_partial(partial, 'https://example.org/x.zip', {'ETag': 'W/"5f"'}, 100)
    partial.path.write_bytes(b'0' * 40)
    test_eq(range_headers(partial, 'https://example.org/x.zip', False), {})

    partial.remove()
    test_eq(list(folder.iterdir()), [])
    remove(folder)


# 02_downloads.ipynb, section "Downloads"
def test_downloads():
    test_eq(list(_pieces(SimpleNamespace(read1=io.BytesIO(b'bytes').read1), 0, 5)), [b'bytes'])
    with expect_fail(MilanError, contains='more than the 4 bytes'):
        list(_pieces(SimpleNamespace(read1=io.BytesIO(b'bytes').read1), 0, 4))

    folder = user_folder('data')
    with Site({'/x.bin': BODY}, breaks=[10_000, 5_000]) as site:
        download(f'{site.address}/x.bin', folder/'x.bin')
    assert (folder/'x.bin').read_bytes() == BODY
    test_eq(list(downloads_dir().iterdir()), [])
    site.asked

    test_eq(site.asked, [('/x.bin', None), ('/x.bin', 'bytes=10000-'), ('/x.bin', 'bytes=15000-')])
    with Site({'/x.bin': BODY}, breaks=[10_000]) as site:
        with expect_fail(Interrupted, contains='after 10,000 of 25,600 bytes; run it again'):
            download(f'{site.address}/x.bin', folder/'y.bin', patience=0)
        test_eq([path.name for path in sorted(downloads_dir().iterdir())],
                ['y.bin.partial', 'y.bin.partial.json'])
        site.files['/x.bin'], site.tag = BODY[::-1], '"second"'
        download(f'{site.address}/x.bin', folder/'y.bin')
        assert (folder/'y.bin').read_bytes() == BODY[::-1]
        test_eq(site.asked[1:], [('/x.bin', 'bytes=10000-')])
    # without tag and date: the whole file, unless its hash is known
    with Site({'/x.bin': BODY}, breaks=[10_000], tag=None) as site:
        for hashed in (False, True):
            with expect_fail(Interrupted):
                download(f'{site.address}/x.bin', folder/f'z{hashed}.bin', hashed, patience=0)
            download(f'{site.address}/x.bin', folder/f'z{hashed}.bin', hashed)
            site.breaks = [10_000]
        test_eq([wanted for _, wanted in site.asked], [None, None, None, 'bytes=10000-'])
    with Site({'/x.bin': BODY}) as site: # complete, but killed before it was moved; and too long
        for size in (len(BODY), len(BODY) + 1):
            begin_partial(PartialDownload(downloads_dir()/'w.bin.partial'), f'{site.address}/x.bin',
                          {'ETag': site.tag}, None)
            (downloads_dir()/'w.bin.partial').write_bytes((BODY + b'!')[:size])
            download(f'{site.address}/x.bin', folder/'w.bin')
            assert (folder/'w.bin').read_bytes() == BODY
    remove(folder)

    folder = user_folder('data')
    with Site({'/uc': PAGE.format('/download').encode(), '/download?id=1Bm&confirm=t': BODY,
               '/old.bin': '/x.bin', '/x.bin': BODY}) as site:
        for path in ('/uc?id=1Bm', '/old.bin'):
            download(site.address + path, folder/'got.bin')
            assert (folder/'got.bin').read_bytes() == BODY
        with expect_fail(MilanError, contains='25,600 bytes, more than the 1,000'):
            download(f'{site.address}/x.bin', folder/'x.bin', at_most=1000)
        asked = site.asked
    with Site({'/x.bin': BODY}, length=False) as site: # it does not announce the size
        with expect_fail(MilanError, contains='more than the 1,000 bytes'):
            download(f'{site.address}/x.bin', folder/'x.bin', at_most=1000)
        download(f'{site.address}/x.bin', folder/'got.bin')
        assert (folder/'got.bin').read_bytes() == BODY
    with expect_fail(MilanError, contains='not an https address'): download('ftp://example.org/x', folder/'x')
    with expect_fail(MilanError, contains='refuses connections'):
        download(f'{site.address}/x.bin', folder/'x.bin')
    test_eq(sorted(path.name for path in folder.iterdir()), ['data', 'got.bin'])
    test_eq(list(downloads_dir().iterdir()), [])
    remove(folder)
    asked


# 02_downloads.ipynb, section "Errors"
def test_errors():
    import contextlib
    import socketserver
    import threading


    class Raw(socketserver.BaseRequestHandler):
        "Answers with the bytes `server.answer`, then `server.times` times with `server.more`."

        def handle(self):
            self.request.recv(65536)
            self.server.sent = 0
            with contextlib.suppress(OSError):
                self.request.sendall(self.server.answer)
                for _ in range(self.server.times):
                    self.request.sendall(self.server.more)
                    self.server.sent += len(self.server.more)


    @contextlib.contextmanager
    def raw(answer, more=b'', times=0, handler=Raw):
        "A server on this machine that sends these bytes."
        with socketserver.TCPServer(('127.0.0.1', 0), handler) as server:
            server.answer, server.more, server.times, server.sent = answer, more, times, 0
            threading.Thread(target=server.serve_forever, args=(.01,), daemon=True).start()
            yield server, f'http://127.0.0.1:{server.server_address[1]}/x.bin'
            server.shutdown()


    folder, piece = user_folder('data'), bytes(1 << 16)
    endless = {'no length': (b'HTTP/1.0 200 OK\r\n\r\n', piece),
               'chunked': (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
                           b'10000\r\n' + piece + b'\r\n'),
               'chunked, and a length that is not true': (b'HTTP/1.1 200 OK\r\nContent-Length: '
                                                          b'10\r\nTransfer-Encoding: chunked\r\n\r\n',
                                                          b'10000\r\n' + piece + b'\r\n'),
               'one chunk': (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n', piece)}
    for name, (answer, more) in endless.items():
        with raw(answer, more, 3000) as (server, address): # 200 MB, unless it is stopped
            with expect_fail(MilanError, contains='1,000,000'):
                download(address, folder/'x.bin', at_most=10**6)
            assert server.sent < 100 * 10**6, (name, server.sent)

    test_eq(sorted(path.name for path in folder.iterdir()), ['data'])
    test_eq(list(downloads_dir().iterdir()), [])

    with raw(endless['chunked'][0], endless['chunked'][1], 3000) as (server, there):
        with raw(f'HTTP/1.1 302 Found\r\nLocation: {there}\r\n\r\n'.encode()) as (_, address):
            with expect_fail(MilanError, contains='more than the 1,000,000 bytes'):
                download(address, folder/'x.bin', at_most=10**6)
            assert server.sent < 100 * 10**6


    class Drip(Raw):
        "Sends a byte every 50 ms."

        def handle(self):
            self.request.recv(65536)
            self.request.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
            with contextlib.suppress(OSError):
                while True:
                    self.request.sendall(b'x')
                    time.sleep(.05)


    with patch.dict(download.__globals__, _TRIAL=.2), raw(b'', handler=Drip) as (server, address):
        with expect_fail(Interrupted, contains='fewer than 100 bytes a second'):
            download(address, folder/'x.bin', patience=0)
    for path in downloads_dir().iterdir(): remove(path)

    ok = b'HTTP/1.1 200 OK\r\n'
    odd = {'packed': ok + b'Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc',
           'huge': ok + b'Content-Length: 999999999999999999\r\n\r\n',
           'moved': b'HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n',
           'ftp': b'HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/x\r\n\r\n',
           'half': b'HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n',
           'plain': b'HTTP/1.1 302 Found\r\nLocation: http://example.org/x\r\n\r\n',
           'itself': b'HTTP/1.1 302 Found\r\nLocation: /x.bin\r\n\r\n',
           'nowhere': b'HTTP/1.1 302 Found\r\n\r\n', 'port': b'HTTP/1.1 302 Found\r\nLocation: '
                                                             b'http://127.0.0.1:x/\r\n\r\n',
           'nothing': b'', 'noise': bytes(range(256)) * 9, 'status': b'HTTP/1.1 999999 What\r\n\r\n',
           'line': b'HTTP/1.1 200 ' + b'x' * 100_000, 'heads': ok + b'a: b\r\n' * 1000,
           'long head': ok + b'a: ' + b'b' * 100_000, 'piece': b'HTTP/1.1 206 Partial\r\nContent-Range: '
                                                               b'bytes 5-9/10\r\nContent-Length: '
                                                               b'5\r\n\r\nabcde',
           '416': b'HTTP/1.1 416 No\r\n\r\n',
           'chunk': ok + b'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
           'cut': ok + b'Content-Length: 100\r\n\r\nabc', 'gone': b'HTTP/1.1 500 Oh\r\n\r\n',
           'page': ok + b'Content-Type: text/html\r\n\r\n<html><title>Sign in</title>',
           'form': ok + b'Content-Type: text/html\r\n\r\n<form id="download-form" action="http://[">'}
    for name, answer in odd.items():
        with raw(answer) as (_, address):
            with expect_fail(MilanError): download(address, folder/f'{name}.bin', at_most=10**6, patience=0)
        assert not (folder/f'{name}.bin').exists(), name
    for address in ('', 'http://', 'https:///x', 'http://[::1', 'http://a b/', 'http://a:x/', 'http://a\n/',
                    'file:///etc/passwd', 'javascript:1', '//example.org/x',
                    'http://' + 'a' * 99 + '.org:99999/'):
        with expect_fail(MilanError, contains='not an https address'): download(address, folder/'x.bin')
    # no host can have such a name
    with expect_fail(MilanError): download(f'http://{"a" * 70}.example.org/x', folder/'x.bin')
    for notes in ('[]', '{"total": "9"}', '{"etag": "a\\r\\nb"}', '{"total": NaN}', '{', '{"etag": []}',
                  '[' * 100_000):
        (downloads_dir()/'y.bin.partial').write_bytes(b'abc')
        (downloads_dir()/'y.bin.partial.json').write_text(notes)
        test_eq(PartialDownload(downloads_dir()/'y.bin.partial').read(), {})
        with Site({'/y.bin': BODY}) as site: download(f'{site.address}/y.bin', folder/'y.bin')
        assert (folder/'y.bin').read_bytes() == BODY

    remove(folder)
