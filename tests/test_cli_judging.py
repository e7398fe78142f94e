# Generated from nbs/15_command/17_judging.ipynb by `make export`. Edit the notebook, not this file.

from milan.cli.judging import (
    read_described,
)
import pytest

import json

import pandas as pd
from fastcore.test import test_eq

from milan.exemplars.compute import compute
from milan.files import write_table
from milan.images.sets import load as load_images
from milan.networks.registry import load as load_network
from milan.testing import forget, print_help, run_command, run_process, user_folder


def described(folder, keep_maxima=True):
    "A folder as `milan describe` leaves it, of four planted colour units on generated scenes."
    network, units = load_network('planted/shapes', 'cpu', pretrained=False), [0, 3, 5, 6]
    compute(network, load_images('shapes'), ['colours'], units={'colours': units}, k=5, size=64, quiet=True,
            batch_size=50, keep_maxima=keep_maxima, out=folder/'exemplars')
    names = [f'{network.module.planted["colours"][unit]} things' for unit in units]
    table = pd.DataFrame({'layer': 'colours', 'unit': units, 'description': names})
    write_table(table, folder/'descriptions.csv')
    return folder


# 17_judging.ipynb, section "What is judged"
def test_what_is_judged():
    home = user_folder('results')
    folder = described(home/'made')
    read_described(folder, None)

    given, usual = read_described(folder, folder/'descriptions.csv'), read_described(folder, None)
    test_eq(given.description.tolist(), usual.description.tolist())
    forget(home)


# 17_judging.ipynb, section "The command"
def test_the_command():
    print_help(run_process('judge', '--help').stdout)


# 17_judging.ipynb, section "The command"
@pytest.mark.slow
def test_the_command_slow():
    home = user_folder('results')
    folder = described(home/'made')
    results = [run_command('judge', folder, '--judge', name, '--random-weights', '--out', home/name)
               for name in ('labels', 'concepts')]
    print('\n'.join(one.stdout for one in results).replace(str(home), '…'))
    test_eq([one.exit_code for one in results], [0, 0])

    table = pd.read_csv(home/'labels'/'descriptions.csv')
    test_eq(table.detection.tolist(), [1] * 4)
    test_eq(len(list((home/'labels'/'records').glob('*/*.txt'))), 12)
    again = run_command('judge', folder, '--judge', 'labels', '--random-weights', '--questions', 'detection',
                        '--json')
    rows = json.loads(again.stdout)
    test_eq([(row['questions'], row['names'], row['units']) for row in rows],
            [('detection', 'own', 4), ('detection', 'other', 4)])
    assert rows[0]['score'] == 1 and abs(rows[1]['score'] - .5) < .1
    test_eq(len(list((home/'results'/'judgements').iterdir())), 1)

    from milan.testing.chat import ChatServer

    def all_belong(asked): return json.dumps({'pictures': list(range(1, len(asked.pictures) + 1))})

    with ChatServer(all_belong) as server:
        result = run_command('judge', folder, '--judge', f'openai:toy@{server.url}', '--random-weights',
                             '--questions', 'detection', '--json')
    rows = json.loads(result.stdout)
    test_eq([(row['names'], row['score'], row['answered']) for row in rows], [('own', .5, 1), ('other', .5, 1)])

    mine = home/'mine'
    mine.mkdir()
    (mine/'notes.txt').write_text('of my own')
    described(home/'plain', keep_maxima=False)
    failures = [run_command('judge', '--judge', 'labels', *words) for words in (
        (home/'nothing',), (folder, home/'none.csv', '--random-weights'), (folder,),
        (folder, '--random-weights', '--questions', 'guessing'),
        (folder, '--random-weights', '--images', 'nowhere/x'), (home/'plain', '--random-weights'),
        (folder, '--random-weights', '--out', mine), (folder, '--random-weights', '--judge', 'people'),
        (folder, '--random-weights', '--judge', 'milan:base'))]
    print('\n'.join(one.stderr.replace(str(home), '…').strip().splitlines()[-1][:110] for one in failures))
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 9)
    test_eq((mine/'notes.txt').read_text(), 'of my own')
    forget(home)
