# Generated from nbs/03_hooks/06_relevance.ipynb by `make export`. Edit the notebook, not this file.

from milan.hooks.relevance import (
    _start,
    check_rules,
    merged,
    pooled,
    Relevance,
    relevances,
    require_rules,
    rules,
    scaled,
    zennit_version,
)

from collections import OrderedDict
from dataclasses import asdict

import pytest
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.config import MilanError, import_torchvision
from milan.testing import batch_of_squares, deep_network, small_network



def zennit_or_skip():
    "Skip the test where the extra is not installed."
    import_torchvision()
    pytest.importorskip('zennit', reason='the extra `relevance` is not installed')


# 06_relevance.ipynb, section "By hand"
def test_by_hand():
    torch.manual_seed(0)
    network = nn.Sequential(OrderedDict(hidden=nn.Linear(5, 4), relu=nn.ReLU(), head=nn.Linear(4, 3, bias=False)))
    inputs = torch.rand(2, 5)
    hidden = network.relu(network.hidden(inputs))
    by_hand = hidden * network.head.weight[1]
    by_hand

    test_close(by_hand.sum(1), network(inputs)[:, 1], eps=1e-6)   # all of the output is attributed


# 06_relevance.ipynb, section "What is asked"
def test_what_is_asked():
    Relevance(3), asdict(Relevance('predicted', pool='sum', normed=True))

    for wrong, said in (((-1,), 'target -1'), (('cat',), "'cat'"), ((True,), 'target True'),
                        ((None,), 'target None'), ((0, 'lrp'), "rule 'lrp'"),
                        ((0, 'gradient', 'mean'), "pool 'mean'")):
        with expect_fail(MilanError, contains=said): Relevance(*wrong)

    maps = torch.tensor([[[[1., 3.]], [[-4., 0.]]]])
    shares = scaled(maps, Relevance(0, pool='sum', normed=True))
    pooled(maps, Relevance(0)), pooled(shares, Relevance(0, pool='sum'))

    test_close(pooled(shares, Relevance(0, pool='sum')), torch.tensor([[.5, -.5]]))
    test_eq(pooled(maps, Relevance(0)), torch.tensor([[3., 0.]]))


# 06_relevance.ipynb, section "Which networks have rules"
def test_which_networks_have_rules():
    zennit_or_skip()
    transformer = nn.TransformerEncoderLayer(8, 2, 16)
    with expect_fail(MilanError, contains="rule='gradient'"): require_rules(transformer)
    require_rules(deep_network())

    for odd in (nn.LayerNorm(4), nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)), nn.Softmax(1)):
        with expect_fail(MilanError, contains='no rule'): require_rules(odd)

    zennit_or_skip()
    with expect_fail(MilanError, contains="BatchNorm2d '0'"):
        merged(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)))
    merged(deep_network())

    test_eq(merged(deep_network())[0], (['early.inner.conv2'], 'early.inner.norm'))
    with expect_fail(MilanError, contains="BatchNorm2d '2'"):
        merged(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ZeroPad2d(1), nn.BatchNorm2d(4)))

    zennit_or_skip()
    network, images = deep_network(), torch.rand(2, 3, 16, 16)
    before = network(images)
    with rules(network, 'epsilon_plus_flat'): inside = network(images)
    test_close(inside, before, eps=1e-5)
    assert torch.equal(network(images), before)

    test_eq(list(zennit_version()) in ([], ['zennit']), True)

    zennit_or_skip()


    class Between(nn.Module):
        "Something comes between the convolution and its batch norm."
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.norm.running_mean.fill_(1)

        def forward(self, x):
            return self.norm(self.conv(x).relu())


    with expect_fail(MilanError, contains='order'):
        check_rules(Between().eval(), torch.rand(1, 3, 4, 4), 'epsilon_plus')
    check_rules(deep_network(), torch.rand(2, 3, 16, 16), 'epsilon_plus_flat')


# 06_relevance.ipynb, section "Relevance of what layers compute"
def test_relevance_of_what_layers_compute():
    _start(torch.tensor([[1., 5.], [4., 2.]]), Relevance('predicted'))[1]

    zennit_or_skip()
    torch.manual_seed(0)
    network = nn.Sequential(OrderedDict(hidden=nn.Linear(5, 4), relu=nn.ReLU(), head=nn.Linear(4, 3, bias=False)))
    inputs = torch.rand(2, 5)
    by_hand = network.relu(network.hidden(inputs)) * network.head.weight[1]
    by_rule = {rule: relevances(network, inputs, 'relu', Relevance(1, rule))['relu']
               for rule in ('epsilon_plus', 'gradient')}
    by_rule

    for found in by_rule.values(): test_close(found, by_hand, eps=1e-4)
    assert all(weight.grad is None for weight in network.parameters())

    zennit_or_skip()
    network, images = small_network().eval(), batch_of_squares(4)
    with torch.no_grad():
        for part in (network.conv1, network.conv2, network.head): part.bias.zero_()
        network.head.weight.abs_()
    found = relevances(network, images, ['conv1', 'conv2', 'flatten'], Relevance(2))
    {layer: relevance.flatten(1).sum(1) for layer, relevance in found.items()}, network(images)[:, 2].detach()

    for relevance in found.values(): test_close(relevance.flatten(1).sum(1), network(images)[:, 2], eps=1e-4)
    test_eq(found['conv2'].shape, (4, 8, 12, 12))

    zennit_or_skip()
    network, images = deep_network(), torch.rand(2, 3, 16, 16)
    for about in (Relevance(1), Relevance('predicted', 'gradient')):
        plain = relevances(network, images, ['stem', 'early'], about)
        with torch.inference_mode(): inside = relevances(network, images * 1, ['stem', 'early'], about)
        for layer in plain: assert torch.equal(plain[layer], inside[layer]) and not inside[layer].is_inference()

    class Tokens(nn.Module):
        "One block of a transformer on patches of 4 x 4 pixels, and a linear output."
        def __init__(self):
            super().__init__()
            self.patch, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
            self.block, self.head = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 3)

        def forward(self, x):
            tokens = self.block(self.patch(x).flatten(2).transpose(1, 2))
            return self.head(self.norm(tokens).mean(1))


    torch.manual_seed(0)
    network, images = Tokens().eval(), torch.rand(2, 3, 16, 16)
    found = relevances(network, images, ['norm', 'block.linear1'], Relevance('predicted', 'gradient'))
    {layer: relevance.shape for layer, relevance in found.items()}

    attributed = found['norm'].sum((1, 2)) + network.head.bias[network(images).argmax(1)]
    test_close(attributed, network(images).amax(1), eps=1e-5)


# 06_relevance.ipynb, section "Errors"
def test_errors():
    network, images = small_network().eval(), batch_of_squares(2)
    by_gradient = Relevance(0, 'gradient')
    with expect_fail(MilanError, contains='target 4'):
        relevances(network, images, 'conv1', Relevance(4, 'gradient'))
    with expect_fail(MilanError, contains='(2, 8, 12, 12)'):
        relevances(network[:5], images, 'conv1', by_gradient)


    class Twice(nn.Module):
        "Runs one module twice, and has a part that leads nowhere."
        def __init__(self):
            super().__init__()
            self.shared, self.aside, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 2, 1), nn.Linear(3, 2)

        def forward(self, x):
            self.aside(x)
            return self.head(self.shared(self.shared(x)).mean((2, 3)))


    for layer, said in (('shared', 'more than once'), ('aside', 'not depend'), ('none', 'no layer')):
        with expect_fail(MilanError, contains=said): relevances(Twice(), images, layer, by_gradient)
    frozen = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).requires_grad_(False)
    with expect_fail(MilanError, contains='nothing that has a gradient'):
        relevances(frozen, images, '0', by_gradient, run=lambda network, inputs: network(inputs.detach()))
