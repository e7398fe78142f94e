# Generated from nbs/05_exemplars/05_fingerprints.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.fingerprints import (
    _printed,
    _source,
    _tensor_hash,
    images_hash,
    network_hash,
    readout_hash,
    transform_hash,
)

import functools
import operator

import numpy as np
import torch
from fastcore.test import test_eq
from torch import nn

from milan.hooks.layers import heads


# 05_fingerprints.ipynb, section "Code"
def test_code():
    _printed(object()), _tensor_hash(torch.zeros(3))[:16]

    assert _tensor_hash(torch.zeros(3)) != _tensor_hash(torch.zeros(3, 1))

    _source([1, {'a': torch.relu}])

    test_eq(_source([1, {'a': torch.relu}]), ['1', [["'a'", '<built-in method relu of type object>']]])

    def scaled_by(factor): return lambda values: values * factor


    readout_hash(scaled_by(2)), readout_hash(scaled_by(3))

    test_eq(readout_hash(scaled_by(2)), readout_hash(scaled_by(2)))
    test_eq(readout_hash(None), '')

    different = [*map(scaled_by, (2, 3, [3, 5], [7, 9], np.ones(3), np.zeros(3), {'a': 1}, {'a': 2}, slice(2),
                                  slice(3))), operator.itemgetter('a'), operator.itemgetter('b'),
                 torch.Tensor.abs, torch.Tensor.neg, torch.relu, heads(3), heads(4),
                 functools.partial(torch.sum, dim=1), functools.partial(torch.sum, dim=2),
                 lambda x: (lambda y: y + 1)(x), lambda x: (lambda y: y + 2)(x)]
    test_eq(len({readout_hash(one) for one in different}), len(different))

    assert readout_hash(heads(3)) == readout_hash(heads(3))


# 05_fingerprints.ipynb, section "Networks"
def test_networks():
    def small(seed=0):
        "A seeded linear layer."
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 3))


    changed = small()
    with torch.no_grad(): changed[0].bias[0] += 1e-6
    network_hash(small()), network_hash(changed)

    class Warm(nn.Module):
        "A temperature that is no weight, and a buffer that is not saved."
        def __init__(self, temperature=2., shift=0.):
            super().__init__()
            self.temperature = temperature
            self.register_buffer('shift', torch.tensor(shift), persistent=False)

        def forward(self, x):
            return x / self.temperature + self.shift
    class Warmer(Warm):
        def forward(self, x):
            return (x / self.temperature + self.shift).relu()
    hooked = small()
    hooked[0].register_forward_hook(lambda module, inputs, output: output * 0)
    test_eq(network_hash(small()), network_hash(small().eval()))

    Warmer.__name__, Warmer.__qualname__ = 'Warm', 'Warm'
    modules = [small(), changed, small(1), small().to(torch.bfloat16), hooked, Warm(), Warm(3.0), Warm(shift=1.0),
               Warmer()]
    test_eq(len({network_hash(module) for module in modules}), len(modules))

    def readings(module, weights):
        "Five ways to use them."
        return [module, module.forward, lambda x: module(x), lambda x: x @ weights,
                functools.partial(torch.mul, weights)]


    dictionary, weights = small(), torch.rand(3)
    before = [readout_hash(one) for one in readings(dictionary, weights)]
    with torch.no_grad(): dictionary[0].bias[0] += 1
    weights += 1
    after = [readout_hash(one) for one in readings(dictionary, weights)]
    for one, other in zip(before, after): assert one != other
    test_eq(len(set(before)), 5)


# 05_fingerprints.ipynb, section "Transforms"
def test_transforms():
    transform_hash(lambda images: images * 2, [torch.ones(1, 3, 4, 4)])

    black, noise = torch.zeros(1, 3, 4, 4), torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ways = [lambda x: x, lambda x: x - .1, lambda x: x * 2, lambda x: x * 3, lambda x: {'a': x, 'b': x * 2},
            lambda x: {'b': x, 'a': x * 2}, lambda x: (x, .5), lambda x: (x, 2.)]
    test_eq(len({transform_hash(way, [black, noise]) for way in ways}), len(ways))

    rounded = lambda x: {'x': x * (1 + 1e-7)}
    test_eq(transform_hash(lambda x: {'x': x}, [black, noise]), transform_hash(rounded, [black, noise]))


# 05_fingerprints.ipynb, section "Data sets"
def test_data_sets():
    squares = [torch.full((3, 4, 4), 20 * number, dtype=torch.uint8) for number in range(10)]
    images_hash(squares)

    from torch.utils.data import ConcatDataset, Subset, TensorDataset
    many = torch.zeros(200, 3, 2, 2)
    second = many.index_fill(0, torch.tensor(1), 1)
    tensors = [TensorDataset(one) for one in (many, second)]
    sets = [squares[:9], squares, many, second, list(many), list(second), *tensors,
            *(Subset(one, range(100)) for one in tensors), Subset(tensors[0], range(99)), ConcatDataset(tensors),
            ConcatDataset(tensors[::-1])]
    hashes = [images_hash(one) for one in sets]
    test_eq(len(set(hashes)), len(sets) - 2) # a tensor and the list of its rows are the same images

    test_eq([hashes[2], hashes[3]], [hashes[4], hashes[5]])

    class Listed(list):
        "A list with other attributes that data sets have."
        samples, fingerprint = ['a.png', 'b.png'], ''
    class Wrapped(torch.utils.data.Dataset):
        "A data set that does not declare what it holds."
        def __init__(self, dataset): self.dataset = dataset
        def __len__(self): return len(self.dataset)
        def __getitem__(self, index): return self.dataset[index]
    test_eq(images_hash(Listed(squares)), images_hash(squares))

    changed = many.index_fill(0, torch.tensor(65), 1)
    assert images_hash(Wrapped(many)) != images_hash(Wrapped(changed))
    assert images_hash(Wrapped(many)) == images_hash(Wrapped(many.clone()))
