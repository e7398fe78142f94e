# Generated from nbs/04_networks/01_weights.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.files import read_tensors
from pathlib import Path
from torch import nn
import torch
from milan.networks.weights import (
    _named,
    _require_fit,
    _same_kind,
    _some,
    _unwrapped,
    build,
    by_path,
    check_tensors,
    fit,
    read_state,
)

import os
import tempfile

from fastcore.test import expect_fail, test_eq

from milan.testing import saved_tensors


# 01_weights.ipynb, section "Unwrapping"
def test_unwrapping():
    check_tensors({'weight': torch.eye(2)}, 'x.pth')
    expanded = {'weight': torch.zeros(1).expand(10**6, 10**6)}     # one number that stands for a trillion
    check_tensors(expanded, 'x.pth', repeated=True)
    with expect_fail(MilanError, contains='weight is no plain tensor'): check_tensors(expanded, 'x.pth')

    test_eq(_unwrapped({'model': {'state_dict': {'weight': 1}}}), {'weight': 1})
    _unwrapped({'weight': 1})

    bare = {'weight': torch.eye(2)}
    [list(read_state(saved_tensors(value))) for value in (bare, {'state_dict': bare, 'epoch': 3},
                                                  {'model': {'state_dict': bare}})]

    with expect_fail(MilanError, contains='the keys epoch'): read_state(saved_tensors({'epoch': 3}))
    with expect_fail(MilanError, contains='Tensor'): read_state(saved_tensors(torch.eye(2)))


# 01_weights.ipynb, section "Renaming"
def test_renaming():
    rename = by_path({'trunk': 'body', 'trunk.conv1_1': 'body.0'})
    [rename(name) for name in ('trunk.conv1_1.weight', 'trunk.fc.weight', 'truck.weight')]

    names = {'trunk.conv1_1.weight': 'body.0.weight', 'trunk.fc.weight': 'body.fc.weight',
             'truck.weight': 'truck.weight', 'trunk': 'trunk'}
    test_eq([rename(name) for name in names], list(names.values()))


# 01_weights.ipynb, section "Loading all or nothing"
def test_loading_all_or_nothing():
    test_eq(_some(list('abcde')), '5 (a, b, c, d, …)')
    _named('model.module.0.weight', {'0.weight': torch.eye(2)}, str, 'model.')

    assert _same_kind(torch.zeros(1, dtype=torch.half), torch.zeros(1))
    assert not _same_kind(torch.zeros(1, dtype=torch.int64), torch.zeros(1))

    wanted = {'weight': torch.eye(2), 'bias': torch.zeros(2)}
    _require_fit(wanted, wanted, 'x.pth')
    with expect_fail(MilanError, contains='lacks 1 (bias); it has unknown names: 1 (scale)'):
        _require_fit(wanted, {'weight': torch.eye(2), 'scale': torch.ones(2)}, 'x.pth')

    def small(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


    trained, network = small(), small()
    parallel = {f'module.{name}': value for name, value in trained.state_dict().items() if 'tracked' not in name}
    fit(network, parallel, 'parallel.pth')
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in trained.state_dict().items())
    list(parallel)

    old = {name.replace('3.', 'features.module.classifier.'): value for name,
           value in trained.state_dict().items()}
    fit(network := small(), old, 'old.pth', by_path({'classifier': '3'}), prefix='features.')
    assert torch.equal(network[3].weight, trained[3].weight)

    state, network = trained.state_dict(), small()
    before = network[0].weight.clone()
    for change, said in [({'0.weight': None}, 'lacks 1 (0.weight)'),
                         ({'head.weight': torch.eye(2)}, 'unknown names: 1 (head.weight)'),
                         ({'3.bias': torch.zeros(5)}, '3.bias (5,), not (2,)'),
                         ({'module.3.bias': torch.zeros(2)}, 'module.3.bias as 3.bias')]:
        changed = {name: value for name, value in {**state, **change}.items() if value is not None}
        with expect_fail(MilanError, contains=said): fit(network, changed, 'changed.pth')
        with expect_fail(MilanError, contains='changed.pth'): fit(network, changed, 'changed.pth')

    assert torch.equal(network[0].weight, before)

    built = build(small, trained.state_dict(), 'trained.pth')
    assert torch.equal(built[3].weight, trained[3].weight) and built[3].weight is not trained[3].weight
    assert built[3].weight.requires_grad
    with expect_fail(MilanError, contains="(1000000000, 1000000000)"):
        build(lambda: nn.Linear(10**9, 10**9), trained[3].state_dict(), 'absurd.pth')
    [str(value.device) for value in built.state_dict().values()][:2]


# 01_weights.ipynb, section "Errors"
def test_errors():
    import zipfile


    around = {'weight': torch.eye(2)}
    around['state_dict'] = around
    with expect_fail(MilanError, contains='holds no weights'):
        read_state(saved_tensors(dict(state_dict={'model': {'epoch': 1}})))
    test_eq(list(read_state(saved_tensors(around))), ['weight']) # it holds itself, and is read all the same
    odd = {'meta': torch.empty(10**6, 10**6, device='meta'), 'sparse': torch.eye(3).to_sparse()}
    for name, value in odd.items():
        with expect_fail(MilanError, contains=name): read_state(saved_tensors({name: value}))
    with expect_fail(MilanError, contains='0.weight'):
        fit(nn.Sequential(nn.Linear(4, 3)),
            read_state(saved_tensors({'0.weight': torch.zeros(1).expand(10**6, 10**6)})), 'x.pth')
    path, small_file = saved_tensors({'zeros': torch.zeros(10**6)}), Path(tempfile.mkdtemp())/'bomb.pth'
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(small_file, 'w', zipfile.ZIP_DEFLATED) as packed:
        for part in plain.namelist(): packed.writestr(part, plain.read(part))
    with expect_fail(MilanError, contains='compressed'): read_tensors(small_file)
    huge = Path(tempfile.mkdtemp())/'x.safetensors'
    for head in ((2**63).to_bytes(8, 'little'), (2**40).to_bytes(8, 'little') + b'{}', (2).to_bytes(8, 'little')
                 + b'[]', (8).to_bytes(8, 'little') + b'{"a": 1}', b''):
        huge.write_bytes(head)
        with expect_fail(MilanError, contains='x.safetensors cannot be read'): read_tensors(huge)
    for change in ({'0.weight': torch.full((3, 4), torch.nan)}, {'0.weight': torch.ones(3, 4, dtype=torch.int64)},
                   {'0.weight': torch.ones(3, 4, dtype=torch.complex64)}):
        with expect_fail(MilanError, contains='0.weight'):
            fit(nn.Sequential(nn.Linear(4, 3)), {'0.weight': torch.ones(3, 4), '0.bias': torch.ones(3), **change},
                'x.pth')
