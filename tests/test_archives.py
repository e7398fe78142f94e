# Generated from nbs/01_archives.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import io
import stat
import struct
import tarfile
import zipfile
from milan.archives import (
    _root_with,
    ar_members,
    open_deb,
    rcc_files,
    unpack,
    unpack_tar,
    unpack_zip,
)

import tempfile
import zlib

from fastcore.test import expect_fail, test_eq

from milan.config import remove

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


def make_zip(files):
    "The bytes of a zip archive with `files`: name → bytes."
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items(): archive.writestr(name, body)
    return out.getvalue()


# 01_archives.ipynb, section "Debian packages"
def test_debian_packages():
    deb = io.BytesIO(make_deb({'./usr/share/thing.txt': b'a thing'}))
    ar_members(deb)

    with expect_fail(MilanError, contains='not a Debian package'): ar_members(io.BytesIO(b'PK\x03\x04'))


# 01_archives.ipynb, section "Unpacking with suspicion"
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


# 01_archives.ipynb, section "Qt resource archives"
def test_qt_resource_archives():
    folder = Path(tempfile.mkdtemp())
    (folder/'two.rcc').write_bytes(make_rcc({'owl.webp': b'a picture, stored', 'hoot.ogg': b'a sound, compressed' * 9}))
    [(name, body[:19]) for name, body in rcc_files(folder/'two.rcc')]

    (folder/'bad.rcc').write_bytes(make_rcc({'owl.webp': b'owl'})[:-30])
    with expect_fail(MilanError, contains='bad.rcc is damaged'): list(rcc_files(folder/'bad.rcc'))
    (folder/'bad.rcc').write_bytes(b'RIFF' + bytes(30))
    with expect_fail(MilanError, contains='not a Qt resource'): list(rcc_files(folder/'bad.rcc'))
    with expect_fail(MilanError, contains='larger than allowed'): list(rcc_files(folder/'two.rcc', at_most=20))
    remove(folder)


# 01_archives.ipynb, section "Zip archives"
def test_zip_archives():
    test_eq(_root_with(['b/c/annotations.csv', 'b/annotations.csv', 'a.txt'], 'annotations.csv'), 'b')
    test_eq(_root_with(['zs.pth'], '*.pth'), '.')
    with expect_fail(MilanError, contains='no annotations.csv'): _root_with(['a.txt'], 'annotations.csv')

    folder = Path(tempfile.mkdtemp())
    body = make_zip({'set/annotations.csv': b'layer,unit,summary', 'set/conv1/masks.npy': b'1' * 99, 'set/viz/a.html': b'', '__MACOSX/set/x.csv': b''})
    unpack_zip(zipfile.ZipFile(io.BytesIO(body)), folder, members=['*.csv', '*.npy'], holds='annotations.csv')

    test_eq([str(path.relative_to(folder)) for path in sorted(folder.rglob('*')) if path.is_file()], ['annotations.csv', 'conv1/masks.npy'])
    test_eq((folder/'conv1'/'masks.npy').read_bytes(), b'1' * 99)
    remove(folder)

    def with_link():
        "A zip with a symbolic link in it."
        out, link = io.BytesIO(), zipfile.ZipInfo('a/link')
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(out, 'w') as archive: archive.writestr(link, '/etc/passwd')
        return out.getvalue()


    def lying(body, says):
        "The same zip, whose table says that its file is as long as that."
        table = body.rindex(b'PK\x01\x02')
        return body[:table + 24] + struct.pack('<I', says) + body[table + 28:]

    suspicious = {'../escape.csv': make_zip({'fine.csv': b'', '../escape.csv': b'!'}), '/escape.csv': make_zip({'/escape.csv': b'!'}),
                  'outside': make_zip({'a/../../escape.csv': b'!'}), 'C:': make_zip({'C:/escape.csv': b'!'}), 'link': with_link(),
                  'more than the 1,000 bytes': make_zip({'zeros.csv': bytes(1001)})}
    folder = Path(tempfile.mkdtemp())
    for said, body in suspicious.items():
        with expect_fail(MilanError, contains=said): unpack_zip(zipfile.ZipFile(io.BytesIO(body)), folder, at_most=1000)
        test_eq(list(folder.iterdir()), [])
    assert not (folder.parent/'escape.csv').exists()
    with expect_fail(zipfile.BadZipFile): unpack_zip(zipfile.ZipFile(io.BytesIO(lying(make_zip({'a.csv': bytes(5000)}), 900))), folder, at_most=1000)
    remove(folder)


# 01_archives.ipynb, section "Every kind"
def test_every_kind():
    folder = Path(tempfile.mkdtemp())
    (folder/'x.deb').write_bytes(make_deb({'usr/share/rcc/two.rcc': make_rcc({'owl.webp': b'a picture', 'hoot.ogg': b'a sound' * 9})}))
    (folder/'out').mkdir()
    unpack(folder/'x.deb', folder/'out', dict(unpack='deb', root='usr/share', then='rcc', inner_members=['*.webp']), 10_000)
    [path.name for path in (folder/'out').rglob('*')]

    test_eq([path.name for path in (folder/'out').rglob('*')], ['owl.webp'])
    with expect_fail(MilanError, contains='nothing like'):
        unpack(folder/'x.deb', folder/'out', dict(unpack='deb', root='etc'), 10_000)
    with expect_fail(MilanError, contains='no way to unpack'): unpack(folder/'x.deb', folder/'out', dict(unpack='rar'), 10_000)
    (folder/'x.deb').write_bytes((folder/'x.deb').read_bytes()[:400])
    with expect_fail(MilanError, contains='damaged'): unpack(folder/'x.deb', folder/'out', dict(unpack='deb'), 10_000)
    whole = make_zip({'a.csv': bytes(range(256))})
    for cut in (0, 20, 200, len(whole) - 10):
        (folder/'x.zip').write_bytes(whole[:cut])
        with expect_fail(MilanError, contains='damaged'): unpack(folder/'x.zip', folder/'out', dict(unpack='zip'), 10_000)
    (folder/'x.zip').write_bytes(whole[:60] + b'!' + whole[61:])
    with expect_fail(MilanError, contains='damaged'): unpack(folder/'x.zip', folder/'out', dict(unpack='zip'), 10_000)
    (folder/'x.pth').write_bytes(whole[:99])
    with expect_fail(MilanError, contains='not whole'): unpack(folder/'x.pth', folder/'out', dict(unpack='none', file='x.pth'), 10_000)
    (folder/'x.zip').write_bytes(whole)
    unpack(folder/'x.zip', folder/'out', dict(unpack='zip', members=['*.csv']), 10_000)
    assert (folder/'out'/'a.csv').read_bytes() == bytes(range(256))
    remove(folder)
