# Generated from nbs/15_command/05_published.ipynb by `make export`. Edit the notebook, not this file.

import pytest

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import torch
import yaml
from fastcore.test import expect_fail, test_eq
from typer.testing import CliRunner

import milan
from milan.data import manifests
from milan.captioner import checkpoints
from milan.captioner.model import Captioner
from milan.captioner.decoder import Decoder
from milan.captioner.encoder import original_encoder
from milan.captioner.lm import LanguageModel
from milan.captioner.text import Vocabulary
from milan.cli import app
from milan.config import MilanError
from milan.files import remove
from milan.testing import Site


def user_folder(**variables):
    "A fresh folder that stands for all of a user's."
    folder = Path(tempfile.mkdtemp())
    for kind in ('DATA', 'MODELS', 'RESULTS'): os.environ[f'MILAN_{kind}_DIR'] = str(folder/kind.lower())
    os.environ.update(variables)
    return folder


def forget(folder):
    "Remove what `user_folder` made, and what was set."
    remove(folder)
    for name in ('DATA_DIR', 'MODELS_DIR', 'RESULTS_DIR', 'MANIFESTS_DIR', 'MIRROR'):
        os.environ.pop(f'MILAN_{name}', None)


def zipped(files, method=zipfile.ZIP_STORED):
    "The bytes of a zip with these files."
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as archive:
        for name, body in files.items(): archive.writestr(name, body)
    return out.getvalue()


def array(values):
    "The bytes of a .npy file."
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()


def published_set(units=6, k=2, side=64):
    "The bytes of a zip as the annotations were published: one layer, three annotations per unit."
    images = np.random.default_rng(0).integers(0, 256, (units, k, 3, side, side), dtype=np.uint8)
    rows = [
        f'conv1,{unit},{text}'
        for unit in range(units)
        for text in ('red things', 'things that are red', 'dots')
    ]
    return zipped(
        {
            'annotations.csv': '\n'.join(['layer,unit,summary', *rows]) + '\n',
            'conv1/images.npy': array(images),
            'conv1/masks.npy': array(np.ones((units, k, 1, side, side), dtype=np.uint8)),
            'conv1/ids.csv': '0,1\n' * units,
            'conv1/activations.csv': '2.00000e+00,1.00000e+00\n' * units,
        }
    )


def published_captioner(path):
    "The bytes of a .pth as the captioners were published, with an untrained ResNet-18 to see with."
    torch.manual_seed(0)
    vocabulary = Vocabulary(['things', 'red', 'dots'])
    made = Captioner(
        Decoder(vocabulary, 1024, 4, 6),
        LanguageModel(vocabulary, 4, 5),
        original_encoder('resnet18', pretrained=False),
        defaults={'strategy': 'rerank', 'temperature': 0.2, 'beam_size': 5, 'length': 5},
    )
    checkpoints.save(made, path)
    return path.read_bytes()


def saved(value):
    "The bytes of a torch file."
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


def write_manifest(folder, name, address, **more):
    "A made-up manifest with one source."
    (folder/'manifests').mkdir(exist_ok=True)
    os.environ['MILAN_MANIFESTS_DIR'] = str(folder/'manifests')
    file = address.rpartition('/')[2]
    source = {'kind': 'url', 'address': address, 'file': file, 'size': None, 'sha256': None,
              'unpack': 'zip' if file.endswith('zip') else 'none', **more}
    (folder / 'manifests' / f'{name}.yaml').write_text(
        yaml.safe_dump({'title': 'A test', 'licence': {'spdx': 'CC0-1.0', 'sentence': 'Made up.'},
                        'credit': 'no one', 'homepage': 'https://example.org',
                        'place': f'{name}.pth' if file.endswith('pth') else name,
                        'parts': [{'name': 'all', 'at_most': 10**6, 'sources': [source]}]})
    )


def failure(name, **settings):
    "What fetching says, without what changes from run to run."
    try: manifests.fetch(name, quiet=True, **settings)
    except MilanError as error: return str(error)
    raise AssertionError(f'{name} was fetched')


def left(folder):
    "What is below the user's folders, except locks and manifests."
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()
                  and path.suffix not in ('.lock', '.yaml'))


# 05_published.ipynb, section "The whole way"
def test_the_whole_way():
    folder = user_folder()
    with Site({'/data/alexnet-places365.zip': published_set(),
               '/models/milan-base.pth': published_captioner(folder / 'made.pth')}) as site:
        os.environ['MILAN_MIRROR'] = site.address
        places = [manifests.fetch(name, quiet=True) for name in ('milannotations-alexnet-places365',
                                                                 'milan-base')]
    test_eq(places, [folder/'data'/'alexnet'/'places365', folder/'models'/'milan-base.pth'])
    test_eq([manifests.verify(name) for name in ('milannotations-alexnet-places365', 'milan-base')], [5, 1])
    [path for path, _ in site.asked]

    test_eq([path for path, _ in site.asked], ['/data/alexnet-places365.zip', '/models/milan-base.pth'])
    found = milan.annotations.load('alexnet/places365')
    captioner = milan.pretrained('base', 'cpu')
    table = captioner.describe(found, progress=False)
    test_eq(list(table.columns), ['layer', 'unit', 'description', 'score'])
    test_eq(len(table), 6)
    assert (set(' '.join(table.description).lower().split()) <= {'things', 'red', 'dots', '<unk>'}
            and np.isfinite(table.score).all())
    found

    test_eq(manifests.fetch('milan-base'), places[1]) # the server has gone by now
    lock = manifests.read_lock()
    test_eq(sorted(lock), ['milan-base/milan-base.pth', 'milannotations-alexnet-places365/alexnet-places365.zip'])
    listed = manifests.table().set_index('name')
    forget(folder)
    listed.loc[['milan-base', 'milan-gen', 'milannotations-alexnet-places365', 'milannotations-biggan-imagenet'],
               ['state', 'megabytes', 'licence']]


# 05_published.ipynb, section "Interrupted"
def test_interrupted():
    folder, body = user_folder(), published_set()
    with Site({'/data/alexnet-places365.zip': body}, breaks=[40_000] * 4) as site:
        os.environ['MILAN_MIRROR'] = site.address
        said = failure('milannotations-alexnet-places365')
        state = manifests.state('milannotations-alexnet-places365')
        place = manifests.fetch('milannotations-alexnet-places365', quiet=True)
    assert 'after 160,000 of' in said and 'run it again to resume' in said
    test_eq([wanted for _, wanted in site.asked],
            [None, *(f'bytes={start}-' for start in (40_000, 80_000, 120_000, 160_000))])
    test_eq(manifests.verify('milannotations-alexnet-places365'), 5)
    test_eq(len(milan.annotations.load(place)), 6)
    test_eq(list(manifests.downloads_dir().iterdir()), [])
    forget(folder)
    state, len(body)


# 05_published.ipynb, section "Not what it should be"
def test_not_what_it_should_be():
    folder, whole = user_folder(), published_set(units=1, side=8)
    link = io.BytesIO()
    with zipfile.ZipFile(link, 'w') as archive:
        entry = zipfile.ZipInfo('annotations.csv')
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, '/etc/passwd')
    bad = {
        'wrong.zip': whole, 'cut.zip': whole[: len(whole) // 2],
        'slip.zip': zipped({'annotations.csv': '', '../../escaped.csv': '!'}),
        'absolute.zip': zipped({'/tmp/escaped.csv': '!'}), 'link.zip': link.getvalue(),
        'large.zip': zipped({'annotations.csv': bytes(2 * 10**6)}),
        'grows.zip': zipped({'annotations.csv': bytes(900_000), 'more.csv': bytes(900_000)},
                            zipfile.ZIP_DEFLATED), 'page.zip': b'<!doctype html><title>Sign in</title>',
        'other.zip': zipped({'readme.txt': 'no annotations'})
    }
    with Site({f'/{name}': value for name, value in bad.items()}) as site:
        for name in bad:
            write_manifest(folder, name[:-4], f'{site.address}/{name}', sha256='0' * 64 if name == 'wrong.zip'
                           else None, holds='annotations.csv')
        said = {name[:-4]: failure(name[:-4]).splitlines()[1].rpartition(name + ': ')[2] for name in bad}
    for name, words in {'wrong': 'but its manifest says 0000', 'cut': 'damaged or incomplete',
                        'slip': "'../../escaped.csv', which is outside", 'absolute': 'is outside',
                        'link': 'is a link', 'large': 'more than the 1,000,000',
                        'grows': 'more than the 1,000,000', 'page': 'a web page, not a file',
                        'other': 'holds no annotations.csv'}.items():
        assert words in said[name], said[name]
    test_eq(left(folder), [])
    assert not Path('/tmp/escaped.csv').exists() and not list(folder.parent.glob('escaped.csv'))
    said['slip'], said['page']

    with Site({'/set.zip': whole}) as site:
        write_manifest(folder, 'set', f'{site.address}/set.zip')
        place = manifests.fetch('set', quiet=True)
        remove(place)
        site.files['/set.zip'] = published_set(units=2, side=8)
        said = failure('set')
    assert 'hash of the first copy' in said and 'if you trust the new one' in said and not place.exists()
    forget(folder)


# 05_published.ipynb, section "A host that does not answer"
def test_a_host_that_does_not_answer():
    folder = user_folder()
    with Site({'/moved.pth': '/here.pth', '/here.pth': saved(torch.zeros(2)),
               '/away.pth': 'http://example.org/here.pth'}) as site:
        for name in ('moved', 'away', 'none'): write_manifest(folder, name, f'{site.address}/{name}.pth')
        test_eq(manifests.fetch('moved', quiet=True), folder/'data'/'moved.pth')
        away, none = failure('away'), failure('none')
    write_manifest(folder, 'gone', f'{site.address}/gone.pth')
    gone = failure('gone')
    assert ('redirects to http://example.org/here.pth, which is not https' in away
            and 'not have this file (404)' in none and 'refuses connections' in gone)
    assert 'no connection was attempted' in failure('gone', offline=True)
    print(gone.replace(site.address, 'http://127.0.0.1').replace(str(folder), '…'))

    (folder/'from a colleague').mkdir()
    (folder/'from a colleague'/'gone.pth').write_bytes(saved(torch.ones(2)))
    calls = [CliRunner().invoke(app, ['data', *words])
             for words in (['add', str(folder / 'from a colleague' / 'gone.pth')], ['list', 'gone'], ['verify'])]
    test_eq([one.exit_code for one in calls], [0, 0, 0])
    test_eq(torch.load(folder/'data'/'gone.pth', weights_only=True).tolist(), [1, 1])
    forget(folder)
    print(re.sub(r'\x1b\[[0-9;]*m', '', calls[1].output), calls[2].output, sep='')


# 05_published.ipynb, section "A file that wants to run"
def test_a_file_that_wants_to_run():
    class Evil:
        def __reduce__(self): return (eval, (f"__import__('pathlib').Path({str(target)!r}).write_text('!')",))

    folder = user_folder()
    target = folder/'i_ran'
    with Site({'/models/milan-cls.pth': saved({'properties': Evil(), 'state_dict': {}, 'children': {}})}) as site:
        os.environ['MILAN_MIRROR'] = site.address
        path = manifests.fetch('milan-cls', quiet=True)
    with expect_fail(MilanError, contains='is refused'): milan.pretrained('cls', 'cpu')
    assert path.is_file() and not target.exists()
    function, arguments = Evil().__reduce__() # what a careless reader would have run
    function(*arguments)
    test_eq(target.read_text(), '!')
    forget(folder)


# 05_published.ipynb, section "Two processes, and one that is killed"
@pytest.mark.slow
def test_two_processes_and_one_that_is_killed_slow():
    def fetching(name):
        "A process of its own that fetches."
        code = f'from milan.data.manifests import fetch; print(fetch({name!r}), flush=True)'
        return subprocess.Popen([sys.executable, '-u', '-c', code], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)


    folder, body = user_folder(), saved(torch.arange(50_000))
    with Site({'/models/milan-gen.pth': body}, breaks=[len(body) - 1]) as site:
        os.environ['MILAN_MIRROR'] = site.address
        site.goes_on.clear()
        both, waiting = [fetching('milan-gen') for _ in range(2)], threading.Event()
        lines = [[], []]
        def listen(process, heard):
            for line in process.stdout:
                heard.append(line)
                if 'another process is fetching it' in line: waiting.set()

        ears = [threading.Thread(target=listen, args=pair) for pair in zip(both, lines, strict=True)]
        for ear in ears: ear.start()
        heard = waiting.wait(60)
        site.goes_on.set() # the answer ends a byte too early; the rest is asked for
        for process in both: process.wait(60)
        for ear in ears: ear.join()
    assert heard and [process.returncode for process in both] == [0, 0], lines
    test_eq([path for path, _ in site.asked], ['/models/milan-gen.pth'] * 2)
    test_eq(site.asked[1][1], f'bytes={len(body) - 1}-')
    test_eq([heard[-1].strip() for heard in lines], [str(folder/'models'/'milan-gen.pth')] * 2)
    assert (folder/'models'/'milan-gen.pth').read_bytes() == body
    forget(folder)
    sorted(sum('another process' in line for line in heard) for heard in lines)

    folder, body = user_folder(), saved(torch.arange(500_000))
    with Site({'/models/milan-gen.pth': body}, breaks=[len(body) // 2]) as site:
        os.environ['MILAN_MIRROR'] = site.address
        site.goes_on.clear()
        process, partial = fetching('milan-gen'), manifests.downloads_dir()/'milan-gen.pth.partial'
        while process.poll() is None and not (partial.exists() and partial.stat().st_size >= len(body) // 4):
            threading.Event().wait(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = partial.stat().st_size
        state = manifests.state('milan-gen')
        site.goes_on.set()
        manifests.fetch('milan-gen', quiet=True)
    test_eq([wanted for _, wanted in site.asked], [None, f'bytes={kept}-'])
    assert (folder/'models'/'milan-gen.pth').read_bytes() == body
    assert state.startswith('partial ') and not list((folder/'models'/'.milan').glob('*.work'))
    forget(folder)
    0 < kept < len(body)
