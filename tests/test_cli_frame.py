# Generated from nbs/15_command/02_frame.ipynb by `make export`. Edit the notebook, not this file.

import typer
from milan.cli.frame import (
    _show_version,
    CommandGroup,
    for_each,
    group_options,
    print_table,
    print_warning,
)

import contextlib
import io
import warnings

import pandas as pd
from fastcore.test import expect_fail, test_eq

from milan.config import MilanError
from milan.testing import run_command


# 02_frame.ipynb, section "Errors and warnings"
def test_errors_and_warnings():
    with contextlib.redirect_stderr(io.StringIO()) as printed: print_warning('two images were skipped')
    test_eq(printed.getvalue(), 'note: two images were skipped\n')

    toy = typer.Typer(cls=CommandGroup)
    @toy.callback()
    def _group(debug: bool = False) -> None: pass
    @toy.command()
    def fail() -> None: raise MilanError('no layer conv9')
    failed = run_command('fail', app=toy)
    test_eq((failed.exit_code, failed.stderr), (1, 'milan: no layer conv9\n'))

    test_eq(str(run_command('--debug', 'fail', app=toy).exception), 'no layer conv9')


# 02_frame.ipynb, section "The application"
def test_the_application():
    test_eq(group_options, {'trust': False})

    with expect_fail(typer.Exit): _show_version(True)

    result = run_command('--version')
    test_eq((result.exit_code, result.output.split()[0]), (0, 'milan'))
    result.output


# 02_frame.ipynb, section "Tables"
def test_tables():
    words = pd.DataFrame({'unit': [3, 12], 'description': ['red discs', None]})
    print_table(words)
    print_table(words, as_json=True)

    def shout(name):
        "Upper case; there is no b."
        if name == 'b': raise MilanError('b is absent')
        return name.upper()


    with expect_fail(MilanError, contains='b is absent'): for_each(['a', 'b', 'c'], shout)
