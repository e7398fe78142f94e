"""What every test stands on: folders of its own, one thread, fixed seeds, and reasons for what is skipped."""

import os
import random
import sys
import tempfile
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

import numpy as np
import pytest
import torch

from milan.config import oracle_dir
from milan.files import remove

ROOT = Path(__file__).resolve().parent.parent

# Made at import: a test module's top may already need it. Processes that share the tests (`pytest -n`)
# inherit the variable.
_mine = 'MILAN_TESTS_DIR' not in os.environ
_folder = Path(tempfile.mkdtemp(prefix='milan-tests-') if _mine else os.environ['MILAN_TESTS_DIR'])
os.environ['MILAN_TESTS_DIR'] = str(_folder)

# Nothing a test writes by default may land in the checkout or in the user's own folders. What is trained for
# a test (the planted network, the shapes captioner) is trained once, for all processes.
_own = _folder / os.environ.get('PYTEST_XDIST_WORKER', 'main')
os.environ.update(MILAN_DATA_DIR=str(_own / 'data'), MILAN_RESULTS_DIR=str(_own / 'results'),
                  MILAN_MODELS_DIR=str(_folder / 'models'))
# Relative to the repository, whatever the current folder is.
_oracle = ROOT / os.environ.get('MILAN_ORACLE_DIR', '../shared/oracle')
os.environ['MILAN_ORACLE_DIR'] = str(_oracle.resolve())
torch.set_num_threads(1)


def pytest_unconfigure(config):
    if _mine:
        remove(_folder)


@pytest.fixture(autouse=True)
def as_in_a_notebook(monkeypatch):
    """Each test starts in `nbs/`, as its notebook does, with fresh seeds; the environment is restored."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    before = dict(os.environ)
    monkeypatch.chdir(ROOT / 'nbs')
    yield
    os.environ.clear()
    os.environ.update(before)
    if 'matplotlib.pyplot' in sys.modules:
        sys.modules['matplotlib.pyplot'].close('all')


def pytest_pycollect_makeitem(collector, name, obj):
    """`test_eq` and its like are imported helpers, not tests: only a module's own functions are collected."""
    own = getattr(obj, '__module__', None)
    if isinstance(collector, pytest.Module) and own not in (None, collector.obj.__name__):
        return []
    return None


def pytest_collection_modifyitems(items):
    """Skip, with a reason that `-rs` shows, what this machine cannot run."""
    missing = {
        'oracle': (oracle_dir() is None
                   and f'MILAN_ORACLE_DIR={os.environ["MILAN_ORACLE_DIR"]} holds no golden data'),
        'gpu': not torch.cuda.is_available() and 'no CUDA device',
        'network': os.environ.get('MILAN_NETWORK') != '1' and 'needs the internet: set MILAN_NETWORK=1',
    }
    for item in items:
        for marker, reason in missing.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
