# Generated from nbs/00_base/01_files.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from pydantic import ValidationError
import contextlib
import errno
import hashlib
import json
import os
import pandas as pd
from milan.files import (
    _absolute_name,
    _files,
    _foreign_file,
    _LOCK,
    _make_parent,
    _read_list,
    _read_lock,
    _write_list,
    atomic,
    check_hash,
    csv_text,
    disk_full_explained,
    escape_formula,
    explain,
    file_hash,
    fingerprint,
    Hash,
    lock_file,
    note_hash,
    process_lock,
    read_lock,
    read_table,
    read_tensors,
    remove,
    remove_files,
    require_replaceable,
    require_space,
    safe_path,
    SafePath,
    StrictModel,
    unescape_formula,
    write_table,
)

import importlib.util
import shutil
import tempfile
import threading
import zipfile

import torch
from fastcore.test import expect_fail, test_eq

from milan.testing import saved_tensors, user_folder


texts = ['=1+1', '+1', '-red', '@SUM(A1)', '\t=1', '\r=1', '＝1', "'=1", "''-1", "'quoted'", "'", '',
         'dogs', 'a=b', 'x\n=1']


# 01_files.ipynb, section "Hashes"
def test_hashes():
    assert fingerprint({'a': 1}) != fingerprint({'a': 2})
    test_eq(fingerprint({'a': 1, 'b': [2]}), fingerprint({'b': [2], 'a': 1}))
    fingerprint({'a': 1})

    with tempfile.NamedTemporaryFile() as file: test_eq(file_hash(file.name), hashlib.sha256().hexdigest())


# 01_files.ipynb, section "Removing"
def test_removing():
    folder = Path(tempfile.mkdtemp())
    (folder/'inner').mkdir()
    remove(folder)
    remove(folder) # it need not exist
    assert not folder.exists()

    folder = Path(tempfile.mkdtemp())
    (folder/'ours').write_text('')
    (folder/'theirs').write_text('')
    remove_files(folder, ['ours', 'absent'])
    test_eq(os.listdir(folder), ['theirs'])

    remove(folder)
    assert not folder.exists()


# 01_files.ipynb, section "Full disks"
def test_full_disks():
    with expect_fail(MilanError, contains='disk is full'), disk_full_explained('scores.csv'):
        raise OSError(errno.ENOSPC, 'No space left on device')
    with expect_fail(KeyError), disk_full_explained('scores.csv'):
        raise KeyError('another error passes through')

    require_space(Path(tempfile.gettempdir()), 1)
    with expect_fail(MilanError, contains='no space'):
        require_space(Path(tempfile.gettempdir())/'not there yet', 10**18)


# 01_files.ipynb, section "Atomic writes"
def test_atomic_writes():
    with tempfile.TemporaryDirectory() as place:
        (Path(place)/'inner').mkdir()
        (Path(place)/'inner'/'a.txt').write_text('a')
        test_eq(list(_files(Path(place))), ['inner/a.txt'])

    with tempfile.TemporaryDirectory() as place:
        (Path(place)/'a.txt').write_text('a')
        _write_list(Path(place))
        found = _read_list(Path(place))
    test_eq(sorted(found), ['.milan-files.json', 'a.txt'])

    with tempfile.TemporaryDirectory() as place:
        (Path(place)/'mine.txt').write_text('mine')
        test_eq(_foreign_file(Path(place), {}), 'mine.txt')

    test_eq(_absolute_name('a/..').resolve(), Path.cwd())
    with expect_fail(MilanError, contains='cannot be replaced'): _absolute_name('/')

    with tempfile.TemporaryDirectory() as place:
        _make_parent(Path(place)/'a'/'b'/'file.txt')
        assert (Path(place)/'a'/'b').is_dir()
        (Path(place)/'plain').write_text('')
        with expect_fail(MilanError, contains='cannot be created'): _make_parent(Path(place)/'plain'/'file.txt')

    folder = Path(tempfile.mkdtemp())
    with atomic(folder/'answer.txt') as beside: beside.write_text('42')
    (folder/'answer.txt').read_text()

    with contextlib.suppress(KeyboardInterrupt), atomic(folder/'answer.txt') as beside:
        beside.write_text('half an ans')
        raise KeyboardInterrupt
    test_eq([p.name for p in folder.iterdir()], ['answer.txt'])
    test_eq((folder/'answer.txt').read_text(), '42')

    folder = Path(tempfile.mkdtemp())
    place = folder/'place'
    for text in ('first', 'second'):
        with atomic(place, listed=True) as beside:
            (beside/'inner').mkdir(parents=True)
            (beside/'inner'/'a.txt').write_text(text)
    (place/'inner'/'mine.txt').write_text('my notes')
    with expect_fail(MilanError, contains='inner/mine.txt'): require_replaceable(place)
    names = sorted(path.name for path in (place/'inner').iterdir())
    shutil.rmtree(folder)
    names


# 01_files.ipynb, section "Locks between processes"
def test_locks_between_processes():
    folder, order = Path(tempfile.mkdtemp()), []
    def second():
        with process_lock(folder/'result'): order.append('second')
    with process_lock(folder/'result'):
        other = threading.Thread(target=second)
        other.start()
        other.join(.2)
        order.append('first')
    other.join()
    test_eq(order, ['first', 'second'])

    test_eq(os.listdir(folder), [])
    remove(folder)


# 01_files.ipynb, section "Paths in files from elsewhere"
def test_paths_in_files_from_elsewhere():
    with expect_fail(MilanError, contains='below its folder'): safe_path('../x')
    safe_path('a/b.txt')


# 01_files.ipynb, section "Strict models"
def test_strict_models():
    class Thing(StrictModel):
        place: SafePath
        sha256: Hash | None = None


    try: Thing.model_validate({'place': '../x', 'sha256': 'ab', 'colour': 1})
    except ValidationError as error: said = explain(error)
    said

    assert all(field in said for field in ('place: ', 'sha256: ', 'colour: ')) and '..' in said
    test_eq(Thing(place='a/b').place, 'a/b')


# 01_files.ipynb, section "The lock file"
def test_the_lock_file():
    test_eq(list(_LOCK.validate_python({'milan-base/milan-base.pth': '5f' * 32})),
            ['milan-base/milan-base.pth'])
    with expect_fail(ValidationError): _LOCK.validate_python({'../x': '5f' * 32})

    with tempfile.TemporaryDirectory() as place:
        (Path(place)/'lock.json').write_text('{"shapes/manifest/a.zip": "%s"}' % ('0' * 64))
        test_eq(_read_lock(Path(place)/'lock.json'), {'shapes/a.zip': {'sha256': '0' * 64}})

    folder = user_folder('data')
    test_eq(read_lock(), {})

    folder = user_folder('data')
    note_hash('milan-base', 'milan-base.pth', '5f' * 32, 1000, 'https://example.org/milan-base.pth')
    {key: value['sha256'][:4] for key, value in read_lock().items()}

    test_eq(lock_file(), folder/'data'/'milan-lock.json')

    note_hash('milan-base', 'milan-base.pth', '00' * 32, 1, 'elsewhere')
    test_eq(read_lock()['milan-base/milan-base.pth']['sha256'], '5f' * 32)

    (folder/'data'/'hashes.json').write_text('{"owls/apt/owls.deb": "' + 'aa' * 32 + '"}')
    test_eq(read_lock()['owls/owls.deb'], {'sha256': 'aa' * 32})

    os.environ['MILAN_LOCK_FILE'] = str(folder/'committed.json')
    note_hash('milan-gen', 'milan-gen.pth', '11' * 32, 1, 'here')
    test_eq(sorted(json.loads((folder/'committed.json').read_text())),
            ['milan-gen/milan-gen.pth', 'owls/owls.deb'])

    (folder/'committed.json').write_text('{')
    with expect_fail(MilanError, contains='committed.json cannot be read'): read_lock()
    del os.environ['MILAN_LOCK_FILE']
    remove(folder)

    folder = user_folder('data')
    (folder/'x.bin').write_bytes(b'first')
    source = dict(kind='url', file='x.bin', sha256=None)
    check_hash(folder/'x.bin', source, 'x')

    note_hash('x', 'x.bin', check_hash(folder/'x.bin', source, 'x')[0], 5, 'here')
    test_eq(check_hash(folder/'x.bin', source, 'x')[1], True)
    test_eq(check_hash(folder/'x.bin', dict(source, sha256=file_hash(folder/'x.bin')), 'x')[1], False)

    (folder/'x.bin').write_bytes(b'changed')
    with expect_fail(MilanError, contains='hash of the first copy'): check_hash(folder/'x.bin', source, 'x')
    with expect_fail(MilanError, contains='remove "x/x.bin" there'): check_hash(folder/'x.bin', source, 'x')
    with expect_fail(MilanError, contains='its manifest says 00'):
        check_hash(folder/'x.bin', dict(source, sha256='00'), 'x')
    remove(folder)


# 01_files.ipynb, section "Tables"
def test_tables():
    escape_formula('=HYPERLINK("https://example.org")'), escape_formula('dogs, +1 cat')

    test_eq([unescape_formula(escape_formula(text)) for text in texts], texts)
    test_eq(len({escape_formula(text) for text in texts}), len(texts))
    assert not any(escape_formula(text)[:1] in tuple('=+-@\t\r＝') for text in texts)

    print(csv_text(pd.DataFrame({'unit': [3], 'description': ['=1+1']})))

    folder = Path(tempfile.mkdtemp())
    table = pd.DataFrame({'layer': '1', 'unit': range(len(texts)), 'description': texts, 'score': -.5})
    print(write_table(table.head(3), folder/'descriptions.csv').read_text())
    write_table(table, folder/'descriptions.csv')
    pd.testing.assert_frame_equal(read_table(folder/'descriptions.csv'), table, check_dtype=False)

    odd = pd.DataFrame({'layer': ['a', 'a', 'a', 'b'], 'unit': [3, 4, 5, 6],
                        'description': ['NA', '007', 'nan', ''], 'said by': ['=me', '', 'you', 'None'],
                        'score': [1., None, -2., 3.], 'sure': [True, False, True, True]})
    pd.testing.assert_frame_equal(read_table(write_table(odd, folder/'odd.csv')), odd, check_dtype=False)
    found = read_table(folder/'odd.csv')
    shutil.rmtree(folder)
    found

    folder = Path(tempfile.mkdtemp())
    odd = pd.DataFrame({'layer': ['1', 'a'], 'unit': [3, 4], 'description': ['=1+1', ''], 'score': [.5, None]})
    if importlib.util.find_spec('pyarrow'):
        kept = read_table(write_table(odd, folder/'odd.parquet'))
        pd.testing.assert_frame_equal(kept, odd, check_dtype=False)
        (folder/'odd.parquet').write_text('no table')
        with expect_fail(MilanError, contains='cannot be read'): read_table(folder/'odd.parquet')
    else:
        with expect_fail(MilanError, contains="[parquet]'"): write_table(odd, folder/'odd.parquet')
        test_eq(list(folder.iterdir()), [])
    shutil.rmtree(folder)


# 01_files.ipynb, section "Tensors"
def test_tensors():
    read_tensors(saved_tensors({'state_dict': {'weight': torch.eye(2)}, 'epoch': 3}))

    path = saved_tensors({'weight': torch.eye(2)})
    path.write_bytes(b'{"a line": "of settings"}\n' + path.read_bytes())
    assert torch.equal(read_tensors(path, start=path.read_bytes().index(b'\n') + 1)['weight'], torch.eye(2))

    class Malicious:
        "Pickled, it is a call of `os.mkdir`."
        def __reduce__(self): return os.mkdir, (str(folder/'harm'),)
    folder = Path(tempfile.mkdtemp())
    path = saved_tensors({'state_dict': {'weight': torch.eye(2)}, 'extra': Malicious()})
    with expect_fail(MilanError, contains='it was not run'): read_tensors(path)

    assert not (folder/'harm').exists()

    path.write_bytes(path.read_bytes()[:200])
    with expect_fail(MilanError, contains='get it again'): read_tensors(path)

    path.write_text('<html>404')
    with expect_fail(MilanError, contains='get it again'): read_tensors(path)

    (folder/'x.safetensors').write_bytes(b'not at all')
    with expect_fail(MilanError, contains='x.safetensors cannot be read'):
        read_tensors(folder/'x.safetensors')
    with expect_fail(MilanError, contains='no file'): read_tensors(folder/'absent.pth')


# 01_files.ipynb, section "Errors"
def test_errors():
    def attempt(path, text='new', **given):
        "Write a folder; the error message, or '' if there is none."
        try:
            with atomic(path, listed=True, **given) as beside:
                beside.mkdir()
                (beside/'a.txt').write_text(text)
        except MilanError as error: return str(error)
        return ''


    home, before = Path(tempfile.mkdtemp()).resolve(), os.getcwd()
    (home/'theirs').mkdir()
    (home/'theirs'/'thesis.txt').write_text('three years')
    (home/'file').write_text('a file')
    (home/'link').symlink_to(home/'theirs')
    (home/'nowhere').symlink_to(home/'absent')
    os.chdir(home/'theirs')
    for path in ('.', 'a/..', '..', home/'theirs', home/'file', home/'link', home/'nowhere',
                 home/'file'/'below', Path.home(), '/', home/'theirs'/'..'):
        assert attempt(path), path
    os.chdir(before)
    test_eq((home/'theirs'/'thesis.txt').read_text(), 'three years')
    test_eq((sorted(os.listdir(home)), (home/'file').read_text()),
            (['file', 'link', 'nowhere', 'theirs'], 'a file'))
    with expect_fail(MilanError, contains='is a folder, but a file'), atomic(home/'theirs') as beside:
        beside.write_text('x')

    (home/'empty').mkdir()
    test_eq((attempt(home/'ours', 'first'), attempt(home/'ours', 'second'), attempt(home/'empty')),
            ('', '', ''))
    test_eq((home/'ours'/'a.txt').read_text(), 'second')
    def spoiled(name):
        "A folder of ours with one thing changed."
        attempt(place := home/name)
        return place
    (spoiled('edited')/'a.txt').write_text('by hand')
    (spoiled('more')/'.hidden').write_text('mine')
    (spoiled('linked')/'outside').symlink_to(home/'theirs')
    (spoiled('unlisted')/'.milan-files.json').unlink()
    (spoiled('torn')/'.milan-files.json').write_text('{')
    (spoiled('other')/'.milan-files.json').write_text('[1]')
    for name in ('edited', 'more', 'linked', 'unlisted', 'torn', 'other'):
        assert 'nothing in it was touched' in attempt(home/name), name
    test_eq((home/'edited'/'a.txt').read_text(), 'by hand')
    test_eq(attempt(home/'unlisted', 'replaced', known={'a.txt': file_hash(home/'unlisted'/'a.txt')}), '')
    remove_files(home/'theirs', ['absent'])
    test_eq([path.name for path in (home/'theirs').iterdir()], ['thesis.txt'])
    test_eq([path.name for path in home.iterdir() if path.name.startswith('.')], [])
    shutil.rmtree(home)

    folder = user_folder('data')
    lock_file().parent.mkdir()
    entry = '"sha256": "' + 'ab' * 32 + '"'
    for body in (b'', b'[]', b'null', b'"text"', b'3', b'{"a/b": NaN}', b'{"a/b": Infinity}',
                 b'{"a/b": null}', b'{"a/b": "short"}', b'{"a/b": {}}', b'{"a/b": {"sha256": 1}}',
                 b'{"a": "' + b'ab' * 32 + b'"}', b'{"../x/y": "' + b'ab' * 32 + b'"}',
                 b'{"a/b/c/d": "' + b'ab' * 32 + b'"}', b'{"a/": "' + b'ab' * 32 + b'"}', b'\xff\xfe',
                 b'{"a/b":',
                 f'{{"a/b": {{{entry}, "colour": 1}}}}'.encode(),
                 f'{{"a/b": {{{entry}, "size": "9"}}}}'.encode(),
                 f'{{"a/b": {{{entry}, "size": -1}}}}'.encode(),
                 f'{{"a/b": {{{entry}, "size": 1e999}}}}'.encode(),
                 f'{{"a/b": {{{entry}, "from": []}}}}'.encode(), b'[' * 100_000, b'{"a/b":' * 10_000,
                 b'<html>', bytes(9)):
        lock_file().write_bytes(body)
        with expect_fail(MilanError, contains='milan-lock.json cannot be read'): read_lock()
        with expect_fail(MilanError, contains='milan-lock.json cannot be read'):
            note_hash('a', 'b', 'ab' * 32, 1, 'here')
        test_eq(lock_file().read_bytes(), body) # it is the user's
    lock_file().unlink()
    os.mkfifo(lock_file())
    with expect_fail(MilanError, contains='not a file'): read_lock()
    lock_file().unlink()
    lock_file().mkdir()
    with expect_fail(MilanError, contains='not a file'): read_lock()
    remove(folder)

    folder = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='missing.csv cannot be read as a table'):
        read_table(folder/'missing.csv')
    (folder/'picture.csv').write_bytes(b'\x89PNG\r\n\x00\xff')
    with expect_fail(MilanError, contains='picture.csv cannot be read as a table'):
        read_table(folder/'picture.csv')
    (folder/'empty.csv').write_text('')
    with expect_fail(MilanError, contains='empty.csv cannot be read as a table'):
        read_table(folder/'empty.csv')
    shutil.rmtree(folder)
