# Generated from nbs/05_architectures.ipynb by `make export`. Edit the notebook, not this file.

from torch import nn
import torch
from milan.architectures import (
    ALEXNET_NAMES,
    named_alexnet,
    old_alexnet,
    old_resnet,
)

from fastcore.test import test_close, test_eq

from milan.config import import_torchvision
from milan.hooks import record

CONVOLUTIONS = [f'conv{number}' for number in range(1, 6)]


def shapes_of(network, layers, side):
    "Layer → shape of its output for one image of `side` pixels; nothing is computed where the network is on the meta device."
    with torch.inference_mode(), record(network, layers) as recording:
        network(torch.empty(1, 3, side, side, device=next(network.parameters()).device))
    return {layer: tuple(output.shape[1:]) for layer, output in recording.outputs.items()}


# 05_architectures.ipynb, section "AlexNet by name"
def test_alexnet_by_name():
    with torch.device('meta'): network = named_alexnet()
    shapes = shapes_of(network, CONVOLUTIONS, 224)
    test_eq(sum(shape[0] for shape in shapes.values()), 1152)
    shapes

    theirs = import_torchvision().models.alexnet(num_classes=10).eval()
    with torch.device('meta'): ours = named_alexnet(10).eval()
    renamed = {f'{ALEXNET_NAMES[name.rpartition(".")[0]]}.{name.rpartition(".")[2]}': value for name, value in theirs.state_dict().items()}
    ours.load_state_dict(renamed, assign=True)
    image = torch.rand(1, 3, 70, 70)
    with torch.inference_mode(): assert torch.equal(ours(image), theirs(image))


# 05_architectures.ipynb, section "The older AlexNet"
def test_the_older_alexnet():
    with torch.device('meta'): network = old_alexnet()
    shapes = shapes_of(network, CONVOLUTIONS, 224)
    test_eq(sum(shape[0] for shape in shapes.values()), 1376)    # as many as MILANNOTATIONS have
    shapes

    expected = 96 * (3 * 121 + 1) + 256 * (48 * 25 + 1) + 384 * (256 * 9 + 1) + 384 * (192 * 9 + 1) + 256 * (192 * 9 + 1)
    expected += 4096 * (9216 + 1) + 4096 * (4096 + 1) + 365 * (4096 + 1)
    test_eq(sum(value.numel() for value in network.parameters()), expected)
    test_eq(shapes_of(network, ['pool5'], 227), {'pool5': (256, 6, 6)})
    test_eq(shapes_of(network, ['pool5', 'fc8'], 224), {'pool5': (256, 5, 5), 'fc8': (365,)})
    assert torch.equal(network.avgpool.to('cpu')(cells := torch.rand(2, 4, 6, 6)), cells)
    with torch.device('meta'): names = [name for name, _ in old_alexnet(response_normalisation=True).named_children()]
    test_eq(names[:5], ['conv1', 'relu1', 'pool1', 'lrn1', 'conv2'])
    expected


# 05_architectures.ipynb, section "The older ResNet-152"
def test_the_older_resnet_152():
    with torch.device('meta'): network = old_resnet()
    shapes = shapes_of(network, ['0', '4', '5', '6', '7'], 224)
    test_eq(sum(shape[0] for shape in shapes.values()), 3904)    # as many as MILANNOTATIONS have
    shapes

    torch.manual_seed(0)
    resnet = import_torchvision().models.resnet
    theirs, ours = resnet.ResNet(resnet.Bottleneck, [2, 1, 1, 1], num_classes=7).eval(), old_resnet(7, (2, 1, 1, 1)).eval()
    for module in theirs.modules(): # statistics as if it had seen something
        if isinstance(module, nn.BatchNorm2d): module.running_mean.normal_(); module.running_var.uniform_(.5, 2)
    inner = {'conv1': '0.0', 'bn1': '0.1', 'conv2': '0.3', 'bn2': '0.4', 'conv3': '0.6', 'bn3': '0.7', 'downsample.0': '1.0', 'downsample.1': '1.1'}
    names = {'conv1': '0', 'bn1': '1', 'fc': '10.1'}
    names |= {f'layer{stage}.{block}.{name}': f'{stage + 3}.{block}.0.{new}' for stage in range(1, 5) for block in range(2) for name, new in inner.items()}
    ours.load_state_dict({f'{names[name.rpartition(".")[0]]}.{name.rpartition(".")[2]}': value for name, value in theirs.state_dict().items()})
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode(): test_close(ours(image), theirs(image), eps=1e-5)
    assert {'4.0.0.0.0.weight', '4.0.0.1.0.weight', '10.1.weight'} <= set(ours.state_dict())
