# Generated from nbs/02_cli.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.cli import (
    _check_out,
    app,
    matching,
    parse_parameters,
    parse_units,
    server,
    serving,
)
import pytest

import http.client
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import urllib.request
from dataclasses import replace

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
    return subprocess.run(
        [sys.executable, '-c', f'from milan.cli import app; {code}; app(prog_name="milan")', *arguments],
        text=True,
        capture_output=True,
        env={
            **os.environ,
            'COLUMNS': '100',
            'TERMINAL_WIDTH': '100',
            'TERM': 'xterm',
            'NO_COLOR': '1',
            'FORCE_COLOR': '',
        },
    )


def shown(text: str) -> None:
    "Print help without colours and without the blanks that fill its lines."
    print(
        '\n'.join(line.rstrip() for line in re.sub(r'\x1b\[[0-9;]*m', '', text).splitlines() if line.strip())
    )


def ask(address: str, path: str = '/', host: str | None = None) -> int:
    "The status of an answer."
    place = address.split('/')[2]
    connection = http.client.HTTPConnection(place, timeout=10)
    connection.request('GET', path, headers={'Host': place if host is None else host})
    status = connection.getresponse().status
    connection.close()
    return status


def examples() -> list[list[str]]:
    "All commands that the help texts show, as words."
    from typer.main import get_command

    pages, group = [], get_command(app)
    for command in [group, *group.commands.values(), *group.commands['data'].commands.values()]:
        pages.append(command.help or '')
    return [
        shlex.split(line.strip()[2:])
        for page in pages
        for line in page.splitlines()
        if line.strip().startswith('$ ')
    ]


def understood(words: list[str]) -> bool:
    "Whether the options and arguments are the command's own; nothing runs."
    from typer.main import get_command

    context, command = None, get_command(app)
    words = (
        ['exemplars', *words[words.index('milan.exemplars') + 1 :]] if words[0] == 'torchrun' else words[1:]
    )
    while hasattr(command, 'commands'):
        command, words = command.commands[words[0]], words[1:]
    return command.make_context('milan', list(words)) is not None

import milan.captioner.demo

import milan.exemplars

import milan.networks

import milan.captioner.demo

import milan.experiments

import milan.images


# 02_cli.ipynb, section "The frame"
def test_the_frame():
    result = call('--version')
    test_eq((result.exit_code, result.output.split()[0]), (0, 'milan'))
    result.output

    test_eq(parse_units(['blocks.3:0-2', 'blocks.3:7,9', 'head:1']), {'blocks.3': [0, 1, 2, 7, 9], 'head': [1]})
    test_eq(parse_units(None), None)
    for wrong in ('blocks.3', ':3', 'head:', 'head:3-1', 'head:-1', 'head:1,,2', 'head:x', 'head:0-99999999999'):
        with expect_fail(MilanError, contains=repr(wrong)): parse_units([wrong])
    with expect_fail(MilanError, contains='cannot be read'): parse_units(['a:' + '9' * 5000])

    theirs = Path(tempfile.mkdtemp())
    (theirs / 'own.py').write_text(
        "from torch import nn\nopen('ran', 'w').close()\ndef make(): return nn.Conv2d(3, 4, 3)\n".replace(
            "'ran'", repr(str(theirs / 'ran'))
        )
    )
    (theirs/'net.yaml').write_text('name: own/pictures\nbuild: own:make')
    (theirs/'pictures').mkdir()
    # a network file is code
    for first, said, ran in (((), 'could run any code', False), (('--trust',), 'pictures', True)):
        refused = shell(*first, 'exemplars', theirs/'net.yaml', theirs/'pictures', '--device', 'cpu')
        test_eq((refused.returncode, said in refused.stderr, (theirs/'ran').exists()), (1, True, ran))


# 02_cli.ipynb, section "Exemplars and descriptions"
def test_exemplars_and_descriptions():
    shown(shell('exemplars', '--help').stdout)

    shown(shell('describe', '--help').stdout)


# 02_cli.ipynb, section "Exemplars and descriptions"
@pytest.mark.slow
def test_exemplars_and_descriptions_slow():
    global _check_out
    class Numbers:
        "Stands in for a captioner."
        def describe(self, exemplars, **settings):
            given.append(settings)
            return pd.DataFrame(
                [(one.layer, one.unit, f'unit {one.unit}', 0.0) for one in exemplars],
                columns=['layer', 'unit', 'description', 'score'],
            )


    home, given = Path(tempfile.mkdtemp()), []
    (home/'pictures').mkdir()
    for seed in range(6):
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (70, 70, 3), dtype=np.uint8)).save(
            home / 'pictures' / f'{seed}.png'
        )
    os.environ['MILAN_RESULTS_DIR'], os.environ['MILAN_DATA_DIR'] = str(home/'results'), str(home/'data')
    before = sys.modules.get('milan.captioner.demo')
    sys.modules['milan.captioner.demo'] = types.SimpleNamespace(train=lambda name, device=None: Numbers())
    arguments = (
        'describe',
        'planted/shapes',
        home / 'pictures',
        '--units',
        'colours:0-3',
        '--k',
        '2',
        '--captioner',
        'shapes',
        '--device',
        'cpu',
        '--beam-size',
        '5',
    )
    results = [call(*arguments) for _ in range(2)]
    print(results[0].stdout.replace(str(home), '…'))
    (
        sys.modules.pop('milan.captioner.demo')
        if before is None
        else sys.modules.update({'milan.captioner.demo': before})
    )
    test_eq([one.exit_code for one in results], [0, 0])
    test_eq(given[0], {'strategy': None, 'temperature': None, 'beam_size': 5})
    [table] = (home/'results').rglob('descriptions.csv')
    test_eq(pd.read_csv(table).description.tolist(), ['unit 0', 'unit 1', 'unit 2', 'unit 3'])
    assert (table.parent/'gallery'/'index.html').is_file()
    [made] = (home/'results'/'exemplars').rglob('exemplars.json')
    test_eq(
        table.parent.parent.relative_to(home / 'results' / 'descriptions'),
        made.parent.relative_to(home / 'results' / 'exemplars'),
    )
    assert table.parent.name.startswith('shapes-') # with a hash, as the beam is not the captioner's own

    planted = 'exemplars', 'planted/shapes', home/'pictures', '--random-weights'
    (home/'pictures'/'damaged.png').write_bytes(b'not a picture')
    tolerant = call(*planted, '--layers', 'colours', '--units', 'colours:0', '--k', '6', '--skip-broken')
    test_eq(
        (tolerant.exit_code, tolerant.stderr.count('left out: '), 'left out: damaged.png' in tolerant.stderr),
        (0, 1, True),
    )
    fatal = call(*planted, '--layers', 'colours', '--k', '6')
    test_eq((fatal.exit_code, 'damaged.png' in fatal.stderr), (1, True))
    (home/'pictures'/'damaged.png').unlink()
    failures = [
        call(*planted, '--layers', 'colour'),
        call('exemplars', 'planted/shape', 'shapes'),
        call(*planted, '--device', 'gpu7'),
        call(*planted, '--units', 'colours'),
        call(*planted, '--k', '7'),
        call(*planted[:2], home / 'nothing'),
    ]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 6)
    for name in ('MILAN_RESULTS_DIR', 'MILAN_DATA_DIR'): del os.environ[name]
    shutil.rmtree(home)
    print('\n'.join(one.stderr.strip() for one in failures).replace(str(home), '…'))

    def never(*given, **named): raise AssertionError('this must not be reached')


    home = Path(tempfile.mkdtemp())
    before = os.getcwd()
    os.chdir(home)
    os.environ.update(MILAN_RESULTS_DIR=str(home/'results'), MILAN_DATA_DIR=str(home/'data'))
    for name in ('pictures', 'mine/gallery', 'made/gallery', 'table'): (home/name).mkdir(parents=True)
    Image.new('RGB', (70, 70)).save(home/'pictures'/'1.png')
    for name in (
        'file',
        'mine/gallery/diary.txt',
        'made/gallery/gallery.json',
        'made/descriptions.csv',
        'table/descriptions.csv',
    ):
        (home / name).touch()
    kept = milan.exemplars.compute, milan.captioner.demo.train, milan.networks.load
    milan.exemplars.compute = milan.captioner.demo.train = never
    planted = (
        'describe',
        'planted/shapes',
        'pictures',
        '--random-weights',
        '--captioner',
        'shapes',
        '--device',
        'cpu',
        '--k',
        '1',
    )
    after_loading = [
        call(*planted, '--k', '2'),
        call(*planted, '--layers', 'colour'),
        call(*planted, '--layers', 'shapes', '--units', 'colours:1'),
    ]
    milan.networks.load = never
    at_once = [
        call('describe', 'planted/shapes', './mypics'),
        call('describe', 'hf:nobody/nothing', 'mypics'),
        call(*planted, '--captioner', './my.pth'),
        call(*planted, '--captioner', 'bse+clip'),
        call(*planted, '--units', 'colours:'),
        call(*planted, '--device', 'gpu7'),
        call(*planted, '--out', 'file'),
        call(*planted, '--out', 'mine'),
        call(*planted, '--out', 'table'),
        call('describe', 'resnet18/imagenet', 'imagenet'),
    ]
    told = [one.stderr.strip().replace(str(home), '…') for one in (*after_loading, *at_once)]
    test_eq([one.exit_code for one in (*after_loading, *at_once)], [1] * len(told))
    from milan.cli import _check_out
    for good in ('made', 'new', 'pictures'): _check_out(Path(good))
    milan.exemplars.compute, milan.captioner.demo.train, milan.networks.load = kept
    os.chdir(before)
    for name in ('MILAN_RESULTS_DIR', 'MILAN_DATA_DIR'): del os.environ[name]
    shutil.rmtree(home)
    print('\n'.join(one.split('; ')[0][:150] for one in told))


# 02_cli.ipynb, section "Training"
def test_training():
    shown(shell('train', '--help').stdout)

    theirs = Path(tempfile.mkdtemp())
    (theirs/'thesis.txt').write_text('three years')
    for place in (theirs, theirs/'thesis.txt'): # said before anything is trained
        refused = call('train', 'stamps', '--out', place)
        test_eq((refused.exit_code, 'give another folder' in refused.stderr), (1, True))
    test_eq((theirs/'thesis.txt').read_text(), 'three years')


# 02_cli.ipynb, section "Training"
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
    for name in ('ids', 'activations'):
        np.savetxt(home / 'set' / 'layer' / f'{name}.csv', np.zeros((64, 2)), fmt='%d', delimiter=',')
    words = 'black red green yellow blue magenta cyan white'.split()
    pd.DataFrame(
        [
            ('layer', unit, f'{word} plain picture all over')
            for unit, word in enumerate(8 * words)
            for _ in range(3)
        ],
        columns=['layer', 'unit', 'summary'],
    ).to_csv(home / 'set' / 'annotations.csv', index=False)
    result = call(
        'train', home / 'set', '--encoder', 'planted/shapes', '--out', home / 'captioner', '--device', 'cpu'
    )
    test_eq(result.exit_code, 0)
    assert 'milan describe' in result.stdout
    trained = milan.pretrained(home/'captioner', 'cpu')
    said = trained(torch.from_numpy(images[:8]), beam_size=4).captions
    log = trained.card['training']['decoder_log']
    assert log[-1]['validation_loss'] < log[0]['validation_loss']
    # what is learnt differs in its last digits between processors
    assert sum(word in text.lower() for word, text in zip(words, said, strict=True)) >= 7, said
    test_eq(shell('train', 'shapes', '--profile', 'bogus').returncode, 2)
    with expect_fail(MilanError, contains="no profile 'bogus'"):
        milan.captioner.demo.train('shapes', profile='bogus')
    missing = call('train', home/'nothing')
    test_eq(missing.exit_code, 1)
    missing.stderr.replace(str(home), '…')

    (home/'pictures').mkdir()
    for number, picture in enumerate(images[:8, 0]):
        Image.fromarray(picture.transpose(1, 2, 0)).save(home / 'pictures' / f'{number}.png')
    os.environ['MILAN_DATA_DIR'] = str(home/'data')
    result = call(
        'describe',
        'planted/shapes',
        home / 'pictures',
        '--units',
        'colours:0-7',
        '--k',
        '2',
        '--captioner',
        home / 'captioner',
        '--device',
        'cpu',
        '--beam-size',
        '4',
        '--out',
        home / 'described',
    )
    test_eq(result.exit_code, 0)
    table = pd.read_csv(home/'described'/'descriptions.csv', keep_default_na=False)
    assert (
        set(' '.join(table.description).lower().split()) <= {*words, *'plain picture all over'.split()}
        and np.isfinite(table.score).all()
    )
    page = (home/'described'/'gallery'/'index.html').read_text()
    assert all(text in page for text in table.description)
    for name in ('MILAN_DATA_DIR', 'MILAN_RESULTS_DIR'): del os.environ[name]
    shutil.rmtree(home)
    table


# 02_cli.ipynb, section "Browsing"
def test_browsing():
    folder = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='no index.html'): server(folder)
    (folder/'mine'/'gallery'/'empty').mkdir(parents=True)
    (folder/'mine'/'gallery'/'index.html').write_text('<h1>Units</h1>')
    with serving(folder/'mine') as address:
        test_eq(urllib.request.urlopen(address).read(), b'<h1>Units</h1>')
        taken = int(address.rsplit(':')[-1].strip('/'))
        with expect_fail(MilanError, contains=f'port {taken}'): server(folder/'mine', taken)

    (folder/'diary.txt').write_text('private')
    (folder/'mine'/'gallery'/'diary.txt').symlink_to(folder/'diary.txt')
    (folder/'mine'/'gallery'/'outside').symlink_to(folder)
    (folder/'mine'/'gallery'/'page').mkdir()
    (folder/'mine'/'gallery'/'page'/'index.html').symlink_to(folder/'diary.txt')
    (folder/'mine'/'gallery'/'same.html').symlink_to('index.html')
    os.mkfifo(folder/'mine'/'gallery'/'waits')
    with serving(folder/'mine') as address:
        inside, outside = ('/', '/index.html', '/same.html'), (
            '/diary.txt',
            '/outside/diary.txt',
            '/outside/',
            '/page/',
            '/../diary.txt',
            '/%2e%2e/diary.txt',
            '/empty/',
            '/waits',
        )
        test_eq([ask(address, path) for path in (*inside, *outside)], [200] * len(inside) + [404] * len(outside))
        ours, others = ('localhost', 'LOCALHOST:8000', '127.0.0.1', '[::1]:80'), (
            'evil.example',
            f'evil.example:{taken}',
            '127.0.0.1.evil.example',
            '',
            '192.168.0.1',
            'localhost@evil.example',
        )
        test_eq([ask(address, host=host) for host in (*ours, *others)], [200] * len(ours) + [403] * len(others))
    (folder/'linked').mkdir()
    (folder/'linked'/'gallery').symlink_to(folder/'mine'/'gallery')
    with expect_fail(MilanError, contains='no index.html'): server(folder/'linked')
    shutil.rmtree(folder)

    result = call('browse', '/nowhere/at/all', '--no-open')
    test_eq(result.exit_code, 1)
    assert 'holds no index.html' in result.stderr and 'Traceback' not in result.stderr
    result.stderr


# 02_cli.ipynb, section "Networks"
def test_networks():
    result = call('networks', 'planted')
    test_eq(result.exit_code, 0)
    shown(result.output)

    # of a new process: other tests register networks here
    table = pd.DataFrame(json.loads(shell('networks', '--json').stdout))
    lines = shell('networks').stdout.splitlines()
    test_eq([line.split()[0] for line in lines[1:]], table['name'].tolist()) # each on one line, whole
    assert all(source in line for source, line in zip(table['weights'], lines[1:])) and not any(
        line.endswith(' ') for line in lines
    )
    test_eq(
        json.loads(call('networks', 'PLANTED', '--json').output),
        table[table['name'] == 'planted/shapes'].to_dict('records'),
    )
    unknown = call('networks', 'zzz')
    test_eq((unknown.exit_code, unknown.stdout), (1, ''))
    print(unknown.stderr)


# 02_cli.ipynb, section "Data"
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
    assert (
        'efficientnet-lite0: ' in result.stdout
        and 'milan data fetch tuxpaint-stamps' in result.stderr
        and "'unheard-of'" in result.stderr
    )
    test_eq(call('data', 'list', 'unheard-of').exit_code, 1)
    rows = json.loads(call('data', 'list', 'milan-*', '--json').output)
    assert len(rows) > 5 and all(
        row['name'].startswith('milan-') and {'state', 'megabytes', 'licence', 'title'} <= set(row)
        for row in rows
    )
    test_eq(
        [line.split()[0] for line in shell('data', 'list', 'milan-*').stdout.splitlines()[1:]],
        [row['name'] for row in rows],
    )
    test_eq(
        [
            line.split()[:2]
            for line in call('data', 'list', 'efficientnet-lite[01]').output.splitlines()
            if line.startswith('eff')
        ],
        [['efficientnet-lite0', 'ready'], ['efficientnet-lite1', 'absent']],
    )

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
    # all of them is too much to fetch unasked
    test_eq((offline.exit_code, shell('data', 'fetch').returncode), (1, 2))
    assert 'no connection was attempted' in offline.stderr
    print(offline.stderr.replace(str(home), '…'))
    shutil.rmtree(os.environ.pop('MILAN_DATA_DIR'))
    del os.environ['MILAN_MODELS_DIR']


# 02_cli.ipynb, section "Reproducing"
def test_reproducing():
    test_eq(
        parse_parameters(['seeds=3', 'images=shapes', 'note=a=b']),
        {'seeds': 3, 'images': 'shapes', 'note': 'a=b'},
    )
    with expect_fail(MilanError, contains="'seeds'"): parse_parameters(['seeds'])

    shown(shell('reproduce', '--help').stdout)

    home = Path(tempfile.mkdtemp())
    cells = [
        nbformat.v4.new_markdown_cell('# Toy\n\n> Divides.'),
        nbformat.v4.new_code_cell(
            "profile = 'demo' # smoke | demo\nby = 2 # divisor", metadata={'tags': ['parameters']}
        ),
        nbformat.v4.new_code_cell('84 / by'),
    ]
    (home/'guides').mkdir()
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=cells,
            metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}},
        ),
        home / 'guides' / 'toy.ipynb',
    )
    os.environ.update(MILAN_NOTEBOOKS_DIR=str(home), MILAN_RESULTS_DIR='results')
    before = os.getcwd()
    os.chdir(home)
    shown(call('reproduce').output)

    runs = [call('reproduce', 'toy', '--profile', 'smoke', '-p', 'by=2') for _ in range(2)]
    test_eq(
        [(one.exit_code, one.stdout.splitlines()[1].split()[:2]) for one in runs],
        [(0, ['toy', 'done']), (0, ['toy', 'skipped'])],
    )
    failed = call('reproduce', '--all', '--profile', 'smoke', '-p', 'by=0', '--jobs', '1')
    test_eq((failed.exit_code, failed.stdout.splitlines()[1].split()[:2]), (1, ['toy', 'failed']))
    assert '1 of 1 failed' in failed.stderr
    assert (
        'ZeroDivisionError' in failed.stderr and Path('results/reports/toy/smoke/report.failed.ipynb').is_file()
    )
    print(runs[1].stdout, failed.stdout, failed.stderr.splitlines()[-1])

    test_eq(call('reproduce', 'toi').exit_code, 1)
    test_eq(
        [shell('reproduce', *given, '--profile', 'bogus').returncode for given in (['toy'], ['--all'])], [2, 2]
    )
    test_eq(call('reproduce', 'toy', '--profile', 'smoke', '--out', 'elsewhere').exit_code, 0)
    assert Path('elsewhere/toy/smoke/report.ipynb').is_file() and not Path('reports').exists()
    test_eq(call('reproduce', 'toy', '-p', 'by').exit_code, 1)
    os.chdir(before)
    del os.environ['MILAN_NOTEBOOKS_DIR'], os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(home)


# 02_cli.ipynb, section "The command as a whole"
def test_the_command_as_a_whole():
    shown(shell('--help').stdout)

    code = (
        'import atexit, json, sys; atexit.register(lambda: print(json.dumps([n for n in sys.argv[2:] if n in'
        ' sys.modules])))'
    )
    HEAVY = ['torch', 'pandas', 'numpy', 'matplotlib', 'spacy', 'transformers', 'torchvision', 'papermill']
    test_eq(json.loads(shell('--help', *HEAVY, code=code).stdout.splitlines()[-1]), [])

    completed = subprocess.run(
        [sys.executable, '-c', 'from milan.cli import app; app(prog_name="milan")'],
        text=True,
        capture_output=True,
        env={**os.environ, '_MILAN_COMPLETE': 'complete_bash', 'COMP_WORDS': 'milan re', 'COMP_CWORD': '1'},
    )
    test_eq(completed.stdout.split(), ['reproduce'])

    usage = [shell('paint'), shell('exemplars', 'planted/shapes', 'shapes', '--k', '0')]
    test_eq([one.returncode for one in usage], [2, 2])
    test_eq(call('browse', '/nowhere').exit_code, 1)
    assert isinstance(call('--debug', 'browse', '/nowhere').exception, MilanError)
    shown(usage[0].stderr)


# 02_cli.ipynb, section "The command as a whole"
@pytest.mark.slow
def test_the_command_as_a_whole_slow():
    asked = []
    deaf = socket.create_server(('127.0.0.1', 0))


    def hang_up():
        "Accept connections and close them at once."
        while True:
            try: one, _ = deaf.accept()
            except OSError: return
            asked.append(one.recv(99).split(b' ')[0])
            one.close()


    threading.Thread(target=hang_up, daemon=True).start()
    folder = Path(tempfile.mkdtemp())
    os.environ |= {
        'HF_ENDPOINT': f'http://127.0.0.1:{deaf.getsockname()[1]}',
        'HF_HOME': str(folder),
        'MILAN_RESULTS_DIR': str(folder / 'results'),
        'NO_PROXY': '127.0.0.1',
    }
    for name in ('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE', 'MILAN_OFFLINE'): os.environ.pop(name, None)
    result = shell('exemplars', 'hf:nobody/nothing', 'shapes', '--device', 'cpu')
    deaf.close()
    for name in ('HF_ENDPOINT', 'HF_HOME', 'MILAN_RESULTS_DIR', 'NO_PROXY'): del os.environ[name]
    shutil.rmtree(folder)
    test_eq((result.returncode, asked.count(b'HEAD'), 'Traceback' in result.stderr), (1, 2, False))
    print(result.stderr.split('). ')[0])


# 02_cli.ipynb, section "From an empty folder"
def test_from_an_empty_folder():
    found = examples()
    assert all(understood(words) for words in found) and len(found) > 20
    ' '.join(found[0])


# 02_cli.ipynb, section "From an empty folder"
@pytest.mark.slow
def test_from_an_empty_folder_slow():
    home, before = Path(tempfile.mkdtemp()), os.getcwd()
    for name in [name for name in os.environ if name.startswith('MILAN_') and name.endswith('_DIR')]:
        del os.environ[name]
    kept = dict(milan.captioner.demo.RECIPES), dict(milan.images.sets._MAKERS)
    milan.captioner.demo.RECIPES['shapes'] = replace(
        kept[0]['shapes'], scenes=60, drawn=60, components=16, epochs=1
    )
    milan.images.sets._MAKERS['shapes'] = lambda size: milan.images.ShapeScenes(40)
    os.chdir(home)
    ran = {}
    for words in examples():
        line = ' '.join(words[1:])
        offline = words[0] == 'milan' and (
            'planted' in line
            or 'train shapes' in line
            or words[1] == 'networks'
            or words[1:3] in (['data', 'list'], ['data', 'verify'])
            or line == 'reproduce'
        )
        if offline and 'tuxpaint' not in line: ran[line] = call(*words[1:])
    for line, one in ran.items(): assert one.exit_code == 0, (line, one.output, one.exception)
    described = sorted((home/'results'/'descriptions').rglob('descriptions.csv'))
    pages = [
        re.search('milan browse (.*)', one.output)[1] for line, one in ran.items() if line.startswith('describe')
    ]
    os.chdir(before)
    list(ran)

    os.chdir(home)
    os.environ['PYTHONPATH'] = str(Path(milan.__file__).parent.parent)
    browsing = subprocess.Popen(
        [
            sys.executable,
            '-u',
            '-c',
            'from milan.cli import app; app(prog_name="milan")',
            'browse',
            pages[0],
            '--port',
            '0',
            '--no-open',
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    address = re.search(r'http://\S+', browsing.stdout.readline())[0]
    test_eq([ask(address), ask(address, '/style.css'), ask(address, '/nothing')], [200, 200, 404])
    browsing.terminate()
    browsing.wait()
    browsing.stdout.close()
    milan.captioner.demo.RECIPES.update(kept[0])
    milan.images.sets._MAKERS.update(kept[1])
    assert {path.name for path in home.iterdir()} <= {'data', 'models', 'results'}
    os.chdir(before)
    shutil.rmtree(home)
    [path.relative_to(home).as_posix() for path in described]
