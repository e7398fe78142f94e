# Generated from nbs/01_data/06_manifests.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.data.downloads import downloads_dir
from milan.data.formats import names
from milan.data.states import state
from milan.files import file_hash
from milan.files import read_lock
from milan.files import remove
import os
import time
from milan.data.manifests import (
    add,
    fetch,
    recognise,
    table,
    verify,
)

import io
import pickle
import tarfile
import threading
import zipfile
from unittest.mock import patch

import numpy as np
import yaml
from fastcore.test import expect_fail, test_eq

from milan.data.states import stamp_file
from milan.files import lock_file
from milan.testing import forget, Site, user_folder, write_manifest


def make_tar(path, files):
    "A tar archive with `files`: name → bytes."
    with tarfile.open(path, 'w:xz') as archive:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))


def make_zip(path, files):
    "A zip archive with `files`: name → bytes."
    with zipfile.ZipFile(path, 'w') as archive:
        for name, body in files.items(): archive.writestr(name, body)


def weights(value=0):
    "The bytes of a weights file, as `torch.save` writes it."
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        # the same bytes at every call: an entry without a time of its own
        archive.writestr(zipfile.ZipInfo('weights/data.pkl'), pickle.dumps({'weight': value}))
    return out.getvalue()


# 06_manifests.ipynb, section "Fetching"
def test_fetching():
    folder = user_folder()
    make_tar(folder/'owls.tar.xz', {'usr/share/owl.txt': b'An owl.'})
    source = dict(kind='local', file='owls.tar.xz', unpack='tar', root='usr/share',
                  sha256=file_hash(folder/'owls.tar.xz'))
    write_manifest(folder, 'owls', [dict(source, kind='apt', package='no-such-package-here'), source])
    test_eq(state('owls'), 'absent')
    place = fetch('owls', quiet=True, given=[folder])
    sorted(path.name for path in place.iterdir())

    test_eq(state('owls'), 'ready')
    test_eq(place, folder/'data'/'owls')
    test_eq((place/'owl.txt').read_text(), 'An owl.')

    before = (place/'manifest.json').stat().st_mtime_ns
    fetch('owls')
    test_eq((place/'manifest.json').stat().st_mtime_ns, before)
    test_eq(sorted(path.name for path in (folder/'data').iterdir()), ['.milan', 'owls'])

    write_manifest(folder, 'owls', [source]) # a newer manifest replaces what an older one fetched
    test_eq(state('owls'), 'outdated')

    fetch('owls', quiet=True, given=[folder])
    test_eq(state('owls'), 'ready')

    remove(place/'manifest.json')
    with expect_fail(MilanError, contains='nothing of yours is overwritten'): fetch('owls', given=[folder])
    test_eq((place/'owl.txt').read_text(), 'An owl.')

    wrong = dict(source, sha256='0' * 64)
    (folder/'page.tar.xz').write_text('<!DOCTYPE html><title>Moved</title>')
    write_manifest(folder, 'wrong', [wrong, dict(source, file='elsewhere.deb'), dict(source,
        file='page.tar.xz', sha256=None),
                                     dict(source, kind='url', address='https://example.org/owls.zip',
                                          file='owls.zip')])
    with expect_fail(MilanError, contains='IMAGES=shapes'):
        fetch('wrong', quiet=True, given=[folder], offline=True)
    try: fetch('wrong', quiet=True, given=[folder], offline=True)
    except MilanError as error: message = str(error)
    print(message.replace(str(folder), '…'))

    assert all(said in message for said in ('owls.tar.xz has the sha256', 'elsewhere.deb: not in',
                                            'not a file (Moved)', 'no connection was attempted',
                                            'milan data add', '--mirror', 'without --offline'))
    assert not (folder/'data'/'wrong').exists() and not list((folder/'data'/'.milan').glob('*.work'))
    write_manifest(folder, 'huge', [dict(source, size=10**18)])
    with expect_fail(MilanError, contains='no space'): fetch('huge', quiet=True)
    assert not (folder/'data'/'huge').exists()
    forget(folder)


# 06_manifests.ipynb, section "Published assets"
def test_published_assets():
    folder = user_folder()
    np.save(folder/'masks.npy', np.zeros(3))
    make_zip(folder/'alexnet-tiny.zip', {'tiny/annotations.csv': b'layer,unit,summary\n',
                                         'tiny/conv1/masks.npy': (folder/'masks.npy').read_bytes(),
                                         'tiny/readme.html': b''})
    (folder/'captioner.pth').write_bytes(weights())
    write_manifest(folder, 'annotated', [dict(kind='local', file='alexnet-tiny.zip', sha256=None,
                                              unpack='zip', holds='annotations.csv',
                                              members=['*.csv', '*.npy'])], place='alexnet/tiny')
    write_manifest(folder, 'captioner', [dict(kind='local', file='captioner.pth', sha256=None,
                                              unpack='none')], place='milan-tiny.pth', store='models')
    found = [fetch(name, quiet=True, given=[folder]) for name in ('annotated', 'captioner')]
    print(len(found[1].read_bytes()), state('captioner'))
    sorted(str(path.relative_to(found[0])) for path in found[0].rglob('*'))

    test_eq(found, [folder/'data'/'alexnet'/'tiny', folder/'models'/'milan-tiny.pth'])
    test_eq(sorted(path.name for path in (folder/'models').iterdir()), ['.milan', 'milan-tiny.pth'])
    (found[0]/'conv1'/'images.npy').write_text('added later, by the user')
    test_eq(state('annotated'), 'ready')
    (found[0]/'conv1'/'masks.npy').unlink()
    test_eq(state('annotated'), 'changed')
    with expect_fail(MilanError, contains='conv1/masks.npy in'): fetch('annotated')
    remove(stamp_file('annotated'))
    test_eq((state('annotated'), fetch('annotated')), ('yours', found[0]))

    remove(folder/'models')
    (folder/'models').mkdir()
    (folder/'models'/'milan-tiny.pth').write_bytes(weights())
    test_eq((state('captioner'), fetch('captioner')), ('yours', found[1]))
    (folder/'models'/'milan-tiny.pth').write_bytes(weights(1)) # the lock file has the hash of the first
    with expect_fail(MilanError, contains='if you trust the new one'): fetch('captioner')
    remove(folder/'data'/'milan-lock.json')
    test_eq((fetch('captioner'), state('captioner')), (found[1], 'yours'))
    (folder/'models'/'milan-tiny.pth').write_text('<html><title>Sign in</title>')
    with expect_fail(MilanError, contains='a web page, not a file (Sign in)'): fetch('captioner')
    forget(folder)


# 06_manifests.ipynb, section "Two at once"
def test_two_at_once():
    folder = user_folder()
    write_manifest(folder, 'slow', [dict(kind='local', file='slow.pth', sha256=None, unpack='none')],
                   place='slow.pth', store='models')
    calls = []
    def slowly(source, scratch, options):
        "A slow source."
        calls.append(1)
        time.sleep(.2)
        (scratch/'slow.pth').write_bytes(weights())
        return scratch/'slow.pth'

    with patch.dict(fetch.__globals__, get_file=slowly):
        crowd = [threading.Thread(target=fetch, args=['slow', True]) for _ in range(5)]
        for one in crowd: one.start()
        for one in crowd: one.join()
    test_eq(state('slow'), 'ready')
    forget(folder)
    len(calls)

    test_eq(len(calls), 1)


# 06_manifests.ipynb, section "Files by hand"
def test_files_by_hand():
    folder = user_folder()
    write_manifest(folder, 'captioner', [dict(kind='url', address='https://example.org/milan-tiny-5f.pth',
                                              file='milan-tiny-5f.pth', sha256=None, unpack='none')],
                   place='milan-tiny.pth', store='models')
    write_manifest(folder, 'hashed', [dict(kind='drive', id='1Bm', file='x.pth', sha256='ab' * 32,
                                           unpack='none')], place='hashed.pth', store='models')
    (folder/'milan-tiny-5f (1).pth').write_bytes(weights())
    recognise(folder/'milan-tiny-5f (1).pth')

    test_eq(recognise(folder/'milan-tiny-5f (1).pth'), ('captioner', 'milan-tiny-5f.pth'))
    test_eq(add([folder/'milan-tiny-5f (1).pth'], quiet=True),
            {'captioner': folder/'models'/'milan-tiny.pth'})
    test_eq((folder/'models'/'milan-tiny.pth').read_bytes(), weights())

    (folder/'renamed').write_bytes(weights()) # its hash is in the lock file
    test_eq(recognise(folder/'renamed')[0], 'captioner')

    add([folder/'renamed'], quiet=True)
    remove(folder/'models')
    before = read_lock()
    # neither pinned nor put anywhere
    for garbage in (b'', b'garbage', b'<html><title>Sign in</title>', weights()[:-10], bytes(1000)):
        remove(lock_file())
        (folder/'milan-tiny-5f.pth').write_bytes(garbage)
        with expect_fail(MilanError, contains='milan-tiny-5f.pth'):
            add([folder/'milan-tiny-5f.pth'], quiet=True)
        test_eq((read_lock(), (folder/'models'/'milan-tiny.pth').exists(),
                 (folder/'milan-tiny-5f.pth').read_bytes()), ({}, False, garbage))
        (folder/'models').mkdir(exist_ok=True)
        (folder/'models'/'milan-tiny.pth').write_bytes(garbage) # the same, put there by hand
        with expect_fail(MilanError): fetch('captioner')
        test_eq((read_lock(), (folder/'models'/'milan-tiny.pth').read_bytes()), ({}, garbage))
        (folder/'models'/'milan-tiny.pth').unlink()

    (folder/'milan-tiny-5f.pth').write_bytes(weights())
    add([folder/'milan-tiny-5f.pth'], quiet=True)
    test_eq(list(read_lock()), list(before))

    (folder/'x.pth').write_bytes(b'not what the manifest says')
    with expect_fail(MilanError, contains='x.pth has the sha256'): add([folder/'x.pth'], quiet=True)
    assert not (folder/'models'/'hashed.pth').exists()

    (folder/'y.pth').write_bytes(b'y')
    with expect_fail(MilanError, contains='belongs to no asset'): add([folder/'y.pth'])

    (folder/'milan-tony.pth').write_bytes(b'y')
    with expect_fail(MilanError, contains='milan-tiny.pth'): add([folder/'milan-tony.pth'])
    with expect_fail(MilanError, contains='is not a file'): add([folder])
    forget(folder)


# 06_manifests.ipynb, section "Verifying"
def test_verifying():
    folder = user_folder()
    make_zip(folder/'owls.zip', {'owl.txt': b'An owl.', 'nest.txt': b'A nest.'})
    write_manifest(folder, 'owls', [dict(kind='local', file='owls.zip', unpack='zip', sha256=None)])
    with expect_fail(MilanError, contains='milan data fetch owls'): verify('owls')
    place = fetch('owls', quiet=True, given=[folder/'owls.zip'])
    verify('owls')

    test_eq(verify('owls'), 2)

    (place/'owl.txt').write_text('A cuckoo.')
    with expect_fail(MilanError, contains='owl.txt'): verify('owls')

    write_manifest(folder, 'nests', [dict(kind='local', file='nests.zip', unpack='zip', sha256=None,
                                          holds='nest.txt')], place='my/nests')
    write_manifest(folder, 'weights', [dict(kind='local', file='w.pth', unpack='none', sha256=None)],
                   place='weights.pth', store='models')
    (folder/'models').mkdir()
    for path in (folder/'data'/'my'/'nests'/'nest.txt', folder/'models'/'weights.pth'):
        name = 'nests' if path.suffix == '.txt' else 'weights'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(weights())
        test_eq([verify(name), verify(name), state(name)], [1, 1, 'yours'])
        path.write_bytes(weights(1))
        with expect_fail(MilanError, contains=path.name): verify(name)
    forget(folder)


# 06_manifests.ipynb, section "The list"
def test_the_list():
    table().groupby('licence')[['name']].agg(list)

    seen = table().set_index('name')
    test_eq(list(seen.index), names())
    test_eq(seen.megabytes['tuxpaint-stamps'], 161)
    seen.loc[['efficientnet-lite0', 'milan-base', 'milannotations-alexnet-places365',
              'resnet18-imagenet-blurred', 'tuxpaint-stamps'], ['megabytes', 'title']]

    folder = user_folder()
    del os.environ['MILAN_MANIFESTS_DIR']
    path = fetch('efficientnet-lite0', quiet=True, offline=True)
    test_eq(path.parent, folder/'models'/'efficientnet-lite0')
    forget(folder)
    path.name


# 06_manifests.ipynb, section "Errors"
def test_errors():
    folder = user_folder()

    # a server that announces no size: the limit of the part holds, or the larger one of the source
    make_tar(folder/'big.tar.xz', {'a.txt': os.urandom(5000)})
    body = (folder/'big.tar.xz').read_bytes()
    with Site({'/big.tar.xz': body, '/odd.zip': b'no zip'}, length=False) as site:
        big = dict(kind='url', address=f'{site.address}/big.tar.xz', file='big.tar.xz', sha256=None,
                   unpack='tar')
        write_manifest(folder, 'big', [big])
        for at_most in (4000, None):
            value = yaml.safe_load((folder/'manifests'/'big.yaml').read_text())
            value['parts'][0]['sources'][0] |= {'at_most': at_most} if at_most else {}
            (folder/'manifests'/'big.yaml').write_text(yaml.safe_dump(value))
            os.utime(folder/'manifests'/'big.yaml', ns=(at_most or 1, at_most or 1))
            if at_most:
                with expect_fail(MilanError, contains='more than the 4,000 bytes'): fetch('big', quiet=True)
                test_eq((read_lock(), list(downloads_dir().iterdir()), state('big')), ({}, [], 'absent'))
        write_manifest(folder, 'big', [big])
        os.utime(folder/'manifests'/'big.yaml', ns=(7, 7))
        fetch('big', quiet=True)
        write_manifest(folder, 'odd', [dict(big, address=f'{site.address}/odd.zip', file='odd.zip',
                                            unpack='zip')])
        with expect_fail(MilanError, contains='odd.zip is damaged or incomplete'): fetch('odd', quiet=True)
    test_eq((list(read_lock()), state('odd')), (['big/big.tar.xz'], 'absent'))

    # a newer manifest replaces what an older one fetched, but nothing that the user has put beside it or
    # changed
    for own, body in (('mine.txt', 'mine'), ('a.txt', 'changed')):
        kept = (folder/'data'/'big'/'a.txt').read_bytes()
        (folder/'data'/'big'/own).write_text(body)
        test_eq(state('big'), 'ready')
        write_manifest(folder, 'big', [dict(big, sha256='ab' * 32)])
        os.utime(folder/'manifests'/'big.yaml', ns=(8, 8))
        test_eq(state('big'), 'changed')
        with expect_fail(MilanError, contains=f'{own} in'): fetch('big', quiet=True)
        test_eq((folder/'data'/'big'/own).read_text(), body)
        write_manifest(folder, 'big', [big])
        os.utime(folder/'manifests'/'big.yaml', ns=(7, 7))
        (folder/'data'/'big'/own).unlink()
        (folder/'data'/'big'/'a.txt').write_bytes(kept)
    for stamp in (b'', b'[]', b'null', b'{}', b'{"files": []}', b'{"files": {"../x": "' + b'ab' * 32 + b'"}}',
                  b'{"files": {}, "sizes": {"a": "9"}}', b'{"files": {}, "seen": 3}', b'[' * 100_000, b'\xff',
                  b'{"files": NaN}'):
        (folder/'data'/'big'/'manifest.json').write_bytes(stamp)
        test_eq(state('big'), 'in the way')
        for act in (fetch, verify):
            with expect_fail(MilanError, contains='big'): act('big')
    remove(folder/'data'/'big')
    for name in ('x' * 300, 'a\0b', '', '/dev/null'):
        with expect_fail(MilanError, contains='is not a file'): add([name])
    (folder/'data'/'big').symlink_to(folder/'disk that is away')
    with expect_fail(MilanError, contains='nothing of yours is overwritten'):
        fetch('big', quiet=True, given=[folder])
    test_eq(os.readlink(folder/'data'/'big'), str(folder/'disk that is away'))
    (folder/'disk that is away').mkdir() # it is back, and empty
    fetch('big', quiet=True, given=[folder])
    test_eq(((folder/'data'/'big').is_symlink(),
             sorted(path.name for path in (folder/'disk that is away').iterdir())),
            (True, ['a.txt', 'manifest.json']))
    write_manifest(folder, 'weights', [dict(kind='local', file='w.pth', unpack='none', sha256=None)],
                   place='weights.pth', store='models')
    # longer than a name may be
    with patch.dict(os.environ, MILAN_DATA_DIR='x' * 300, MILAN_MODELS_DIR='x' * 300):
        test_eq([state(name) for name in ('big', 'weights')], ['absent', 'absent'])
    (folder/'data'/'one').write_text('mine')
    write_manifest(folder, 'below', [big], place='one/two')
    with expect_fail(MilanError, contains='one is a file; move it away'):
        fetch('below', quiet=True, given=[folder])
    test_eq((folder/'data'/'one').read_text(), 'mine')
    forget(folder)
