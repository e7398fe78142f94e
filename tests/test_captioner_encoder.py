# Generated from nbs/31_encoder.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from torch import nn
import torch
from milan.captioner.encoder import (
    encode_exemplars,
    encode_regions,
    original_encoder,
    pool,
    Projection,
    PyramidEncoder,
)

from types import SimpleNamespace
from fastcore.test import expect_fail, test_close, test_eq


# 31_encoder.ipynb, section "Averaging a map over a region"
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


# 31_encoder.ipynb, section "Fewer numbers"
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


# 31_encoder.ipynb, section "The encoder"
def test_the_encoder():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1))
    encoder = PyramidEncoder(network, layers=['0', '3'])
    images, masks = torch.rand(2, 5, 3, 16, 16), (torch.rand(2, 5, 1, 16, 16) > .5).float()
    features = encoder.encode(images, masks)
    features.shape

    with torch.no_grad():
        early, late = network[0](images[1]), network[3](network[2](network[1](network[0](images[1]))))
    test_close(features[1, :, :4], (early * masks[1]).sum((2, 3)) / masks[1].sum((2, 3)), 1e-5)
    test_close(features[1, :, 4:], pool(late, masks[1]), 1e-5)
    test_close(encoder.encode(images, masks, batch_size=3), features, 1e-5)
    test_close(encoder.encode((images * 255).to(torch.uint8), masks), features, .02)
    test_close(encoder.encode(images[0]), encoder.encode(images[0], torch.ones(5, 1, 16, 16)), 1e-6)
    assert not encoder.train().training and not any(p.requires_grad for p in encoder.parameters())

    with expect_fail(MilanError, contains='(2, 5, 16, 16)'): encoder.encode(images[:, :, 0], masks)
    with expect_fail(MilanError, contains='one mask per image'): encoder.encode(images, masks[:1])
    with expect_fail(MilanError, contains='[0, 1]'): encoder.encode(images * 255, masks)
    with expect_fail(MilanError, contains="'33'"): PyramidEncoder(network, layers=['33'])


# 31_encoder.ipynb, section "The original's networks"
def test_the_original_s_networks():
    torch.manual_seed(0)
    encoder = original_encoder('resnet18', pretrained=False)
    encoder.encode(torch.rand(1, 2, 3, 64, 64)).shape

    test_eq(original_encoder('alexnet', pretrained=False).encode(torch.rand(1, 3, 64, 64)).shape[-1], 1152)
    with expect_fail(MilanError, contains="'vgg'"): original_encoder('vgg')


# 31_encoder.ipynb, section "Each image once"
def test_each_image_once():
    torch.manual_seed(0)
    passes = []
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1))
    network[0].register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    encoder = PyramidEncoder(network, layers=['0', '3'])
    photos = (torch.rand(4, 3, 16, 16) * 255).to(torch.uint8)
    regions = [(i % 4, torch.rand(16, 16) > .5) for i in range(10)]
    features = encode_regions(encoder, photos, regions, batch_size=3)
    features.shape, f'{sum(passes)} images passed the network for {len(regions)} regions'

    test_eq(sum(passes), 4)
    naive = [encoder.encode(photos[i][None], mask[None, None].float())[0] for i, mask in regions]
    test_close(features, torch.stack(naive), 1e-5)
    test_close(encode_regions(encoder, [(photo, 'label') for photo in photos], regions), features, 1e-5)
    with expect_fail(MilanError, contains='at least one region'): encode_regions(encoder, photos, [])

    torch.manual_seed(0)
    passes = []
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    network[0].register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    encoder = PyramidEncoder(network, layers=['0', '1'])
    photos = torch.randint(256, (6, 3, 16, 16)) / 255
    exemplars = [SimpleNamespace(images=photos[torch.randperm(6)[:3]], masks=(torch.rand(3, 1, 16, 16) > .5).float()) for _ in range(4)]
    features = encode_exemplars(encoder, exemplars)
    features.shape, sum(passes)

    assert sum(passes) <= 6
    images, masks = torch.stack([e.images for e in exemplars]), torch.stack([e.masks for e in exemplars])
    test_close(features, encoder.encode(images, masks), 1e-5)
