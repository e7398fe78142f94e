# Generated from nbs/15_command/04_options.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
import typer
from milan.cli.options import (
    _RUN,
    BatchSize,
    Device,
    DropTokens,
    Fresh,
    MaskCommand,
    option,
    Out,
    Seed,
    SkipBroken,
    Top,
    Workers,
)

from typing import get_args

from fastcore.test import test_eq

from milan.testing import run_command

test_eq(option(_RUN, '--seed', min=0, help='A seed.').rich_help_panel, 'The run')


# 04_options.ipynb, section "The network and its images"
def test_the_network_and_its_images():
    test_eq(get_args(SkipBroken)[0], bool)
    get_args(SkipBroken)[1].help


# 04_options.ipynb, section "The units and their exemplars"
def test_the_units_and_their_exemplars():
    test_eq(get_args(Top)[1].min, 1)

    test_eq(get_args(DropTokens)[0], int | None)


# 04_options.ipynb, section "Masks"
def test_masks():
    toy = typer.Typer()
    @toy.command(cls=MaskCommand)
    def show(context: typer.Context, k: Top = 15) -> None: print(k, context.obj.quantile)
    run_command('--quantile', '.9', app=toy).output

    test_eq(run_command('--quantile', '.9', app=toy).output, '15 0.9\n')
    test_eq(run_command('--quantile', '2', app=toy).exit_code, 2)
    test_eq(run_command('--borders', 'mirror', app=toy).exit_code, 2)


# 04_options.ipynb, section "The run"
def test_the_run():
    test_eq({get_args(one)[1].rich_help_panel for one in (BatchSize, Workers, Device, Seed, Fresh)}, {_RUN})


# 04_options.ipynb, section "The result"
def test_the_result():
    test_eq(get_args(Out)[0], Path | None)
