# Generated from nbs/05_exemplars/04_inputs.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.inputs import (
    _as_tensor,
    _from_mapping,
    call,
    dtype_of,
    image_of,
    in_eval,
    Items,
    latent_of,
    name_of,
    named_errors,
    prepared,
    size_of,
    stack,
)

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from PIL import Image
from torch import nn

from milan.config import MilanError
from milan.testing import small_network


# 04_inputs.ipynb, section "An item's image"
def test_an_item_s_image():
    _from_mapping({'label': 3, 'x': torch.zeros(3, 2, 2)}, 0).shape, _as_tensor(Image.new('L', (5, 4))).shape

    ramp = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 2, 2)
    test_close(_as_tensor(ramp[:, ::-1, ::-1]), torch.from_numpy(ramp[:, ::-1, ::-1].copy()))  # a reversed view
    test_close(_as_tensor(ramp.astype('>f4')), torch.from_numpy(ramp))  # another machine's byte order

    photograph = Image.new('RGB', (5, 4), (255, 0, 0))
    items = photograph, (photograph, 7), {'image': photograph, 'label': 7}, torch.rand(1, 4, 5)
    [(image_of(item, 0).shape, image_of(item, 0).dtype) for item in items]

    test_eq(image_of(np.zeros((3, 2, 2), dtype=np.uint8), 0).dtype, torch.uint8)
    test_close(image_of(torch.from_numpy(ramp).half(), 0), torch.from_numpy(ramp), eps=1e-3)
    with expect_fail(MilanError, contains='transform='): image_of(torch.tensor([-2., 2.]).expand(3, 2, 2), 7)

    latent_of((torch.randn(4), 7)), latent_of((torch.zeros(2),)), latent_of({'z': np.zeros(2, np.float32)})

    test_eq(latent_of([.5, 1.]), torch.tensor([.5, 1.]))


# 04_inputs.ipynb, section "Batches"
def test_batches():
    squares = [torch.full((3, 4, 4), 20 * number, dtype=torch.uint8) for number in range(10)]
    items = Items(squares)
    name_of(squares), len(items), items[7][1][0, 0, 0]

    test_eq((len(items), items[7][0]), (10, 7))

    numbers, batch = stack([items[number] for number in (7, 8)])
    numbers, batch.shape, batch.dtype

    codes = Items([(torch.randn(4), 1), (torch.randn(4), 5)], latents=True)
    numbers, (latents, classes) = stack([codes[number] for number in (0, 1)])
    test_eq((latents.shape, classes.tolist()), ((2, 4), [1, 5]))
    test_eq(stack([(0, {'z': torch.zeros(2)}), (1, {'z': torch.ones(2)})])[1]['z'].tolist(), [[0, 0], [1, 1]])


# 04_inputs.ipynb, section "Into the network"
def test_into_the_network():
    network = small_network()
    with in_eval(network): inside = network.training
    inside, network.training

    test_eq((inside, network.training), (False, True))

    with (expect_fail(MilanError, contains='the transform fails (ZeroDivisionError'),
          named_errors('the transform')):
        1 / 0

    white = torch.full((2, 3, 4, 6), 255, dtype=torch.uint8)
    inputs = prepared(white, lambda images: images - .5, 'cpu', torch.bfloat16)
    inputs.dtype, inputs[0, 0, 0, 0]

    images = torch.rand(2, 3, 4, 4)
    last = prepared(images, lambda images: (images, 1), 'cpu', channels_last=True)[0]
    assert last.is_contiguous(memory_format=torch.channels_last)

    latents = torch.zeros(2, 4), torch.tensor([1, 2])
    test_eq(prepared(latents, lambda latents: latents, 'cpu', torch.float64)[1].dtype, torch.int64)

    call(lambda x, y: x - y, prepared(images, lambda images: (images, images / 2), 'cpu')).shape

    named = prepared(images, lambda images: {'x': images * 2, 'shift': torch.ones(2)}, 'cpu')
    test_eq(call(lambda shift, x: x + shift[:, None, None, None], named), images * 2 + 1)
    test_eq(call(lambda x, y: x - y, prepared(images, lambda images: (images, images / 2), 'cpu')),
            images - images / 2)

    size_of(named), dtype_of(nn.Conv2d(3, 2, 1).to(torch.bfloat16))

    test_eq((size_of(named), size_of(torch.zeros(2, 16)), dtype_of(nn.ReLU())), ((4, 4), None, torch.float32))


# 04_inputs.ipynb, section "Errors"
def test_errors():
    two = torch.zeros(3, 2, 2)
    for item, said in (('a photo', 'item 7'), (torch.zeros(4, 2, 2), '(4, 2, 2)'),
                       ({'label': 3, 'mask': 2}, 'the keys label, mask')):
        with expect_fail(MilanError, contains=said): image_of(item, 7)
    for odd in (np.zeros((3, 2, 2), np.uint16), np.zeros((3, 2, 2), np.int64), np.zeros((3, 2, 2), bool),
                two.to('meta'), two.to_sparse(), np.full((3, 2, 2), object()), np.zeros((3, 2, 2), complex),
                torch.zeros(3, 0, 2), torch.full((3, 2, 2), torch.nan)):
        with expect_fail(MilanError, contains='7'): image_of(odd, 7)
    with expect_fail(MilanError, contains='no latent code'): latent_of({'z': torch.zeros(2), 'kind': None})
    with expect_fail(MilanError, contains='image 1 is (3, 4, 5)'):
        stack([(0, torch.zeros(3, 4, 4)), (1, torch.zeros(3, 4, 5))])
    with expect_fail(MilanError, contains='item 9 of the data set list cannot be read (IndexError'): Items([1])[9]
    with expect_fail(MilanError, contains='Conv2d, given (2, 4)'): call(nn.Conv2d(3, 2, 1), torch.zeros(2, 4))
