# Generated from nbs/13_experiments/04_preflight.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.experiments.preflight import (
    annotated_sets,
    assets,
    listed,
    missing,
    needs_imagenet,
    require,
    space,
    weights,
)

import os
import shutil
import tempfile

from fastcore.test import expect_fail, test_eq


# 04_preflight.ipynb, section "Checks"
def test_checks():
    def no_weights(): raise MilanError('no weights: give a file')


    require('', None, [], dict)
    test_eq(missing('a', ['', 'b'], no_weights), ['a', 'b', 'no weights: give a file'])
    with expect_fail(MilanError, contains='2 things are missing:\n  - weights\n  - photographs'):
        require('weights', ['', 'photographs\n'])


# 04_preflight.ipynb, section "Data and weights"
def test_data_and_weights():
    os.environ.update(MILAN_DATA_DIR=tempfile.mkdtemp(), MILAN_MODELS_DIR=tempfile.mkdtemp())
    names = 'alexnet/imagenet', 'alexnet/places365', 'biggan/imagenet', 'planted/shapes'
    lines = [*assets('milan-base'), *weights(*names)]
    test_eq((lines[0].split()[0], lines[2].split()[0]), ('milan-base', 'alexnet-places365'))
    with expect_fail(MilanError, contains='milan data fetch milan-base'): require(assets('milan-base'))
    for name in ('MILAN_DATA_DIR', 'MILAN_MODELS_DIR'): shutil.rmtree(os.environ.pop(name))
    lines

    test_eq([needs_imagenet(name) for name in ('alexnet/imagenet', 'alexnet/places365', 'biggan/imagenet')],
            [True, False, False])

    os.environ['MILAN_DATA_DIR'] = tempfile.mkdtemp()
    lines = annotated_sets('alexnet/imagenet', 'alexnet/places365')
    test_eq([line.partition(' of ')[0] for line in lines], ['annotations', 'annotations', 'images'])
    shutil.rmtree(os.environ.pop('MILAN_DATA_DIR'))
    lines[1]

    test_eq((space(0), len(space(1e9))), ([], 1))


# 04_preflight.ipynb, section "Parameters"
def test_parameters():
    test_eq([listed(one) for one in ('nouns, verbs,', ['nouns', 'verbs'], '')], [['nouns', 'verbs']] * 2 + [[]])
