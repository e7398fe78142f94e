# Generated from nbs/11_ablation/05_finetuning.ipynb by `make export`. Edit the notebook, not this file.

from milan.ablation.accuracy import evaluator
from milan.ablation.units import Means
from milan.ablation.finetuning import (
    _held_out,
    _loss,
    _losses,
    _numbers_of,
    _passed,
    _trainable,
    _Tuned,
    _validated,
    finetune,
)
import pytest

import shutil
import tempfile
from pathlib import Path

import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.ablation.accuracy import evaluate
from milan.ablation.units import ablated
from milan.config import MilanError
from milan.testing import batch_of_squares, deep_network, seeing_network, Squares


# 05_finetuning.ipynb, section "The chosen layers"
@pytest.mark.training
def test_the_chosen_layers():
    tuned = _Tuned([nn.BatchNorm2d(3), nn.Dropout()], statistics=False).train()
    with _trainable(network := seeing_network(), network.head):
        test_eq([parameter.requires_grad for parameter in network.parameters()], [False, True])
    [part.training for part in tuned.parts]

    test_close(_loss(torch.tensor([[0., 0., 0., 0.]]), [(1,)]), torch.tensor([4.]).log())
    test_close(_loss(torch.tensor([[0., 0., 0., 0.]]), [(1, 3)]), torch.tensor([2.]).log())
    test_eq([len(side) for side in _held_out(40, .25, 0)], [30, 10])
    test_eq(_held_out(4, [3, 1, 3], 0), ([0, 2], [1, 3]))
    with expect_fail(MilanError, contains='validation = 1.5'): _held_out(40, 1.5, 0)
    with expect_fail(MilanError, contains='each side'): _held_out(40, .001, 0)
    _loss(torch.eye(3), [(0,), (0,), (0, 1)])

    with evaluator(seeing_network(), Squares(), batch_size=2, quiet=True) as shared:
        test_eq([len(logits) for logits, _ in _passed(shared, [3, 1, 4])], [2, 1])

    with evaluator(seeing_network(), Squares(), batch_size=3, quiet=True) as shared:
        losses = list(_losses(shared, [3, 1, 4, 5], 0, torch.Generator().manual_seed(0)))
        found = _validated(shared, [3, 1, 4])
    test_eq((len(losses), found['validation_accuracy']), (2, 1.))
    found

    _numbers_of(.5), _numbers_of(Means({'conv': torch.ones(2, 1)}))

    network, red = seeing_network(), {'colours': [0]}
    log = finetune(network, Squares(), 'head', ablated=red, validation=.25, epochs=12, patience=12,
                   learning_rate=1., weight_decay=0., batch_size=8, quiet=True)
    [evaluate(one, Squares(), ablated=red, quiet=True) for one in (seeing_network(), network)]

    before, after = (evaluate(one, Squares(), ablated=red, quiet=True) for one in (seeing_network(), network))
    assert after.accuracy > before.accuracy + .1 and before.by_class()['accuracy'][0] == 0
    assert after.by_class()['accuracy'][0] > .6
    assert torch.equal(network.colours.weight, seeing_network().colours.weight)
    assert not torch.equal(network.head.weight, seeing_network().head.weight)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    held = _held_out(40, .25, 0)[1]      # the best weights came back: the log's lowest loss is theirs
    with ablated(network, red):
        found = _loss(network(batch_of_squares(40)[held]), [(Squares()[number][1],) for number in held]).mean()
    test_close(found.item(), log['validation_loss'].min(), 1e-4)
    test_eq(log['best'].sum(), 1)
    log[log['best']].drop(columns='seconds').round(3)

    settings = {'epochs': 2, 'batch_size': 16, 'quiet': True}
    networks = [deep_network() for _ in range(4)]
    logs = [finetune(network, Squares(), ['late', 'head'], statistics=number == 2, seed=int(number == 3),
                     **settings) for number, network in enumerate(networks)]
    test_eq(logs[0].drop(columns='seconds'), logs[1].drop(columns='seconds'))
    assert (logs[0]['loss'] != logs[3]['loss']).all() and not networks[0].training
    fresh = deep_network().state_dict()
    for network, counted in zip(networks[1:3], (False, True), strict=True):
        moved = {name for name, value in network.state_dict().items() if not torch.equal(value, fresh[name])}
        assert {'late.inner.conv1.weight', 'late.inner.norm.weight', 'head.inner.bias'} <= moved
        assert not any(name.startswith(('stem', 'early')) for name in moved)
        test_eq('late.inner.norm.running_mean' in moved, counted)

    folder = Path(tempfile.mkdtemp())
    whole_run, stopped, resumed = (deep_network() for _ in range(3))
    whole = finetune(whole_run, Squares(), 'late', **settings | {'epochs': 4})
    finetune(stopped, Squares(), 'late', checkpoint=folder/'run.pt', **settings)
    again = finetune(resumed, Squares(), 'late', checkpoint=folder/'run.pt', **settings | {'epochs': 4})
    test_eq(again.drop(columns='seconds'), whole.drop(columns='seconds'))
    assert all(torch.equal(value, whole_run.state_dict()[name]) for name, value in resumed.state_dict().items())
    test_eq([path.name for path in folder.iterdir()], ['run.pt'])
    shutil.rmtree(folder)


# 05_finetuning.ipynb, section "Errors"
def test_errors():
    folder, settings = Path(tempfile.mkdtemp()), {'epochs': 1, 'batch_size': 16, 'quiet': True}
    finetune(deep_network(), Squares(), 'late', checkpoint=folder/'run.pt', **settings)
    with expect_fail(MilanError, contains='other data or settings'):
        finetune(deep_network(), Squares(), 'head', checkpoint=folder/'run.pt', **settings)
    with expect_fail(MilanError, contains='no weights'): finetune(deep_network(), Squares(), 'pool', **settings)
    with expect_fail(MilanError, contains='nearest'): finetune(deep_network(), Squares(), 'heads', **settings)
    shutil.rmtree(folder)
