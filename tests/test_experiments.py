# Generated from nbs/60_experiments.ipynb by `make export`. Edit the notebook, not this file.

from dataclasses import asdict
from milan.config import MilanError
from pathlib import Path
import importlib.util
import itertools
import json
import os
import pandas as pd
from milan.experiments import (
    _alive,
    check,
    collect,
    commit,
    committed_reports,
    find,
    get,
    listed,
    literal,
    Metrics,
    missing_assets,
    missing_weights,
    overview,
    PAPER_NUMBERS,
    plot_agreement,
    read,
    Record,
    Report,
    report_folder,
    reports_dir,
    reproduce,
    require,
    run,
    small_png,
    style,
)
import pytest

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

import nbformat
import numpy as np
from fastcore.test import expect_fail, test_eq

from milan.metrics import agreement


def toy_notebooks(*lines, # source of the toy notebook's only working cell
                  images='shapes', # default of its parameter
                  folder=None, # add it to this one
                  name='toy',
                  more=''): # another line of parameters
    "A folder with guides/toy.ipynb in it."
    folder = Path(folder or Path(tempfile.mkdtemp())/'nbs')
    parameters = nbformat.v4.new_code_cell(
        f"profile = 'demo'  # smoke | demo\nimages = '{images}'  # which images\nseeds = 3  # how many\nout = ''  # folder of the report\n{more}",
        metadata={'tags': ['parameters']})
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell('# A toy\n\n> It measures nothing.\n'), parameters,
               nbformat.v4.new_code_cell('\n'.join(lines) or 'seeds * 2')],
        metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}})
    (folder/'guides').mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder/'guides'/f'{name}.ipynb')
    return folder


# 60_experiments.ipynb, section "What an experiment measured"
def test_what_an_experiment_measured():
    measured = Metrics('generalization', 'demo', records=[Record('alexnet/within', .35, paper=.39, n=115, interval=(.31, .4))])
    test_eq(measured['alexnet/within'].paper, .39)
    with expect_fail(MilanError, contains='did you mean alexnet/within?'): measured['alexnet/withn']
    measured.table()

    content = json.loads(json.dumps(asdict(measured)))
    check(content)
    content['records'] += [{'name': 'alexnet/within', 'value': float('nan'), 'interval': [2, 1]}]
    with expect_fail(MilanError, contains='nan is not a finite number'): check(content)
    with expect_fail(MilanError, contains='[2, 1] is not [low, high]'): check(content)
    with expect_fail(MilanError, contains="two records are called 'alexnet/within'"): check(content)
    with expect_fail(MilanError, contains="profile 'full'"): check({**content, 'profile': 'full'})
    with expect_fail(MilanError, contains='records is missing'): check({})

    folder = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='does not exist'): read(folder)
    (folder/'metrics.json').write_text('{"experiment": ')
    with expect_fail(MilanError, contains='not JSON'): read(folder)
    (folder/'metrics.json').write_text(json.dumps(asdict(measured)))
    test_eq(read(folder), measured)
    shutil.rmtree(folder)

    folder = Path(tempfile.mkdtemp())
    test_eq(len(collect(folder)), 0)
    (folder/'generalization'/'demo').mkdir(parents=True)
    (folder/'generalization'/'demo'/'metrics.json').write_text(json.dumps(asdict(measured)))
    test_eq((len(collect(folder, 'demo')), len(collect(folder, 'paper'))), (1, 0))
    (folder/'metrics.json').write_text('{}')
    with expect_fail(MilanError, contains='metrics.json departs from the schema'): collect(folder)
    shutil.rmtree(folder)

    here = Path(importlib.util.find_spec('milan').origin).parent.parent/'reports'
    for path in here.rglob('metrics.json'):
        found, parts = read(path.parent), path.relative_to(here).parts
        test_eq([found.experiment, found.profile], [parts[1].partition('-')[0], found.profile] if parts[0] == 'benchmarks' else [parts[0], parts[1].partition('-')[0]])
    collect(here).groupby(['experiment', 'profile']).size()


# 60_experiments.ipynb, section "What the paper measured"
def test_what_the_paper_measured():
    test_eq(len(PAPER_NUMBERS), 16 + 13 + 6)
    test_eq(PAPER_NUMBERS.paper[PAPER_NUMBERS.quantity == 'BERTScore, MILAN, ResNet152-ImageNet'].tolist(), [.35])
    PAPER_NUMBERS.groupby('experiment', sort=False).paper.describe()[['count', 'min', 'max']]


# 60_experiments.ipynb, section "One style for all figures"
def test_one_style_for_all_figures():
    style()

    people = [[f'a {c} {t}', f'something {c}'] for t in ('dog', 'car', 'face', 'sky', 'wheel') for c in ('red', 'blue', 'green')]
    figure = plot_agreement(agreement([texts[0][2:] for texts in people], people))
    test_eq(len(figure.axes[0].patches), 9)
    figure


# 60_experiments.ipynb, section "The report of one run"
def test_the_report_of_one_run():
    assert commit() is None or len(commit().removesuffix('+changes')) == 12

    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2))
    figure.subplots().imshow(np.random.default_rng(0).random((150, 150, 3)))
    large, small = len(small_png(figure, 10**7)), len(small_png(figure, 20_000))
    assert small <= 20_000 < large
    large, small

    test_eq(report_folder('sweep', 'demo'), reports_dir()/'sweep'/'demo')
    test_eq(report_folder('speed', 'demo', kind='benchmarks'), reports_dir()/'benchmarks'/'speed')
    test_eq(report_folder('speed', 'smoke', reports='reports', kind='benchmarks'), Path('reports/benchmarks/speed-smoke'))
    test_eq(report_folder('sweep', 'demo', out='elsewhere'), Path('elsewhere'))
    with expect_fail(MilanError, contains="sweep has no profile 'bogus': choose smoke, demo, paper"): report_folder('sweep', 'bogus', out='elsewhere')
    with expect_fail(MilanError, contains="speed has no profile 'paper': choose smoke, demo"): report_folder('speed', 'paper', profiles=('smoke', 'demo'))
    report_folder('sweep', 'demo', 'shapes', reports='reports')

    folder = Path(tempfile.mkdtemp())/'toy'/'demo'
    report = Report(folder, parameters={'profile': 'demo', 'images': Path('pictures')})
    report.record('planted/exact/ours', np.float32(.5), n=8, interval=np.array([.25, .75]), seeds=range(3))
    report.data('shapes', '5d41402abc4b2a76')
    report.figure(figure, 'noise')
    report.table(pd.DataFrame({'layer': ['conv1'], 'unit': [0]}), 'descriptions')
    assert not folder.exists()
    report.save()

    test_eq(sorted(path.name for path in folder.iterdir()), ['descriptions.csv', 'metrics.json', 'noise.png'])
    test_eq(read(folder), report.metrics)
    test_eq(read(folder)['planted/exact/ours'].seeds, (0, 1, 2))
    (read(folder).experiment, read(folder).profile, read(folder).parameters)

    with expect_fail(MilanError, contains='nan is not a finite'): report.record('x', float('nan'))
    with expect_fail(MilanError, contains="toy has no profile 'quick'"): Report('reports/toy/quick')
    report.agreement(agreement(['dog', 'sky'], [['dogs'], ['grass']], measures=['exact']), 'stamps')
    test_eq(report.metrics['stamps/exact/ours'].value, .5)
    shutil.rmtree(folder.parent.parent)

    before = os.environ.get('MILAN_RESULTS_DIR')
    os.environ['MILAN_RESULTS_DIR'] = tempfile.mkdtemp()
    mine = Report(report_folder('sweep', 'smoke'))
    mine.record('mine', 1.)
    mine.save()
    found = collect(profile='smoke')
    test_eq(found[found.experiment == 'sweep'][['name', 'report']].values.tolist(), [['mine', (reports_dir()/'sweep'/'smoke').as_posix()]])
    test_eq(set(found[found.experiment != 'sweep'].report), {one for one in collect(committed_reports(), 'smoke').report if '/sweep/' not in one})
    shutil.rmtree(os.environ.pop('MILAN_RESULTS_DIR'))
    if before: os.environ['MILAN_RESULTS_DIR'] = before


# 60_experiments.ipynb, section "What is missing, all at once"
def test_what_is_missing_all_at_once():
    test_eq((listed('nouns, verbs,'), listed(['nouns', 'verbs']), listed('')), (['nouns', 'verbs'], ['nouns', 'verbs'], []))
    require(['', None])
    with expect_fail(MilanError, contains='2 things are missing:\n  - weights\n  - photographs'): require(['weights', '', 'photographs\n'])
    os.environ.update(MILAN_DATA_DIR=tempfile.mkdtemp(), MILAN_MODELS_DIR=tempfile.mkdtemp())
    with expect_fail(MilanError, contains='milan data fetch milan-base'): require(missing_assets(['milan-base', 'milannotations-alexnet-places365']))
    lines = [*missing_assets(['milan-base']), *missing_weights(['alexnet/imagenet', 'alexnet/places365', 'biggan/imagenet', 'planted/shapes'])]
    test_eq([text.split()[-3] if 'python' in text else text.split()[0] for text in lines[:1] + lines[2:3]], ['milan-base', 'alexnet-places365'])
    for name in ('MILAN_DATA_DIR', 'MILAN_MODELS_DIR'): shutil.rmtree(os.environ.pop(name))
    lines


# 60_experiments.ipynb, section "Finding the notebooks"
def test_finding_the_notebooks():
    folder = toy_notebooks()
    test_eq(find(folder)['toy'], get('toy', folder))
    test_eq((get('toy', folder).profiles, get('toy', folder).reads_reports), (('smoke', 'demo'), False))
    with expect_fail(MilanError, contains='did you mean toy?'): get('toys', folder)
    replace(get('toy', folder), path=Path('guides/toy.ipynb'))

    os.environ['MILAN_NOTEBOOKS_DIR'] = str(folder.parent)
    with expect_fail(MilanError, contains='MILAN_NOTEBOOKS_DIR'): find()
    del os.environ['MILAN_NOTEBOOKS_DIR']
    shutil.rmtree(folder.parent)


# 60_experiments.ipynb, section "Running one"
def test_running_one():
    here = Path(tempfile.mkdtemp())
    os.environ['MILAN_RESULTS_DIR'] = str(here/'results')
    notebooks = toy_notebooks('seeds * 2')
    first = run('toy', 'smoke', {'seeds': 21}, out=here/'report', progress=False, notebooks=notebooks)
    test_eq(first.state, 'done')
    cells = nbformat.read(first.report, as_version=4).cells
    test_eq(cells[-1].outputs[0].data['text/plain'], '42')
    cells[2].source.replace(str(here), '…')

    test_eq((_alive(os.getpid()), _alive(2**22 + 1)), (True, False))
    test_eq(run('toy', 'smoke', {'seeds': 21}, out=here/'report', notebooks=notebooks).state, 'skipped')
    first.report.write_text(first.report.read_text() + ' ')
    test_eq(run('toy', 'smoke', {'seeds': 21}, out=here/'report', progress=False, notebooks=notebooks).state, 'done')
    with expect_fail(MilanError, contains='did you mean seeds?'): run('toy', parameters={'seed': 1}, notebooks=notebooks)
    with expect_fail(MilanError, contains="no profile 'paper'"): run('toy', 'paper', notebooks=notebooks)
    shutil.rmtree(notebooks.parent)

    notebooks = toy_notebooks('1 / 0')
    with expect_fail(MilanError, contains='ZeroDivisionError: division by zero'):
        run('toy', 'smoke', out=here/'report', progress=False, notebooks=notebooks)
    test_eq(sorted(path.name for path in (here/'report').iterdir()), ['report.failed.ipynb', 'report.ipynb'])
    kept = nbformat.read(here/'report'/'report.failed.ipynb', as_version=4)
    test_eq([one.ename for cell in kept.cells for one in cell.get('outputs', []) if one.output_type == 'error'], ['ZeroDivisionError'])

    del os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(notebooks.parent)
    shutil.rmtree(here)


# 60_experiments.ipynb, section "Running several"
def test_running_several():
    test_eq([literal(text) for text in ('3', '.5', 'True', 'None', 'stamps', '["within", 3]', '[within]')], [3, .5, True, None, 'stamps', ['within', 3], '[within]'])

    notebooks = toy_notebooks()
    with expect_fail(MilanError, contains="no notebook 'tour'"): reproduce(['toy', 'tour'], notebooks=notebooks)
    with expect_fail(MilanError, contains='jobs=0'): reproduce(['toy'], notebooks=notebooks, jobs=0)
    found = reproduce(['toy'], 'paper', notebooks=notebooks)
    test_eq([(one.state, 'no profile' in one.message) for one in found], [('failed', True)])
    (notebooks/'guides').rename(notebooks/'benchmarks')
    test_eq(reproduce([], 'demo', notebooks=notebooks), [])
    test_eq(reproduce(['toy'], 'paper', notebooks=notebooks)[0].report, reports_dir()/'benchmarks'/'toy-paper'/'report.failed.ipynb')
    for names in ([], ['toy']):
        with expect_fail(MilanError, contains="no profile 'bogus'"): reproduce(names, 'bogus', notebooks=notebooks)
    shutil.rmtree(notebooks.parent)
    overview(found)


# 60_experiments.ipynb, section "Running several"
@pytest.mark.slow
def test_running_several_slow():
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
    here, before = Path(tempfile.mkdtemp()).resolve(), os.getcwd()
    os.chdir(here)
    os.environ.update(MILAN_RESULTS_DIR='results', OMP_NUM_THREADS='4')
    for name, friend in (('one', 'two'), ('two', 'one')):
        toy_notebooks(WAIT, folder=here/'nbs', name=name, more=f"name = '{name}'  # its own\nfriend = '{friend}'  # the other's")
    toy_notebooks('1 / 0', folder=here/'nbs', name='three')
    toy_notebooks('import os, signal', 'os.kill(os.getppid(), signal.SIGKILL)', 'import time; time.sleep(60)', folder=here/'nbs', name='five')
    toy_notebooks('from pathlib import Path', "sorted(path.parent.parent.name for path in Path('results/reports').rglob('report*.ipynb') if not path.name.startswith('.'))",
                  folder=here/'nbs', name='four', more="reports = ''  # whose records are read")
    runs = reproduce(['four', 'one', 'two', 'three', 'five'], 'smoke', jobs=2, progress=False, notebooks=here/'nbs')
    test_eq([(one.name, one.state) for one in runs], [('four', 'done'), ('one', 'done'), ('two', 'done'), ('three', 'failed'), ('five', 'failed')])
    said = {one.name: nbformat.read(one.report, as_version=4).cells[-1].outputs[-1].data['text/plain'] for one in runs[:3]}
    test_eq(said, {'four': "['one', 'three', 'two']", 'one': "(True, '2')", 'two': "(True, '2')"})
    assert 'ZeroDivisionError' in runs[3].message and runs[3].report.is_file()
    assert 'ended with code -9' in runs[4].message
    overview(runs)

    for name in ('three', 'five'): (here/f'nbs/guides/{name}.ipynb').rename(here/f'{name}.ipynb')
    test_eq({one.name: one.state for one in reproduce([], 'smoke', jobs=1, progress=False, notebooks=here/'nbs')}, dict.fromkeys(('four', 'one', 'two'), 'skipped'))
    Report(here/'results/reports/one/smoke').save()
    test_eq([one.state for one in reproduce(['one', 'four'], 'smoke', jobs=1, progress=False, notebooks=here/'nbs')], ['skipped', 'done'])

    toy_notebooks('import os, time', 'from pathlib import Path', "first = not Path('pid').exists()", "Path('pid').write_text(str(os.getpid()))",
                  'time.sleep(600 if first else 0)', folder=here/'nbs', name='sleepy')
    code = f"from milan.experiments import reproduce; reproduce(['sleepy', 'one'], 'smoke', jobs=2, notebooks={str(here/'nbs')!r})"
    process = subprocess.Popen([sys.executable, '-c', code], stderr=subprocess.PIPE, text=True)
    seen = list(itertools.islice(process.stderr, 3)) # both begin, one ends
    while not Path('pid').exists(): time.sleep(.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    kernel = int(Path('pid').read_text())
    for _ in range(1200):
        if not _alive(kernel): break
        time.sleep(.05)
    else:
        raise AssertionError('the kernel runs on')
    done = reproduce(['sleepy'], 'smoke', jobs=1, progress=False, notebooks=here/'nbs')
    test_eq([one.state for one in done], ['done'])
    test_eq([path.name for path in (here/'results/reports/sleepy/smoke').iterdir()], ['report.ipynb'])
    os.chdir(before)
    del os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(here)
    seen

    here, notebooks = Path(tempfile.mkdtemp()), toy_notebooks('reports', more="reports = ''  # whose records are read")
    before = os.environ.get('MILAN_RESULTS_DIR')
    os.environ['MILAN_RESULTS_DIR'] = str(here/'results')
    [done] = reproduce(['toy'], 'smoke', reports=here/'mine', progress=False, notebooks=notebooks)
    test_eq(done.report, here/'mine'/'toy'/'smoke'/'report.ipynb')
    test_eq(nbformat.read(done.report, as_version=4).cells[-1].outputs[0].data['text/plain'], repr(str(here/'mine')))
    assert not reports_dir().exists()
    shutil.rmtree(os.environ.pop('MILAN_RESULTS_DIR'))
    if before: os.environ['MILAN_RESULTS_DIR'] = before
    for folder in (here, notebooks.parent): shutil.rmtree(folder)

    here, notebooks = Path(tempfile.mkdtemp()), toy_notebooks("f'{profile} {seeds * 2}'")
    os.environ['MILAN_RESULTS_DIR'] = str(here/'results')
    subprocess.run([sys.executable, '-m', 'papermill', notebooks/'guides'/'toy.ipynb', here/'plain.ipynb', '-p', 'profile', 'smoke', '-p', 'seeds', '5'],
                   check=True, capture_output=True)
    ours = run('toy', 'smoke', {'seeds': literal('5')}, out=here/'report', progress=False, notebooks=notebooks).report
    outputs = [nbformat.read(path, as_version=4).cells[-1].outputs[0].data['text/plain'] for path in (here/'plain.ipynb', ours)]
    del os.environ['MILAN_RESULTS_DIR']
    test_eq(outputs, ["'smoke 10'"] * 2)
    shutil.rmtree(here)
    shutil.rmtree(notebooks.parent)
