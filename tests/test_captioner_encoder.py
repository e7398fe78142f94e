# Generated from nbs/07_captioner/02_encoder.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from torch import nn
from torch.nn import functional as F
import torch
from milan.captioner.encoder import (
    normalize,
    original_encoder,
    original_spatial_encoder,
    pool,
    Projection,
    PyramidEncoder,
    SpatialEncoder,
)
import pytest

import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from fastcore.test import expect_fail, test_close, test_eq

from milan.config import oracle_dir
from milan.testing import counted

def tiny(seed=0, size=None):
    "Two layers of a small seeded network."
    torch.manual_seed(seed)
    return PyramidEncoder(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                                        nn.Conv2d(4, 6, 3, padding=1)), ['0', '3'], size=size)


# 02_encoder.ipynb, section "Averaging a map over a region"
def test_averaging_a_map_over_a_region():
    maps = torch.arange(16.).view(1, 1, 4, 4)
    left = torch.zeros(1, 1, 8, 8); left[..., :4] = 1
    pool(maps, left), maps[0, 0]

    test_close(pool(maps, left), torch.tensor([[6.5]]), 1e-6)
    regions = torch.cat([left, torch.zeros_like(left), torch.ones_like(left)])
    test_close(pool(maps, regions, torch.zeros(3, dtype=torch.long))[:, 0], torch.tensor([6.5, 0, 7.5]), 1e-6)
    torch.manual_seed(0)
    maps, masks = torch.randn(3, 5, 6, 6), torch.rand(3, 1, 24, 24)
    test_close(pool(maps, masks, torch.arange(3)), pool(maps, masks), 1e-6)
    test_close(pool(maps, masks[:, :, ::4, ::4]*0 + 1), maps.mean((2, 3)), 1e-6)

    across = torch.linspace(-1, 1, 28)
    bump = lambda x, y: (-8 * ((across - x)**2 + (across[:, None] - y)**2)).exp()
    image_map, region = bump(-.4, -.3) + .5 * bump(.5, .4), torch.zeros(1, 1, 112, 112)
    region[..., 56:, 56:] = 1
    weights = F.interpolate(region, size=(28, 28), mode='bilinear')[0, 0]
    figure, axes = plt.subplots(1, 3, figsize=(7, 2.6), layout='constrained')
    mean = pool(image_map[None, None], region).item()
    for axis, title, shown in zip(axes, ('map f', 'mask m', f'm · f, mean over m: {mean:.2f}'),
                                  (image_map, region[0, 0], weights * image_map)):
        axis.imshow(shown, cmap='cividis', vmin=0, vmax=1)
        axis.set_title(title, fontsize=9)
        axis.axis('off')


# 02_encoder.ipynb, section "Fewer numbers"
def test_fewer_numbers():
    torch.manual_seed(0)
    hidden = torch.randn(200, 2)
    features = hidden @ torch.randn(2, 6) + 3
    projection = Projection.fit(features, 2)
    again = torch.linalg.lstsq(torch.cat([projection(features), torch.ones(200, 1)], 1), features).solution
    test_close(torch.cat([projection(features), torch.ones(200, 1)], 1) @ again, features, 1e-4)
    test_close(projection(features).var(), torch.tensor(1.), .02)
    projection(features).shape

    with expect_fail(MilanError, contains='at most 6'): Projection.fit(features, 7)


# 02_encoder.ipynb, section "The pyramid"
def test_the_pyramid():
    encoder = tiny()
    images, masks = torch.rand(2, 5, 3, 16, 16), (torch.rand(2, 5, 1, 16, 16) > .5).float()
    features = encoder.encode(images, masks)
    features.shape

    network = encoder.network
    with torch.no_grad():
        early, late = network[0](images[1]), network[3](network[2](network[1](network[0](images[1]))))
    test_close(features[1, :, :4], (early * masks[1]).sum((2, 3)) / masks[1].sum((2, 3)), 1e-5)
    test_close(features[1, :, 4:], pool(late, masks[1]), 1e-5)
    test_close(encoder.encode(images, masks, batch_size=3), features, 1e-5)
    test_close(encoder.encode((images * 255).to(torch.uint8), masks), features, .02)
    test_close(encoder.encode(images[0]), encoder.encode(images[0], torch.ones(5, 1, 16, 16)), 1e-6)
    assert not encoder.train().training and not any(p.requires_grad for p in encoder.parameters())

    masks[1, 2] = 0
    test_eq(encoder.encode(images, masks)[1, 2], torch.zeros(10))
    test_close(encoder.encode(images, masks)[0], features[0], 1e-6)

    with expect_fail(MilanError, contains='(2, 5, 16, 16)'): encoder.encode(images[:, :, 0], masks)
    with expect_fail(MilanError, contains='(0, 5, 3, 16, 16)'): encoder.encode(images[:0], masks[:0])
    with expect_fail(MilanError, contains='one mask per image'): encoder.encode(images, masks[:1])
    with expect_fail(MilanError, contains='one mask per image'): encoder.encode(images, masks[..., ::2, ::2])
    with expect_fail(MilanError, contains='[0, 1]'): encoder.encode(images * 255, masks)
    with expect_fail(MilanError, contains='[0, 1]'): encoder.encode(images / 0, masks)
    with expect_fail(MilanError, contains="'33'"): PyramidEncoder(network, layers=['33'])
    network[3].bias[1] = torch.nan
    with expect_fail(MilanError, contains='features of image 0 are not finite'): encoder.encode(images, masks)

    sized = tiny(size=24)
    passes = counted(sized)
    test_eq(sized.encode(images[..., :12, :12], masks[..., :12, :12]).shape, (2, 5, 10))
    test_close(sized.encode(F.interpolate(images[0], size=(24, 24), mode='bilinear', antialias=True)),
               sized.encode(images[0]), 1e-5)
    sum(passes)


# 02_encoder.ipynb, section "Places instead of means"
def test_places_instead_of_means():
    small = tiny().network
    encoder = SpatialEncoder(small, ['3'], transform=normalize)
    images, masks = torch.rand(2, 5, 3, 16, 16), torch.zeros(2, 5, 1, 16, 16)
    masks[..., :8] = 1
    features = encoder.encode(images, masks)
    features.shape

    with torch.no_grad(): maps = small(normalize(images[1]) * masks[1])
    test_close(features[1].unflatten(0, (5, 64)), maps.flatten(2).transpose(1, 2), 1e-5)
    scribbled = images.clone()
    scribbled[..., 8:] = torch.rand(2, 5, 3, 16, 8)
    test_close(encoder.encode(scribbled, masks), features, 1e-6)
    assert (encoder.encode(scribbled) - encoder.encode(images)).abs().max() > .01
    test_eq(encoder.encode(images[0], masks[0]).shape, (5, 64, 6))
    twice = encoder.read(images[0], torch.cat([masks[0], torch.zeros_like(masks[0])]), torch.arange(5).repeat(2))
    test_close(twice[:5], encoder.encode(images[0], masks[0]), 1e-5)
    test_close(twice[5:], twice[5:6].expand(5, -1, -1), 1e-6) # nothing to see, everywhere the same
    with expect_fail(MilanError, contains='reads one layer, not 2'): SpatialEncoder(small, ['0', '3'])


# 02_encoder.ipynb, section "The original's networks"
def test_the_original_s_networks():
    torch.manual_seed(0)
    images = torch.rand(1, 2, 3, 64, 64)
    original_encoder('resnet18', pretrained=False).encode(images).shape, original_spatial_encoder(
        pretrained=False
    ).encode(images).shape

    test_eq(original_encoder('alexnet', pretrained=False).encode(torch.rand(1, 3, 64, 64)).shape[-1], 1152)
    with expect_fail(MilanError, contains="'vgg'; choose one of alexnet"): original_encoder('vgg')
    with expect_fail(MilanError, contains="'alexnet'; choose one of resnet18"):
        original_spatial_encoder('alexnet')


# 02_encoder.ipynb, section "The original's networks"
@pytest.mark.slow
def test_the_original_s_networks_slow():
    for name in ('resnet50', 'resnet101'):
        wide = original_encoder(name, pretrained=False).encode(torch.rand(1, 2, 3, 32, 32))
        test_eq(wide.shape, (1, 2, 64 + 256 + 512 + 1024 + 2048))


# 02_encoder.ipynb, section "The original's networks"
@pytest.mark.oracle
def test_the_original_s_networks_oracle():
    import gzip
    from milan.captioner import checkpoints

    folder = Path(tempfile.mkdtemp())
    (folder/'decoder.pth').write_bytes(gzip.decompress((oracle_dir()/'decoder.pth.gz').read_bytes()))
    saved = checkpoints.read(folder/'decoder.pth')['state_dict']
    shutil.rmtree(folder)
    golden = {name: torch.from_numpy(value) for name, value in np.load(oracle_dir()/'encoder_224.npz').items()}
    weights = {
        name.removeprefix('encoder.encoder.model.'): value
        for name, value in saved.items() if name.startswith('encoder.encoder.model.')
    }
    pyramid, spatial_one = original_encoder('resnet18',
                                            pretrained=False), original_spatial_encoder(pretrained=False)
    for one in (pyramid, spatial_one): one.network.load_state_dict(weights)
    off = {
        name: ((ours - golden[name]).abs().max() / golden[name].abs().max()).item()
        for name, ours in (('pyramid_masked', pyramid.encode(golden['images'], golden['masks'])),
                           ('spatial', spatial_one.encode(golden['images'])[:, ::7]),
                           ('spatial_masked', spatial_one.encode(golden['images'], golden['masks'])[:, ::7]))
    }
    assert max(off.values()) < 1e-4, off
    {name: value < 1e-5 for name, value in off.items()}


# 02_encoder.ipynb, section "Any other network"
def test_any_other_network():
    class Patches(nn.Module):
        "16 patches of 4 x 4 pixels, behind a class token; gives a tuple, as transformers like to."
        def __init__(self):
            super().__init__()
            self.cls_token, self.embed = nn.Parameter(torch.ones(1, 1, 6)), nn.Conv2d(3, 6, 4, 4)

        def forward(self, x):
            return (torch.cat([self.cls_token.expand(len(x), -1, -1), self.embed(x).flatten(2).transpose(1, 2)],
                              1), None)

    from milan import networks

    torch.manual_seed(0)
    lite = PyramidEncoder(networks.load('efficientnet_lite0/imagenet', device='cpu', pretrained=False),
                          [f'_blocks.{stage}' for stage in (0, 2, 4, 10, 15)])
    test_eq((lite.name, lite.size), ('efficientnet_lite0/imagenet', 224))
    transformer = PyramidEncoder(nn.Sequential(Patches()), ['0', '0.embed'])
    lite.encode(torch.rand(1, 2, 3, 48, 48)).shape, transformer.encode(torch.rand(1, 2, 3, 16, 16)).shape

    images, masks = torch.rand(2, 3, 16, 16), (torch.rand(2, 1, 16, 16) > .5).float()
    tokens, embedding = transformer.encode(images, masks).chunk(2, 1)
    test_close(tokens, embedding, 1e-6)
