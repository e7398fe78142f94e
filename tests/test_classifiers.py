# Generated from nbs/43_classifiers.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from milan.images import ShapeScenes
from milan.pictures import ImageSet
from torch.nn import functional as F
import numpy as np
import torch
from milan.classifiers import (
    accuracy,
    as_bytes,
    blur_regions,
    captions_for,
    fit_classifier,
    flip_and_shift,
    kinds_of,
    predictions,
    same_things,
    shape_kinds,
    shift,
    small_cnn,
    small_vit,
    variants,
    write_on,
)
import pytest

import os
import shutil
import tempfile

from fastcore.test import expect_fail, test_close, test_eq
from milan.hooks import record, spatial


# 43_classifiers.ipynb, section "A small convolutional network"
def test_a_small_convolutional_network():
    network = small_cnn(10)
    with record(network, network.layers) as recording: network(torch.rand(2, 3, 64, 64))
    {layer: tuple(output.shape[1:]) for layer, output in recording.outputs.items()}, sum(value.numel() for value in network.parameters())

    test_eq(small_cnn(4, width=8, stages=2)(torch.rand(2, 3, 48, 48)).shape, (2, 4))
    assert torch.equal(small_cnn(4).head.weight, small_cnn(4).head.weight) and not torch.equal(small_cnn(4).head.weight, small_cnn(4, seed=1).head.weight)
    before = torch.get_rng_state()
    small_cnn(4)
    assert torch.equal(torch.get_rng_state(), before)
    with expect_fail(MilanError, contains='classes = 1'): small_cnn(1)


# 43_classifiers.ipynb, section "A small vision transformer"
def test_a_small_vision_transformer():
    network = small_vit(10)
    with record(network, network.layers) as recording: network(torch.rand(2, 3, 64, 64))
    {layer: tuple(spatial(output).shape[1:]) for layer, output in recording.outputs.items()}, sum(value.numel() for value in network.parameters())

    test_eq(small_vit(3, size=32, patch=4, width=16, depth=1, heads=2)(torch.rand(5, 3, 32, 32)).shape, (5, 3))
    assert torch.equal(small_vit(4).places, small_vit(4).places)
    with expect_fail(MilanError, contains='patch = 7'): small_vit(10, patch=7)
    with expect_fail(MilanError, contains='64 x 64'): small_vit(10)(torch.rand(1, 3, 32, 32))


# 43_classifiers.ipynb, section "Training"
@pytest.mark.training
def test_training():
    images = torch.rand(4, 3, 20, 20)
    chance = torch.Generator().manual_seed(0)
    test_eq(flip_and_shift(images, chance).shape, images.shape)
    assert torch.equal(shift(images, chance, most=0), images)
    moved = shift(images, chance)
    assert all(any(torch.equal(one[:, 4:-4, 4:-4], image[:, 4 + y:16 + y, 4 + x:16 + x]) for y in range(-2, 3) for x in range(-2, 3))
               for one, image in zip(moved, images))

    images = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8)
    said = predictions(small_cnn(4, width=4), images, device='cpu')
    test_eq(accuracy(small_cnn(4, width=4), images, said, device='cpu'), 1)
    test_eq(accuracy(small_cnn(4, width=4), [(image, 'cat') for image in images], said, batch_size=3, device='cpu'), 1)
    with expect_fail(MilanError, contains='9 labels for 10 images'): accuracy(small_cnn(4), images, said[:9])
    with expect_fail(MilanError, contains='class numbers go from 0'): accuracy(small_cnn(4), images, said - 5)
    said

    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 250)                                    # red, green, blue
    images = torch.full((250, 3, 24, 24), 60, dtype=torch.uint8)
    for image, label, (y, x) in zip(images, labels, draw.integers(0, 12, (250, 2))): image[label, y:y + 12, x:x + 12] = 180
    folder = tempfile.mkdtemp()
    settings = {'epochs': 4, 'batch_size': 16, 'learning_rate': .01, 'cache': folder, 'device': 'cpu', 'progress': False}
    network = fit_classifier(small_cnn(3, width=4, stages=2), images[:-50], labels[:-50], augment=flip_and_shift, **settings)
    accuracy(network, images[-50:], labels[-50:], device='cpu')

    assert accuracy(network, images[-50:], labels[-50:], device='cpu') > .9 and not network.training
    test_eq(len(os.listdir(folder)), 1)
    again = fit_classifier(small_cnn(3, width=4, stages=2), images[:-50], labels[:-50], augment=flip_and_shift, **settings)
    assert torch.equal(again.head.weight, network.head.weight)
    test_eq(len(os.listdir(folder)), 1)                                 # it was read
    anew = fit_classifier(small_cnn(3, width=4, stages=2), images[:-50], labels[:-50], augment=flip_and_shift, **settings | {'cache': False})
    test_close(anew.head.weight.detach(), network.head.weight.detach(), 1e-4)      # and the training gives it again
    other = fit_classifier(small_cnn(3, width=4, stages=2), images[:-50], labels[:-50], **settings | {'epochs': 1, 'seed': 1})
    test_eq(len(os.listdir(folder)), 2)
    items = [(image, 'any') for image in images[:40]]
    fit_classifier(small_vit(3, size=24, width=16, depth=1), items, labels[:40], validation=(images[40:60], labels[40:60]), patience=1, schedule=False,
                   **settings | {'epochs': 2})
    with expect_fail(MilanError, contains='50 labels'): fit_classifier(small_cnn(3), images, labels[:50], **settings)
    with expect_fail(MilanError, contains='epochs = 0'): fit_classifier(small_cnn(3), images, labels, **settings | {'epochs': 0})
    with expect_fail(MilanError, contains='not a number'): fit_classifier(small_cnn(3, 4), images, labels, **settings | {'learning_rate': 1e30})
    shutil.rmtree(folder)


# 43_classifiers.ipynb, section "Many pictures of each thing"
def test_many_pictures_of_each_thing():
    drawn = ShapeScenes(4)
    changed = variants(drawn, [0, 0, 0, 2, 2, 2], size=64)
    Image.fromarray(np.hstack([changed.picture(index) for index in range(6)]))

    test_eq((len(changed), changed[0].shape, changed.table['source'].tolist()), (6, (3, 64, 64), [0, 0, 0, 2, 2, 2]))
    test_eq(changed.table['description'][3], drawn.table['description'][2])
    assert torch.equal(variants(drawn, [0, 0], size=64)[1], changed[1]) and not torch.equal(changed[0], changed[1])
    assert .2 < changed.mask(0).any(0).float().mean() < .95 and changed.fingerprint != variants(drawn, [0], size=64).fingerprint
    test_eq(as_bytes(changed).shape, (6, 3, 64, 64))
    unmasked = ImageSet('plain', drawn.table, np.zeros((4, 8, 8, 3), np.uint8))
    with expect_fail(MilanError, contains='picture 1 of plain has no mask'): variants(unmasked, [1])


# 43_classifiers.ipynb, section "Ten kinds of things"
def test_ten_kinds_of_things():
    found = shape_kinds(400)
    sides = same_things(found, each=(20, 5, 5), things=3, size=48)
    Image.fromarray(torch.cat([*torch.cat([side.images[:5] for side in sides])], 2).permute(1, 2, 0).numpy())

    test_eq([np.bincount(side.labels).tolist() for side in sides], [[20] * 4, [5] * 4, [5] * 4])
    test_eq([len(set(side.things)) for side in sides], [12, 12, 12])
    test_eq((sides[1].images.shape, sides[1].masks.shape), ((20, 3, 48, 48), (20, 48, 48)))
    assert set(sides[0].things) == set(sides[2].things) and not torch.equal(sides[1].images, sides[2].images)
    for row, label in zip(found.pictures.table['group'].tolist(), found.labels): assert row not in sides[0].things or sides[0].labels[sides[0].things.index(row)] == label
    assert sides[0].things != same_things(found, each=(20,), things=3, size=48, seed=1)[0].things
    with expect_fail(MilanError, contains='things = 0'): same_things(found, things=0)
    table = found.pictures.table.assign(category=['animals/birds', 'food/fruit'] * (len(found.pictures) // 2) + ['sports'] * (len(found.pictures) % 2))
    sorted_ = ImageSet('sorted', table, as_bytes(found.pictures).permute(0, 2, 3, 1).numpy(), np.full((len(table), 512), 255, np.uint8))
    two = kinds_of(sorted_, {'bird': 'animals/birds', 'fruit': 'food/fruit'})
    test_eq((two.names, two.labels[:4].tolist()), (['bird', 'fruit'], [0, 1, 0, 1]))
    with expect_fail(MilanError, contains='no picture with a mask of mammal'): kinds_of(sorted_)


# 43_classifiers.ipynb, section "Words in a corner"
def test_words_in_a_corner():
    grey = torch.full((4, 3, 64, 64), 120, dtype=torch.uint8)
    written = write_on(grey, captions_for([0, 1, 2, 2], ['bird', 'fish', 'tree'], share=1), corner='any')
    Image.fromarray(torch.cat([*written.images], 2).permute(1, 2, 0).numpy())

    assert all((image != 120).any(0)[~mask].sum() == 0 and (image != 120).any(0)[mask].float().mean() > .3 for image, mask in zip(*written))
    plain = write_on(grey, ['bird', None, '', 'fish'])
    test_eq(plain.masks.any((1, 2)).tolist(), [True, False, False, True])
    assert torch.equal(plain.images[1], grey[1]) and plain.masks[0, 40:, :50].any() and not plain.masks[0, :40].any()
    labels = np.arange(3000) % 3
    right, wrong = (captions_for(labels, 'abc', share=share, wrong=share == 1) for share in (.5, 1))
    assert {text for text, label in zip(right, labels) if text and text != 'abc'[label]} == set() and abs(np.mean([text is None for text in right]) - .5) < .05
    assert all(text != 'abc'[label] for text, label in zip(wrong, labels)) and len(set(zip(wrong, labels.tolist()))) == 6
    with expect_fail(MilanError, contains='smaller height'): write_on(grey, 'two rhinoceroses')
    with expect_fail(MilanError, contains='2 texts for 4 images'): write_on(grey, ['a', 'b'])
    with expect_fail(MilanError, contains="corner 'middle'"): write_on(grey, 'a', corner='middle')


# 43_classifiers.ipynb, section "Blurring"
def test_blurring():
    changed = variants(ShapeScenes(4), [0, 0, 0, 2, 2, 2], size=64)
    sharp = as_bytes(changed)
    masks = torch.stack([changed.mask(index) for index in range(len(changed))])
    blurred, boxes = blur_regions(sharp, masks), blur_regions(sharp, masks, box=True)
    Image.fromarray(torch.cat([torch.cat([*some], 2) for some in (sharp, blurred, boxes)], 1).permute(1, 2, 0).numpy())

    far = F.max_pool2d(masks[:, None].float(), 15, 1, 7)[:, 0] == 0
    assert torch.equal(blurred.permute(0, 2, 3, 1)[far], sharp.permute(0, 2, 3, 1)[far])
    detail = lambda images: torch.stack([image[:, mask].float().std() for image, mask in zip(images, masks)])
    assert (detail(blurred) < .7 * detail(sharp)).float().mean() > .8
    assert torch.equal(blur_regions(sharp, masks & False), sharp)
    corners = torch.zeros(1, 20, 20, dtype=torch.bool).index_put((torch.tensor([0, 0]), torch.tensor([5, 14]), torch.tensor([5, 14])), torch.tensor(True))
    noise = torch.randint(0, 256, (1, 3, 20, 20), dtype=torch.uint8)
    changes = [(blur_regions(noise, corners, box=box) != noise).any(1)[0, 8:12, 8:12].float().mean() for box in (False, True)]
    assert changes[0] == 0 and changes[1] > .9
    flat = torch.full((1, 3, 16, 16), 77, dtype=torch.uint8)
    assert torch.equal(blur_regions(flat, torch.ones(1, 16, 16, dtype=torch.bool)), flat)
    with expect_fail(MilanError, contains='one mask'): blur_regions(sharp, masks[:2])
