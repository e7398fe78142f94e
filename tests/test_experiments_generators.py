# Generated from nbs/13_experiments/07_generators.ipynb by `make export`. Edit the notebook, not this file.

from milan import networks
from milan.config import MilanError
from torch import nn
import numpy as np
import torch
from milan.experiments.generators import (
    _clip_codes,
    _mean_error,
    _reduced,
    _small_mask,
    _stages,
    _start_codes,
    band_loss,
    fit_generator,
    made_pictures,
    register,
    small_generator,
    to_image,
)
import pytest

import os
import tempfile

from fastcore.test import expect_fail, test_close, test_eq
from PIL import Image
from milan.exemplars.compute import compute
from milan.images.sets import ShapeScenes


def scenes(count=100): return ShapeScenes(count, size=56)


def quick(count=100, folder=False):
    "A generator of a few seconds."
    return fit_generator(small_generator(latent=32, width=8), scenes(count), epochs=15, batch_size=16,
                         device='cpu', cache=folder, progress=False)


# 07_generators.ipynb, section "The network"
def test_the_network():
    test_eq(list(_stages([8, 4], 5)), ['start', 'up1'])
    test_eq(nn.Sequential(*_stages([8, 4], 5).values())(torch.zeros(1, 5)).shape, (1, 4, 14, 14))

    generator = small_generator()
    maps = {layer: tuple(generator[:number](torch.zeros(1, 96)).shape[1:])
            for number, layer in enumerate(generator.layers, 1)}
    maps, generator.side, sum(value.numel() for value in generator.parameters())

    test_eq(generator(torch.randn(2, 96)).shape, (2, 3, 56, 56))
    test_eq(small_generator(latent=8, width=4, stages=2)(torch.randn(1, 8)).shape, (1, 3, 28, 28))
    assert torch.equal(small_generator().image.weight, generator.image.weight)
    assert not torch.equal(small_generator(seed=1).image.weight, generator.image.weight)
    assert 0 <= to_image(generator(torch.randn(2, 96))).min() and to_image(torch.tensor(1.)) == 1
    with expect_fail(MilanError, contains='width = 0'): small_generator(width=0)


# 07_generators.ipynb, section "How far apart two pictures are"
def test_how_far_apart_two_pictures_are():
    one = torch.rand(2, 3, 56, 56)
    band_loss(one, one + .5), band_loss(one, one + .5 * torch.randn(2, 3, 56, 56))

    test_close(band_loss(one, one), 0)
    test_close(band_loss(one, one + .5), .5)       # all the same everywhere: only the last band sees it
    assert band_loss(one, one + .5 * torch.randn(2, 3, 56, 56)) > .5


# 07_generators.ipynb, section "Training"
@pytest.mark.training
def test_training():
    codes = _start_codes(torch.rand(20, 3, 28, 28), 4)
    test_close(codes.T @ codes / 20, torch.eye(4), 1e-4)

    test_eq(_reduced([torch.full((3, 8, 8), 255, dtype=torch.uint8), torch.zeros(3, 6, 6)], 2)[:, 0, 0, 0],
            torch.tensor([1., -1]))

    test_eq(_mean_error(nn.Identity(), torch.ones(2, 3, 4, 4), -torch.ones(2, 3, 4, 4)), 1)
    with expect_fail(MilanError, contains='lower learning_rate'):
        _mean_error(nn.Identity(), torch.full((1, 3, 4, 4), torch.nan), torch.ones(1, 3, 4, 4))

    codes = torch.tensor([[3., 4], [.3, .4]])
    _clip_codes(codes)
    test_close(codes.norm(dim=1), torch.tensor([2 ** .5, .5]), 1e-6)

    fitted = quick()
    with torch.inference_mode(): made = to_image(fitted.network.module(fitted.codes[:10]))
    rows = [torch.cat([scenes()[i].float() / 255 for i in range(10)], 2), torch.cat(list(made), 2)]
    Image.fromarray((torch.cat(rows, 1) * 255).byte().permute(1, 2, 0).numpy())

    pictures = torch.stack([image.float() / 255 for image in scenes()])
    always_the_mean = (pictures - pictures.mean(0)).abs().mean()
    assert fitted.error < .75 * always_the_mean
    assert fitted.codes.norm(dim=1).max() <= 32 ** .5 + 1e-4
    distance = (made[:, None] - pictures).abs().mean((2, 3, 4))
    nearer = (distance < distance[range(10), range(10)][:, None]).float().mean(1)
    assert nearer.median() < .1 # nine tenths of the other pictures are farther away than its own
    fitted.error, float(always_the_mean)

    folder = tempfile.mkdtemp()
    first, second = quick(60, folder), quick(60, folder)
    assert torch.equal(first.codes, second.codes)
    assert torch.equal(first.network.module.image.weight, second.network.module.image.weight)
    test_eq((len(os.listdir(folder)), first.fingerprint, first.error), (1, second.fingerprint, second.error))
    test_close(quick(60).error, first.error, 1e-3)
    with expect_fail(MilanError, contains='too many for 20 pictures'): quick(20)
    with expect_fail(MilanError, contains='0 pictures'): quick(0)


# 07_generators.ipynb, section "What it made, as a set of images"
@pytest.mark.training
def test_what_it_made_as_a_set_of_images():
    test_eq(_small_mask(torch.eye(2).repeat_interleave(2, 0).repeat_interleave(2, 1), 2), np.eye(2, dtype=bool))
    assert not _small_mask(None, 2).any()

    fitted = quick(40)
    made = made_pictures(fitted, scenes(40))
    made, made.table.description[0]

    test_eq((len(made), made[3].shape, made.mask(3).shape), (40, (3, 56, 56), (56, 56)))
    test_eq(made.mask(3), scenes(40).mask(3))
    with torch.inference_mode():
        test_close(made[3] / 255, to_image(fitted.network.module(fitted.codes[3:4]))[0], 0.5 / 255 + 1e-6)
    with expect_fail(MilanError, contains='30 pictures and 40 codes'): made_pictures(fitted, scenes(30))


# 07_generators.ipynb, section "Its units' exemplars"
@pytest.mark.training
def test_its_units_exemplars():
    fitted = quick(40)
    found = compute(fitted.network, fitted.latents, k=5, size=56, out=tempfile.mkdtemp() + '/codes', quiet=True)
    found.lookup('up1', 3).grid(width=72)

    test_eq((found.layers, len(found)), (['start', 'up1', 'up2', 'up3'], 64 + 32 + 16 + 8))
    with torch.inference_mode(): peaks = fitted.network.module[:2](fitted.codes).amax((2, 3))
    test_eq(found.lookup('up1', 3).ids[0], int(peaks[:, 3].argmax()))
    seen, made = found.lookup('up1', 3), made_pictures(fitted, scenes(40))
    test_close(seen.images, torch.stack([made[int(i)] for i in seen.ids]) / 255, 1e-6)

    drawn = fitted.sample(12, seed=1)
    test_eq((drawn[0].shape, len(drawn)), ((32,), 12))
    test_eq(drawn.fingerprint, fitted.sample(12, seed=1).fingerprint)
    test_close(fitted.sample(3, spread=0).tensors[0], fitted.codes.mean(0).expand(3, -1), 1e-6)
    found = compute(fitted.network, drawn, 'up2', k=3, size=56, out=tempfile.mkdtemp() + '/drawn', quiet=True)
    test_eq(len(found), 16)


# 07_generators.ipynb, section "By name"
@pytest.mark.training
def test_by_name():
    fitted = quick(40)
    folder, settings = tempfile.mkdtemp(), {'k': 5, 'size': 56, 'quiet': True}
    found = compute(fitted.network, fitted.latents, 'up1', out=f'{folder}/codes', **settings)
    name = register(fitted)
    by_name = compute(name, fitted.latents, 'up1', out=f'{folder}/named', **settings)
    test_eq(by_name.ids('up1'), found.ids('up1'))
    name, networks.load(name).layers
