# Generated from nbs/15_command/14_searching.ipynb by `make export`. Edit the notebook, not this file.

from milan.cli.searching import (
    by_picture,
    by_text,
    by_unit,
    open_table,
    open_units,
    parse_layers,
)
import pytest

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import torch
from fastcore.test import expect_fail, test_eq
from PIL import Image

from milan.exemplars.compute import compute
from milan.files import write_table
from milan.images.scenes import COLOURS, SIZE
from milan.images.sets import ShapeScenes
from milan.networks.planted import planted_network
from milan.networks.registry import load as load_network
from milan.networks.registry import register
from milan.testing import forget, print_help, run_command, run_process, user_folder

register('toy/colours', lambda pretrained: planted_network(pretrained=False), ['colours'], SIZE)
NAMES = [*COLOURS, 'grey', 'grey', 'grey'] # of the planted colour units


def described(folder, words='{} things', order=None, layers=('colours',)):
    "A folder as `milan describe --out --keep-maxima` leaves it; order: of the units, None: as planted."
    network = load_network('toy/colours', 'cpu')
    names = NAMES if order is None else [NAMES[unit] for unit in order]
    if order is not None: network.module.colours.centres[:] = network.module.colours.centres[order].clone()
    compute(network, ShapeScenes(60), list(layers), k=5, size=None, quiet=True, keep_maxima=True,
            out=folder/'exemplars')
    rows = [('colours', unit, words.format(name)) for unit, name in enumerate(names)]
    write_table(pd.DataFrame(rows, columns=['layer', 'unit', 'description']), folder/'descriptions.csv')
    return folder


# 14_searching.ipynb, section "What a folder holds"
def test_what_a_folder_holds():
    home = user_folder('results')
    folder = described(home/'made')
    open_units(folder), len(open_table(folder)), open_units(folder/'exemplars').k

    with expect_fail(ValueError, contains='holds no exemplars'): open_units(home)
    with expect_fail(ValueError, contains='holds no descriptions.csv'): open_table(folder/'exemplars')
    table = open_table(folder)
    write_table(pd.concat([table.assign(method=name) for name in 'ab']), folder/'descriptions.csv')
    with expect_fail(ValueError, contains='by a, b'): open_table(folder)
    write_table(table.drop(columns='unit'), folder/'descriptions.csv')
    with expect_fail(ValueError, contains='no column unit'): open_table(folder)
    forget(home)


# 14_searching.ipynb, section "Five ways to search"
def test_five_ways_to_search():
    home = user_folder('results')
    first, second = described(home/'first'), described(home/'second', order=list(reversed(range(12))))
    [inside, there] = by_unit('colours:2', [first, second], 2)
    there.round(2)

    test_eq((there.unit[0], there.description[0]), (9, f'{NAMES[2]} things'))
    assert inside.unit[0] != 2
    test_eq(by_text('red', first, 'words', 5).unit.tolist(), [0])
    for query in ('colours', 'colours:x', ':3', 'colours:-1'):
        with expect_fail(ValueError, contains='is no unit'): by_unit(query, [first], 2)
    with expect_fail(ValueError, contains='none.png'): by_picture(home/'none.png', first, 3, 'cpu')
    forget(home)

    print_help(run_process('search', '--help').stdout)


# 14_searching.ipynb, section "Five ways to search"
@pytest.mark.slow
def test_five_ways_to_search_slow():
    home = user_folder('results')
    first, second = described(home/'first'), described(home/'second', order=list(reversed(range(12))))
    Image.new('RGB', (96, 96), COLOURS['green']).save(home/'green.png')
    results = [run_command('search', *words, '--json') for words in (
        ('colours:3', first, second, '--by', 'unit'), ('red', first, second, '--by', 'words'), ('red', first),
        (home/'green.png', first, '--by', 'picture', '--device', 'cpu', '--count', '3'))]
    test_eq([one.exit_code for one in results], [0] * 4)
    tables = [pd.DataFrame(json.loads(one.stdout)) for one in results]
    test_eq((tables[0].folder[0], tables[0].unit[0]), (str(second), 8))
    test_eq(sorted(zip(tables[1].folder, tables[1].unit)), [(str(first), 0), (str(second), 11)])
    test_eq((tables[2].unit[0], NAMES[tables[3].unit[0]]), (0, 'green'))
    print(run_command('search', 'red', first, '--by', 'words').stdout)

    (home/'bad.png').write_bytes(b'no picture')
    failures = [run_command('search', *words) for words in (
        ('red', home/'nothing'), ('?', first), ('violin', first/'exemplars'),
        ('colours:99', first, '--by', 'unit'), (home/'none.png', first, '--by', 'picture'),
        (home/'bad.png', first, '--by', 'picture'),
        (home/'green.png', second, '--by', 'picture', '--device', 'cpu'))]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 7)
    print('\n'.join(one.stderr.strip()[:110] for one in failures).replace(str(home), '…'))
    forget(home)


# 14_searching.ipynb, section "Compare"
def test_compare():
    test_eq(parse_layers(['a=b', 'c']), {'a': 'b', 'c': 'c'})
    test_eq(parse_layers(None), None)
    for text in (['='], ['a='], ['=b'], ['a', 'a=b']):
        with expect_fail(ValueError, contains='cannot be read'): parse_layers(text)

    print_help(run_process('compare', '--help').stdout)


# 14_searching.ipynb, section "Compare"
@pytest.mark.slow
def test_compare_slow():
    home = user_folder('results')
    first, second = described(home/'first'), described(home/'second', order=list(reversed(range(12))))
    network = load_network('toy/colours', 'cpu')
    network.module.colours.centres[3] = torch.tensor([0., .5, .5])
    (home/'third').mkdir()
    compute(network, ShapeScenes(60), ['colours'], k=5, size=None, quiet=True, keep_maxima=True,
            out=home/'third'/'exemplars')
    table = pd.read_csv(first/'descriptions.csv')
    write_table(table.assign(description=table.description.replace('red things', 'warm things')),
                home/'third'/'descriptions.csv')
    results = [run_command('compare', first, other, '--out', home/'out')
               for other in (second, home/'third', second)]
    test_eq([one.exit_code for one in results], [0] * 3)
    print(results[1].stdout.replace(str(home), '…'))

    changes = pd.read_csv(home/'out'/'changes.csv')
    test_eq((changes.change.tolist(), changes.unit.tolist()), (['kept'] * 12, list(range(12))))
    test_eq(changes.was_unit.tolist(), list(reversed(range(12))))
    assert not (home/'out'/'gone').exists() # of the comparison before
    result = run_command('compare', first, home/'third', '--json')
    found = pd.DataFrame(json.loads(result.stdout))
    test_eq(found.change.value_counts().to_dict(), {'kept': 10, 'renamed': 1, 'new': 1, 'gone': 1})
    test_eq(found[found.change == 'renamed'][['description', 'was']].values.tolist(),
            [['warm things', 'red things']])
    [made] = (home/'results'/'comparisons').iterdir()
    page = (made/'gallery'/'layers'/'layer-colours.html').read_text()
    assert 'was: red things' in page and 'near: <a href="layer-colours.html#unit-' in page
    assert 'green things' in (made/'gone'/'layers'/'layer-colours.html').read_text()

    (home/'mine').mkdir()
    (home/'mine'/'changes.csv').write_text('of my own')
    (second/'descriptions.csv').unlink()
    unnamed = run_command('compare', first/'exemplars', second, '--least', '.9', '--out', home/'unnamed')
    test_eq((unnamed.exit_code, 'kept' in unnamed.stdout), (0, True))
    failures = [run_command('compare', *words) for words in (
        (first, home/'nothing'), (first, second, '--out', home/'mine'), (first, second, '--layers', 'a='),
        (first, second, '--layers', 'conv'), (first, second, '--least', '0'), (first, second, '--out', first))]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 6)
    test_eq((home/'mine'/'changes.csv').read_text(), 'of my own')
    print('\n'.join(one.stderr.strip()[:110] for one in failures).replace(str(home), '…'))
    forget(home)
