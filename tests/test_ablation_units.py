# Generated from nbs/11_ablation/01_units.ipynb by `make export`. Edit the notebook, not this file.

from milan.ablation.units import (
    _Edit,
    _pair,
    _replacement,
    ablated,
    by_unit,
    finder,
    grouped,
    grouped_by,
    hooked,
    ImageCounter,
    Means,
    picked,
    unit_pairs,
)

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.config import MilanError
from milan.hooks.layers import Layer, Unit, channels_last, heads
from milan.hooks.recording import record
from milan.networks.network import Network
from milan.testing import batch_of_squares, deep_network, seeing_network, small_network, Squares


# 01_units.ipynb, section "Which units"
def test_which_units():
    with expect_fail(MilanError, contains="('conv1', 1.5) is no unit"): _pair(('conv1', 1.5))
    _pair(Unit('conv1', 3))

    test_eq(unit_pairs({'a': [2, 0], 'b': 1}), [('a', 2), ('a', 0), ('b', 1)])
    unit_pairs(pd.DataFrame({'layer': ['conv2', 'conv1'], 'unit': [5, 2], 'description': ['dogs', 'sky']}))

    test_eq([layer.name for layer in finder(nn.Sequential(nn.ReLU(), nn.Tanh()))('1')], ['1'])

    find = finder(small_network(), Layer('conv2', label='second'))
    test_eq(find('conv*'), [Layer('conv1'), Layer('conv2')])
    grouped_by(find, [('conv2.second', 3), ('conv1', 1), ('conv2.second', 0)])

    network = small_network()
    grouped(network, [Unit('conv2', 3), Unit('conv1', 0), Unit('conv2', 1)])

    conv1, conv2 = Layer('conv1'), Layer('conv2')
    test_eq(grouped(network, {'conv2': [3, 1, 3]}), {conv2: [1, 3]})
    test_eq(grouped(network, {'conv1': 3, conv2: np.arange(2)}), {conv1: [3], conv2: [0, 1]})
    test_eq(grouped(network, {'conv*': range(2)}), {conv1: [0, 1], conv2: [0, 1]})
    test_eq(grouped(network, pd.DataFrame({'layer': ['conv2', 'conv1'], 'unit': [5, 2],
                                           'description': ['dogs', '']})), {conv2: [5], conv1: [2]})

    test_eq(grouped(nn.Sequential(nn.ReLU()), [(0, np.int64(4))]), {Layer('0'): [4]})
    test_eq(grouped(Network('small', network), Unit('conv1', 1)), {conv1: [1]})

    named = Layer('conv2', label='second')
    test_eq(grouped(network, [('conv2.second', 1)], named), grouped(network, {named: [1]}))
    test_eq(grouped(network, []), {})
    with expect_fail(MilanError, contains="'conv1'"): grouped(network, [('conv_1', 0)])
    with expect_fail(MilanError, contains="('conv1', -1) is no unit"): grouped(network, {'conv1': [-1]})
    with expect_fail(MilanError, contains="('conv1', 1.5) is no unit"): grouped(network, [('conv1', 1.5)])

    with expect_fail(MilanError, contains='7 is no unit'): grouped(network, 7)
    with expect_fail(MilanError, contains="'7') is no unit"): grouped(network, {'conv1': '7'})
    with expect_fail(MilanError, contains='is no unit'): grouped(network, 'conv1')
    with expect_fail(MilanError, contains='no column unit'): grouped(network, pd.DataFrame({'layer': ['conv1']}))
    with expect_fail(MilanError, contains='str is no network'): grouped('small', [])


# 01_units.ipynb, section "Where an output's units are"
def test_where_an_output_s_units_are():
    shapes = {'convolution': (2, 8, 5, 7), 'fully connected': (2, 8), 'tokens': (2, 17, 8),
              'video': (2, 8, 3, 5, 7)}
    {kind: tuple(by_unit(Layer('any'), torch.zeros(shape)).shape) for kind, shape in shapes.items()}

    tokens = torch.rand(2, 17, 8)
    by_unit(Layer('any'), tokens)[3] = 0
    assert (tokens[:, :, 3] == 0).all() and (tokens[:, :, 4] != 0).all()

    by_unit(Layer('any', readout=heads(2)), tokens)[1] = 0
    assert (tokens[:, :, 4:] == 0).all() and (tokens[:, :, :3] != 0).all()
    test_eq(by_unit(Layer('any', readout=channels_last), torch.zeros(2, 5, 7, 8)).shape, (8, 2, 5, 7))
    with expect_fail(MilanError, contains='milan.hooks.edit'):
        by_unit(Layer('any', readout=nn.Linear(8, 20)), tokens)
    with expect_fail(MilanError, contains="layer 'any'"): by_unit(Layer('any', readout=heads(3)), tokens)

    with expect_fail(MilanError, contains='(2,)'): by_unit(Layer('any'), torch.zeros(2))

    class Plain:
        def __init__(self, tokens): self.tokens, self.name = tokens, 'plain'


    ones = torch.ones(2, 3)
    assert picked(Layer('a', select='tokens'), Plain(ones)) is ones and picked(Layer('a'), (None, ones)) is ones
    with expect_fail(MilanError, contains="Layer('a', select=0)"): picked(Layer('a'), (ones, ones))
    with expect_fail(MilanError, contains='0 tensors'): picked(Layer('a'), None)


# 01_units.ipynb, section "What a unit is replaced by"
def test_what_a_unit_is_replaced_by():
    counter = ImageCounter(seen=8)
    counter.advance(nn.Identity(), None, None)
    test_eq(counter.first, 8)
    counter

    view = torch.zeros(4, 3, 2, 2)                            # (units, images, height, width)
    average = Means({'conv': torch.arange(4.).view(4, 1, 1, 1)})
    test_eq(_replacement(Layer('conv'), [1], 0., ImageCounter(), view), 0.)
    _replacement(Layer('conv'), [1, 3], average, ImageCounter(), view).flatten()

    _Edit(Layer('a', select=0), [1], 9., ImageCounter()).edited((torch.zeros(2, 3), None))

    network = seeing_network()
    with hooked(network, {Layer('colours'): [1]}, 0., ImageCounter()):
        test_eq(len(network.colours._forward_hooks), 1)
    test_eq(len(network.colours._forward_hooks), 0)

    network, images = seeing_network(), batch_of_squares()
    with ablated(network, [Unit('colours', 0)]): without_red = network(images)
    network(images)[:3], without_red[:3]

    assert torch.equal(without_red[:, 1:], network(images)[:, 1:]) and (without_red[:, 0] == 0).all()
    assert (network(images)[:, 0] > 0).all()
    with ablated(network, {'colours': [0]}), ablated(network, {'colours': [1], 'head': [2]}):
        nested = network(images)
    with ablated(network, {'colours': [0, 1], 'head': [2]}): together = network(images)
    assert torch.equal(nested, together) and not nested.any()
    with ablated(network, {'head': [1]}, 7.): test_eq(network(images)[:, 1].tolist(), [7] * 6)
    test_eq(sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in network.modules()), 0)
    with ablated(network, []): assert torch.equal(network(images), seeing_network()(images))
    with ablated(Network('seeing', network), {Layer('', label='all'): [1]}) as entry:
        assert not entry(images)[:, 1].any()
    with expect_fail(MilanError, contains='has 4 units and no unit 4'), ablated(network, {'colours': [1, 4]}):
        network(images)
    with expect_fail(MilanError, contains="'mean' cannot replace"), ablated(network, {'colours': [1]}, 'mean'):
        network(images)
    with expect_fail(MilanError, contains='only for'), ablated(network, {'colours': [1]},
                                                               Means({'head': torch.zeros(3, 1)})):
        network(images)

    class Attending(nn.Module):
        "Four modules, each with another kind of output; their sums as a dictionary."
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.attention, self.mix = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 8)
            self.last, self.wrap = nn.Linear(8, 5), Wrapping()

        def forward(self, images):
            tokens = images.flatten(2).transpose(1, 2)
            tokens, weights = self.attention(tokens, tokens, tokens, need_weights=True)
            maps = self.last(self.mix(input=tokens).view(len(images), 2, 3, 8)) # channels last
            return self.wrap(maps, weights)


    class Wrapping(nn.Module):
        def forward(self, maps, weights): return {'maps': maps, 'weights': weights}


    attending, images = Attending().eval(), torch.rand(2, 8, 2, 3)
    plain = attending(images)
    with ablated(attending, {Layer('attention', select=0): [1], Layer('last', readout=channels_last): [4]}):
        off = attending(images)
    weight = attending.mix.weight
    with record(attending, Layer('attention', select=0)) as attended: attending(images)
    torch.testing.assert_close(plain['maps'][..., :4] - off['maps'][..., :4],
                               (attended['attention'][...,
                                                      1:2] * weight[:,
                                                      1] @ attending.last.weight[:4].T).view(2, 2, 3, 4))
    assert not off['maps'][..., 4].any() and torch.equal(off['weights'], plain['weights'])
    first_head = Layer('mix', input=True, readout=heads(2), label='heads')
    with ablated(attending, [('mix.heads', 1)],
                 readings=first_head), record(attending, Layer('mix', input=True, label='in')) as recording:
        attending(images)
    assert not recording['mix.in'][..., 4:].any()
    assert torch.equal(recording['mix.in'][..., :4], attended['attention'][..., :4])
    with ablated(attending, {Layer('wrap', select='maps'): [1]}): off = attending(images)
    assert not off['maps'][:, 1].any() and off['maps'][:, 0].all()
    with expect_fail(MilanError, contains='select=0'), ablated(attending, {'attention': [0]}): attending(images)
    doubled = Layer('attention', select=lambda both: both[0] * 2)
    with expect_fail(MilanError, contains='put back'), ablated(attending, {doubled: [0]}): attending(images)
    list(off)
