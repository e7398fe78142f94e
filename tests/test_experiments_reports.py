# Generated from nbs/13_experiments/02_reports.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.experiments.records import reports_dir
from pathlib import Path
import pandas as pd
from milan.experiments.reports import (
    _Files,
    _plain,
    checked_record,
    commit,
    Report,
    report_folder,
    small_png,
)

import os
import shutil
import tempfile

import numpy as np
from fastcore.test import expect_fail, test_eq

from milan.evaluation.agreement import agreement_table
from milan.experiments.records import collect, committed_reports, read


def noise(): # a figure that does not compress
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2))
    figure.subplots().imshow(np.random.default_rng(0).random((150, 150, 3)))
    return figure


# 02_reports.ipynb, section "Rehearsals"
def test_rehearsals():
    test_eq(report_folder('sweep', 'demo'), reports_dir()/'sweep'/'demo')
    test_eq(report_folder('speed', 'demo', kind='benchmarks'), reports_dir()/'benchmarks'/'speed')
    test_eq(report_folder('speed', 'smoke', None, 'r', 'benchmarks'), Path('r/benchmarks/speed-smoke'))
    test_eq(report_folder('sweep', 'demo', out='elsewhere'), Path('elsewhere'))
    report_folder('sweep', 'demo', 'shapes', reports='reports')


# 02_reports.ipynb, section "The commit and the figures"
def test_the_commit_and_the_figures():
    found = commit()
    assert found is None or len(found.removesuffix('+changes')) == 12

    large, small = len(small_png(noise(), 10**7)), len(small_png(noise(), 20_000))
    assert small <= 20_000 < large
    large, small


# 02_reports.ipynb, section "The report"
def test_the_report():
    checked_record('alexnet/within', np.float32(.5), n=8, interval=np.array([.25, .75]), seeds=range(3),
                   detectable=np.float32(.5))

    files = _Files()
    files.folder = Path('reports')
    test_eq(files.table(pd.DataFrame({'unit': [0]}), 'units'), Path('reports/units.csv'))

    _plain({'seed': 1, 'folder': Path('photos'), 'images': None})

    folder = Path(tempfile.mkdtemp())/'toy'/'demo'
    report = Report(folder, parameters={'profile': 'demo', 'images': Path('pictures')})
    report.record('planted/exact/ours', np.float32(.5), n=8, interval=np.array([.25, .75]), seeds=range(3))
    report.data('shapes', '5d41402abc4b2a76')
    report.answer('Half of the units are named right [.25, .75].', needs='more than eight units')
    report.figure(noise(), 'noise')
    report.table(pd.DataFrame({'layer': ['conv1'], 'unit': [0]}), 'descriptions')
    assert not folder.exists()
    report.save()

    test_eq(sorted(path.name for path in folder.iterdir()), ['descriptions.csv', 'metrics.json', 'noise.png'])
    test_eq(read(folder), report.metrics)
    test_eq(read(folder)['planted/exact/ours'].seeds, (0, 1, 2))
    test_eq(read(folder).needs, 'more than eight units')

    report.agreement(agreement_table(['dog', 'sky'], [['dogs'], ['grass']], measures=['exact']), 'stamps')
    test_eq(report.metrics['stamps/exact/ours'].value, .5)
    shutil.rmtree(folder.parent.parent)

    before = os.environ.get('MILAN_RESULTS_DIR')
    os.environ['MILAN_RESULTS_DIR'] = tempfile.mkdtemp()
    mine = Report(report_folder('sweep', 'smoke'))
    mine.record('mine', 1.)
    mine.save()
    found = collect(profile='smoke')
    test_eq(found[found.experiment == 'sweep'][['name', 'report']].values.tolist(),
            [['mine', (reports_dir()/'sweep'/'smoke').as_posix()]])
    test_eq(set(found[found.experiment != 'sweep'].report),
            {one for one in collect(committed_reports() or 'reports', 'smoke').report if '/sweep/' not in one})
    shutil.rmtree(os.environ.pop('MILAN_RESULTS_DIR'))
    if before: os.environ['MILAN_RESULTS_DIR'] = before


# 02_reports.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains="sweep has no profile 'bogus': choose smoke, demo, paper"):
        report_folder('sweep', 'bogus', out='elsewhere')
    with expect_fail(MilanError, contains="speed has no profile 'paper': choose smoke, demo"):
        report_folder('speed', 'paper', profiles=('smoke', 'demo'))
    with expect_fail(MilanError, contains="toy has no profile 'quick'"): Report('reports/toy/quick')
    with expect_fail(MilanError, contains='should be a finite number'): checked_record('x', float('nan'))
