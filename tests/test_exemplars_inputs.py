# Generated from nbs/12_inputs.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.inputs import (
    call,
    dtype_of,
    image_of,
    images_hash,
    Items,
    latent_of,
    name_of,
    network_hash,
    prepared,
    readout_hash,
    size_of,
    stack,
    transform_hash,
)

import functools
import operator

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from PIL import Image
from torch import nn

from milan.config import MilanError
from milan.hooks import heads

def small(seed=0):
    "A seeded linear layer."
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3))


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

    ramp = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 2, 2)
    test_close(image_of(ramp[:, ::-1, ::-1], 0), torch.from_numpy(ramp[:, ::-1, ::-1].copy()))           # a reversed view
    test_close(image_of(ramp.astype('>f4'), 0), torch.from_numpy(ramp))                                    # another machine's byte order
    test_close(image_of(torch.from_numpy(ramp).half(), 0), torch.from_numpy(ramp), eps=1e-3)
    for odd in (np.zeros((3, 2, 2), np.uint16), np.zeros((3, 2, 2), np.int64), np.zeros((3, 2, 2), bool), torch.zeros(3, 2, 2, device='meta'),
                np.full((3, 2, 2), object()), np.zeros((3, 2, 2), complex), torch.zeros(3, 0, 2), torch.full((3, 2, 2), torch.nan)):
        with expect_fail(MilanError, contains='7'): image_of(odd, 7)

    latent_of((torch.randn(4), 7)), latent_of((torch.zeros(2),)), latent_of({'z': np.zeros(2, np.float32)})

    test_eq(latent_of([.5, 1.]), torch.tensor([.5, 1.]))
    with expect_fail(MilanError, contains='no latent code'): latent_of({'z': torch.zeros(2), 'kind': None})


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


# 12_inputs.ipynb, section "Knowing code again"
def test_knowing_code_again():
    def scaled_by(factor): return lambda values: values * factor


    dictionary = small()
    readout_hash(scaled_by(2)), readout_hash(scaled_by(3)), readout_hash(dictionary.forward)

    test_eq(readout_hash(scaled_by(2)), readout_hash(scaled_by(2)))
    test_eq(readout_hash(None), '')
    different = [scaled_by(2), scaled_by(3), scaled_by([3, 5]), scaled_by([7, 9]), scaled_by(np.ones(3)), scaled_by(np.zeros(3)), scaled_by({'a': 1}), scaled_by({'a': 2}),
                 scaled_by(slice(2)), scaled_by(slice(3)), operator.itemgetter('a'), operator.itemgetter('b'), torch.Tensor.abs, torch.Tensor.neg, torch.relu, heads(3), heads(4),
                 functools.partial(torch.sum, dim=1), functools.partial(torch.sum, dim=2), lambda x: (lambda y: y + 1)(x), lambda x: (lambda y: y + 2)(x)]
    test_eq(len({readout_hash(one) for one in different}), len(different))
    assert readout_hash(heads(3)) == readout_hash(heads(3))

    def readings(module, weights):
        "Five ways to use them."
        return [module, module.forward, lambda x: module(x), lambda x: x @ weights, functools.partial(torch.mul, weights)]


    dictionary, weights = small(), torch.rand(3)
    before = [readout_hash(one) for one in readings(dictionary, weights)]
    with torch.no_grad(): dictionary[0].bias[0] += 1
    weights += 1
    after = [readout_hash(one) for one in readings(dictionary, weights)]
    for one, other in zip(before, after): assert one != other
    test_eq(len(set(before)), 5)


# 12_inputs.ipynb, section "Knowing the same inputs again"
def test_knowing_the_same_inputs_again():
    changed = small()
    with torch.no_grad(): changed[0].bias[0] += 1e-6
    network_hash(small()), network_hash(changed), transform_hash(lambda images: images * 2, [torch.rand(1, 3, 4, 4)])

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
    test_eq(network_hash(small()), network_hash(small()))
    test_eq(network_hash(small()), network_hash(small().eval()))
    Warmer.__name__, Warmer.__qualname__ = 'Warm', 'Warm'
    modules = [small(), changed, small(1), small().to(torch.bfloat16), hooked, Warm(), Warm(3.), Warm(shift=1.), Warmer()]
    test_eq(len({network_hash(module) for module in modules}), len(modules))

    black, noise = torch.zeros(1, 3, 4, 4), torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ways = [lambda x: x, lambda x: x - .1, lambda x: x * 2, lambda x: x * 3, lambda x: {'a': x, 'b': x * 2}, lambda x: {'b': x, 'a': x * 2}, lambda x: (x, .5), lambda x: (x, 2.)]
    test_eq(len({transform_hash(way, [black, noise]) for way in ways}), len(ways))
    test_eq(transform_hash(lambda x: {'x': x}, [black, noise]), transform_hash(lambda x: {'x': x * (1 + 1e-7)}, [black, noise]))

    squares = [torch.full((3, 4, 4), 20 * number, dtype=torch.uint8) for number in range(10)]
    name_of(torch.zeros(3)), images_hash(squares)

    many = torch.zeros(200, 3, 2, 2)
    second = many.index_fill(0, torch.tensor(1), 1)
    tensors = [torch.utils.data.TensorDataset(one) for one in (many, second)]
    sets = [squares[:9], squares, many, second, list(many), list(second), *tensors, *(torch.utils.data.Subset(one, range(100)) for one in tensors),
            torch.utils.data.Subset(tensors[0], range(99)), torch.utils.data.ConcatDataset(tensors), torch.utils.data.ConcatDataset(tensors[::-1])]
    hashes = [images_hash(one) for one in sets]
    test_eq(len(set(hashes)), len(sets) - 2) # a tensor and the list of its rows are the same images
    test_eq([hashes[2], hashes[3]], [hashes[4], hashes[5]])


    class Listed(list):
        "A list with other attributes that data sets have."
        samples, fingerprint = ['a.png', 'b.png'], ''


    test_eq(images_hash(Listed(squares)), images_hash(squares))

    class Wrapped(torch.utils.data.Dataset):
        "A data set of somebody's own, which says nothing of what it holds."
        def __init__(self, dataset): self.dataset = dataset
        def __len__(self): return len(self.dataset)
        def __getitem__(self, index): return self.dataset[index]


    changed = many.index_fill(0, torch.tensor(65), 1)
    assert images_hash(Wrapped(many)) != images_hash(Wrapped(changed))
    assert images_hash(Wrapped(many)) == images_hash(Wrapped(many.clone()))
