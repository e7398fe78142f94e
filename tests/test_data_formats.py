# Generated from nbs/01_data/04_formats.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pydantic import ValidationError
import os
import yaml
from milan.data.formats import (
    _Loader,
    folder_of,
    is_file,
    load,
    Manifest,
    manifests_dir,
    names,
    Source,
)

import tempfile

from fastcore.test import expect_fail, test_eq

from milan.files import remove
from milan.testing import forget, user_folder, write_manifest


# 04_formats.ipynb, section "The folder of manifests"
def test_the_folder_of_manifests():
    test_eq(manifests_dir().name, 'data_manifests')

    assert {'tuxpaint-stamps', 'gcompris-photos', 'openclipart', 'emoji', 'efficientnet-lite0', 'milan-base',
            'alexnet-places365'} <= set(names())
    [name for name in names() if name.startswith(('milan', 'biggan'))]


# 04_formats.ipynb, section "The format"
def test_the_format():
    Manifest.model_json_schema()['required'], sorted(Source.model_fields)

    source = dict(file='x.pth', sha256='ab' * 32, unpack='none')
    Source(kind='hf', address='hf:user/name/x.pth@v1', **source).address

    wrong = (('url', 'hf:user/name/x.pth'), ('hf', 'https://example.org/x.pth'), ('hf', 'hf:user/name'))
    for kind, address in wrong:
        with expect_fail(ValidationError, contains='address'): Source(kind=kind, address=address, **source)

    with expect_fail(yaml.YAMLError, contains='a duplicate field'):
        yaml.load('{<<: {a: 1}, title: x, title: y}', _Loader)

    load('tuxpaint-stamps')['title']

    stamps = load('tuxpaint-stamps')
    [(source['kind'], source['file'],
      source['sha256'] and source['sha256'][:8]) for source in stamps['parts'][0]['sources']]

    published = load('milannotations-alexnet-places365')
    print(published['licence']['spdx'], published['licence']['sentence'], sep=': ')
    published['place'], [(source['kind'], source.get('address'),
                          source['sha256']) for source in published['parts'][0]['sources']]

    owners = {}
    for name in names():
        manifest = load(name)
        assert set(manifest['licence']) == {'spdx', 'sentence'} and manifest['homepage'].startswith('http')
        for part in manifest['parts']:
            assert part['at_most'] >= 10**6 and {'file', 'size'} <= set(part['sources'][0])
            for source in part['sources']:
                test_eq(owners.setdefault(source['file'], name), name)
                assert source['kind'] != 'url' or source['address'].startswith(('https://',
                    'http://milan.csail.mit.edu/', 'http://dissect.csail.mit.edu/'))
    with expect_fail(MilanError, contains='there are:'): load('a')
    with expect_fail(MilanError, contains='did you mean milan-base'): load('milan-bas')
    len(owners)

    folder = user_folder()
    (folder/'manifests'/'broken.yaml').write_text('title: No licence')
    with expect_fail(MilanError, contains='licence: Field required'): load('broken')
    write_manifest(folder, 'nowhere', [dict(kind='url', file='x', sha256=None, unpack='none')])
    with expect_fail(MilanError, contains='a source of kind url needs address'): load('nowhere')
    write_manifest(folder, 'outside', [dict(kind='local', file='x', sha256=None, unpack='none')],
                   place='../../.ssh')
    with expect_fail(MilanError, contains='must be a path below'): load('outside')
    forget(folder)


# 04_formats.ipynb, section "Places"
def test_places():
    os.environ.update(MILAN_DATA_DIR='data', MILAN_MODELS_DIR='models')
    places = [str(folder_of(name)) for name in ('milannotations-alexnet-places365', 'milan-base',
                                                'resnet18-imagenet-blurred', 'tuxpaint-stamps')]
    places

    test_eq(places, ['data/alexnet/places365', 'models/milan-base.pth',
                     'models/resnet18-imagenet-blurred.pth',
                     'data/tuxpaint-stamps'])
    test_eq([is_file(load(name)) for name in ('milan-base', 'tuxpaint-stamps')], [True, False])
    del os.environ['MILAN_DATA_DIR'], os.environ['MILAN_MODELS_DIR']


# 04_formats.ipynb, section "Errors"
def test_errors():
    def changed(**fields):
        "A good manifest, with some fields changed: e.g. parts__0__name; ... removes one."
        source = dict(kind='local', file='x.zip', sha256=None, unpack='zip')
        value = dict(title='A test', licence=dict(spdx='CC0-1.0', sentence='Made up.'), credit='nobody',
                     homepage='https://example.org',
                     parts=[dict(name='all', at_most=10_000, sources=[source])])
        for field, new in fields.items():
            *inner, last = field.split('__')
            where = value
            for step in inner: where = where[int(step) if step.isdigit() else step]
            where.update({last: new}) if new is not ... else where.pop(last)
        return value


    source = 'parts__0__sources__0__'
    wrong = [dict(title=None), dict(title=''), dict(title=3), dict(title=...), dict(title=['a']),
             dict(licence='MIT'), dict(licence={}), dict(licence={'spdx': 1, 'sentence': 'x'}),
             dict(licence={'spdx': 'x', 'sentence': 'x', 'more': 1}), dict(credit={}),
             dict(homepage='nowhere'), dict(homepage='javascript:alert(1)'), dict(homepage='http://['),
             dict(colour='red'), dict(parts=[]), dict(parts={}), dict(parts=None), dict(parts='all'),
             dict(parts=[3]), dict(parts=[{}]), dict(store='/tmp'), dict(store=1),
             dict(place='/tmp/x'), dict(place='../x'), dict(place='a/../../x'), dict(place='.milan/x'),
             dict(place='a\0b'), dict(place='a\nb'), dict(place='C:x'), dict(place='a\\b'), dict(place=''),
             dict(place='a//b/.ssh'), dict(place=3), dict(place='a' * 300), dict(place='a/' * 9 + '..'),
             dict(result='../../x'), dict(result='/x'), dict(instead=[]),
             dict(parts__0__name='../x'), dict(parts__0__name='/x'), dict(parts__0__name='a/b'),
             dict(parts__0__name='.'), dict(parts__0__name='..'), dict(parts__0__name=''),
             dict(parts__0__name=1),
             dict(parts__0__at_most=0), dict(parts__0__at_most=-1), dict(parts__0__at_most='9'),
             dict(parts__0__at_most=True), dict(parts__0__at_most=1.5), dict(parts__0__at_most=float('inf')),
             dict(parts__0__at_most=float('nan')), dict(parts__0__at_most=10**30),
             dict(parts__0__at_most=...), dict(parts__0__sources=[]), dict(parts__0__sources={}),
             dict(parts__0__size=3),
             *[{source + field: value} for field, values in dict(
                 kind=['ftp', None, 3, [], ...], file=['../x.zip', '/etc/passwd', 'a/b.zip', '..', '', '.x',
                                                       3, None, 'a\nb', 'x' * 300, ...],
                                                           sha256=['short', 3, [], 'AB' * 32,
                                                               'ab' * 32 + '\n', ...],
                 unpack=['rar', None, 3, ...], size=[0, -5, '9', 1.5, True, 10**30], root=['/x', '../x', 3],
                     members=['*', [3], {}, None], holds=[3, '', []], then=['os.system', 3],
                 first_bytes=[0, -1, 'all'], inner_root=['../x'], inner_members=[None], member=['../x'],
                     address=['ftp://x', 'file:///etc/passwd', 3], id=['a b', '../x', '&x=1'],
                 package=['-o=x', 'a b', '../x', 3], version=['-1', 3, 1.0], uppack=['zip'], sha265=[None],
                     at_most=[0, 'x']).items() for value in values]]
    folder = user_folder()
    for number, fields in enumerate(wrong):
        (folder/'manifests'/'bad.yaml').write_text(yaml.safe_dump(changed(**fields)))
        os.utime(folder/'manifests'/'bad.yaml', ns=(number, number))
        with expect_fail(MilanError, contains='bad.yaml is not'): load('bad')
    for kind, lacking in (('url', 'address'), ('drive', 'id'), ('apt', 'package'),
                          ('package', 'distribution, member, package')):
        (folder/'manifests'/f'{kind}.yaml').write_text(yaml.safe_dump(changed(**{source + 'kind': kind})))
        with expect_fail(MilanError, contains=f'needs {lacking}'): load(kind)
    (folder/'manifests'/'good.yaml').write_text(yaml.safe_dump(changed()))
    load('good')
    (folder/'manifests'/'twice.yaml').write_text(yaml.safe_dump(dict(changed(),
        parts=changed()['parts'] * 2)))
    with expect_fail(MilanError, contains='two parts'): load('twice')
    len(wrong)

    bomb = 'a: &a [x, x, x, x, x, x, x, x, x]\n' + ''.join(
        f'{new}: &{new} [{", ".join(["*" + old] * 9)}]\n' for old, new in zip('abcdefghijkl',
                                                                             'bcdefghijklm', strict=True))
    merges = 'a: &a {k: v}\n' + ''.join(f'{new}: &{new} {{<<: [{", ".join(["*" + old] * 9)}]}}\n' for old,
                                        new in zip('abcdefghijkl',
                                                                             'bcdefghijklm', strict=True))
    titles = 'title: &a [x, x]\n' + ''.join(f'{new}: &{new} [*{old}, *{old}]\n' for old,
                                            new in zip(['a'] + [f'a{i}' for i in range(40)],
                                                       [f'a{i}' for i in range(41)], strict=True))
    texts = [b'', b'[]', b'3', b'null', b'text', b'{', b'a: b: c', b'\xff\xfe\0', bytes(100), b'&a [*a]',
             b'title: *nothing', b'!!python/object/apply:os.system [id]', b'title: !!binary x',
             b'--- a\n--- b',
             b'? [a]\n: b', b'? {a: b}\n: c', b'title: a\ntitle: b', b'[' * 5000, b'{a: ' * 5000,
             b'a: ' + b'9' * 10_000, b'a: 0x' + b'f' * 50_000, b'a: 1:' + b'59:' * 9_999 + b'1', b'\t',
             b'a: "\\ud800"',
             b'x' * 200_000, bomb.encode(), merges.encode(), titles.encode(), b'a: &a\n  b: *a\ntitle: *a',
             b'a: 2026-99-99', b'<<: 3', b'<<: [3]', b'<<: &a\n  <<: *a', b'%YAML 9.9\n---\na']
    for number, text in enumerate(texts):
        (folder/'manifests'/'bad.yaml').write_bytes(text)
        os.utime(folder/'manifests'/'bad.yaml', ns=(10**9 + number, 10**9 + number))
        with expect_fail(MilanError, contains='bad.yaml is not'): load('bad')
    (folder/'manifests'/'bad.yaml').unlink()
    (folder/'manifests'/'folder.yaml').mkdir()
    os.mkfifo(folder/'manifests'/'fifo.yaml')
    assert not {'folder', 'fifo'} & set(names())
    for name in ('folder', 'fifo', '../manifests/good', '', '.', 'a\0b', 'x' * 300, None, 3):
        with expect_fail(MilanError, contains='no asset'): load(name)
    len(texts)

    forget(folder)
