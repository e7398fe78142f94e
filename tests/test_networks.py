# Generated from nbs/10_networks.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from torch import nn
import torch
from milan.networks import (
    as_network,
    efficientnet_lite,
    imagenet,
    load,
    names,
    Network,
    register,
)

import os
import tempfile

from fastcore.test import expect_fail, test_eq


# 10_networks.ipynb, section "What a network is here"
def test_what_a_network_is_here():
    tiny = Network('tiny', nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), ['0'], size=8, transform=lambda images: images - 0.5)
    tiny(torch.rand(2, 3, 8, 8)).shape

    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(tiny(images), tiny.module(images - 0.5))
    test_eq(tiny.planted, {})


# 10_networks.ipynb, section "What networks expect of an image"
def test_what_networks_expect_of_an_image():
    bytes_ = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    torch.testing.assert_close(efficientnet_lite(bytes_ / 255), (bytes_.float() - 127) / 128)
    middle = imagenet(torch.tensor([0.485, 0.456, 0.406])[None, :, None, None])
    test_eq(middle.abs().max().item(), 0.0)
    efficientnet_lite(torch.tensor([0., 0.5, 1.])[None, :, None, None]).flatten()


# 10_networks.ipynb, section "The registry"
def test_the_registry():
    def build(pretrained): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))


    register('two-convolutions/none', build, ['0', '2'], size=16)
    assert 'two-convolutions/none' in names()
    names()


# 10_networks.ipynb, section "Loading"
def test_loading():
    lite = load('efficientnet_lite0/imagenet', 'cpu', pretrained=False)
    lite.layers[0], lite.layers[-1], lite.size, lite(torch.rand(1, 3, 64, 64)).shape

    test_eq(len(lite.layers), 17)
    for name in lite.layers: lite.module.get_submodule(name)
    for key in ('efficientnet_lite1/imagenet', 'efficientnet_lite2/imagenet'):
        network = load(key, 'cpu', pretrained=False)
        test_eq(network.layers[-2], f'_blocks.{len(network.module._blocks) - 1}')
    assert not lite.module.training and not any(value.requires_grad for value in lite.module.parameters())

    os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    trained = load('efficientnet_lite0/imagenet', 'cpu')
    images = torch.stack([torch.full((3, 224, 224), 0.5), torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))])
    probabilities = trained(images).softmax(1)
    del os.environ['MILAN_MODELS_DIR']
    probabilities.argmax(1).tolist(), probabilities.amax(1)

    read = {}
    hooks = [trained.module.get_submodule(name).register_forward_hook(lambda module, inputs, output, name=name: read.update({name: output.amax().item()}))
             for name in ('_bn1', '_swish')]
    trained(torch.rand(4, 3, 224, 224, generator=torch.Generator().manual_seed(1)).round())
    for hook in hooks: hook.remove()
    assert read['_swish'] <= 6 < read['_bn1']
    read

    for key in ('torchvision:resnet18', 'timm:vit_tiny_patch16_224'):
        network = load(key, 'cpu', pretrained=False)
        for name in network.layers: network.module.get_submodule(name)
        test_eq(network(torch.rand(1, 3, network.size, network.size)).shape, (1, 1000))
    network.layers

    with expect_fail(MilanError, contains='efficientnet_lite0/imagenet'): load('efficientnet_lite0/imagnet')
    with expect_fail(MilanError, contains='resnet18'): load('torchvision:resnet81')
    with expect_fail(MilanError, contains='vit_tiny_patch16_224'): load('timm:vit_tiny_patch16_242')
    with expect_fail(MilanError, contains='planted/shapes'): load('planted/shape')
    register('one-convolution/none', lambda pretrained: nn.Conv2d(3, 4, 3), [''], size=16)
    test_eq(load('one-convolution/none', 'cpu').size, 16)
    planted = load('planted/shapes', 'cpu', pretrained=False)
    test_eq(sorted(planted.planted), sorted(planted.layers))
    for layer in planted.layers: planted.module.get_submodule(layer)
    test_eq(planted.planted['colours'][0], 'red')


# 10_networks.ipynb, section "Your own module"
def test_your_own_module():
    own = as_network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    own.name, own.layers

    test_eq(own.layers, ['0', '2'])
    images = torch.rand(1, 3, 9, 9)
    assert torch.equal(own(images), own.module(images))
    assert as_network(own) is own
    with expect_fail(MilanError, contains='ndarray is no network'): as_network(images.numpy())
