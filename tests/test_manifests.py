# Generated from nbs/01_manifests.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.config import data_dir
from milan.config import file_hash
from milan.config import models_dir
from milan.config import remove
from milan.downloads import downloads_dir
from pathlib import Path
import os
import time
import yaml
from milan.manifests import (
    _stamp_file,
    add,
    fetch,
    folder_of,
    load,
    names,
    recognise,
    state,
    table,
    verify,
)

import io
import tarfile
import tempfile
import threading
import zipfile
from unittest.mock import patch

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


def write_manifest(folder, name, sources, **more):
    "A manifest with one part."
    licence = {'spdx': 'CC0-1.0', 'sentence': 'Made up for a test.'}
    value = dict(title='A test', licence=licence, credit='nobody', homepage='https://example.org',
                 parts=[dict(name='all', at_most=10_000, sources=sources)], **more)
    (folder/'manifests'/f'{name}.yaml').write_text(yaml.safe_dump(value))


# 01_manifests.ipynb, section "The manifests"
def test_the_manifests():
    assert {'tuxpaint-stamps', 'gcompris-photos', 'openclipart', 'emoji', 'efficientnet-lite0', 'milan-base', 'alexnet-places365'} <= set(names())
    [name for name in names() if name.startswith(('milan', 'biggan'))]

    stamps = load('tuxpaint-stamps')
    [(source['kind'], source['file'], source['sha256'] and source['sha256'][:8]) for source in stamps['parts'][0]['sources']]

    published = load('milannotations-alexnet-places365')
    print(published['licence']['spdx'], published['licence']['sentence'], sep=': ')
    published['place'], [(source['kind'], source.get('address'), source['sha256']) for source in published['parts'][0]['sources']]

    owners = {}
    for name in names():
        manifest = load(name)
        assert set(manifest['licence']) == {'spdx', 'sentence'} and manifest['homepage'].startswith('http')
        for part in manifest['parts']:
            assert part['at_most'] >= 10**6 and {'file', 'size'} <= set(part['sources'][0])
            for source in part['sources']:
                test_eq(owners.setdefault(source['file'], name), name)
                assert source['kind'] != 'url' or source['address'].startswith(('https://', 'http://milan.csail.mit.edu/', 'http://dissect.csail.mit.edu/'))
    with expect_fail(MilanError, contains='there are:'): load('a')
    with expect_fail(MilanError, contains='did you mean milan-base'): load('milan-bas')
    len(owners)

    folder = user_folder()
    (folder/'manifests'/'broken.yaml').write_text('title: No licence')
    with expect_fail(MilanError, contains="lacks 'licence'"): load('broken')
    write_manifest(folder, 'nowhere', [dict(kind='url', file='x', sha256=None, unpack='none')])
    with expect_fail(MilanError, contains='a url its address'): load('nowhere')
    write_manifest(folder, 'outside', [], place='../../.ssh')
    with expect_fail(MilanError, contains='must be a path below'): load('outside')
    forget(folder)


# 01_manifests.ipynb, section "Where an asset belongs"
def test_where_an_asset_belongs():
    os.environ.update(MILAN_DATA_DIR='data', MILAN_MODELS_DIR='models')
    places = [str(folder_of(name)) for name in ('milannotations-alexnet-places365', 'milan-base', 'resnet18-imagenet-blurred', 'tuxpaint-stamps')]
    places

    test_eq(places, ['data/alexnet/places365', 'models/milan-base.pth', 'models/resnet18-imagenet-blurred.pth', 'data/tuxpaint-stamps'])
    test_eq(str(_stamp_file('milan-base')), 'models/.milan/milan-base.json')
    test_eq(str(_stamp_file('tuxpaint-stamps')), 'data/tuxpaint-stamps/manifest.json')
    del os.environ['MILAN_DATA_DIR'], os.environ['MILAN_MODELS_DIR']


# 01_manifests.ipynb, section "States"
def test_states():
    folder = user_folder()
    write_manifest(folder, 'tiny', [dict(kind='url', address='https://example.org/t.pth', file='t.pth', sha256=None, unpack='none')],
                   place='tiny.pth', store='models')
    write_manifest(folder, 'set', [dict(kind='local', file='set.zip', sha256=None, unpack='zip', holds='annotations.csv')], place='tiny/set')
    seen = [state('tiny')]
    downloads_dir().mkdir(parents=True)
    (downloads_dir()/'t.pth.partial').write_bytes(b'0' * 43)
    (downloads_dir()/'t.pth.partial.json').write_text('{"total": 100}')
    seen.append(state('tiny'))
    models_dir().mkdir()
    (models_dir()/'tiny.pth').write_text('mine')
    seen.append(state('tiny'))
    seen

    test_eq(seen, ['absent', 'partial 43 %', 'yours'])
    (data_dir()/'tiny'/'set').mkdir(parents=True)
    test_eq(state('set'), 'absent')
    (data_dir()/'tiny'/'set'/'conv1').mkdir()
    test_eq(state('set'), 'in the way')
    (data_dir()/'tiny'/'set'/'annotations.csv').write_text('layer,unit,summary\n')
    test_eq(state('set'), 'yours')
    forget(folder)


# 01_manifests.ipynb, section "Fetching"
def test_fetching():
    folder = user_folder()
    make_tar(folder/'owls.tar.xz', {'usr/share/owl.txt': b'An owl.'})
    source = dict(kind='local', file='owls.tar.xz', unpack='tar', root='usr/share', sha256=file_hash(folder/'owls.tar.xz'))
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
    write_manifest(folder, 'wrong', [wrong, dict(source, file='elsewhere.deb'), dict(source, file='page.tar.xz', sha256=None),
                                     dict(source, kind='url', address='https://example.org/owls.zip', file='owls.zip')])
    with expect_fail(MilanError, contains='IMAGES=shapes'): fetch('wrong', quiet=True, given=[folder], offline=True)
    try: fetch('wrong', quiet=True, given=[folder], offline=True)
    except MilanError as error: message = str(error)
    print(message.replace(str(folder), '…'))

    assert all(said in message for said in ('owls.tar.xz has the sha256', 'elsewhere.deb: not in', 'not a file (Moved)', 'no connection was attempted',
                                            'milan data add', '--mirror', 'without --offline'))
    assert not (folder/'data'/'wrong').exists() and not list((folder/'data'/'.milan').glob('*.work'))
    write_manifest(folder, 'huge', [dict(source, size=10**18)])
    with expect_fail(MilanError, contains='no space'): fetch('huge', quiet=True)
    assert not (folder/'data'/'huge').exists()
    forget(folder)


# 01_manifests.ipynb, section "At its place"
def test_at_its_place():
    folder = user_folder()
    make_zip(folder/'alexnet-tiny.zip', {'tiny/annotations.csv': b'layer,unit,summary\n', 'tiny/conv1/masks.npy': b'1', 'tiny/readme.html': b''})
    (folder/'captioner.pth').write_bytes(b'weights')
    write_manifest(folder, 'annotated', [dict(kind='local', file='alexnet-tiny.zip', sha256=None, unpack='zip', holds='annotations.csv',
                                              members=['*.csv', '*.npy'])], place='alexnet/tiny')
    write_manifest(folder, 'captioner', [dict(kind='local', file='captioner.pth', sha256=None, unpack='none')], place='milan-tiny.pth', store='models')
    found = [fetch(name, quiet=True, given=[folder]) for name in ('annotated', 'captioner')]
    print(found[1].read_bytes(), state('captioner'))
    sorted(str(path.relative_to(found[0])) for path in found[0].rglob('*'))

    test_eq(found, [folder/'data'/'alexnet'/'tiny', folder/'models'/'milan-tiny.pth'])
    test_eq(sorted(path.name for path in (folder/'models').iterdir()), ['.milan', 'milan-tiny.pth'])
    (found[0]/'conv1'/'images.npy').write_text('added later, by the user')
    test_eq(state('annotated'), 'ready')
    (found[0]/'conv1'/'masks.npy').unlink()
    test_eq(state('annotated'), 'changed')
    with expect_fail(MilanError, contains='conv1/masks.npy in'): fetch('annotated')
    remove(_stamp_file('annotated'))
    test_eq((state('annotated'), fetch('annotated')), ('yours', found[0]))

    remove(folder/'models')
    (folder/'models').mkdir()
    (folder/'models'/'milan-tiny.pth').write_bytes(b'weights')
    test_eq((state('captioner'), fetch('captioner')), ('yours', found[1]))
    (folder/'models'/'milan-tiny.pth').write_bytes(b'other weights') # the lock file has the hash of the first
    with expect_fail(MilanError, contains='if you trust the new one'): fetch('captioner')
    remove(folder/'data'/'milan-lock.json')
    test_eq((fetch('captioner'), state('captioner')), (found[1], 'yours'))
    (folder/'models'/'milan-tiny.pth').write_text('<html><title>Sign in</title>')
    with expect_fail(MilanError, contains='a web page, not a file (Sign in)'): fetch('captioner')
    forget(folder)


# 01_manifests.ipynb, section "Two at once"
def test_two_at_once():
    folder = user_folder()
    write_manifest(folder, 'slow', [dict(kind='local', file='slow.pth', sha256=None, unpack='none')], place='slow.pth', store='models')
    calls = []
    def slowly(source, scratch, terms):
        "Takes its time."
        calls.append(1)
        time.sleep(.2)
        (scratch/'slow.pth').write_bytes(b'weights')
        return scratch/'slow.pth'

    with patch.dict(fetch.__globals__['_WAYS'], local=slowly):
        crowd = [threading.Thread(target=fetch, args=['slow', True]) for _ in range(5)]
        for one in crowd: one.start()
        for one in crowd: one.join()
    test_eq(state('slow'), 'ready')
    forget(folder)
    len(calls)

    test_eq(len(calls), 1)


# 01_manifests.ipynb, section "Files by hand"
def test_files_by_hand():
    folder = user_folder()
    write_manifest(folder, 'captioner', [dict(kind='url', address='https://example.org/milan-tiny-5f.pth', file='milan-tiny-5f.pth', sha256=None, unpack='none')],
                   place='milan-tiny.pth', store='models')
    write_manifest(folder, 'hashed', [dict(kind='drive', id='1Bm', file='x.pth', sha256='ab' * 32, unpack='none')], place='hashed.pth', store='models')
    (folder/'milan-tiny-5f (1).pth').write_bytes(b'weights')
    recognise(folder/'milan-tiny-5f (1).pth')

    test_eq(recognise(folder/'milan-tiny-5f (1).pth'), ('captioner', 'milan-tiny-5f.pth'))
    test_eq(add([folder/'milan-tiny-5f (1).pth'], quiet=True), {'captioner': folder/'models'/'milan-tiny.pth'})
    test_eq((folder/'models'/'milan-tiny.pth').read_bytes(), b'weights')
    (folder/'renamed').write_bytes(b'weights') # its hash was noted a moment ago
    test_eq(recognise(folder/'renamed')[0], 'captioner')
    add([folder/'renamed'], quiet=True)
    remove(folder/'models')
    (folder/'x.pth').write_bytes(b'not what the manifest says')
    with expect_fail(MilanError, contains='x.pth has the sha256'): add([folder/'x.pth'], quiet=True)
    assert not (folder/'models'/'hashed.pth').exists()
    (folder/'y.pth').write_bytes(b'y')
    with expect_fail(MilanError, contains='belongs to no asset'): add([folder/'y.pth'])
    (folder/'milan-tony.pth').write_bytes(b'y')
    with expect_fail(MilanError, contains='milan-tiny.pth'): add([folder/'milan-tony.pth'])
    with expect_fail(MilanError, contains='is not a file'): add([folder])
    forget(folder)


# 01_manifests.ipynb, section "Verifying"
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
    write_manifest(folder, 'nests', [dict(kind='local', file='nests.zip', unpack='zip', sha256=None, holds='nest.txt')], place='my/nests')
    write_manifest(folder, 'weights', [dict(kind='local', file='w.pth', unpack='none', sha256=None)], place='weights.pth', store='models')
    (folder/'models').mkdir()
    for path in (folder/'data'/'my'/'nests'/'nest.txt', folder/'models'/'weights.pth'):
        name = 'nests' if path.suffix == '.txt' else 'weights'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('mine')
        test_eq([verify(name), verify(name), state(name)], [1, 1, 'yours'])
        path.write_text('mind')
        with expect_fail(MilanError, contains=path.name): verify(name)
    forget(folder)


# 01_manifests.ipynb, section "The list"
def test_the_list():
    table().groupby('licence')[['name']].agg(list)

    seen = table().set_index('name')
    test_eq(list(seen.index), names())
    test_eq(seen.megabytes['tuxpaint-stamps'], 161)
    seen.loc[['efficientnet-lite0', 'milan-base', 'milannotations-alexnet-places365', 'resnet18-imagenet-blurred', 'tuxpaint-stamps'], ['megabytes', 'title']]

    folder = user_folder()
    del os.environ['MILAN_MANIFESTS_DIR']
    path = fetch('efficientnet-lite0', quiet=True, offline=True)
    test_eq(path.parent, folder/'models'/'efficientnet-lite0')
    forget(folder)
    path.name
