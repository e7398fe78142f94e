# Generated from nbs/15_command/13_rating.ipynb by `make export`. Edit the notebook, not this file.

from milan.cli.rating import (
    _open_exemplars,
    _tables,
    find_exemplars,
    read_descriptions,
)
import pytest

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pandas as pd
from fastcore.test import expect_fail, test_eq

import milan
from milan.config import MilanError
from milan.exemplars.layouts import read_about, write_about
from milan.files import write_table
from milan.gallery.rating import read_answers, read_cards, read_key, save_answer
from milan.testing import forget, made_up_exemplars, made_up_set, print_help, run_command, run_process
from milan.testing import user_folder


def described(folder, words, exemplars=None):
    "A folder as `milan describe --out` leaves it; exemplars: copied into it."
    folder.mkdir(parents=True)
    if exemplars is not None: shutil.copytree(exemplars, folder/'exemplars')
    units = [(layer, unit) for layer in ('blocks.2', 'blocks.10') for unit in range(4)]
    rows = [(*unit, f'{words} {number % 3}') for number, unit in enumerate(units)]
    write_table(pd.DataFrame(rows, columns=['layer', 'unit', 'description']), folder/'descriptions.csv')
    return folder


# 13_rating.ipynb, section "Descriptions"
def test_descriptions():
    home = Path(tempfile.mkdtemp())
    plain = described(home/'plain', 'red disc')
    table = pd.read_csv(plain/'descriptions.csv')
    (home/'report').mkdir()
    write_table(pd.concat([table.assign(method=name) for name in ('MILAN', 'best label')]),
                home/'report'/'descriptions.csv')
    {name: len(rows) for name, rows in read_descriptions(home/'report').items()}

    test_eq(list(read_descriptions(plain)), ['plain'])
    with expect_fail(MilanError, contains='holds no descriptions.csv'): read_descriptions(home)
    shutil.rmtree(home)

    home = Path(tempfile.mkdtemp())
    one, other = described(home/'plain', 'red disc'), described(home/'other'/'plain', 'disc')
    (home/'report').mkdir()
    table = pd.read_csv(one/'descriptions.csv')
    write_table(pd.concat([table.assign(method=name) for name in ('MILAN', 'label')]),
                home/'report'/'descriptions.csv')
    test_eq(list(_tables([home/'report', one], ['MILAN'])), ['MILAN', 'plain'])
    test_eq(list(_tables([one, other], None)), ['plain', f'{other}: plain'])
    with expect_fail(MilanError, contains='there are MILAN, label'): _tables([home/'report'], ['CLIP'])
    shutil.rmtree(home)


# 13_rating.ipynb, section "Exemplars"
def test_exemplars():
    home = user_folder('results')
    made = home/'results'/'descriptions'/'resnet18'/'stamps'/'base'
    for place in (made, home/'results'/'exemplars'/'resnet18'/'stamps', home/'mine'/'exemplars'):
        place.mkdir(parents=True)
    (home/'results'/'exemplars'/'resnet18'/'stamps'/'exemplars.json').touch()
    [find_exemplars(one).relative_to(home.resolve()).as_posix() for one in (made, (home/'mine').resolve())]

    test_eq(find_exemplars(home), None)
    test_eq(find_exemplars(made.parent), None)
    forget(home)

    sets = [made_up_set() for _ in range(3)]
    for folder, key in zip(sets, 'aab'):
        write_about(folder, {**read_about(folder), 'fingerprint': key})
    folders = [Path(tempfile.mkdtemp()) for _ in sets]
    for folder, exemplars in zip(folders, sets): exemplars.rename(folder/'exemplars')
    test_eq(_open_exemplars(folders[:2], None).folder, folders[0]/'exemplars')
    test_eq(_open_exemplars(folders[:1], folders[2]/'exemplars').folder, folders[2]/'exemplars')
    with expect_fail(MilanError, contains='describes other exemplars'): _open_exemplars(folders, None)
    with expect_fail(MilanError, contains='--exemplars'): _open_exemplars([folders[0].parent], None)
    for folder in folders: shutil.rmtree(folder)


# 13_rating.ipynb, section "The session"
def test_the_session():
    print_help(run_process('rate', '--help').stdout)


# 13_rating.ipynb, section "The session"
@pytest.mark.slow
def test_the_session_slow():
    home = user_folder('results')
    exemplars = made_up_exemplars()
    folders = [described(home/name, words, exemplars) for name, words in (('mine', 'disc'), ('theirs', 'blob'))]
    os.environ['PYTHONPATH'] = str(Path(milan.__file__).parent.parent)
    program = 'from milan.cli import app; app(prog_name="milan")'
    words = 'rate', str(folders[0]), '--compare', str(folders[1]), '--rater', 'anna', '--no-open'
    rating = subprocess.Popen([sys.executable, '-u', '-c', program, *words], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, # a background job may ignore interrupts
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    first = rating.stdout.readline()
    address, session = re.search(r'http://\S+', first)[0], Path(re.search('in (.*), at', first)[1])
    with urllib.request.urlopen(f'{address}cards/1') as answer: view = json.load(answer)
    for card in range(1, 17):
        for answer in (b'{"nameable": "yes", "seconds": 1}', b'{"rating": "fully", "seconds": 1}'):
            request = urllib.request.Request(f'{address}cards/{card}', answer,
                                             {'Content-Type': 'application/json'})
            urllib.request.urlopen(request).close()
    rating.send_signal(2)
    last, _ = rating.communicate(timeout=60)
    print(last.replace(str(home), '…'))

    test_eq((view['cards'], view['next'], view['description']), (16, 1, None))
    assert session.parent == home/'results'/'ratings' and session.name.startswith('mine-')
    test_eq(sorted(set(read_key(session).describer)), ['mine', 'theirs'])
    test_eq(read_answers(session, 'anna').rating.tolist(), ['fully'] * 16)
    for card in range(1, 17):
        save_answer(session, 'ben', card, nameable='no')
        save_answer(session, 'ben', card, rating='no')
    result = run_command('rate', session, '--summary')
    test_eq(result.exit_code, 0)
    table = pd.DataFrame(json.loads(run_command('rate', session, '--summary', '--json').stdout))
    test_eq(table.groupby('rater').right.max().tolist(), [1, 0])
    test_eq(table.n[table.cards == 'own'].tolist(), [4] * 4)
    again = run_command('rate', folders[0], '--compare', folders[1], '--summary') # the same session
    test_eq((again.exit_code, again.stdout), (0, result.stdout))
    print_help(result.stdout)

    (folders[1]/'descriptions.csv').rename(home/'descriptions.csv') # away from its exemplars
    failures = [run_command('rate', *arguments, '--no-open') for arguments in (
        (home,), (home/'nothing',), (folders[0], '--out', session, '--units', '3'), (session, '--rater', '../x'),
        (folders[0], '--out', folders[1]), (home, '--exemplars', home/'mine'), (folders[0], '--method', 'x'),
        (folders[0], '--units', '3', '--summary'))]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 8)
    del os.environ['PYTHONPATH']
    print('\n'.join(one.stderr.strip().split('\n')[-1] for one in failures).replace(str(home), '…'))
    forget(home)
