# Generated from nbs/15_command/11_reproducing.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.cli.reproducing import (
    parse_parameters,
)

import os
import shutil
import tempfile

import nbformat
from fastcore.test import expect_fail, test_eq

from milan.config import MilanError
from milan.testing import print_help, run_command, run_process


# 11_reproducing.ipynb, section "Parameters"
def test_parameters():
    test_eq(
        parse_parameters(['seeds=3', 'images=shapes', 'note=a=b']),
        {'seeds': 3, 'images': 'shapes', 'note': 'a=b'},
    )
    with expect_fail(MilanError, contains="'seeds'"): parse_parameters(['seeds'])


# 11_reproducing.ipynb, section "The command"
def test_the_command():
    print_help(run_process('reproduce', '--help').stdout)

    home = Path(tempfile.mkdtemp())
    cells = [nbformat.v4.new_markdown_cell('# Toy\n\n> Divides.'),
             nbformat.v4.new_code_cell("profile = 'demo' # smoke | demo\nby = 2 # divisor",
                                       metadata={'tags': ['parameters']}), nbformat.v4.new_code_cell('84 / by')]
    (home/'guides').mkdir()
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=cells,
            metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}},
        ),
        home / 'guides' / 'toy.ipynb',
    )
    os.environ.update(MILAN_NOTEBOOKS_DIR=str(home), MILAN_RESULTS_DIR='results')
    before = os.getcwd()
    os.chdir(home)
    print_help(run_command('reproduce').output)

    runs = [run_command('reproduce', 'toy', '--profile', 'smoke', '-p', 'by=2') for _ in range(2)]
    test_eq([(one.exit_code, one.stdout.splitlines()[1].split()[:2]) for one in runs],
            [(0, ['toy', 'done']), (0, ['toy', 'skipped'])])
    failed = run_command('reproduce', '--all', '--profile', 'smoke', '-p', 'by=0', '--jobs', '1')
    test_eq((failed.exit_code, failed.stdout.splitlines()[1].split()[:2]), (1, ['toy', 'failed']))
    assert '1 of 1 failed' in failed.stderr
    assert ('ZeroDivisionError' in failed.stderr
            and Path('results/reports/toy/smoke/report.failed.ipynb').is_file())
    print(runs[1].stdout, failed.stdout, failed.stderr.splitlines()[-1])

    test_eq(run_command('reproduce', 'toi').exit_code, 1)
    test_eq([run_process('reproduce', *given, '--profile', 'bogus').returncode for given in (['toy'], ['--all'])],
            [2, 2])
    test_eq(run_command('reproduce', 'toy', '--profile', 'smoke', '--out', 'elsewhere').exit_code, 0)
    assert Path('elsewhere/toy/smoke/report.ipynb').is_file() and not Path('reports').exists()
    test_eq(run_command('reproduce', 'toy', '-p', 'by').exit_code, 1)
    refused = run_command('reproduce', 'toy', '--rehearse', '--out', 'elsewhere')
    assert refused.exit_code == 1 and 'exclude each other' in refused.stderr and 'hours within' in refused.stdout
    os.chdir(before)
    del os.environ['MILAN_NOTEBOOKS_DIR'], os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(home)
