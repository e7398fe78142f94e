# Generated from nbs/03_hooks/04_dictionaries.ipynb by `make export`. Edit the notebook, not this file.

from milan.hooks.dictionaries import (
    _constant_norm,
    _layer_norm,
    _top,
    Dictionary,
    gate_as_threshold,
    NORMALISATIONS,
)

import matplotlib.pyplot as plt
import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan.config import MilanError
from milan.hooks.layers import Layer


# 04_dictionaries.ipynb, section "One rule for five kinds"
def test_one_rule_for_five_kinds():
    draw = torch.Generator().manual_seed(0)
    weight, x = (torch.randn(shape, generator=draw, dtype=torch.double) for shape in ((6, 40), (500, 6)))
    scale, gate_bias, bias = torch.randn(3, 40, generator=draw, dtype=torch.double)
    inner = x @ weight
    gated = (inner + gate_bias > 0) * (inner * scale.exp() + bias).relu()
    one, two, threshold = gate_as_threshold(weight, scale, gate_bias, bias)
    magnitude = x @ one + two
    torch.testing.assert_close(magnitude * (magnitude > threshold.clamp(min=0)), gated)
    f'{(gated > 0).double().mean():.2f} of the codes are active'


# 04_dictionaries.ipynb, section "Normalisation"
def test_normalisation():
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0)) * 5 + 2
    {name: [round(norm, 2) for norm in normalise(x).norm(dim=-1).tolist()] for name,
     normalise in NORMALISATIONS.items()}

    test_close(_layer_norm(x).mean(-1), torch.zeros(3), eps=1e-5)
    test_close(_layer_norm(x).std(-1), torch.ones(3), eps=1e-4)
    test_close(_constant_norm(x).norm(dim=-1), torch.full((3,), 8**.5), eps=1e-5)


# 04_dictionaries.ipynb, section "The encoder"
def test_the_encoder():
    _top(torch.tensor([[3., 1., 2., -1.], [-4., -3., -2., -1.]]), 2)

    def identity(**rule): return Dictionary(torch.eye(3), torch.zeros(3), **rule)


    x = torch.tensor([[-1., 2., 5.]])
    kinds = {'ReLU': identity(), 'JumpReLU': identity(threshold=torch.tensor([0., 3., 3.])),
             'BatchTopK': identity(threshold=torch.tensor([1.])), 'TopK, k=1': identity(k=1),
             'TopK, k=3': identity(k=3), 'signed': identity(k=3, signed=True),
             'centred': identity(centre=torch.tensor([-2., 0., 1.])),
             'scaled, k=1': identity(scale=torch.tensor([1., 3., 1.]), k=1)}
    {kind: dictionary(x)[0].tolist() for kind, dictionary in kinds.items()}

    test_eq({kind: dictionary(x)[0].tolist() for kind, dictionary in kinds.items()},
            {'ReLU': [0, 2, 5], 'JumpReLU': [0, 0, 5], 'BatchTopK': [0, 2, 5], 'TopK, k=1': [0, 0, 5],
             'TopK, k=3': [0, 2, 5], 'signed': [-1, 2, 5], 'centred': [1, 2, 4],
             'scaled, k=1': [0, 6, 0]})
    test_eq(identity(threshold=torch.tensor([-9.]))(x)[0].tolist(), [0, 2, 5])     # never below 0
    test_eq(identity(threshold=torch.tensor([2.]))(x)[0].tolist(), [0, 0, 5])      # more than the threshold
    test_eq(identity()(x.half()).dtype, torch.float32)

    h = torch.linspace(-2, 3, 200)
    figure, axes = plt.subplots(1, 3, figsize=(7.5, 2), dpi=70, sharey=True)
    rules = {'ReLU': {}, 'JumpReLU, θ = 1': {'threshold': torch.ones(1)},
             'TopK beside a feature at 1.5': {'k': 1}}
    for axis, (title, rule) in zip(axes, rules.items(), strict=True):
        other = torch.full_like(h, 1.5 if 'k' in rule else 0)
        codes = Dictionary(torch.eye(2), torch.zeros(2), **rule)(torch.stack([h, other], 1))
        axis.plot(h, codes[:, 0], '.', ms=2, color='black')
        axis.set(xlabel='h, before the rule')
        axis.set_title(title, fontsize=10)
    axes[0].set_ylabel('code')
    figure.tight_layout()


# 04_dictionaries.ipynb, section "Tokens and maps"
def test_tokens_and_maps():
    draw = torch.Generator().manual_seed(0)
    dictionary = Dictionary(torch.randn(8, 20, generator=draw), torch.randn(20, generator=draw), k=3)
    maps = torch.randn(2, 8, 3, 5, generator=draw)
    features = Layer('layer3', readout=dictionary, label='sae')
    on_tokens = Layer('blocks.1', readout=dictionary, grid=(3, 5), drop_tokens=0)
    read = features.maps(maps)
    torch.testing.assert_close(read, on_tokens.maps(maps.flatten(2).transpose(1, 2)))
    torch.testing.assert_close(read[1, :, 2, 4], dictionary(maps[1, :, 2, 4]))
    test_eq(features.maps(maps[:, :, 0, 0]).shape, (2, 20, 1, 1))                # fully connected: one position
    features.name, dictionary


# 04_dictionaries.ipynb, section "Errors"
def test_errors():
    dictionary = Dictionary(torch.eye(8), torch.zeros(8))
    with expect_fail(MilanError, contains="'head.sae': the dictionary reads 8 channels, and the layer has 5"):
        Layer('head', readout=dictionary, label='sae').maps(torch.zeros(2, 5))
    with expect_fail(MilanError, contains='the layer has 5'):
        Layer('a', readout=dictionary).maps(torch.zeros(2, 5, 3, 3))
