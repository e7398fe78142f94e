# Generated from nbs/05_exemplars/10_sharing.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.sharing import (
    assigned_batches,
    exclusive,
    first_process_first,
    processes,
    rank_and_count,
    require_same,
    wait_for_all,
)

import shutil
import tempfile
from pathlib import Path

import torch
from fastcore.test import expect_fail, test_eq

from milan.config import MilanError
from milan.exemplars.state import LayerState, ProcessState
from milan.hooks.layers import Layer


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


# 10_sharing.ipynb, section "Joining the others"
def test_joining_the_others():
    with processes('cpu'): inside = rank_and_count()
    inside

    test_eq(inside, (0, 1))

    with first_process_first(): require_same('key', 'inputs')

    wait_for_all()
    assert rank_and_count() == (0, 1)


# 10_sharing.ipynb, section "Dividing the work"
def test_dividing_the_work():
    folder = temporary()
    layer = LayerState(Layer('conv1'), 2, .9, 12, 0, None, None)
    with ProcessState(folder/'part-3', 'key', {'conv1': layer}, torch.device('cpu')) as state:
        layer.add(torch.rand(3, 6, 5, 5), torch.arange(3), None)
        state.batches += [1, 2]
        state.save()
    assigned_batches(folder, 'key', 6), assigned_batches(folder, 'other inputs', 6)

    test_eq(assigned_batches(folder, 'key', 6), [0, 3, 4, 5])

    with exclusive(folder/'result'): locked = [path.name for path in folder.glob('.*')]
    locked

    test_eq((locked, [path.name for path in folder.iterdir()]), (['.result.lock'], ['part-3']))
    with (exclusive(folder/'result'), expect_fail(MilanError, contains='another process'),
          exclusive(folder/'result')):
        pass
    with (expect_fail(MilanError, contains='cannot be written to'),
          exclusive(folder/'part-3'/'images.bytes'/'x')):
        pass
    shutil.rmtree(folder)
