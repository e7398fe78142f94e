# Generated from nbs/06_weights.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from torch import nn
import torch
from milan.weights import (
    by_path,
    fit,
    read,
    read_state,
)

import os
import tempfile

from fastcore.test import expect_fail, test_eq


def saved(value, name='weights.pth'):
    "`value` as a file in a new folder."
    path = Path(tempfile.mkdtemp())/name
    torch.save(value, path)
    return path


# 06_weights.ipynb, section "Reading"
def test_reading():
    read(saved({'state_dict': {'weight': torch.eye(2)}, 'epoch': 3}))

    class Malicious:
        "Pickled, it is a call of `os.mkdir`."
        def __reduce__(self): return os.mkdir, (str(folder/'harm'),)


    folder = Path(tempfile.mkdtemp())
    path = saved({'state_dict': {'weight': torch.eye(2)}, 'extra': Malicious()})
    with expect_fail(MilanError, contains='it was not run'): read(path)
    assert not (folder/'harm').exists()
    path.write_bytes(path.read_bytes()[:200])
    with expect_fail(MilanError, contains='get it again'): read(path)
    path.write_text('<html>404')
    with expect_fail(MilanError, contains='get it again'): read(path)
    (folder/'x.safetensors').write_bytes(b'not at all')
    with expect_fail(MilanError, contains='x.safetensors cannot be read'): read(folder/'x.safetensors')
    with expect_fail(MilanError, contains='no file'): read(folder/'absent.pth')


# 06_weights.ipynb, section "Unwrapping"
def test_unwrapping():
    bare = {'weight': torch.eye(2)}
    [list(read_state(saved(value))) for value in (bare, {'state_dict': bare, 'epoch': 3}, {'model': {'state_dict': bare}})]

    with expect_fail(MilanError, contains='the keys epoch'): read_state(saved({'epoch': 3}))
    with expect_fail(MilanError, contains='Tensor'): read_state(saved(torch.eye(2)))


# 06_weights.ipynb, section "Renaming"
def test_renaming():
    rename = by_path({'trunk': 'body', 'trunk.conv1_1': 'body.0'})
    [rename(name) for name in ('trunk.conv1_1.weight', 'trunk.fc.weight', 'truck.weight')]

    names = {'trunk.conv1_1.weight': 'body.0.weight', 'trunk.fc.weight': 'body.fc.weight', 'truck.weight': 'truck.weight', 'trunk': 'trunk'}
    test_eq([rename(name) for name in names], list(names.values()))


# 06_weights.ipynb, section "Fitting"
def test_fitting():
    def small(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


    trained, network = small(), small()
    parallel = {f'module.{name}': value for name, value in trained.state_dict().items() if 'tracked' not in name}
    fit(network, parallel, 'parallel.pth')
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in trained.state_dict().items())
    list(parallel)

    old = {name.replace('3.', 'features.module.classifier.'): value for name, value in trained.state_dict().items()}
    fit(network := small(), old, 'old.pth', by_path({'classifier': '3'}), prefix='features.')
    assert torch.equal(network[3].weight, trained[3].weight)
    state, network = trained.state_dict(), small()
    before = network[0].weight.clone()
    for change, said in [({'0.weight': None}, 'lacks 1 (0.weight)'), ({'head.weight': torch.eye(2)}, 'unknown names: 1 (head.weight)'),
                         ({'3.bias': torch.zeros(5)}, '3.bias (5,), not (2,)'), ({'module.3.bias': torch.zeros(2)}, 'module.3.bias as 3.bias')]:
        changed = {name: value for name, value in {**state, **change}.items() if value is not None}
        with expect_fail(MilanError, contains=said): fit(network, changed, 'changed.pth')
        with expect_fail(MilanError, contains='changed.pth'): fit(network, changed, 'changed.pth')
    assert torch.equal(network[0].weight, before)
