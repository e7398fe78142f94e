# Generated from nbs/14_publishing/09_running.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.publishing.cells import read_cells
from pathlib import Path
import os
from milan.publishing.running import (
    _outputs,
    run_notebooks,
)

import shutil
import tempfile

import nbformat
from fastcore.test import expect_fail, test_eq

from milan.publishing.cells import write_notebook

source = 'import sys; print("loading", file=sys.stderr); 2 + 2'


# 09_running.ipynb, section "What is kept"
def test_what_is_kept():
    folder = Path(tempfile.mkdtemp())
    cell = read_cells(write_notebook(folder/'sums.ipynb', source))[0]
    ran = nbformat.v4.new_code_cell(source, outputs=[
        nbformat.v4.new_output('stream', name='stderr', text='loading'),
        nbformat.v4.new_output('execute_result', {'text/plain': '4'}, execution_count=1)])
    [one.output_type for one in _outputs(cell, ran, 'cell 1')]

    test_eq(len(_outputs(cell, ran, 'cell 1')), 1)
    shutil.rmtree(folder)


# 09_running.ipynb, section "Run and save"
def test_run_and_save():
    folder = Path(tempfile.mkdtemp())
    small = write_notebook(folder/'small.ipynb', '# Small', source, 'print(3)', '#| oracle\nopen("golden.csv")')
    golden, os.environ['MILAN_ORACLE_DIR'] = os.environ.get('MILAN_ORACLE_DIR'), ''
    run_notebooks([small])
    [[one.get('text') or one.data['text/plain'] for one in cell.outputs]
     for cell in nbformat.read(small, 4).cells if cell.cell_type == 'code']

    outputs = [cell.raw.outputs for cell in read_cells(small) if cell.kind == 'code']
    test_eq([len(one) for one in outputs], [1, 1, 0])
    wrong = write_notebook(folder/'wrong.ipynb', '1 / 0')
    before = wrong.read_bytes()
    with expect_fail(MilanError, contains='wrong.ipynb, cell 0 fails: ZeroDivisionError'): run_notebooks([wrong])
    test_eq(wrong.read_bytes(), before)
    if golden is None: del os.environ['MILAN_ORACLE_DIR']
    else: os.environ['MILAN_ORACLE_DIR'] = golden
    shutil.rmtree(folder)
