# Generated from nbs/01_hashes.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.config import file_hash
from pathlib import Path
from pydantic import ValidationError
import json
import os
from milan.hashes import (
    check_hash,
    explain,
    Hash,
    lock_file,
    note_hash,
    read_lock,
    Record,
    SafePath,
)

import tempfile

from fastcore.test import expect_fail, test_eq

from milan.config import remove


def user_folder():
    "A fresh folder that stands for the user's data."
    folder = Path(tempfile.mkdtemp())
    os.environ['MILAN_DATA_DIR'] = str(folder/'data')
    return folder


# 01_hashes.ipynb, section "Files that others wrote"
def test_files_that_others_wrote():
    class Thing(Record):
        place: SafePath
        sha256: Hash | None = None


    try: Thing.model_validate({'place': '../x', 'sha256': 'ab', 'colour': 1})
    except ValidationError as error: said = explain(error)
    said

    assert all(field in said for field in ('place: ', 'sha256: ', 'colour: ')) and '..' in said
    test_eq(Thing(place='a/b').place, 'a/b')


# 01_hashes.ipynb, section "The lock file"
def test_the_lock_file():
    folder = user_folder()
    note_hash('milan-base', 'milan-base.pth', '5f' * 32, 1000, 'https://example.org/milan-base.pth')
    {key: value['sha256'][:4] for key, value in read_lock().items()}

    test_eq(lock_file(), folder/'data'/'milan-lock.json')
    note_hash('milan-base', 'milan-base.pth', '00' * 32, 1, 'elsewhere')
    test_eq(read_lock()['milan-base/milan-base.pth']['sha256'], '5f' * 32)
    (folder/'data'/'hashes.json').write_text('{"owls/apt/owls.deb": "' + 'aa' * 32 + '"}')
    test_eq(read_lock()['owls/owls.deb'], {'sha256': 'aa' * 32})
    os.environ['MILAN_LOCK_FILE'] = str(folder/'committed.json')
    note_hash('milan-gen', 'milan-gen.pth', '11' * 32, 1, 'here')
    test_eq(sorted(json.loads((folder/'committed.json').read_text())), ['milan-gen/milan-gen.pth', 'owls/owls.deb'])
    (folder/'committed.json').write_text('{')
    with expect_fail(MilanError, contains='committed.json cannot be read'): read_lock()
    del os.environ['MILAN_LOCK_FILE']
    remove(folder)


# 01_hashes.ipynb, section "Checking"
def test_checking():
    folder = user_folder()
    (folder/'x.bin').write_bytes(b'first')
    source = dict(kind='url', file='x.bin', sha256=None)
    check_hash(folder/'x.bin', source, 'x')

    note_hash('x', 'x.bin', check_hash(folder/'x.bin', source, 'x')[0], 5, 'here')
    test_eq(check_hash(folder/'x.bin', source, 'x')[1], True)
    test_eq(check_hash(folder/'x.bin', dict(source, sha256=file_hash(folder/'x.bin')), 'x')[1], False)
    (folder/'x.bin').write_bytes(b'changed')
    with expect_fail(MilanError, contains='the first one seen'): check_hash(folder/'x.bin', source, 'x')
    with expect_fail(MilanError, contains='remove "x/x.bin" there'): check_hash(folder/'x.bin', source, 'x')
    with expect_fail(MilanError, contains='its manifest says 00'): check_hash(folder/'x.bin', dict(source, sha256='00'), 'x')
    remove(folder)


# 01_hashes.ipynb, section "Errors"
def test_errors():
    folder = user_folder()
    lock_file().parent.mkdir()
    entry = '"sha256": "' + 'ab' * 32 + '"'
    for body in (b'', b'[]', b'null', b'"text"', b'3', b'{"a/b": NaN}', b'{"a/b": Infinity}', b'{"a/b": null}', b'{"a/b": "short"}', b'{"a/b": {}}', b'{"a/b": {"sha256": 1}}',
                 b'{"a": "' + b'ab' * 32 + b'"}', b'{"../x/y": "' + b'ab' * 32 + b'"}', b'{"a/b/c/d": "' + b'ab' * 32 + b'"}', b'{"a/": "' + b'ab' * 32 + b'"}', b'\xff\xfe', b'{"a/b":',
                 f'{{"a/b": {{{entry}, "colour": 1}}}}'.encode(), f'{{"a/b": {{{entry}, "size": "9"}}}}'.encode(), f'{{"a/b": {{{entry}, "size": -1}}}}'.encode(),
                 f'{{"a/b": {{{entry}, "size": 1e999}}}}'.encode(), f'{{"a/b": {{{entry}, "from": []}}}}'.encode(), b'[' * 100_000, b'{"a/b":' * 10_000, b'<html>', bytes(9)):
        lock_file().write_bytes(body)
        with expect_fail(MilanError, contains='milan-lock.json cannot be read'): read_lock()
        with expect_fail(MilanError, contains='milan-lock.json cannot be read'): note_hash('a', 'b', 'ab' * 32, 1, 'here')
        test_eq(lock_file().read_bytes(), body) # it is the user's
    lock_file().unlink()
    os.mkfifo(lock_file())
    with expect_fail(MilanError, contains='no file'): read_lock()
    lock_file().unlink()
    lock_file().mkdir()
    with expect_fail(MilanError, contains='no file'): read_lock()
    remove(folder)
