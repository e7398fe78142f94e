# Generated from nbs/13_experiments/06_classifiers.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from safetensors.torch import load_file
from tqdm import tqdm
import numpy as np
import torch
from milan.experiments.classifiers import (
    _batches,
    _Block,
    _Centred,
    _class_numbers,
    _epoch,
    _key,
    _named,
    _Settings,
    _stage,
    _stem,
    _train,
    accuracy,
    fit_classifier,
    flip_and_shift,
    predictions,
    save_weights,
    shift,
    small_cnn,
    small_vit,
    weights_file,
)
import pytest

import os
import shutil
import tempfile

from fastcore.test import expect_fail, test_close, test_eq
from milan.hooks.layers import spatial
from milan.hooks.recording import record


# 06_classifiers.ipynb, section "A small convolutional network"
def test_a_small_convolutional_network():
    test_eq(_Centred()(torch.tensor([0, .5, 1])), torch.tensor([-2, 0., 2]))

    test_eq(_stage(4, 6)(_stem(4, 2)(torch.rand(2, 3, 32, 32))).shape, (2, 6, 8, 8))

    network = small_cnn(10)
    with record(network, network.layers) as recording: network(torch.rand(2, 3, 64, 64))
    shapes = {layer: tuple(output.shape[1:]) for layer, output in recording.outputs.items()}
    shapes, sum(value.numel() for value in network.parameters())

    test_eq(small_cnn(4, width=8, stages=2)(torch.rand(2, 3, 48, 48)).shape, (2, 4))

    before = torch.get_rng_state()
    assert torch.equal(small_cnn(4).head.weight, small_cnn(4).head.weight)
    assert not torch.equal(small_cnn(4).head.weight, small_cnn(4, seed=1).head.weight)
    assert torch.equal(torch.get_rng_state(), before)
    with expect_fail(MilanError, contains='classes = 1'): small_cnn(1)


# 06_classifiers.ipynb, section "A small vision transformer"
def test_a_small_vision_transformer():
    test_eq(_Block(8, 2)(torch.rand(3, 5, 8)).shape, (3, 5, 8))

    network = small_vit(10)
    with record(network, network.layers) as recording: network(torch.rand(2, 3, 64, 64))
    shapes = {layer: tuple(spatial(output).shape[1:]) for layer, output in recording.outputs.items()}
    shapes, sum(value.numel() for value in network.parameters())

    test_eq(small_vit(3, size=32, patch=4, width=16, depth=1, heads=2)(torch.rand(5, 3, 32, 32)).shape, (5, 3))
    assert torch.equal(small_vit(4).places, small_vit(4).places)
    with expect_fail(MilanError, contains='patch = 7'): small_vit(10, patch=7)
    with expect_fail(MilanError, contains='64 x 64'): small_vit(10)(torch.rand(1, 3, 32, 32))


# 06_classifiers.ipynb, section "Training"
@pytest.mark.training
def test_training():
    images = torch.rand(4, 3, 20, 20)
    chance = torch.Generator().manual_seed(0)
    test_eq(flip_and_shift(images, chance).shape, images.shape)
    assert torch.equal(shift(images, chance, most=0), images)
    for one, image in zip(shift(images, chance), images):
        crops = [image[:, 4 + y:16 + y, 4 + x:16 + x] for y in range(-2, 3) for x in range(-2, 3)]
        assert any(torch.equal(one[:, 4:-4, 4:-4], crop) for crop in crops)

    items = [(torch.full((3, 2, 2), 51 * number, dtype=torch.uint8), 'any') for number in range(4)]
    found = [(numbers, batch[:, 0, 0, 0].tolist()) for numbers, batch in _batches(items, [3, 0, 1], 2)]
    test_close(found[0][1], [.6, 0], 1e-6)
    [numbers for numbers, _ in found]

    with expect_fail(MilanError, contains='class numbers go from 0'): _class_numbers([-1, 2], 'ab')
    _class_numbers([0, 2], 'ab')

    images = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8)
    network = small_cnn(4, width=4)
    found = predictions(network, images, device='cpu')
    test_eq(accuracy(network, images, found, device='cpu'), 1)
    test_eq(accuracy(network, [(image, 'cat') for image in images], found, batch_size=3, device='cpu'), 1)
    with expect_fail(MilanError, contains='9 labels for 10 images'): accuracy(network, images, found[:9])
    with expect_fail(MilanError, contains='class numbers go from 0'): accuracy(network, images, found - 5)
    found

    test_eq(weights_file(False, 'abc'), None)
    weights_file('folder', 'abc')

    folder = tempfile.mkdtemp()
    save_weights(weights_file(folder, 'abc'), {'one': torch.ones(2)})
    test_eq(load_file(folder + '/abc.safetensors')['one'], torch.ones(2))
    shutil.rmtree(folder)

    assert _named(shift).endswith('shift [(), {}]')
    _named(torch.flip)

    network, images, truth = small_cnn(2, width=2), torch.rand(2, 3, 8, 8), torch.tensor([0, 1])
    settings = [_Settings(1, 2, 1e-3, .01, True, None, 0, augment, 0) for augment in (None, shift, shift)]
    keys = [_key(network, images, truth, None, one) for one in settings]
    test_eq(len(set(keys)), 2)
    assert _key(network, images, truth, (images, truth), settings[0]) not in keys

    optimizer, chance = torch.optim.AdamW(network.parameters(), lr=.01), torch.Generator().manual_seed(0)
    losses = [_epoch(network, optimizer, None, images, truth, settings[0], chance) for _ in range(20)]
    assert losses[-1] < losses[0]
    losses[0], losses[-1]

    kept = _Settings(5, 2, .01, .01, False, 1, 0, None, 0)
    with torch.random.fork_rng():
        _train(network, images, truth, (images, truth), kept, tqdm(range(5), disable=True))
    assert accuracy(network, images, truth, device='cpu') >= .5

    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 250)                                    # red, green, blue
    images = torch.full((250, 3, 24, 24), 60, dtype=torch.uint8)
    for image, label, (y, x) in zip(images, labels, draw.integers(0, 12, (250, 2))):
        image[label, y:y + 12, x:x + 12] = 180
    folder = tempfile.mkdtemp()
    settings = {'epochs': 4, 'batch_size': 16, 'learning_rate': .01, 'cache': folder, 'device': 'cpu',
                'progress': False}
    seen = images[:-50], labels[:-50]
    network = fit_classifier(small_cnn(3, 4, 2), *seen, augment=flip_and_shift, **settings)
    accuracy(network, images[-50:], labels[-50:], device='cpu')

    assert accuracy(network, images[-50:], labels[-50:], device='cpu') > .9 and not network.training
    test_eq(len(os.listdir(folder)), 1)

    again = fit_classifier(small_cnn(3, 4, 2), *seen, augment=flip_and_shift, **settings)
    assert torch.equal(again.head.weight, network.head.weight)
    test_eq(len(os.listdir(folder)), 1)                                 # it was read
    repeated = fit_classifier(small_cnn(3, 4, 2), *seen, augment=flip_and_shift, **settings | {'cache': False})
    test_close(repeated.head.weight.detach(), network.head.weight.detach(), 1e-4)

    fit_classifier(small_cnn(3, 4, 2), *seen, **settings | {'epochs': 1, 'seed': 1})
    test_eq(len(os.listdir(folder)), 2)
    items = [(image, 'any') for image in images[:40]]
    vit = fit_classifier(small_vit(3, size=24, width=16, depth=1), items, labels[:40], patience=1, schedule=False,
                         validation=(images[40:60], labels[40:60]), **settings | {'epochs': 2})
    assert not vit.training
    shutil.rmtree(folder)


# 06_classifiers.ipynb, section "Errors"
def test_errors():
    images, truth = torch.rand(60, 3, 24, 24), [0, 1, 2] * 20
    settings = {'batch_size': 16, 'cache': False, 'device': 'cpu', 'progress': False}
    with expect_fail(MilanError, contains='50 labels'):
        fit_classifier(small_cnn(3), images, truth[:50], **settings)
    with expect_fail(MilanError, contains='epochs = 0'):
        fit_classifier(small_cnn(3), images, truth, **settings | {'epochs': 0})
    with expect_fail(MilanError, contains='not a number'):
        fit_classifier(small_cnn(3, 4), images, truth, **settings | {'epochs': 4, 'learning_rate': 1e30})
