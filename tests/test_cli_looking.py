# Generated from nbs/15_command/09_looking.ipynb by `make export`. Edit the notebook, not this file.

import json

import pandas as pd
from fastcore.test import test_eq

from milan.testing import print_help, run_command, run_process


# 09_looking.ipynb, section "Browsing"
def test_browsing():
    result = run_command('browse', '/nowhere/at/all', '--no-open')
    test_eq(result.exit_code, 1)
    assert 'holds no index.html' in result.stderr and 'Traceback' not in result.stderr
    result.stderr


# 09_looking.ipynb, section "Networks"
def test_networks():
    result = run_command('networks', 'planted')
    test_eq(result.exit_code, 0)
    print_help(result.output)

    # of a new process: other tests register networks here
    table = pd.DataFrame(json.loads(run_process('networks', '--json').stdout))
    lines = run_process('networks').stdout.splitlines()
    test_eq([line.split()[0] for line in lines[1:]], table['name'].tolist()) # each on one line, whole
    assert all(source in line for source, line in zip(table['weights'], lines[1:])) and not any(
        line.endswith(' ') for line in lines
    )
    test_eq(json.loads(run_command('networks', 'PLANTED', '--json').output),
            table[table['name'] == 'planted/shapes'].to_dict('records'))
    unknown = run_command('networks', 'zzz')
    test_eq((unknown.exit_code, unknown.stdout), (1, ''))
    print(unknown.stderr)
