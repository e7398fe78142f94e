# Generated from nbs/13_experiments/05_runner.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import json
import os
import time
from milan.experiments.runner import (
    _alive,
    _describe,
    _execute,
    _identity,
    _is_up_to_date,
    _longest_first,
    _parameters,
    _remove_abandoned,
    _side_by_side,
    _threads,
    cores,
    find,
    get,
    literal,
    notebooks_dir,
    overview,
    reproduce,
    Run,
    run,
)
import pytest

import itertools
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from types import SimpleNamespace

import nbformat
from fastcore.test import expect_fail, test_eq

from milan.experiments.records import reports_dir
from milan.experiments.reports import Report
from milan.testing import forget, user_folder


def toy_notebooks(*lines, # source of the toy notebook's only working cell
                  images='shapes', # default of its parameter
                  folder=None, # add it to this folder
                  name='toy', # file name
                  more=''): # another line of parameters
    "A folder with guides/toy.ipynb in it."
    folder = Path(folder or Path(tempfile.mkdtemp())/'nbs')
    source = ["profile = 'demo'  # smoke | demo", f"images = '{images}'  # which images",
              'seeds = 3  # how many', "out = ''  # folder of the report", more]
    cells = [nbformat.v4.new_markdown_cell('# A toy\n\n> It measures nothing.\n'),
             nbformat.v4.new_code_cell('\n'.join(source), metadata={'tags': ['parameters']}),
             nbformat.v4.new_code_cell('\n'.join(lines) or 'seeds * 2')]
    kernel = {'name': 'python3', 'display_name': 'python3', 'language': 'python'}
    (folder/'guides').mkdir(parents=True, exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={'kernelspec': kernel})
    nbformat.write(notebook, folder/'guides'/f'{name}.ipynb')
    return folder


def last_value(run): # what the last cell of a report shows
    return nbformat.read(run, as_version=4).cells[-1].outputs[-1].data['text/plain']


def wait_for_end(process, seconds=60):
    "Wait until a process, by its number, has ended."
    for _ in range(20 * seconds):
        if not _alive(process): return
        time.sleep(.05)
    raise AssertionError(f'process {process} is still running')


# 05_runner.ipynb, section "Finding the notebooks"
def test_finding_the_notebooks():
    os.environ['MILAN_NOTEBOOKS_DIR'] = tempfile.mkdtemp()
    with expect_fail(MilanError, contains='MILAN_NOTEBOOKS_DIR'): notebooks_dir()
    shutil.rmtree(os.environ.pop('MILAN_NOTEBOOKS_DIR'))

    notebooks = toy_notebooks()
    toy = _describe(notebooks/'guides'/'toy.ipynb')
    test_eq((toy.profiles, toy.reads_reports), (('smoke', 'demo'), False))
    replace(toy, path=Path('guides/toy.ipynb'))

    test_eq(find(notebooks)['toy'], get('toy', notebooks))
    with expect_fail(MilanError, contains='did you mean toy?'): get('toys', notebooks)
    shutil.rmtree(notebooks.parent)

    found = find()
    parameters = [(name, one) for name, experiment in found.items() for one in experiment.parameters]
    len(found), len(parameters)

    test_eq([(name, one.name) for name, one in parameters if not one.help or one.default.startswith('(')], [])


# 05_runner.ipynb, section "When is a report up to date?"
def test_when_is_a_report_up_to_date():
    notebooks = toy_notebooks()
    toy = get('toy', notebooks)
    assert _identity(toy, {'seeds': 1}) != _identity(toy, {'seeds': 2})
    test_eq(_is_up_to_date(notebooks/'none.json', '', notebooks), False)
    shutil.rmtree(notebooks.parent)

    notebooks = toy_notebooks()
    toy = get('toy', notebooks)
    test_eq(_parameters(toy, 'smoke', Path('r'), {'seeds': 1}), {'profile': 'smoke', 'out': 'r', 'seeds': 1})
    shutil.rmtree(notebooks.parent)


# 05_runner.ipynb, section "Running one notebook"
def test_running_one_notebook():
    notebooks = toy_notebooks("print('a\\r')", 'seeds')
    _execute(get('toy', notebooks), notebooks/'ran.ipynb', {'seeds': 7}, False)
    test_eq(len(nbformat.read(notebooks/'ran.ipynb', 4).cells[-1].outputs), 1)
    test_eq(last_value(notebooks/'ran.ipynb'), '7')
    shutil.rmtree(notebooks.parent)

    test_eq((_alive(os.getpid()), _alive(2**22 + 1)), (True, False))
    folder = Path(tempfile.mkdtemp())
    for number in (os.getpid(), 2**22 + 1, 'x'): (folder/f'.report.{number}.ipynb').touch()
    _remove_abandoned(folder)
    test_eq([path.name for path in folder.iterdir()], [f'.report.{os.getpid()}.ipynb'])
    shutil.rmtree(folder)

    here = Path(tempfile.mkdtemp())
    os.environ['MILAN_RESULTS_DIR'] = str(here/'results')
    notebooks = toy_notebooks('seeds * 2')
    first = run('toy', 'smoke', {'seeds': 21}, out=here/'report', progress=False, notebooks=notebooks)
    test_eq((first.state, last_value(first.report)), ('done', '42'))

    test_eq(run('toy', 'smoke', {'seeds': 21}, out=here/'report', notebooks=notebooks).state, 'skipped')
    first.report.write_text(first.report.read_text() + ' ')
    again = run('toy', 'smoke', {'seeds': 21}, out=here/'report', progress=False, notebooks=notebooks)
    test_eq(again.state, 'done')
    shutil.rmtree(notebooks.parent)

    notebooks = toy_notebooks("from milan.experiments.reports import Report",
                              "report = Report(out, 'toy', profile)",
                              "report.answer('Yes: 3 of 4 [1, 4].', needs='more than four units')",
                              "report.save()",
                              "from milan.config import package_folder; print(package_folder()/'config.py')")
    answered = run('toy', 'smoke', out=here/'answered', progress=False, notebooks=notebooks)
    cells = nbformat.read(answered.report, as_version=4).cells
    test_eq(cells[1].source.splitlines(), ['**Answer.** Yes: 3 of 4 [1, 4].', '',
                                           '*To be believed, it needs more than four units.*'])
    printed = [one.text.strip() for one in cells[-1].outputs if one.name == 'stdout'] # beside warnings
    test_eq(printed, [str(Path('milan')/'config.py')])
    shutil.rmtree(notebooks.parent)

    notebooks = toy_notebooks('1 / 0')
    with expect_fail(MilanError, contains='ZeroDivisionError: division by zero'):
        run('toy', 'smoke', out=here/'report', progress=False, notebooks=notebooks)
    test_eq(sorted(path.name for path in (here/'report').iterdir()), ['report.failed.ipynb', 'report.ipynb'])
    kept = nbformat.read(here/'report'/'report.failed.ipynb', as_version=4)
    errors = [one.ename for cell in kept.cells for one in cell.get('outputs', []) if one.output_type == 'error']
    test_eq(errors, ['ZeroDivisionError'])
    del os.environ['MILAN_RESULTS_DIR']
    for folder in (notebooks.parent, here): shutil.rmtree(folder)


# 05_runner.ipynb, section "Parameters on the command line"
def test_parameters_on_the_command_line():
    test_eq([literal(text) for text in ('3', '.5', 'True', 'None', 'stamps', '["within", 3]', '[within]')],
            [3, .5, True, None, 'stamps', ['within', 3], '[within]'])


# 05_runner.ipynb, section "Running several notebooks"
def test_running_several_notebooks():
    assert cores() >= 1

    before = os.environ.get('OMP_NUM_THREADS')
    with _threads(3): test_eq(os.environ['OMP_NUM_THREADS'], '3')
    test_eq(os.environ.get('OMP_NUM_THREADS'), before)

    user = user_folder('results')
    for name, seconds in (('short', 2.), ('long', 60.), ('damaged', 0.)):
        place = user/'results'/'reports'/name/'demo'
        place.mkdir(parents=True)
        content = {'experiment': name, 'profile': 'demo', 'seconds': seconds}
        (place/'metrics.json').write_text('{' if name == 'damaged' else json.dumps(content))
    part = [SimpleNamespace(name=name) for name in ('new', 'short', 'long')]
    test_eq([one.name for one in _longest_first(part, 'demo')], ['long', 'short', 'new'])
    test_eq([one.name for one in _longest_first(part, 'smoke')], ['new', 'short', 'long'])
    tries = []
    def attempt(one):
        tries.append(one.name)
        return Run(one.name, 'demo', 'failed', 0., user, 'another process is writing' if len(tries) < 2 else '')

    _side_by_side(part[:1], attempt, 2, False)
    test_eq(tries, ['new', 'new'])
    forget(user)

    notebooks = toy_notebooks()
    found = reproduce(['toy'], 'paper', notebooks=notebooks)
    test_eq([(one.state, 'no profile' in one.message) for one in found], [('failed', True)])
    (notebooks/'guides').rename(notebooks/'benchmarks')
    test_eq(reproduce([], 'demo', notebooks=notebooks), [])
    shutil.rmtree(notebooks.parent)
    overview(found)[['name', 'profile', 'state']]


# 05_runner.ipynb, section "Running several notebooks"
@pytest.mark.slow
def test_running_several_notebooks_slow():
    WAIT = """
import os, time
from pathlib import Path
mine, other = Path(f'{out}/../../{name}.begun').resolve(), Path(f'{out}/../../{friend}.begun').resolve()
mine.touch()
for _ in range(1200):
    if other.exists(): break
    time.sleep(.05)
other.exists(), os.environ['OMP_NUM_THREADS']
"""
    READ = """
from pathlib import Path
found = [path for path in Path('results/reports').rglob('report*.ipynb') if not path.name.startswith('.')]
sorted(path.parent.parent.name for path in found)
"""
    here, before = Path(tempfile.mkdtemp()).resolve(), os.getcwd()
    os.chdir(here)
    os.environ.update(MILAN_RESULTS_DIR='results', OMP_NUM_THREADS='4')
    for name, friend in (('one', 'two'), ('two', 'one')):
        more = f"name = '{name}'  # its own\nfriend = '{friend}'  # the other's"
        toy_notebooks(WAIT, folder=here/'nbs', name=name, more=more)
    toy_notebooks('1 / 0', folder=here/'nbs', name='three')
    toy_notebooks(READ, folder=here/'nbs', name='four', more="reports = ''  # whose records are read")
    toy_notebooks('import os, signal', 'os.kill(os.getpid(), signal.SIGKILL)', folder=here/'nbs', name='five')
    names = ['four', 'one', 'two', 'three', 'five']
    runs = reproduce(names, 'smoke', jobs=2, progress=False, notebooks=here/'nbs')
    test_eq([one.state for one in runs], ['done', 'done', 'done', 'failed', 'failed'])
    values = {one.name: last_value(one.report) for one in runs[:3]}
    test_eq(values['four'], "['five', 'one', 'three', 'two']")
    test_eq((values['one'], values['two']), ("(True, '2')",) * 2)
    assert 'ZeroDivisionError' in runs[3].message and runs[3].report.is_file()
    assert 'could not be run to its end' in runs[4].message
    overview(runs)[['name', 'state']]

    for name in ('three', 'five'): (here/f'nbs/guides/{name}.ipynb').rename(here/f'{name}.ipynb')
    again = reproduce([], 'smoke', jobs=1, progress=False, notebooks=here/'nbs')
    test_eq({one.name: one.state for one in again}, dict.fromkeys(('four', 'one', 'two'), 'skipped'))
    Report(here/'results/reports/one/smoke').save()
    again = reproduce(['one', 'four'], 'smoke', jobs=1, progress=False, notebooks=here/'nbs')
    test_eq([one.state for one in again], ['skipped', 'done'])

    toy_notebooks('import os, time', 'from pathlib import Path', "first = not Path('pid').exists()",
                  "Path('pid').write_text(str(os.getpid()))", 'time.sleep(600 if first else 0)',
                  folder=here/'nbs', name='sleepy')
    code = ('from milan.experiments.runner import reproduce; '
            f"reproduce(['sleepy', 'one'], 'smoke', jobs=2, notebooks={str(here/'nbs')!r})")
    process = subprocess.Popen([sys.executable, '-c', code], stderr=subprocess.PIPE, text=True)
    seen = list(itertools.islice(process.stderr, 3)) # both start, one ends
    while not Path('pid').exists(): time.sleep(.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    wait_for_end(int(Path('pid').read_text()))
    done = reproduce(['sleepy'], 'smoke', jobs=1, progress=False, notebooks=here/'nbs')
    test_eq([one.state for one in done], ['done'])
    test_eq([path.name for path in (here/'results/reports/sleepy/smoke').iterdir()], ['report.ipynb'])
    seen

    Path('pid').unlink()
    forced = code.replace('jobs=2', 'jobs=2, force=True')
    # a process that was started in the background may inherit that Ctrl-C is ignored
    process = subprocess.Popen([sys.executable, '-c', forced], stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    while not Path('pid').exists(): time.sleep(.05)
    process.send_signal(signal.SIGINT)
    test_eq((process.wait(60), 'KeyboardInterrupt' in process.stderr.read()), (-signal.SIGINT, True))
    process.stderr.close()
    wait_for_end(int(Path('pid').read_text()))
    os.chdir(before)
    del os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(here)

    here = Path(tempfile.mkdtemp())
    notebooks = toy_notebooks('reports', more="reports = ''  # whose records are read")
    before = os.environ.get('MILAN_RESULTS_DIR')
    os.environ['MILAN_RESULTS_DIR'] = str(here/'results')
    [done] = reproduce(['toy'], 'smoke', reports=here/'mine', progress=False, notebooks=notebooks)
    test_eq(done.report, here/'mine'/'toy'/'smoke'/'report.ipynb')
    test_eq(last_value(done.report), repr(str(here/'mine')))
    assert not reports_dir().exists()
    shutil.rmtree(os.environ.pop('MILAN_RESULTS_DIR'))
    if before: os.environ['MILAN_RESULTS_DIR'] = before
    for folder in (here, notebooks.parent): shutil.rmtree(folder)

    here, notebooks = Path(tempfile.mkdtemp()), toy_notebooks("f'{profile} {seeds * 2}'")
    os.environ['MILAN_RESULTS_DIR'] = str(here/'results')
    subprocess.run([sys.executable, '-m', 'papermill', notebooks/'guides'/'toy.ipynb', here/'plain.ipynb',
                    '-p', 'profile', 'smoke', '-p', 'seeds', '5'], check=True, capture_output=True)
    ours = run('toy', 'smoke', {'seeds': 5}, out=here/'report', progress=False, notebooks=notebooks)
    test_eq([last_value(path) for path in (here/'plain.ipynb', ours.report)], ["'smoke 10'"] * 2)
    del os.environ['MILAN_RESULTS_DIR']
    for folder in (here, notebooks.parent): shutil.rmtree(folder)


# 05_runner.ipynb, section "Errors"
def test_errors():
    notebooks = toy_notebooks()
    with expect_fail(MilanError, contains="no notebook 'tour'"): reproduce(['toy', 'tour'], notebooks=notebooks)
    with expect_fail(MilanError, contains='jobs=0'): reproduce(['toy'], notebooks=notebooks, jobs=0)
    with expect_fail(MilanError, contains='did you mean seeds?'):
        run('toy', parameters={'seed': 1}, notebooks=notebooks)
    with expect_fail(MilanError, contains="no profile 'paper'"): run('toy', 'paper', notebooks=notebooks)
    for names in ([], ['toy']):
        with expect_fail(MilanError, contains="no profile 'bogus'"):
            reproduce(names, 'bogus', notebooks=notebooks)
    (notebooks/'guides').rename(notebooks/'benchmarks')
    failed = reproduce(['toy'], 'paper', notebooks=notebooks)[0]
    test_eq(failed.report, reports_dir()/'benchmarks'/'toy-paper'/'report.failed.ipynb')
    shutil.copytree(notebooks/'benchmarks', notebooks/'guides')
    with expect_fail(MilanError, contains='two notebooks are called toy'): find(notebooks)
    (notebooks/'guides'/'toy.ipynb').write_text('{}')
    with expect_fail(MilanError, contains='is not a notebook'): get('toy', notebooks)
    shutil.rmtree(notebooks.parent)
