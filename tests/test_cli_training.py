# Generated from nbs/15_command/08_training.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.cli.training import (
    _encoder,
)
import pytest

import os
import shutil
import tempfile

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_eq
from PIL import Image

import milan
from milan.config import MilanError
from milan.testing import print_help, run_command, run_process


# 08_training.ipynb, section "The command"
def test_the_command():
    print_help(run_process('train', '--help').stdout)


# 08_training.ipynb, section "On people's words"
def test_on_people_s_words():
    test_eq(_encoder('planted/shapes', 'cpu').layers, ['colours', 'textures', 'shapes', 'letters'])

    theirs = Path(tempfile.mkdtemp())
    (theirs/'thesis.txt').write_text('three years')
    for place in (theirs, theirs/'thesis.txt'): # said before anything is trained
        refused = run_command('train', 'stamps', '--out', place)
        test_eq((refused.exit_code, 'give another folder' in refused.stderr), (1, True))
    test_eq((theirs/'thesis.txt').read_text(), 'three years')
    refused = run_command('train', 'shapes', '--seed', '3')
    test_eq((refused.exit_code, 'has a seed of its own' in refused.stderr), (1, True))


# 08_training.ipynb, section "On people's words"
@pytest.mark.slow
@pytest.mark.training
def test_on_people_s_words_slow():
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
    result = run_command('train', home / 'set', '--encoder', 'planted/shapes', '--out', home / 'captioner',
                         '--device', 'cpu')
    test_eq(result.exit_code, 0)
    assert 'milan describe' in result.stdout
    trained = milan.pretrained(home/'captioner', 'cpu')
    said = trained(torch.from_numpy(images[:8]), beam_size=4).captions
    log = trained.card['training']['decoder_log']
    assert log[-1]['validation_loss'] < log[0]['validation_loss']
    # what is learnt differs in its last digits between processors
    assert sum(word in text.lower() for word, text in zip(words, said, strict=True)) >= 7, said
    test_eq(run_process('train', 'shapes', '--profile', 'bogus').returncode, 2)
    with expect_fail(MilanError, contains="no profile 'bogus'"):
        milan.captioner.demo.train('shapes', profile='bogus')
    missing = run_command('train', home/'nothing')
    test_eq(missing.exit_code, 1)
    missing.stderr.replace(str(home), '…')

    (home/'pictures').mkdir()
    for number, picture in enumerate(images[:8, 0]):
        Image.fromarray(picture.transpose(1, 2, 0)).save(home / 'pictures' / f'{number}.png')
    os.environ['MILAN_DATA_DIR'] = str(home/'data')
    result = run_command('describe', 'planted/shapes', home / 'pictures', '--units', 'colours:0-7', '--k', '2',
                         '--captioner', home / 'captioner', '--device', 'cpu', '--beam-size', '4', '--out',
                         home / 'described')
    test_eq(result.exit_code, 0)
    table = pd.read_csv(home/'described'/'descriptions.csv', keep_default_na=False)
    assert (set(' '.join(table.description).lower().split()) <= {*words, *'plain picture all over'.split()}
            and np.isfinite(table.score).all())
    page = (home/'described'/'gallery'/'index.html').read_text()
    assert all(text in page for text in table.description)
    for name in ('MILAN_DATA_DIR', 'MILAN_RESULTS_DIR'): del os.environ[name]
    shutil.rmtree(home)
    table
