# Generated from nbs/13_experiments/01_records.ipynb by `make export`. Edit the notebook, not this file.

from dataclasses import asdict
from milan.config import MilanError
from milan.config import package_folder
from pathlib import Path
from milan.experiments.records import (
    _ordered,
    _without_nan,
    collect,
    committed_reports,
    find_record,
    Metrics,
    nearest,
    PAPER_NUMBERS,
    parse,
    read,
    Record,
    record_files,
    reports_dir,
)

import json
import shutil
import tempfile

from fastcore.test import expect_fail, test_eq


def measured(): # metrics with one record
    one = Record('alexnet/within', .35, paper=.39, n=115, interval=(.31, .4))
    return Metrics('generalization', 'demo', records=[one])


# 01_records.ipynb, section "One number"
def test_one_number():
    test_eq((_ordered((1., 2.)), _without_nan(float('nan')), _without_nan('n')), ((1., 2.), None, 'n'))
    with expect_fail(ValueError, contains='low end'): _ordered((2., 1.))

    one = Record('alexnet/within', .35, paper=.39, n=115, interval=(.31, .4))
    test_eq((one.paper, one.seeds, one.detectable), (.39, None, None))
    one


# 01_records.ipynb, section "One run"
def test_one_run():
    test_eq(list(measured().table().columns)[:4], ['name', 'value', 'low', 'high'])
    measured().table()

    test_eq(nearest('transfr', ['transfer', 'audit']), 'did you mean transfer?')
    nearest('xyz', ['transfer', 'audit'])

    test_eq(measured()['alexnet/within'].paper, .39)
    with expect_fail(MilanError, contains='did you mean alexnet/within'): find_record(measured(), 'alexnet/withn')


# 01_records.ipynb, section "The file"
def test_the_file():
    text = json.dumps(asdict(measured()))
    test_eq(parse(text), measured())
    text

    here = package_folder().parent/'reports' # all committed reports pass, and are in the folder of their name
    for path in here.rglob('metrics.json'):
        found, parts = read(path.parent), path.relative_to(here).parts
        test_eq(found.experiment, parts[1].partition('-')[0] if parts[0] == 'benchmarks' else parts[0])
        if parts[0] != 'benchmarks': test_eq(found.profile, parts[1].partition('-')[0])


# 01_records.ipynb, section "All reports"
def test_all_reports():
    test_eq(reports_dir().name, 'reports')

    [path.parent.name for path in record_files(committed_reports() or 'reports')][:3]

    folder = Path(tempfile.mkdtemp())
    test_eq(len(collect(folder)), 0)

    (folder/'generalization'/'demo').mkdir(parents=True)
    (folder/'generalization'/'demo'/'metrics.json').write_text(json.dumps(asdict(measured())))
    test_eq((len(collect(folder, 'demo')), len(collect(folder, 'paper'))), (1, 0))
    shutil.rmtree(folder)

    collect(committed_reports() or 'reports').groupby(['experiment', 'profile']).size()


# 01_records.ipynb, section "The paper's numbers"
def test_the_paper_s_numbers():
    test_eq(len(PAPER_NUMBERS), 16 + 13 + 6)
    test_eq(PAPER_NUMBERS.paper[PAPER_NUMBERS.quantity == 'BERTScore, MILAN, ResNet152-ImageNet'].tolist(), [.35])
    PAPER_NUMBERS.groupby('experiment', sort=False).paper.describe()[['count', 'min', 'max']]


# 01_records.ipynb, section "Errors"
def test_errors():
    content = json.loads(json.dumps(asdict(measured())))
    content['records'] += [{'name': 'alexnet/within', 'value': float('nan'), 'interval': [2, 1]}]
    for error in ('records.1.value: Input should be a finite number', 'the low end is above the high end'):
        with expect_fail(MilanError, contains=error): parse(json.dumps(content))
    content['records'] = content['records'][:1] * 2
    with expect_fail(MilanError, contains='two records have the name'): parse(json.dumps(content))
    with expect_fail(MilanError, contains="(found 'full')"): parse(json.dumps({**content, 'profile': 'full'}))
    with expect_fail(MilanError, contains='experiment: Field required'): parse('{}')
    for one in ('"name": "a", "value": 1, "detectable": -1',
                '"name": "a", "value": "1"', '"name": "a", "value": 1, "size": 3', '"name": "", "value": 1'):
        with expect_fail(MilanError, contains='records.0.'): parse(f'{{"records": [{{{one}}}]}}')

    folder = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='does not exist'): read(folder)
    (folder/'metrics.json').write_text('{"experiment": ')
    with expect_fail(MilanError, contains='Invalid JSON'): read(folder)
    (folder/'metrics.json').write_text('{}')
    with expect_fail(MilanError, contains='metrics.json departs from the schema'): collect(folder)
    shutil.rmtree(folder)
