# Generated from nbs/04_options.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.cli.options import (
    _RUN,
    BatchSize,
    Device,
    Fresh,
    option,
    Out,
    Padding,
    Quantile,
    Seed,
    SkipBroken,
    Workers,
)

from typing import get_args

from fastcore.test import test_eq

test_eq(option(_RUN, '--seed', min=0, help='A seed.').rich_help_panel, 'The run')


# 04_options.ipynb, section "The network and its images"
def test_the_network_and_its_images():
    test_eq(get_args(SkipBroken)[0], bool)
    get_args(SkipBroken)[1].help


# 04_options.ipynb, section "The units and their exemplars"
def test_the_units_and_their_exemplars():
    test_eq((get_args(Quantile)[1].min, get_args(Quantile)[1].max), (0, 1))

    test_eq(get_args(get_args(Padding)[0]), ('zeros', 'replicate'))


# 04_options.ipynb, section "The run"
def test_the_run():
    test_eq({get_args(one)[1].rich_help_panel for one in (BatchSize, Workers, Device, Seed, Fresh)}, {_RUN})


# 04_options.ipynb, section "The result"
def test_the_result():
    test_eq(get_args(Out)[0], Path | None)
