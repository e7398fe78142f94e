# Generated from nbs/02_hooks.ipynb by `make export`. Edit the notebook, not this file.

from milan.hooks import (
    edit,
    record,
    resolve,
    spatial,
    Unit,
)
import pytest

import contextlib
from collections import OrderedDict

import torch
from fastcore.test import expect_fail, test_eq
from torch import nn

from milan.config import MilanError, import_torchvision


def small_network():
    "Two convolutions, an in-place ReLU, two blocks with equal insides, and a linear head."
    torch.manual_seed(0)
    block = lambda: nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(8), conv=nn.Conv2d(8, 8, 3, padding=1)))
    return nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(3, 8, 3, stride=2, padding=1), relu1=nn.ReLU(inplace=True),
        blocks=nn.Sequential(block(), block()),
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=nn.Linear(8, 5))).eval()


# 02_hooks.ipynb, section "A unit"
def test_a_unit():
    test_eq(Unit('conv1', 3), ('conv1', 3))
    Unit('conv1', 3)


# 02_hooks.ipynb, section "The naive way"
def test_the_naive_way():
    network, images = small_network(), torch.rand(2, 3, 16, 16)
    kept, x = {}, images
    for name, module in network.named_children():
        x = module(x)
        kept[name] = x.shape
    kept

    seen = []
    handle = network.conv1.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network(images)
    handle.remove()
    seen[0].shape

    assert seen[0].min() == 0                    # no negative number left
    assert network.conv1(images).min() < 0       # yet the layer gives many


# 02_hooks.ipynb, section "Finding layers by name"
def test_finding_layers_by_name():
    network = small_network()
    resolve(network, ['head', 'blocks.*.conv'])

    test_eq(resolve(network, 'conv1'), ['conv1'])
    test_eq(resolve(network, ['conv1', 'conv*']), ['conv1'])
    test_eq(resolve(network, '*')[:2], ['conv1', 'relu1'])
    test_eq(resolve(nn.Sequential(nn.ReLU(), nn.ReLU()), 1), ['1'])
    with expect_fail(MilanError, contains="'conv1'"): resolve(network, 'conv_1')
    with expect_fail(MilanError, contains="'blocks.0.conv'"): resolve(network, 'blocks.7.conv')
    with expect_fail(MilanError, contains="'blocks.0.conv'"): resolve(network, 'blocks.*.convs')
    with expect_fail(MilanError, contains='no layers'): resolve(network, [])


# 02_hooks.ipynb, section "Recording"
def test_recording():
    network, images = small_network(), torch.rand(2, 3, 16, 16)
    with record(network, ['conv1', 'blocks.*.conv', 'head']) as recording: network(images)
    {layer: tuple(output.shape) for layer, output in recording.outputs.items()}

    assert torch.equal(recording['conv1'], network.conv1(images))
    assert torch.equal(recording['head'], network(images))
    test_eq(len(network.conv1._forward_hooks), 0)
    with contextlib.suppress(ZeroDivisionError), record(network, 'conv1'): 1 / 0
    test_eq(len(network.conv1._forward_hooks), 0)

    with record(network, ['conv1', 'head'], lambda layer, output: output.flatten(2).mean(2) if output.ndim == 4 else output) as recording:
        network(images)
    test_eq(recording['conv1'].shape, (2, 8))
    assert torch.allclose(recording['conv1'], network.conv1(images).mean((2, 3)))


# 02_hooks.ipynb, section "Editing"
def test_editing():
    def without_unit_3(output):
        output = output.clone()
        output[:, 3] = 0
        return output


    network, images = small_network(), torch.rand(2, 3, 16, 16)
    before = network(images)
    with edit(network, {'conv1': without_unit_3}), record(network, 'blocks.0.norm') as recording: edited = network(images)
    (edited - before).abs().max()

    with edit(network, {'head': lambda output: output + 1}): assert torch.allclose(network(images), before + 1)
    assert torch.equal(network(images), before)
    assert not torch.equal(edited, before)
    with edit(network, {'blocks.*.conv': torch.zeros_like}): assert torch.allclose(network(images), network.head.bias.expand(2, 5))
    with expect_fail(MilanError, contains='nearest'), edit(network, {'heads': torch.zeros_like}): pass


# 02_hooks.ipynb, section "One shape for all layers"
def test_one_shape_for_all_layers():
    tokens = torch.arange(17.).view(1, 17, 1)   # a class token, then 4 x 4 patches
    spatial(tokens)[0, 0]

    assert torch.equal(spatial(tokens)[0, 0].flatten(), torch.arange(1., 17.))
    test_eq(spatial(torch.zeros(2, 201, 6)).shape, (2, 6, 14, 14))        # DINOv2: a class token and four registers
    test_eq(spatial(torch.zeros(2, 18, 6), drop_tokens=9).shape, (2, 6, 3, 3))
    test_eq(spatial(torch.zeros(2, 7)).shape, (2, 7, 1, 1))
    test_eq(spatial(torch.zeros(2, 7, 3, 5)).shape, (2, 7, 3, 5))
    with expect_fail(MilanError, contains='77 tokens'): spatial(torch.zeros(1, 77, 4))
    with expect_fail(MilanError, contains='17 tokens less 0'): spatial(tokens, drop_tokens=0)
    with expect_fail(MilanError, contains='tuple'): spatial((tokens, tokens))
    with expect_fail(MilanError, contains='(1, 2, 3, 4, 5)'): spatial(torch.zeros(1, 2, 3, 4, 5))


# 02_hooks.ipynb, section "One shape for all layers"
@pytest.mark.slow
def test_one_shape_for_all_layers_slow():
    import_torchvision()
    import timm
    import torchvision

    resnet = torchvision.models.resnet18(weights=None).eval()
    with torch.inference_mode(), record(resnet, 'layer?') as recording: resnet(torch.rand(1, 3, 64, 64))
    test_eq([tuple(spatial(output).shape) for output in recording.outputs.values()],
            [(1, 64, 16, 16), (1, 128, 8, 8), (1, 256, 4, 4), (1, 512, 2, 2)])
    transformer = timm.create_model('vit_tiny_patch16_224', pretrained=False).eval()
    with torch.inference_mode(), record(transformer, 'blocks.*.mlp.fc1') as recording: transformer(torch.rand(1, 3, 224, 224))
    test_eq(len(recording.outputs), 12)
    test_eq(spatial(recording['blocks.3.mlp.fc1']).shape, (1, 768, 14, 14))
