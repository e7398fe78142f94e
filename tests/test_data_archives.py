# Generated from nbs/01_data/01_archives.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.files import safe_path
from pathlib import Path
import io
import numpy as np
import os
import stat
import struct
import tarfile
import zipfile
from milan.data.archives import (
    _check_csv,
    _check_torch,
    _check_zip,
    _CHECKS,
    _copy_whole,
    _matches,
    _rcc_body,
    _relative_path,
    _root_with,
    _TORCH,
    _write,
    _zip_entries,
    ar_members,
    open_deb,
    open_tar,
    pack_zip,
    rcc_files,
    require_whole,
    unpack,
    unpack_tar,
    unpack_zip,
)

import pickle
import tempfile
import zlib

from unittest.mock import patch

from fastcore.test import expect_fail, test_eq

from milan.files import remove

def make_tar(files, mode='w:xz'):
    "The bytes of a tar archive with `files`: name → bytes, or a TarInfo for links and devices."
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
    for name, body in (('debian-binary', b'2.0\n'), ('control.tar.xz', make_tar({})),
                       ('data.tar.xz', make_tar(files))):
        header = f'{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n'
        out += header.encode() + body + b'\n' * (len(body) % 2)
    return out


def make_rcc(files):
    "The bytes of a Qt resource archive, version 3: one folder; its first file is not compressed."
    names, data, nodes = b'', b'', []
    for i, (name, body) in enumerate(files.items()):
        stored = body if i == 0 else struct.pack('>I', len(body)) + zlib.compress(body)
        nodes.append(struct.pack('>IHHHIQ', len(names), 0 if i == 0 else 1, 0, 0, len(data), 0))
        names += struct.pack('>HI', len(name), 0) + name.encode('utf-16-be')
        data += struct.pack('>I', len(stored)) + stored
    tree = struct.pack('>IHIIQ', 0, 2, len(nodes), 1, 0) + b''.join(nodes)
    return b'qres' + struct.pack('>5I', 3, 24 + len(data) + len(names), 24, 24 + len(data),
                                 0) + data + names + tree


def make_zip(files):
    "The bytes of a zip archive with `files`: name → bytes."
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items(): archive.writestr(name, body)
    return out.getvalue()


# 01_archives.ipynb, section "Paths and bounds"
def test_paths_and_bounds():
    test_eq([_relative_path('./a/b.png', 'a'), _relative_path('c/b.png', 'a'), safe_path('a/b.png')],
            ['b.png', None, 'a/b.png'])
    for name in ('', '/a', '../a', 'a/../b', 'a\0b', 'a\nb', 'C:a', 'a\\b', 'a' * 256, '\ud800'):
        with expect_fail(MilanError, contains='must be a path below its folder'): safe_path(name)

    with tempfile.TemporaryDirectory() as place:
        _write(io.BytesIO(b'a long text'), Path(place)/'inner'/'a.txt', 6)
        test_eq((Path(place)/'inner'/'a.txt').read_bytes(), b'a long')
    test_eq([_matches(path, ['*.png']) for path in ('a/b.png', 'b.txt', None)], [True, False, False])


# 01_archives.ipynb, section "Debian packages"
def test_debian_packages():
    deb = io.BytesIO(make_deb({'./usr/share/thing.txt': b'a thing'}))
    ar_members(deb)

    with expect_fail(MilanError, contains='not a Debian package'): ar_members(io.BytesIO(b'PK\x03\x04'))

    [entry.name for entry in open_tar(io.BytesIO(make_tar({'a.txt': b'a', 'n' * 200: b'b'})))][0]

    with expect_fail(MilanError, contains='holds no data.tar'): open_deb(io.BytesIO(b'!<arch>\n'))
    open_deb(io.BytesIO(make_deb({'./usr/share/thing.txt': b'a thing'}))).getnames()

    folder = Path(tempfile.mkdtemp())
    link = tarfile.TarInfo('usr/share/link.txt')
    link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
    deb = io.BytesIO(make_deb({'./usr/share/a/one.txt': b'one', './usr/share/two.ogg': b'two',
                               './etc/three.txt': b'3', 'link': link}))
    unpack_tar(open_deb(deb), folder, 'usr/share', ['*.txt'])

    test_eq([str(path.relative_to(folder)) for path in sorted(folder.rglob('*')) if path.is_file()],
            ['a/one.txt'])

    deb.seek(0)
    with expect_fail(MilanError, contains='more than the 2 bytes'):
        unpack_tar(open_deb(deb), folder, at_most=2)
    for name in ('../escape.txt', '/tmp/escape.txt', 'usr/../../escape.txt'):
        with expect_fail(MilanError, contains='not to be trusted'):
            unpack_tar(open_deb(io.BytesIO(make_deb({name: b'!'}))), folder)
    remove(folder)


# 01_archives.ipynb, section "Qt resource archives"
def test_qt_resource_archives():
    test_eq(_rcc_body(struct.pack('>I', 3) + b'owl', 0, False, 9), b'owl')

    folder = Path(tempfile.mkdtemp())
    (folder/'two.rcc').write_bytes(make_rcc({'owl.webp': b'a picture, stored',
                                             'hoot.ogg': b'a sound, compressed' * 9}))
    [(name, body[:19]) for name, body in rcc_files(folder/'two.rcc')]

    (folder/'bad.rcc').write_bytes(make_rcc({'owl.webp': b'owl'})[:-30])
    with expect_fail(MilanError, contains='bad.rcc is damaged'): list(rcc_files(folder/'bad.rcc'))

    (folder/'bad.rcc').write_bytes(b'RIFF' + bytes(30))
    with expect_fail(MilanError, contains='not a Qt resource'): list(rcc_files(folder/'bad.rcc'))
    with expect_fail(MilanError, contains='larger than allowed'):
        list(rcc_files(folder/'two.rcc', at_most=20))
    remove(folder)


# 01_archives.ipynb, section "Zip archives"
def test_zip_archives():
    test_eq(list(_zip_entries(zipfile.ZipFile(io.BytesIO(make_zip({'a.txt': b'a', '__MACOSX/a.txt': b''}))),
                              10)), ['a.txt'])

    test_eq(_root_with(['b/c/annotations.csv', 'b/annotations.csv', 'a.txt'], 'annotations.csv'), 'b')
    test_eq(_root_with(['zs.pth'], '*.pth'), '.')
    with expect_fail(MilanError, contains='no annotations.csv'): _root_with(['a.txt'], 'annotations.csv')

    folder = Path(tempfile.mkdtemp())
    body = make_zip({'set/annotations.csv': b'layer,unit,summary', 'set/conv1/masks.npy': b'1' * 99,
                     'set/viz/a.html': b'', '__MACOSX/set/x.csv': b''})
    unpack_zip(zipfile.ZipFile(io.BytesIO(body)), folder, members=['*.csv', '*.npy'], holds='annotations.csv')

    test_eq([str(path.relative_to(folder)) for path in sorted(folder.rglob('*')) if path.is_file()],
            ['annotations.csv', 'conv1/masks.npy'])
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

    suspicious = {'../escape.csv': make_zip({'fine.csv': b'', '../escape.csv': b'!'}),
                  '/escape.csv': make_zip({'/escape.csv': b'!'}),
                  'outside': make_zip({'a/../../escape.csv': b'!'}), 'C:': make_zip({'C:/escape.csv': b'!'}),
                  'link': with_link(),
                  'more than the 1,000 bytes': make_zip({'zeros.csv': bytes(1001)})}
    folder = Path(tempfile.mkdtemp())
    for said, body in suspicious.items():
        with expect_fail(MilanError, contains=said):
            unpack_zip(zipfile.ZipFile(io.BytesIO(body)), folder, at_most=1000)
        test_eq(list(folder.iterdir()), [])
    assert not (folder.parent/'escape.csv').exists()
    with expect_fail(zipfile.BadZipFile):
        unpack_zip(zipfile.ZipFile(io.BytesIO(lying(make_zip({'a.csv': bytes(5000)}), 900))), folder,
                   at_most=1000)
    remove(folder)


# 01_archives.ipynb, section "Packing"
def test_packing():
    folder = Path(tempfile.mkdtemp())
    (folder/'masks.npy').write_bytes(bytes(100_000))
    files = [('annotations.csv', b'layer,unit,summary'), ('conv1/masks.npy', folder/'masks.npy')]
    packed = pack_zip(folder/'set.zip', files)
    [(entry.filename, entry.file_size, entry.compress_size) for entry in zipfile.ZipFile(packed).infolist()]

    again = pack_zip(folder/'again.zip', iter(files), len(files))
    test_eq(again.read_bytes(), packed.read_bytes())
    (folder/'there').mkdir()
    test_eq(unpack_zip(zipfile.ZipFile(packed), folder/'there', holds='annotations.csv'), 2)
    test_eq((folder/'there'/'conv1'/'masks.npy').read_bytes(), bytes(100_000))

    faults = {'exists already': files, 'twice': [files[0], files[0]], 'relative': [('../a', b'')]}
    for said, wrong in faults.items():
        with expect_fail(MilanError, contains=said):
            pack_zip(folder/('set.zip' if 'exists' in said else 'b.zip'), wrong)
    with expect_fail(FileNotFoundError): pack_zip(folder/'b.zip', [files[0], ('a.npy', folder/'nothing.npy')])
    test_eq(sorted(path.name for path in folder.iterdir()), ['again.zip', 'masks.npy', 'set.zip', 'there'])
    remove(folder)


# 01_archives.ipynb, section "Is the file complete?"
def test_is_the_file_complete():
    with tempfile.TemporaryDirectory() as place:
        (Path(place)/'a.pth').write_bytes(make_zip({'a/data.pkl': pickle.dumps({'weight': 1})}))
        _check_zip(Path(place)/'a.pth')
        _check_torch(Path(place)/'a.pth')

    with tempfile.TemporaryDirectory() as place:
        (Path(place)/'a.csv').write_text('layer,unit\n1\n')
        with expect_fail(ValueError, contains='a line has 1 columns'): _check_csv(Path(place)/'a.csv')

    folder = Path(tempfile.mkdtemp())
    good = {'a.zip': make_zip({'a': b'a'}), 'a.pth': make_zip({'a/data.pkl': pickle.dumps({'weight': 1})}),
            'old.pth': b'\x80\x02\x8a\x0a' + _TORCH + b'.',
            'a.csv': b'layer,unit\n1,"a, b"\n', 'a.tar.xz': make_tar({'a': b'a'}),
            'a.deb': make_deb({'a': b'a'}), 'a.json': b'{}', 'a.txt': b'anything'}
    for name, body in good.items():
        (folder/name).write_bytes(body)
        require_whole(folder/name)
        if name == 'a.txt': continue
        for garbage in (b'', b'garbage', bytes(1000), b'\x80' if name in ('old.pth',
            'a.csv') else body[:len(body) // 2]):
            (folder/name).write_bytes(garbage)
            with expect_fail(MilanError, contains=f'{name} does not open as'): require_whole(folder/name)
    sorted(_CHECKS)

    np.save(folder/'a.npy', np.zeros(1000))
    require_whole(folder/'a.npy')
    (folder/'a.npy').write_bytes((folder/'a.npy').read_bytes()[:500])
    np.save(folder/'objects.npy', np.array([{}]), allow_pickle=True)
    (folder/'page.safetensors').write_text('<html>')
    (folder/'text.pth').write_bytes(make_zip({'a/data.pkl': b'text'}))
    (folder/'archive.pth').write_bytes(make_zip({'a/readme.txt': b'text'}))
    for name in ('a.npy', 'objects.npy', 'page.safetensors', 'text.pth', 'archive.pth'):
        with expect_fail(MilanError, contains=name): require_whole(folder/name)

    os.mkfifo(folder/'fifo.csv')
    with expect_fail(MilanError, contains='not a file'): require_whole(folder/'fifo.csv')
    remove(folder)


# 01_archives.ipynb, section "Every kind"
def test_every_kind():
    with tempfile.TemporaryDirectory() as place:
        (Path(place)/'a.txt').write_text('text')
        with expect_fail(MilanError, contains='4 bytes, more than the 3'):
            _copy_whole(Path(place)/'a.txt', Path(place), 'b.txt', 3)

    folder = Path(tempfile.mkdtemp())
    (folder/'x.deb').write_bytes(make_deb({'usr/share/rcc/two.rcc': make_rcc({'owl.webp': b'a picture',
        'hoot.ogg': b'a sound' * 9})}))
    (folder/'out').mkdir()
    unpack(folder/'x.deb', folder/'out', dict(unpack='deb', root='usr/share', then='rcc',
                                              inner_members=['*.webp']), 10_000)
    [path.name for path in (folder/'out').rglob('*')]

    test_eq([path.name for path in (folder/'out').rglob('*')], ['owl.webp'])
    with expect_fail(MilanError, contains="holds no ['*']"):
        unpack(folder/'x.deb', folder/'out', dict(unpack='deb', root='etc'), 10_000)
    with expect_fail(MilanError, contains="cannot be unpacked as 'rar'"):
        unpack(folder/'x.deb', folder/'out', dict(unpack='rar'), 10_000)

    (folder/'x.deb').write_bytes((folder/'x.deb').read_bytes()[:400])
    with expect_fail(MilanError, contains='damaged'):
        unpack(folder/'x.deb', folder/'out', dict(unpack='deb'), 10_000)

    whole = make_zip({'a.bin': bytes(range(256))})
    for cut in (0, 20, 200, len(whole) - 10):
        (folder/'x.zip').write_bytes(whole[:cut])
        with expect_fail(MilanError, contains='damaged'):
            unpack(folder/'x.zip', folder/'out', dict(unpack='zip'), 10_000)

    (folder/'x.zip').write_bytes(whole[:60] + b'!' + whole[61:])
    with expect_fail(MilanError, contains='damaged'):
        unpack(folder/'x.zip', folder/'out', dict(unpack='zip'), 10_000)

    (folder/'x.pth').write_bytes(whole[:99])
    with expect_fail(MilanError, contains='incomplete'):
        unpack(folder/'x.pth', folder/'out', dict(unpack='none', file='x.pth'), 10_000)

    (folder/'x.zip').write_bytes(whole)
    unpack(folder/'x.zip', folder/'out', dict(unpack='zip', members=['*.bin']), 10_000)
    assert (folder/'out'/'a.bin').read_bytes() == bytes(range(256))
    remove(folder)


# 01_archives.ipynb, section "Errors"
def test_errors():
    def header(name, size, kind=b'0'):
        "A tar header with any size."
        entry = tarfile.TarInfo(name)
        made = bytearray(entry.tobuf(tarfile.USTAR_FORMAT))
        made[124:136] = size if isinstance(size, bytes) else b'%011o\0' % size
        made[156:157] = kind
        made[148:156] = b'%06o\0 ' % tarfile.calc_chksums(bytes(made))[0]
        return bytes(made)


    def member(name, size, body=b''):
        "An ar archive with one member of any size."
        return b'!<arch>\n' + f'{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{size:<10}`\n'.encode() + body


    below_zero = b'\xff' * 12 # -1, as tar writes numbers that are too large for it
    hostile = {'negative.deb': member('data.tar', -60), 'plus.deb': member('data.tar', '+5'),
               'fraction.deb': member('data.tar', '1e3'), 'underscore.deb': member('data.tar', '1_0'),
               'no size.deb': member('data.tar', ''), 'huge.deb': member('data.tar', 9_999_999_999),
               'cut.deb': member('data.tar', 5000, bytes(512)), 'head.deb': b'!<arch>\n' + b'x' * 60,
               'no data.deb': member('control', 0), 'rar.deb': member('data.tar.rar', 0), 'empty.deb': b'',
               'negative.tar': header('a', below_zero) + bytes(2048),
               'name.tar': header('a', 10**10, b'L') + bytes(2048),
               'pax.tar': header('a', 10**10, b'x') + bytes(2048),
               'negative pax.tar': header('a', below_zero, b'x') + bytes(2048),
               'cut.tar': header('a', 5000) + bytes(512), 'text.tar': b'text', 'empty.tar': b'',
               'zeros.tar': bytes(10240), 'long.tar': header('n' * 99, 10**9) + bytes(512),
               'file and folder.tar': make_tar({'a': b'1', 'a/b': b'2'}), 'newline.tar': make_tar({'a\nb': b'1'}),
               'letters.tar': make_tar({'n' * 300: b'1'}), 'escape.tar': make_tar({'../../a': b'1'}),
               'absolute.tar': make_tar({'/a': b'1'}), 'xz.tar': b'\xfd7zXZ\0' + bytes(99),
               'gz.tar': b'\x1f\x8b\x08' + bytes(99), 'bz2.tar': b'BZh9' + bytes(99),
               'file and folder.zip': make_zip({'a': b'1', 'a/b': b'2'}),
               'cut.zip': make_zip({'a': b'1' * 99})[:60], 'end.zip': b'PK\5\6' + b'\xff' * 18,
               'empty.zip': b'PK\5\6' + bytes(18), 'newline.zip': make_zip({'a\nb': b'1'}),
               'letters.zip': make_zip({'n' * 300: b'1'}), 'method.zip': make_zip({'a': b'1'})
               .replace(b'\x08\0', b'\x63\0'), 'table.zip': make_zip({'table.csv': b'\xff\xfe\0'}),
               'weights.zip': make_zip({'a.pth': b'text'}), 'array.zip': make_zip({'a.npy': b'1'})}
    folder = Path(tempfile.mkdtemp())
    for name, body in hostile.items():
        (folder/name).write_bytes(body)
        (folder/'out').mkdir()
        with expect_fail(MilanError, contains=name if name not in ('table.zip', 'weights.zip',
            'array.zip') else 'does not open as'):
            unpack(folder/name, folder/'out', dict(unpack=name[-3:]), 100_000)
        remove(folder/'out')
    test_eq(sorted(path.name for path in folder.iterdir()), sorted(hostile))
    with expect_fail(MilanError, contains='must be a path below'):
        (folder/'a.txt').write_text('a')
        unpack(folder/'a.txt', folder, dict(unpack='none', file='../a.txt'), 100)

    many = io.BytesIO(make_tar({f'{i}': b'' for i in range(20)}))
    with patch.dict(unpack_tar.__globals__, _MOST_FILES=10), expect_fail(MilanError,
        contains='more than 10 files'):
        unpack_tar(open_tar(many), folder)
    deep = struct.pack('>IHIIQ', 0, 2, 1, 1, 0) + b''.join(struct.pack('>IHIIQ', 0, 2, 1, i + 2,
        0) for i in range(200))
    body = b'qres' + struct.pack('>5I', 3, 24, 0, 24 + len(deep), 0) + deep + struct.pack('>HI', 1000,
        0) + 'n'.encode('utf-16-be') * 1000
    for rcc in (body, b'', b'qres', body[:100], b'qres' + struct.pack('>5I', 9, 0, 0, 0, 0),
                b'qres' + struct.pack('>5I', 3, 2**32 - 1, 2**32 - 1, 2**32 - 1, 0)):
        (folder/'a.rcc').write_bytes(rcc)
        with expect_fail(MilanError, contains='a.rcc is'): list(rcc_files(folder/'a.rcc'))
    remove(folder)
