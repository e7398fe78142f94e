# Generated from nbs/01_data/05_states.ipynb by `make export`. Edit the notebook, not this file.

from milan.data.downloads import downloads_dir
from milan.data.formats import load
from pathlib import Path
import os
from milan.data.states import (
    foreign_file,
    hashes,
    identity,
    obstacle,
    read_stamp,
    stamp_file,
    state,
)

import tempfile

import yaml
from fastcore.test import expect_fail, test_eq

from milan.config import data_dir, models_dir
from milan.files import remove
from milan.testing import forget, user_folder, write_manifest


# 05_states.ipynb, section "Stamps"
def test_stamps():
    os.environ.update(MILAN_DATA_DIR='data', MILAN_MODELS_DIR='models')
    test_eq(str(stamp_file('milan-base')), 'models/.milan/milan-base.json')
    test_eq(str(stamp_file('tuxpaint-stamps')), 'data/tuxpaint-stamps/manifest.json')
    test_eq(read_stamp('milan-base'), None)
    del os.environ['MILAN_DATA_DIR'], os.environ['MILAN_MODELS_DIR']

    test_eq(len(identity(load('milan-base'))), 16)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder)/'a.txt').write_text('an owl')
        found = hashes(Path(folder), Path(folder).iterdir())
    found['sizes']


# 05_states.ipynb, section "States"
def test_states():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder)/'mine.txt').write_text('mine')
        test_eq(foreign_file(Path(folder), {'files': {}}), 'mine.txt')
        test_eq(foreign_file(Path(folder), {'files': {'mine.txt': '0' * 64}}), None)

    folder = user_folder()
    write_manifest(folder, 'tiny', [dict(kind='url', address='https://example.org/t.pth', file='t.pth',
                                         sha256=None, unpack='none')],
                   place='tiny.pth', store='models')
    write_manifest(folder, 'set', [dict(kind='local', file='set.zip', sha256=None, unpack='zip',
                                        holds='annotations.csv')], place='tiny/set')
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

    assert 'is not this asset' in obstacle('milan-base', 'in the way')
