# Generated from nbs/06_classifiers.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
import torch
from milan.experiments.classifiers import (
    accuracy,
    fit_classifier,
    flip_and_shift,
    predictions,
    shift,
    small_cnn,
    small_vit,
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
    network = small_cnn(10)
    with record(network, network.layers) as recording: network(torch.rand(2, 3, 64, 64))
    {layer: tuple(output.shape[1:]) for layer, output in recording.outputs.items()}, sum(
        value.numel() for value in network.parameters()
    )

    test_eq(small_cnn(4, width=8, stages=2)(torch.rand(2, 3, 48, 48)).shape, (2, 4))
    assert torch.equal(small_cnn(4).head.weight, small_cnn(4).head.weight) and not torch.equal(
        small_cnn(4).head.weight, small_cnn(4, seed=1).head.weight
    )
    before = torch.get_rng_state()
    small_cnn(4)
    assert torch.equal(torch.get_rng_state(), before)
    with expect_fail(MilanError, contains='classes = 1'): small_cnn(1)


# 06_classifiers.ipynb, section "A small vision transformer"
def test_a_small_vision_transformer():
    network = small_vit(10)
    with record(network, network.layers) as recording: network(torch.rand(2, 3, 64, 64))
    {layer: tuple(spatial(output).shape[1:]) for layer, output in recording.outputs.items()}, sum(
        value.numel() for value in network.parameters()
    )

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
    moved = shift(images, chance)
    assert all(
        any(
            torch.equal(one[:, 4:-4, 4:-4], image[:, 4 + y : 16 + y, 4 + x : 16 + x])
            for y in range(-2, 3)
            for x in range(-2, 3)
        )
        for one, image in zip(moved, images)
    )

    images = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8)
    said = predictions(small_cnn(4, width=4), images, device='cpu')
    test_eq(accuracy(small_cnn(4, width=4), images, said, device='cpu'), 1)
    test_eq(
        accuracy(small_cnn(4, width=4), [(image, 'cat') for image in images], said, batch_size=3, device='cpu'), 1
    )
    with expect_fail(MilanError, contains='9 labels for 10 images'): accuracy(small_cnn(4), images, said[:9])
    with expect_fail(MilanError, contains='class numbers go from 0'): accuracy(small_cnn(4), images, said - 5)
    said

    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 250)                                    # red, green, blue
    images = torch.full((250, 3, 24, 24), 60, dtype=torch.uint8)
    for image, label, (y, x) in zip(images, labels, draw.integers(0, 12, (250, 2))):
        image[label, y : y + 12, x : x + 12] = 180
    folder = tempfile.mkdtemp()
    settings = {
        'epochs': 4,
        'batch_size': 16,
        'learning_rate': 0.01,
        'cache': folder,
        'device': 'cpu',
        'progress': False,
    }
    network = fit_classifier(
        small_cnn(3, width=4, stages=2), images[:-50], labels[:-50], augment=flip_and_shift, **settings
    )
    accuracy(network, images[-50:], labels[-50:], device='cpu')

    assert accuracy(network, images[-50:], labels[-50:], device='cpu') > .9 and not network.training
    test_eq(len(os.listdir(folder)), 1)
    again = fit_classifier(
        small_cnn(3, width=4, stages=2), images[:-50], labels[:-50], augment=flip_and_shift, **settings
    )
    assert torch.equal(again.head.weight, network.head.weight)
    test_eq(len(os.listdir(folder)), 1)                                 # it was read
    anew = fit_classifier(
        small_cnn(3, width=4, stages=2),
        images[:-50],
        labels[:-50],
        augment=flip_and_shift,
        **settings | {'cache': False},
    )
    # and the training gives it again
    test_close(anew.head.weight.detach(), network.head.weight.detach(), 1e-4)
    other = fit_classifier(
        small_cnn(3, width=4, stages=2), images[:-50], labels[:-50], **settings | {'epochs': 1, 'seed': 1}
    )
    test_eq(len(os.listdir(folder)), 2)
    items = [(image, 'any') for image in images[:40]]
    fit_classifier(
        small_vit(3, size=24, width=16, depth=1),
        items,
        labels[:40],
        validation=(images[40:60], labels[40:60]),
        patience=1,
        schedule=False,
        **settings | {'epochs': 2},
    )
    with expect_fail(MilanError, contains='50 labels'):
        fit_classifier(small_cnn(3), images, labels[:50], **settings)
    with expect_fail(MilanError, contains='epochs = 0'):
        fit_classifier(small_cnn(3), images, labels, **settings | {'epochs': 0})
    with expect_fail(MilanError, contains='not a number'):
        fit_classifier(small_cnn(3, 4), images, labels, **settings | {'learning_rate': 1e30})
    shutil.rmtree(folder)
