# Generated from nbs/12_inputs.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.inputs import (
    call,
    dtype_of,
    image_of,
    images_hash,
    Items,
    latent_of,
    network_hash,
    prepared,
    readout_hash,
    size_of,
    stack,
    transform_hash,
)

import functools

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from PIL import Image
from torch import nn

from milan.config import MilanError
from milan.hooks import heads


# 12_inputs.ipynb, section "An item's image"
def test_an_item_s_image():
    photograph = Image.new('RGB', (5, 4), (255, 0, 0))
    [(image_of(item, 0).shape, image_of(item, 0).dtype) for item in (photograph, (photograph, 7), {'image': photograph, 'label': 7}, torch.rand(1, 4, 5))]

    test_eq(image_of(Image.new('L', (5, 4)), 0).shape, (3, 4, 5))
    test_eq(image_of(np.zeros((3, 2, 2), dtype=np.uint8), 0).dtype, torch.uint8)
    test_eq(image_of({'label': 3, 'x': torch.zeros(3, 2, 2)}, 0).shape, (3, 2, 2))
    with expect_fail(MilanError, contains='transform='): image_of(torch.tensor([-2., 2.]).expand(3, 2, 2), 7)
    with expect_fail(MilanError, contains='item 7'): image_of('a photo', 7)
    with expect_fail(MilanError, contains='(4, 2, 2)'): image_of(torch.zeros(4, 2, 2), 0)
    with expect_fail(MilanError, contains='the keys label, mask'): image_of({'label': 3, 'mask': 2}, 0)

    latent_of((torch.randn(4), 7)), latent_of((torch.zeros(2),)), latent_of({'z': np.zeros(2, np.float32)})


# 12_inputs.ipynb, section "Batches"
def test_batches():
    squares = [torch.full((3, 4, 4), 20 * number, dtype=torch.uint8) for number in range(10)]
    items = Items(squares)
    numbers, batch = stack([items[number] for number in (7, 8)])
    numbers, batch.shape, batch.dtype

    test_eq(len(items), 10)
    numbers, (codes, classes) = stack([Items([(torch.randn(4), 1), (torch.randn(4), 5)], latents=True)[number] for number in (0, 1)])
    test_eq((codes.shape, classes.tolist()), ((2, 4), [1, 5]))
    test_eq(stack([(0, {'z': torch.zeros(2)}), (1, {'z': torch.ones(2)})])[1]['z'].tolist(), [[0, 0], [1, 1]])
    with expect_fail(MilanError, contains='image 1 is (3, 4, 5)'): stack([(0, torch.zeros(3, 4, 4)), (1, torch.zeros(3, 4, 5))])


# 12_inputs.ipynb, section "Into the network"
def test_into_the_network():
    half = nn.Conv2d(3, 2, 1).to(torch.bfloat16)
    inputs = prepared(torch.full((2, 3, 4, 6), 255, dtype=torch.uint8), lambda images: images - .5, 'cpu', dtype_of(half))
    inputs.dtype, inputs[0, 0, 0, 0], size_of(inputs), call(half, inputs).shape

    images = torch.rand(2, 3, 4, 4)
    named = prepared(images, lambda images: {'x': images * 2, 'shift': torch.ones(2)}, 'cpu')
    test_eq(call(lambda shift, x: x + shift[:, None, None, None], named), images * 2 + 1)
    test_eq(call(lambda x, y: x - y, prepared(images, lambda images: (images, images / 2), 'cpu')), images - images / 2)
    test_eq(size_of(named), (4, 4))
    assert prepared(images, lambda images: (images, 1), 'cpu', channels_last=True)[0].is_contiguous(memory_format=torch.channels_last)
    test_eq(size_of(torch.zeros(2, 16)), None)
    test_eq(prepared((torch.zeros(2, 4), torch.tensor([1, 2])), lambda latents: latents, 'cpu', torch.float64)[1].dtype, torch.int64)


# 12_inputs.ipynb, section "Knowing the same inputs again"
def test_knowing_the_same_inputs_again():
    squares = [torch.full((3, 4, 4), 20 * number, dtype=torch.uint8) for number in range(10)]


    def small(seed=0):
        "A seeded linear layer."
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 3))


    changed = small()
    with torch.no_grad(): changed[0].bias[0] += 1e-6
    network_hash(small()), network_hash(changed), images_hash(squares), transform_hash(lambda images: images * 2, torch.rand(1, 3, 4, 4))

    test_eq(network_hash(small()), network_hash(small()))
    test_eq(len({network_hash(module) for module in (small(), changed, small(1), small().to(torch.bfloat16))}), 4)
    many = torch.zeros(200, 3, 2, 2)
    sets = [squares[:9], squares, torch.utils.data.TensorDataset(many), torch.utils.data.TensorDataset(many.index_fill(0, torch.tensor(1), 1))]
    test_eq(len({images_hash(one) for one in sets}), 4)
    images = torch.rand(1, 3, 4, 4)
    assert transform_hash(lambda x: x, images) != transform_hash(lambda x: x - .1, images)
    test_eq(transform_hash(lambda x: {'x': x}, images), transform_hash(lambda x: {'x': x + 1e-7}, images))

    def scaled_by(factor): return lambda values: values * factor


    dictionary = small()
    readout_hash(scaled_by(2)), readout_hash(scaled_by(3)), readout_hash(dictionary.forward)

    test_eq(readout_hash(scaled_by(2)), readout_hash(scaled_by(2)))
    test_eq(readout_hash(None), '')
    assert readout_hash(heads(3)) == readout_hash(heads(3)) != readout_hash(heads(4))
    weights = torch.rand(3)
    before = [readout_hash(one) for one in (dictionary, dictionary.forward, lambda x: dictionary(x), lambda x: x @ weights, functools.partial(torch.mul, weights))]
    with torch.no_grad(): dictionary[0].bias[0] += 1
    weights += 1
    after = [readout_hash(one) for one in (dictionary, dictionary.forward, lambda x: dictionary(x), lambda x: x @ weights, functools.partial(torch.mul, weights))]
    for one, other in zip(before, after): assert one != other
    test_eq(len(set(before)), 5)
