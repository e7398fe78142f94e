# Generated from nbs/15_command/15_exporting.ipynb by `make export`. Edit the notebook, not this file.

import json
import shutil
import tempfile
import zipfile

import pandas as pd
from fastcore.test import test_eq

from milan.exemplars.store import Exemplars
from milan.files import write_table
from milan.gallery.neuronpedia import read_explanations
from milan.testing import THREE, annotated_set, forget, made_up_set
from milan.testing import print_help, run_command, run_process, user_folder


def described_set():
    "A folder as `milan describe` writes it."
    folder = made_up_set().parent
    (folder/'set').rename(folder/'exemplars')
    units = Exemplars.open(folder/'exemplars').units
    table = pd.DataFrame(units, columns=['layer', 'unit']).assign(
        description=['dogs', '', *['grass'] * 4], evidence=[.5, None, *[.25] * 4], family='class')
    write_table(table, folder/'descriptions.csv')
    return folder


# 15_exporting.ipynb, section "Annotated sets"
def test_annotated_sets():
    print_help(run_process('export', '--help').stdout)

    home = user_folder('results')
    place = annotated_set(*THREE, folder=home/'net'/'photos')
    options = {'a': (), 'b': ('--images', 'shapes'), 'c': ('--pictures',), 'd': ('--no-pictures',)}
    results = [run_command('export', 'annotations', place, home/f'{name}.zip', *more)
               for name, more in options.items()]
    print('\n'.join([results[0].stderr.splitlines()[0], *(one.stdout.strip() for one in results)]).replace(
        str(home), '…'))

    test_eq([one.exit_code for one in results], [0] * 4)
    packed = [any('images' in file for file in zipfile.ZipFile(home/f'{name}.zip').namelist()) for name in 'abcd']
    test_eq(packed, [False, True, True, False])
    again = [run_command('export', 'annotations', place, home/'a.zip'),
             run_command('export', 'annotations', home/'nothing', home/'e.zip'),
             run_command('export', 'annotations', place, home/'e.zip', '--images', 'nothing')]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in again], [(1, False)] * 3)
    assert not (home/'e.zip').exists()
    forget(home)


# 15_exporting.ipynb, section "Described units"
def test_described_units():
    home, folder = user_folder('results'), described_set()
    results = [run_command('export', 'catalogue', folder, home/'a.zip', '--key', 'net/scenes', '--count', '2'),
               run_command('export', 'neuronpedia', folder, home/'a.jsonl.gz', '--network', 'net'),
               run_command('export', 'maia', folder, home/'exemplars', 'net')]
    print('\n'.join(one.stdout for one in results).replace(str(home), '…'))

    test_eq([one.exit_code for one in results], [0] * 3)
    data = json.loads(zipfile.ZipFile(home/'a.zip').read('data.json'))
    first = data['units'][0]
    test_eq([len(data['units']), len(first['images']), first['description']], [6, 2, 'dogs'])
    records = read_explanations(home/'a.jsonl.gz')
    test_eq([len(records), records[0].scores[0].value, records[0].scores[0].explanationScoreTypeName],
            [5, .5, 'milan_evidence'])
    test_eq(json.loads(records[0].scores[0].jsonDetails), {'family': 'class'})
    test_eq(len((home/'exemplars'/'net'/'imagenet'/'conv1'/'thresholds.csv').read_text().splitlines()), 8)

    failures = [run_command('export', *words) for words in (
        ('catalogue', folder, home/'b.zip'), ('catalogue', home, home/'b.zip'),
        ('neuronpedia', folder, home/'a.jsonl.gz'), ('neuronpedia', folder, home/'b.csv'),
        ('neuronpedia', folder, home/'b.json', '--score', 'truth'), ('maia', folder, home/'exemplars', 'net'),
        ('maia', home, home/'exemplars', 'net'))]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 7)
    assert not list(home.glob('b.*'))
    forget(home)
    shutil.rmtree(folder)


# 15_exporting.ipynb, section "Latents"
def test_latents():
    home = user_folder('data')
    run_command('data', 'latents', 'biggan-zs-imagenet', '--count', 5)
    result = run_command('export', 'latents', 'biggan-zs-imagenet', home/'zs.zip')
    test_eq((result.exit_code, zipfile.ZipFile(home/'zs.zip').namelist()),
            (0, ['biggan-zs-imagenet/y.pth', 'biggan-zs-imagenet/z.pth']))
    missing = run_command('export', 'latents', home/'nothing', home/'e.zip')
    test_eq((missing.exit_code, 'Traceback' in missing.stderr, (home/'e.zip').exists()), (1, False, False))
    forget(home)
