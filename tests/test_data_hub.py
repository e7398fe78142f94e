# Generated from nbs/01_data/07_hub.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import os
from milan.data.hub import (
    fetch_repository,
    front_matter,
    is_hub,
    push_folder,
    repository,
)

import tempfile

from fastcore.test import expect_fail, test_eq, test_warns

from milan.files import remove
from milan.testing.hub import HubServer

FILES = {'README.md': b'A captioner.', 'weights.safetensors': b'1234', 'other.pkl': b'code'}
PATTERNS = ['README.md', '*.safetensors']


# 07_hub.ipynb, section "Names"
def test_names():
    repository('hf:user/name@v1'), is_hub('user/name'), is_hub('./user/name')

    test_eq(repository('user/name'), ('user/name', None))
    assert is_hub('hf:nbs/name') and not is_hub(Path('user/name')) and not is_hub('/a/b/c') and not is_hub('mine')
    folder = Path(tempfile.mkdtemp(dir='.'))
    with expect_fail(MilanError, contains='may be a folder or a name'): is_hub(f'{folder.name}/mine')
    folder.rmdir()
    for wrong in ('hf:user', 'hf:user/../x', 'hf:user/name@', 'hf:a/b/c', ''):
        with expect_fail(MilanError, contains='no name on the hub'): repository(wrong)


# 07_hub.ipynb, section "Fetching"
def test_fetching():
    with HubServer({'user/name': FILES}) as hub:
        folder = fetch_repository('hf:user/name', PATTERNS)
        found, first = sorted(path.name for path in folder.iterdir()), len(hub.asked)
        fetch_repository(f'hf:user/name@{folder.name}', PATTERNS)
        again = hub.asked[first:]
        os.environ['MILAN_OFFLINE'] = '1'
        test_eq(fetch_repository('hf:user/name', PATTERNS), folder)
        os.environ.update(MILAN_OFFLINE='0', HF_ENDPOINT='http://127.0.0.1:9')
        test_warns(lambda: test_eq(fetch_repository('hf:user/name', PATTERNS), folder))
        test_eq(len(hub.asked), first + len(again))
    found

    assert not any('resolve' in path for path in again), again # the second time, nothing is fetched

    with HubServer({'user/name': FILES}) as hub:
        for body in (b'12', b'1235'): # short; as long, but changed
            hub.sent['weights.safetensors'] = body
            with expect_fail(MilanError): fetch_repository('hf:user/name', PATTERNS)
        try: fetch_repository('hf:user/name', PATTERNS)
        except MilanError as error: said = str(error)
        hub.sent.clear()
        for sent in Path(hub.cache).rglob('blobs/*'): sent.unlink() # as it asks for
        test_eq((fetch_repository('hf:user/name', PATTERNS)/'weights.safetensors').read_bytes(), b'1234')
    said.partition('weights.safetensors ')[2].partition('; remove')[0]

    with HubServer({'user/name': FILES, 'user/secret': FILES}) as hub:
        hub.private.add('user/secret')
        fetch_repository('hf:user/secret', PATTERNS)
        wrong = {'hf:user/nobody': 'no such repository', 'hf:user/name@v9': 'no such revision'}
        for name, said in wrong.items():
            with expect_fail(MilanError, contains=said): fetch_repository(name, PATTERNS)
        os.environ['HF_TOKEN'] = 'hf_of_another'
        with expect_fail(MilanError, contains='HF_TOKEN'): fetch_repository('hf:user/secret', PATTERNS)
        with expect_fail(MilanError, contains='3 are allowed'):
            fetch_repository('hf:user/name', PATTERNS, at_most=3)
        os.environ['MILAN_OFFLINE'] = '1'
        with expect_fail(MilanError, contains=hub.cache): fetch_repository('hf:user/other', PATTERNS)
        os.environ.update(MILAN_OFFLINE='0', HF_ENDPOINT='http://127.0.0.1:9')
        with expect_fail(MilanError, contains='http://127.0.0.1:9'): fetch_repository('hf:user/other', PATTERNS)


# 07_hub.ipynb, section "Pushing"
def test_pushing():
    folder = Path(tempfile.mkdtemp())
    for name, body in FILES.items(): (folder/name).write_bytes(body)
    with HubServer() as hub:
        pushed = push_folder(folder, 'user/name', PATTERNS)
        test_eq(hub.files('user/name'), {name: FILES[name] for name in ('README.md', 'weights.safetensors')})
        back = fetch_repository(pushed, ['*'])
        test_eq((back/'README.md').read_bytes(), FILES['README.md'])
        assert 'user/name' in hub.private
        (folder/'weights.safetensors').rename(folder/'more.safetensors')
        push_folder(folder, 'hf:user/name', PATTERNS)
        print(sorted(hub.files('user/name')))

    with HubServer({'user/open': FILES}) as hub:
        with expect_fail(MilanError, contains='is public'): push_folder(folder, 'user/open', PATTERNS)
        test_eq(len(hub.commits['user/open']), 1)
        push_folder(folder, 'user/open', PATTERNS, private=False)
        test_eq(sorted(hub.files('user/open')), ['README.md', 'more.safetensors', 'other.pkl'])
        with expect_fail(MilanError, contains='revision'): push_folder(folder, 'user/name@v1', PATTERNS)
        with expect_fail(MilanError, contains='HF_TOKEN'):
            push_folder(folder, 'user/name', PATTERNS, token='hf_of_another')
        os.environ['MILAN_OFFLINE'] = '1'
        with expect_fail(MilanError, contains='MILAN_OFFLINE'): push_folder(folder, 'user/name', PATTERNS)
    remove(folder)


# 07_hub.ipynb, section "Its page"
def test_its_page():
    front_matter('CC-BY-SA-4.0', tags=['interpretability'])

    test_eq(front_matter('GPL-2+ or CC0'), '---\nlibrary_name: milan\nlicense: other\n---\n\n')
    assert 'license' not in front_matter('') and 'cc0-1.0' in front_matter('CC0')
