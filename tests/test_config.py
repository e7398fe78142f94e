# Generated from nbs/00_config.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
import contextlib
import hashlib
import os
import shutil
import torch
from milan.config import (
    atomic,
    data_dir,
    device,
    extra,
    file_hash,
    fingerprint,
    import_torchvision,
    MilanError,
    models_dir,
    one_at_a_time,
    oracle_dir,
    remove_files,
    require_replaceable,
    require_space,
    results_dir,
    seed_everything,
    versions,
    why_not,
)

import tempfile
import threading

from fastcore.test import expect_fail, test_eq


# 00_config.ipynb, section "Errors a user can mend"
def test_errors_a_user_can_mend():
    with expect_fail(MilanError, contains='photos/'): raise MilanError('no images in photos/: give a folder with .png or .jpg files')


# 00_config.ipynb, section "Three folders"
def test_three_folders():
    os.environ['MILAN_DATA_DIR'] = '/somewhere/else'
    test_eq(data_dir(), Path('/somewhere/else'))
    del os.environ['MILAN_DATA_DIR']
    data_dir(), models_dir(), results_dir()


# 00_config.ipynb, section "Device and seeds"
def test_device_and_seeds():
    test_eq(device('cpu').type, 'cpu')
    with expect_fail(MilanError, contains="'gpu0'"): device('gpu0')

    seed_everything(3)
    first = torch.rand(2)
    seed_everything(3)
    assert torch.equal(first, torch.rand(2))
    first


# 00_config.ipynb, section "Fingerprints"
def test_fingerprints():
    test_eq(fingerprint({'a': 1, 'b': [2]}), fingerprint({'b': [2], 'a': 1}))
    assert fingerprint({'a': 1}) != fingerprint({'a': 2})
    with tempfile.NamedTemporaryFile() as file: test_eq(file_hash(file.name), hashlib.sha256().hexdigest())
    fingerprint({'a': 1})


# 00_config.ipynb, section "Optional libraries"
def test_optional_libraries():
    with expect_fail(MilanError, contains="pip install 'milan-neurons[text]'"), extra('text'):
        import no_such_library
    try:
        with extra('text'): import no_such_library
    except MilanError as error: said = str(error)
    said

    test_eq(versions()['torch'], torch.__version__)
    versions()


# 00_config.ipynb, section "Nothing half-written, nothing lost"
def test_nothing_half_written_nothing_lost():
    folder = Path(tempfile.mkdtemp())
    with atomic(folder/'answer.txt') as beside: beside.write_text('42')
    (folder/'answer.txt').read_text()

    with contextlib.suppress(KeyboardInterrupt), atomic(folder/'answer.txt') as beside:
        beside.write_text('half an ans')
        raise KeyboardInterrupt
    test_eq([p.name for p in folder.iterdir()], ['answer.txt'])
    test_eq((folder/'answer.txt').read_text(), '42')

    place = folder/'place'
    for text in ('first', 'second'):
        with atomic(place, listed=True) as beside:
            (beside/'inner').mkdir(parents=True)
            (beside/'inner'/'a.txt').write_text(text)
    (place/'inner'/'mine.txt').write_text('dear to me')
    with expect_fail(MilanError, contains='inner/mine.txt'): require_replaceable(place)
    names = sorted(path.name for path in (place/'inner').iterdir())
    shutil.rmtree(place)
    names

    order = []
    def second():
        with one_at_a_time(folder/'dear'): order.append('second')
    with one_at_a_time(folder/'dear'):
        other = threading.Thread(target=second)
        other.start()
        other.join(.2)
        order.append('first')
    other.join()
    test_eq(order, ['first', 'second'])
    test_eq([path.name for path in folder.iterdir()], ['answer.txt'])

    require_space(folder, 1)
    with expect_fail(MilanError, contains='no space'): require_space(folder/'not there yet', 10**18)

    complaints = why_not(lambda: require_space(folder, 10**18), lambda: require_space(folder, 1))
    test_eq((len(complaints), why_not()), (1, []))
    [text.partition(' in ')[0] for text in complaints]

    shutil.rmtree(folder)


# 00_config.ipynb, section "torchvision beside a CPU torch"
def test_torchvision_beside_a_cpu_torch():
    import_torchvision().models.resnet18(num_classes=3).fc


# 00_config.ipynb, section "Data from the original implementation"
def test_data_from_the_original_implementation():
    assert oracle_dir() is None or oracle_dir().is_dir()


# 00_config.ipynb, section "Errors"
def test_errors():
    def attempt(path, text='new', **given):
        "Write a folder at a path; what is said where that is refused."
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
    for path in ('.', 'a/..', '..', home/'theirs', home/'file', home/'link', home/'nowhere', home/'file'/'below', Path.home(), '/', home/'theirs'/'..'):
        assert attempt(path), path
    os.chdir(before)
    test_eq((home/'theirs'/'thesis.txt').read_text(), 'three years')
    test_eq((sorted(os.listdir(home)), (home/'file').read_text()), (['file', 'link', 'nowhere', 'theirs'], 'a file'))
    with expect_fail(MilanError, contains='is a folder, and a file'), atomic(home/'theirs') as beside: beside.write_text('x')

    (home/'empty').mkdir()
    test_eq((attempt(home/'ours', 'first'), attempt(home/'ours', 'second'), attempt(home/'empty')), ('', '', ''))
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
    for name in ('edited', 'more', 'linked', 'unlisted', 'torn', 'other'): assert 'nothing in it was touched' in attempt(home/name), name
    test_eq((home/'edited'/'a.txt').read_text(), 'by hand')
    test_eq(attempt(home/'unlisted', 'replaced', known={'a.txt': file_hash(home/'unlisted'/'a.txt')}), '')
    remove_files(home/'theirs', ['absent'])
    test_eq([path.name for path in (home/'theirs').iterdir()], ['thesis.txt'])
    test_eq([path.name for path in home.iterdir() if path.name.startswith('.')], [])
    shutil.rmtree(home)
