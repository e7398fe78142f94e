# Generated from nbs/63_processes.ipynb by `make export`. Edit the notebook, not this file.

import pytest

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from fastcore.test import test_eq
from PIL import Image


def made_up_pictures(folder, count):
    "Seeded noise with a bright square each."
    folder.mkdir()
    for number in range(count):
        draw = np.random.default_rng(number)
        picture = draw.integers(0, 90, (64, 64, 3), dtype=np.uint8)
        top, left, side = draw.integers(5, 30, 3)
        picture[top:top + side, left:left + side] = draw.integers(90, 256, 3)
        Image.fromarray(picture).save(folder/f'{number:02}.png')


def same_files(one, other):
    "Whether two folders hold the same files with the same bytes."
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()) for folder in (one, other)]
    return names[0] == names[1] and all((one/name).read_bytes() == (other/name).read_bytes() for name in names[0])


# 63_processes.ipynb, section "One, two and three processes"
@pytest.mark.slow
def test_one_two_and_three_processes_slow():
    def exemplars(folder, count):
        "Run the command in `count` processes of one thread each."
        command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(count), '-m', 'milan.exemplars',
                   'planted/shapes', str(folder/'pictures'), '--random-weights', '--k', '4', '--batch-size', '5', '--bottom', '--device', 'cpu',
                   '--out', str(folder/f'by-{count}')]
        environment = os.environ | {'OMP_NUM_THREADS': '1', 'MILAN_DATA_DIR': str(folder/'data'), 'MILAN_RESULTS_DIR': str(folder/'results')}
        return subprocess.run(command, env=environment, capture_output=True, text=True)


    folder = Path(tempfile.mkdtemp())
    made_up_pictures(folder/'pictures', 33)
    runs = [exemplars(folder, count) for count in (1, 2, 3)]
    for run in runs: assert run.returncode == 0, run.stderr
    assert same_files(folder/'by-1', folder/'by-2') and same_files(folder/'by-1', folder/'by-3')
    test_eq(sorted(path.name for path in folder.glob('*by-*')), ['by-1', 'by-2', 'by-3'])
    [run.stdout.split(':')[0] for run in runs]

    shutil.rmtree(folder/'pictures')
    missing = exemplars(folder, 2)
    shutil.rmtree(folder)
    assert missing.returncode != 0 and 'pictures' in missing.stderr
    next(line for line in missing.stderr.splitlines() if 'pictures' in line).replace(str(folder), '…')
