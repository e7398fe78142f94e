# Generated from nbs/15_command/10_assets.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.cli.assets import (
    matching,
)

import json
import os
import shutil
import tempfile

import torch
from fastcore.test import test_eq

import milan.images
from milan.testing import forget, print_help, run_command, run_process, user_folder


# 10_assets.ipynb, section "Names"
def test_names():
    matching(['milan-*', 'emoji'], ['emoji', 'milan-base', 'milan-gen', 'openclipart'])


# 10_assets.ipynb, section "The commands"
def test_the_commands():
    os.environ['MILAN_DATA_DIR'] = os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    print_help(run_command('data', 'list', 'efficientnet-lite?', 'milan-*', 'tuxpaint-stamps').output)

    test_eq(run_command('data', 'fetch', 'efficientnet-lite0', '--offline').exit_code, 0)

    test_eq(run_command('data', 'add', 'nothing.zip').exit_code, 1)

    home = Path(os.environ['MILAN_DATA_DIR'])
    torch.save({'weight': torch.zeros(2)}, home/'milan-gen.pth')
    (home/'file (2).zip').write_bytes(b'PK')
    result = run_command('data', 'add', home/'milan-gen.pth')
    test_eq((result.exit_code, run_command('data', 'verify', 'milan-gen').exit_code), (0, 0))
    assert str(home/'milan-gen.pth') in result.output
    failed = run_command('data', 'add', home/'file (2).zip')
    test_eq(failed.exit_code, 1)
    print(failed.stderr.replace(str(home), '…'))

    result = run_command('data', 'verify')
    test_eq(result.exit_code, 0)
    result.output

    result = run_command('data', 'verify', 'efficientnet-lite0', 'tuxpaint-stamps', 'unheard-of')
    test_eq(result.exit_code, 1)
    assert ('efficientnet-lite0: ' in result.stdout and 'milan data fetch tuxpaint-stamps' in result.stderr
            and "'unheard-of'" in result.stderr)
    test_eq(run_command('data', 'list', 'unheard-of').exit_code, 1)

    rows = json.loads(run_command('data', 'list', 'milan-*', '--json').output)
    assert len(rows) > 5 and all(
        row['name'].startswith('milan-') and {'state', 'megabytes', 'licence', 'title'} <= set(row)
        for row in rows
    )
    test_eq([line.split()[0] for line in run_process('data', 'list', 'milan-*').stdout.splitlines()[1:]],
            [row['name'] for row in rows])

    test_eq([line.split()[:2] for line in run_command('data', 'list', 'efficientnet-lite[01]').output.splitlines()
             if line.startswith('eff')], [['efficientnet-lite0', 'ready'], ['efficientnet-lite1', 'absent']])

    offline = run_command('data', 'fetch', 'milan-base', '--offline')
    # all of them is too much to fetch unasked
    test_eq((offline.exit_code, run_process('data', 'fetch').returncode), (1, 2))
    assert 'no connection was attempted' in offline.stderr
    print(offline.stderr.replace(str(home), '…'))
    shutil.rmtree(os.environ.pop('MILAN_DATA_DIR'))
    del os.environ['MILAN_MODELS_DIR']

    missing = run_command('data', 'complete', 'alexnet/imagenet')
    test_eq((missing.exit_code, 'Traceback' in missing.stderr), (1, False))
    assert 'milannotations-alexnet-imagenet' in missing.stderr

    home = user_folder('data')
    results = [run_command('data', 'latents', 'biggan-zs-places365', '--count', 20),
               run_command('data', 'latents', 'biggan-zs-imagenet', '--count', 20, '--side', 128,
                           '--out', home/'own'),
               run_command('data', 'latents', 'biggan-zs-imagenet', '--count', 20, '--out', home/'own'),
               run_command('data', 'latents', 'biggan-zs-imagenet', '--truncation', -1)]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in results], [(0, False)] * 2 + [(1, False)] * 2)
    drawn = milan.images.load('biggan-zs-places365') # what was put there by hand is used as it is
    test_eq((len(drawn), drawn[0][0].shape, drawn.tensors[1].max() < 365), (20, (140,), True))
    forget(home)
    drawn
