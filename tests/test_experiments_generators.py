# Generated from nbs/07_generators.ipynb by `make export`. Edit the notebook, not this file.

from milan import networks
from milan.config import MilanError
import torch
from milan.experiments.generators import (
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
    return fit_generator(
        small_generator(latent=32, width=8),
        scenes(count),
        epochs=15,
        batch_size=16,
        device='cpu',
        cache=folder,
        progress=False,
    )


# 07_generators.ipynb, section "The network"
def test_the_network():
    generator = small_generator()
    maps = {
        layer: tuple(generator[: number + 1](torch.zeros(1, 96)).shape[1:])
        for number, layer in enumerate(generator.layers)
    }
    maps, generator.side, sum(value.numel() for value in generator.parameters())

    test_eq(generator(torch.randn(2, 96)).shape, (2, 3, 56, 56))
    test_eq(small_generator(latent=8, width=4, stages=2)(torch.randn(1, 8)).shape, (1, 3, 28, 28))
    assert torch.equal(small_generator().image.weight, generator.image.weight) and not torch.equal(
        small_generator(seed=1).image.weight, generator.image.weight
    )
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
    assert (
        nearer.median() < 0.1
    ) # what is made from a picture's code is more like that picture than like nine tenths of the others
    fitted.error, float(always_the_mean)

    folder = tempfile.mkdtemp()
    first, second = quick(60, folder), quick(60, folder)
    assert torch.equal(first.codes, second.codes) and torch.equal(
        first.network.module.image.weight, second.network.module.image.weight
    )
    test_eq((len(os.listdir(folder)), first.fingerprint, first.error), (1, second.fingerprint, second.error))
    test_close(quick(60).error, first.error, 1e-3)
    with expect_fail(MilanError, contains='too many for 20 pictures'): quick(20)
    with expect_fail(MilanError, contains='0 pictures'): quick(0)


# 07_generators.ipynb, section "What it made, as a set of images"
@pytest.mark.training
def test_what_it_made_as_a_set_of_images():
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
    test_eq(
        (drawn[0].shape, len(drawn), drawn.fingerprint == fitted.sample(12, seed=1).fingerprint),
        ((32,), 12, True),
    )
    test_close(fitted.sample(3, spread=0).tensors[0], fitted.codes.mean(0).expand(3, -1), 1e-6)
    test_eq(
        len(compute(fitted.network, drawn, 'up2', k=3, size=56, out=tempfile.mkdtemp() + '/drawn', quiet=True)),
        16,
    )


# 07_generators.ipynb, section "By name"
@pytest.mark.training
def test_by_name():
    fitted = quick(40)
    found = compute(
        fitted.network, fitted.latents, 'up1', k=5, size=56, out=tempfile.mkdtemp() + '/codes', quiet=True
    )
    name = register(fitted)
    by_name = compute(name, fitted.latents, 'up1', k=5, size=56, out=tempfile.mkdtemp() + '/named', quiet=True)
    test_eq(by_name.ids('up1'), found.ids('up1'))
    name, networks.load(name).layers
