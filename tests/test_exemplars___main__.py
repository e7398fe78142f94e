# Generated from nbs/05_exemplars/14_main.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.__main__ import (
    main,
)
import pytest

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import torch
from fastcore.test import test_eq
from PIL import Image

from milan.testing import same_files


def pictures_of(folder, count):
    "Seeded noise with a bright square each."
    folder.mkdir()
    for number in range(count):
        draw = np.random.default_rng(number)
        picture = draw.integers(0, 90, (64, 64, 3), dtype=np.uint8)
        top, left, side = draw.integers(5, 30, 3)
        picture[top:top + side, left:left + side] = draw.integers(90, 256, 3)
        Image.fromarray(picture).save(folder/f'{number:02}.png')


def command(folder, count, out, batch_size=5, more=()):
    "The command for `count` processes, and an environment that gives each one thread."
    words = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(count)]
    words += ['-m', 'milan.exemplars', 'planted/shapes', str(folder/'pictures'), '--random-weights', '--k',
              '4', '--bottom', '--keep-maxima']
    words += ['--batch-size', str(batch_size), '--device', 'cpu', '--out', str(folder/out), *more]
    folders = {'MILAN_DATA_DIR': str(folder/'data'), 'MILAN_RESULTS_DIR': str(folder/'results')}
    return words, os.environ | {'OMP_NUM_THREADS': '1'} | folders


def run(folder, count, out, batch_size=5):
    "Run it to the end."
    words, environment = command(folder, count, out, batch_size)
    return subprocess.run(words, env=environment, capture_output=True, text=True)


# 14_main.ipynb, section "The command"
def test_the_command():
    try: main(['planted/shapes', 'nowhere', '--random-weights'])
    except SystemExit as error: text = str(error)
    text.splitlines()[0][:60]

    assert text.startswith('milan: ') and 'nowhere' in text


# 14_main.ipynb, section "One, two and three processes"
@pytest.mark.slow
def test_one_two_and_three_processes_slow():
    folder = Path(tempfile.mkdtemp())
    pictures_of(folder/'pictures', 33)
    settings = (('by-1', 1, 5), ('by-2', 2, 5), ('by-3', 3, 5),
                ('two-batches-by-3', 3, 20), ('two-batches', 1, 20))
    runs = {out: run(folder, count, out, batch_size) for out, count, batch_size in settings}
    for one in runs.values(): assert one.returncode == 0, one.stderr
    for one, other in (('by-2', 'by-1'), ('by-3', 'by-1'), ('two-batches-by-3', 'two-batches')):
        assert same_files(folder/one, folder/other), (one, other)
    test_eq(sorted(path.name for path in folder.iterdir()), sorted([*runs, 'pictures']))
    shutil.rmtree(folder)
    [one.stdout.split(':')[0] for one in runs.values()]


# 14_main.ipynb, section "Killed, and resumed by fewer"
@pytest.mark.slow
def test_killed_and_resumed_by_fewer_slow():
    def end(process):
        "SIGKILL for a process and its descendants."
        everyone = [*psutil.Process(process.pid).children(recursive=True), process]
        for one in everyone: one.kill()
        process.wait()


    folder = Path(tempfile.mkdtemp())
    pictures_of(folder/'pictures', 33)
    whole = run(folder, 1, 'whole', batch_size=1)
    words, environment = command(folder, 3, 'killed', 1, ['--save-every', '0'])
    for attempt in range(5): # on a busy machine, a run may end before it is seen to have begun
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        states = []
        while len(states) < 3 and process.poll() is None:
            states = list((folder/'.killed.progress').glob('part-*/state.pt'))
        end(process)
        if len(states) == 3 and all(path.exists() for path in states):
            break
        shutil.rmtree(folder/'killed', ignore_errors=True)
    done = [number for path in states for number in torch.load(path, weights_only=True)['batches']]
    resumed = run(folder, 2, 'killed', batch_size=1)
    assert whole.returncode == resumed.returncode == 0, resumed.stderr
    assert same_files(folder/'whole', folder/'killed') and 3 <= len(done) < 33
    shutil.rmtree(folder)
    f'{len(done)} of 33 batches were done when the three were killed'


# 14_main.ipynb, section "Errors"
@pytest.mark.slow
def test_errors_slow():
    folder = Path(tempfile.mkdtemp())
    missing = run(folder, 2, 'nothing')
    shutil.rmtree(folder)
    assert missing.returncode != 0 and 'pictures' in missing.stderr
    next(line for line in missing.stderr.splitlines() if 'pictures' in line).replace(str(folder), '…')
