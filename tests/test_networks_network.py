# Generated from nbs/04_networks/03_network.ipynb by `make export`. Edit the notebook, not this file.

from milan.networks.network import (
    default_layers,
    efficientnet_lite,
    identity,
    imagenet,
    inner_layers,
    Network,
)

import torch
from fastcore.test import test_eq
from torch import nn


# 03_network.ipynb, section "A network"
def test_a_network():
    test_eq(identity(torch.ones(1)), torch.ones(1))

    tiny = Network('tiny', nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).eval(), ['0', '1'])
    tiny

    assert repr(tiny) == 'Network(tiny: Sequential, 16 weights, 224 px; layers 0, 1)'
    assert 'Conv2d' in tiny._repr_html_()
    assert len(repr(Network('deep', nn.Identity(), [f'blocks.{number}' for number in range(99)]))) < 200

    tiny = Network('tiny', nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), ['0'], size=8,
                   transform=lambda images: images - 0.5)
    tiny(torch.rand(2, 3, 8, 8)).shape

    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(tiny(images), tiny.module(images - 0.5))
    test_eq(tiny.planted, {})


# 03_network.ipynb, section "What networks expect of an image"
def test_what_networks_expect_of_an_image():
    bytes_ = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    torch.testing.assert_close(efficientnet_lite(bytes_ / 255), (bytes_.float() - 127) / 128)
    middle = imagenet(torch.tensor([0.485, 0.456, 0.406])[None, :, None, None])
    test_eq(middle.abs().max().item(), 0.0)
    efficientnet_lite(torch.tensor([0., 0.5, 1.])[None, :, None, None]).flatten()


# 03_network.ipynb, section "Layers worth reading"
def test_layers_worth_reading():
    default_layers(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(),
                                 nn.Sequential(nn.Conv2d(4, 40, 3), nn.ReLU(), nn.Conv2d(40, 40, 3))))

    deep = nn.Sequential()
    deep.stem, deep.encoder = nn.Conv2d(3, 4, 3), nn.Module()
    deep.encoder.stages = nn.ModuleList([nn.Conv2d(4, 40, 3), nn.Conv2d(40, 40, 3)])
    inner_layers(deep)

    test_eq(inner_layers(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3))), ['0', '1'])
