# Generated from nbs/08_concepts/05_teacher.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from torch import nn
from torch.nn import functional
import torch
from milan.concepts.teacher import (
    folded,
    load_teacher,
)

from fastcore.test import test_close, test_eq

from milan import networks

def toy_network():
    "A small classifier with five classes, in evaluation mode, and four random pictures."
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(),
                        nn.Conv2d(8, 12, 3), nn.BatchNorm2d(12), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))
    for part in net:
        if isinstance(part, nn.BatchNorm2d): # as if it had been trained
            part.running_mean.normal_(), part.running_var.uniform_(.5, 2)
    return net.eval(), torch.rand(4, 3, 32, 32)


# 05_teacher.ipynb, section "A faster copy"
def test_a_faster_copy():
    net, pictures = toy_network()
    fast = folded(net, pictures[:1])
    fast

    test_close(fast(pictures).detach(), net(pictures).detach(), eps=1e-5)
    test_eq(sum(isinstance(part, nn.BatchNorm2d) for part in fast.modules()), 0)
    test_eq(sum(isinstance(part, nn.BatchNorm2d) for part in net.modules()), 2) # the original is not changed


# 05_teacher.ipynb, section "Loading one"
def test_loading_one():
    net, pictures = toy_network()
    entry = networks.Network('toy', net, [], 32, networks.network.identity, None)
    teacher = load_teacher(entry, names=list('abcde'), layers=['3'], precise=True)
    reading = teacher.read(pictures)
    [tuple(maps.shape) for maps in (reading.classes, reading.features, reading.layers['3'])]

    test_close(reading.classes.sum(1), torch.ones(4, 13, 13), eps=1e-5)
    weight, bias = net[-1].weight.detach(), net[-1].bias.detach()
    maps = functional.conv2d(reading.features, weight[:, :, None, None], bias)
    test_close(maps.mean((2, 3)), net(pictures).detach(), eps=1e-4)
    rough = load_teacher(entry, names=list('abcde')).read(pictures)
    assert (rough.classes - reading.classes).abs().max() < .03 and not rough.layers
    larger = teacher.read(torch.rand(1, 3, 50, 50)) # resized to what the network expects
    test_eq(larger.classes.shape, (1, 5, 13, 13))


# 05_teacher.ipynb, section "Errors"
def test_errors():
    import pytest

    small = nn.Conv2d(3, 4, 3)
    # this one pools to 2 x 2 positions
    grid = nn.Sequential(small, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2))
    for module, names, text in ((nn.Sequential(small), 'ab', 'no pooling over positions'),
                                (toy_network()[0], 'abc', 'give names='),
                                (grid, 'ab', 'cannot be a teacher')):
        entry = networks.Network('toy', module, [], 32, networks.network.identity, None)
        with pytest.raises(MilanError, match=text):
            load_teacher(entry, names=list(names))
