# Generated from nbs/61_cli.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.cli import (
    app,
    matching,
    parse_parameters,
    parse_units,
    server,
    serving,
)
import pytest

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
import urllib.request

import nbformat
import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_eq
from PIL import Image
from typer.testing import CliRunner, Result

import milan
from milan.config import MilanError


def call(*arguments: str) -> Result:
    "What `milan` does with these arguments, without a process of its own."
    return CliRunner().invoke(app, [str(one) for one in arguments], prog_name='milan')


def shell(*arguments: str, # of `milan`
          code: str = 'pass', # run after the command's import, before the command
         ) -> subprocess.CompletedProcess:
    "The same in a process of its own, as in a terminal of 100 columns without colours."
    return subprocess.run([sys.executable, '-c', f'from milan.cli import app; {code}; app(prog_name="milan")', *arguments], text=True,
                          capture_output=True, env={**os.environ, 'COLUMNS': '100', 'TERMINAL_WIDTH': '100', 'TERM': 'xterm', 'NO_COLOR': '1', 'FORCE_COLOR': ''})


def shown(text: str) -> None:
    "Print help without colours and without the blanks that fill its lines."
    print('\n'.join(line.rstrip() for line in re.sub(r'\x1b\[[0-9;]*m', '', text).splitlines() if line.strip()))


# 61_cli.ipynb, section "The frame"
def test_the_frame():
    result = call('--version')
    test_eq((result.exit_code, result.output.split()[0]), (0, 'milan'))
    result.output

    test_eq(parse_units(['blocks.3:0-2', 'blocks.3:7,9', 'head:1']), {'blocks.3': [0, 1, 2, 7, 9], 'head': [1]})
    test_eq(parse_units(None), None)
    with expect_fail(MilanError, contains="'blocks.3'"): parse_units(['blocks.3'])
    for text in ('a:0-99999999999', 'a:-1', 'a:5-3', 'a:' + '9' * 5000, 'a:1-2-3'):
        with expect_fail(MilanError, contains='cannot be read'): parse_units([text])

    theirs = Path(tempfile.mkdtemp())
    (theirs/'own.py').write_text("from torch import nn\nopen('ran', 'w').close()\ndef make(): return nn.Conv2d(3, 4, 3)\n".replace("'ran'", repr(str(theirs/'ran'))))
    (theirs/'net.yaml').write_text('name: own/pictures\nbuild: own:make')
    for first, said, ran in (((), 'could run any code', False), (('--trust',), 'no-such-images', True)): # a network file is code
        refused = call(*first, 'exemplars', theirs/'net.yaml', theirs/'no-such-images', '--device', 'cpu')
        test_eq((refused.exit_code, said in refused.stderr, (theirs/'ran').exists()), (1, True, ran))


# 61_cli.ipynb, section "Exemplars and descriptions"
def test_exemplars_and_descriptions():
    shown(shell('exemplars', '--help').stdout)

    shown(shell('describe', '--help').stdout)


# 61_cli.ipynb, section "Exemplars and descriptions"
@pytest.mark.slow
def test_exemplars_and_descriptions_slow():
    class Numbers:
        "Stands in for a captioner."
        def describe(self, exemplars, **settings):
            given.append(settings)
            return pd.DataFrame([(one.layer, one.unit, f'unit {one.unit}', 0.) for one in exemplars], columns=['layer', 'unit', 'description', 'score'])


    home, given = Path(tempfile.mkdtemp()), []
    (home/'pictures').mkdir()
    for seed in range(6):
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (70, 70, 3), dtype=np.uint8)).save(home/'pictures'/f'{seed}.png')
    os.environ['MILAN_RESULTS_DIR'], os.environ['MILAN_DATA_DIR'] = str(home/'results'), str(home/'data')
    before = sys.modules.get('milan.captioner.demo')
    sys.modules['milan.captioner.demo'] = types.SimpleNamespace(train=lambda name, device=None: Numbers())
    arguments = 'describe', 'planted/shapes', home/'pictures', '--units', 'colours:0-3', '--k', '2', '--captioner', 'shapes', '--device', 'cpu', '--beam-size', '5'
    results = [call(*arguments) for _ in range(2)]
    print(results[0].stdout, results[0].stderr.splitlines()[-1:])
    sys.modules.pop('milan.captioner.demo') if before is None else sys.modules.update({'milan.captioner.demo': before})
    test_eq([one.exit_code for one in results], [0, 0])
    test_eq(given[0], {'strategy': None, 'temperature': None, 'beam_size': 5})
    [table] = (home/'results').rglob('descriptions.csv')
    test_eq(pd.read_csv(table).description.tolist(), ['unit 0', 'unit 1', 'unit 2', 'unit 3'])
    assert (table.parent/'gallery'/'index.html').is_file()

    planted = 'exemplars', 'planted/shapes', home/'pictures', '--random-weights'
    failures = [call(*planted, '--layers', 'colour'), call('exemplars', 'planted/shape', 'shapes'), call(*planted, '--device', 'gpu7'),
                call(*planted, '--units', 'colours'), call(*planted, '--k', '7'), call(*planted[:2], home/'nothing')]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 6)
    for name in ('MILAN_RESULTS_DIR', 'MILAN_DATA_DIR'): del os.environ[name]
    shutil.rmtree(home)
    print('\n'.join(one.stderr.strip() for one in failures))


# 61_cli.ipynb, section "Training"
def test_training():
    shown(shell('train', '--help').stdout)

    theirs = Path(tempfile.mkdtemp())
    (theirs/'thesis.txt').write_text('three years')
    for place in (theirs, theirs/'thesis.txt'): # said before anything is trained
        refused = call('train', 'stamps', '--out', place)
        test_eq((refused.exit_code, 'give another folder' in refused.stderr), (1, True))
    test_eq((theirs/'thesis.txt').read_text(), 'three years')


# 61_cli.ipynb, section "Training"
@pytest.mark.slow
@pytest.mark.training
def test_training_slow():
    home = Path(tempfile.mkdtemp())
    os.environ['MILAN_RESULTS_DIR'] = str(home/'results')
    images = np.zeros((64, 2, 3, 64, 64), dtype=np.uint8)
    images += (np.arange(64)[:, None] % 8 >> np.arange(3) & 1).astype(np.uint8)[:, None, :, None, None] * 255
    (home/'set'/'layer').mkdir(parents=True)
    np.save(home/'set'/'layer'/'images.npy', images)
    np.save(home/'set'/'layer'/'masks.npy', np.ones_like(images[:, :, :1]) // 1)
    for name in ('ids', 'activations'): np.savetxt(home/'set'/'layer'/f'{name}.csv', np.zeros((64, 2)), fmt='%d', delimiter=',')
    words = 'black red green yellow blue magenta cyan white'.split()
    pd.DataFrame([('layer', unit, f'{word} plain picture all over') for unit, word in enumerate(8 * words) for _ in range(3)], columns=['layer', 'unit', 'summary']).to_csv(
        home/'set'/'annotations.csv', index=False)
    result = call('train', home/'set', '--encoder', 'planted/shapes', '--out', home/'captioner', '--device', 'cpu')
    test_eq(result.exit_code, 0)
    assert 'milan describe' in result.stdout
    said = milan.pretrained(home/'captioner', 'cpu')(torch.from_numpy(images[:8]), beam_size=4).captions
    named = sum(word in text.lower() for word, text in zip(words, said))
    assert named >= 7, said # what is learnt differs in its last digits from one processor to the next
    missing = call('train', home/'nothing')
    test_eq(missing.exit_code, 1)
    missing.stderr.replace(str(home), '…')

    (home/'pictures').mkdir()
    for number, picture in enumerate(images[:8, 0]): Image.fromarray(picture.transpose(1, 2, 0)).save(home/'pictures'/f'{number}.png')
    os.environ['MILAN_DATA_DIR'] = str(home/'data')
    result = call('describe', 'planted/shapes', home/'pictures', '--units', 'colours:0-7', '--k', '2', '--captioner', home/'captioner',
                  '--device', 'cpu', '--beam-size', '4', '--out', home/'described')
    test_eq(result.exit_code, 0)
    table = pd.read_csv(home/'described'/'descriptions.csv', keep_default_na=False)
    assert set(' '.join(table.description).lower().split()) <= {*words, *'plain picture all over'.split()} and np.isfinite(table.score).all()
    page = (home/'described'/'gallery'/'index.html').read_text()
    assert all(text in page for text in table.description)
    for name in ('MILAN_DATA_DIR', 'MILAN_RESULTS_DIR'): del os.environ[name]
    shutil.rmtree(home)
    table


# 61_cli.ipynb, section "Browsing"
def test_browsing():
    folder = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='no index.html'): server(folder)
    (folder/'gallery').mkdir()
    (folder/'gallery'/'index.html').write_text('<h1>Units</h1>')
    with serving(folder) as address:
        test_eq(urllib.request.urlopen(address).read(), b'<h1>Units</h1>')
        taken = int(address.rsplit(':')[-1].strip('/'))
        with expect_fail(MilanError, contains=f'port {taken}'): server(folder, taken)
    shutil.rmtree(folder)

    result = call('browse', '/nowhere/at/all', '--no-open')
    test_eq(result.exit_code, 1)
    assert 'holds no index.html' in result.stderr and 'Traceback' not in result.stderr
    result.stderr


# 61_cli.ipynb, section "Networks"
def test_networks():
    result = call('networks', 'planted')
    test_eq(result.exit_code, 0)
    shown(result.output)


# 61_cli.ipynb, section "Data"
def test_data():
    matching(['milan-*', 'emoji'], ['emoji', 'milan-base', 'milan-gen', 'openclipart'])

    missing = call('data', 'complete', 'alexnet/imagenet')
    test_eq((missing.exit_code, 'Traceback' in missing.stderr), (1, False))
    assert 'milannotations-alexnet-imagenet' in missing.stderr

    os.environ['MILAN_DATA_DIR'] = os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    shown(call('data', 'list', 'efficientnet-lite?', 'milan-*', 'tuxpaint-stamps').output)

    test_eq(call('data', 'fetch', 'efficientnet-lite0', '--offline').exit_code, 0)
    result = call('data', 'verify')
    test_eq(result.exit_code, 0)
    result.output

    result = call('data', 'verify', 'efficientnet-lite0', 'tuxpaint-stamps', 'unheard-of')
    test_eq(result.exit_code, 1)
    assert 'efficientnet-lite0: ' in result.stdout and 'milan data fetch tuxpaint-stamps' in result.stderr and "'unheard-of'" in result.stderr
    test_eq(call('data', 'list', 'unheard-of').exit_code, 1)
    test_eq([line.split()[:2] for line in call('data', 'list', 'efficientnet-lite[01]').output.splitlines() if line.startswith('eff')],
            [['efficientnet-lite0', 'ready'], ['efficientnet-lite1', 'absent']])

    home = Path(os.environ['MILAN_DATA_DIR'])
    torch.save({'weight': torch.zeros(2)}, home/'milan-gen.pth')
    (home/'file (2).zip').write_bytes(b'PK')
    result = call('data', 'add', home/'milan-gen.pth')
    test_eq((result.exit_code, call('data', 'verify', 'milan-gen').exit_code), (0, 0))
    assert str(home/'milan-gen.pth') in result.output
    failed = call('data', 'add', home/'file (2).zip')
    test_eq(failed.exit_code, 1)
    print(failed.stderr.replace(str(home), '…'))

    offline = call('data', 'fetch', 'milan-base', '--offline')
    test_eq((offline.exit_code, shell('data', 'fetch').returncode), (1, 2)) # all of them is too much to fetch unasked
    assert 'no connection was attempted' in offline.stderr
    print(offline.stderr.replace(str(home), '…'))
    shutil.rmtree(os.environ.pop('MILAN_DATA_DIR'))
    del os.environ['MILAN_MODELS_DIR']


# 61_cli.ipynb, section "Reproducing"
def test_reproducing():
    test_eq(parse_parameters(['seeds=3', 'images=shapes', 'note=a=b']), {'seeds': 3, 'images': 'shapes', 'note': 'a=b'})
    with expect_fail(MilanError, contains="'seeds'"): parse_parameters(['seeds'])

    shown(shell('reproduce', '--help').stdout)

    home = Path(tempfile.mkdtemp())
    cells = [nbformat.v4.new_markdown_cell('# Toy\n\n> Divides.'),
             nbformat.v4.new_code_cell("profile = 'demo' # smoke | demo\nby = 2 # divisor", metadata={'tags': ['parameters']}), nbformat.v4.new_code_cell('84 / by')]
    (home/'guides').mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}}),
                   home/'guides'/'toy.ipynb')
    os.environ.update(MILAN_NOTEBOOKS_DIR=str(home), MILAN_RESULTS_DIR=str(home/'results'))
    before = os.getcwd()
    os.chdir(home)
    shown(call('reproduce').output)

    runs = [call('reproduce', 'toy', '--profile', 'smoke', '-p', 'by=2') for _ in range(2)]
    test_eq([(one.exit_code, one.stdout.splitlines()[1].split()[:2]) for one in runs], [(0, ['toy', 'done']), (0, ['toy', 'skipped'])])
    failed = call('reproduce', '--all', '--profile', 'smoke', '-p', 'by=0', '--jobs', '1')
    test_eq((failed.exit_code, failed.stdout.splitlines()[1].split()[:2]), (1, ['toy', 'failed']))
    assert '1 of 1 failed' in failed.stderr
    assert 'ZeroDivisionError' in failed.stderr and Path('reports/toy/smoke/report.failed.ipynb').is_file()
    print(runs[1].stdout, failed.stdout, failed.stderr.splitlines()[-1])

    test_eq(call('reproduce', 'toi').exit_code, 1)
    test_eq(call('reproduce', 'toy', '-p', 'by').exit_code, 1)
    os.chdir(before)
    del os.environ['MILAN_NOTEBOOKS_DIR'], os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(home)


# 61_cli.ipynb, section "The command as a whole"
def test_the_command_as_a_whole():
    shown(shell('--help').stdout)

    code = 'import atexit, json, sys; atexit.register(lambda: print(json.dumps([n for n in sys.argv[2:] if n in sys.modules])))'
    HEAVY = ['torch', 'pandas', 'numpy', 'matplotlib', 'spacy', 'transformers', 'torchvision', 'papermill']
    test_eq(json.loads(shell('--help', *HEAVY, code=code).stdout.splitlines()[-1]), [])

    usage = [shell('paint'), shell('exemplars', 'planted/shapes', 'shapes', '--k', '0')]
    test_eq([one.returncode for one in usage], [2, 2])
    test_eq(call('browse', '/nowhere').exit_code, 1)
    assert isinstance(call('--debug', 'browse', '/nowhere').exception, MilanError)
    shown(usage[0].stderr)
