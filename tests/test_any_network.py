# Generated from nbs/05_exemplars/15_any_network.ipynb by `make export`. Edit the notebook, not this file.

import pytest

import shutil
import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan import hooks
from milan.config import MilanError, import_torchvision
from milan.exemplars.compute import compute
from milan.hooks.layers import Layer, Unit
from milan.networks.network import Network
from milan.testing import Squares, small_network


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


# 15_any_network.ipynb, section "What is a unit"
def test_what_is_a_unit():
    class Attention(nn.Module):
        "Tokens in, (tokens, attention) out."
        def __init__(self, width=12):
            super().__init__()
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x):
            q, k, v = (part.unflatten(2, (3, 4)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
            attention = (q @ k.transpose(2, 3) / 2).softmax(-1)
            return self.proj((attention @ v).transpose(1, 2).flatten(2)), attention


    class Patches(nn.Module):
        "4 x 6 patches of an image, a class token, one attention."
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.patch, self.first = nn.Conv2d(3, 12, 4, 4), nn.Parameter(torch.randn(1, 1, 12))
            self.attention = Attention()

        def forward(self, pixels, scale):
            tokens = self.patch(pixels * scale.view(-1, 1, 1, 1)).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.first.expand(len(tokens), -1, -1), tokens], 1)
            return {'logits': self.attention(tokens)[0][:, 0]}


    class Features(nn.Module):
        "A sparse autoencoder's encoder, with random weights."
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.encode = nn.Linear(12, 50)

        def forward(self, x):
            return self.encode(x).relu()

    named = lambda images: {'pixels': images, 'scale': torch.ones(len(images))}
    scenes = torch.rand(30, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    layers = [Layer('attention', select=0),
              Layer('attention', select=1, readout=hooks.class_attention, label='heads'),
              Layer('attention.proj', input=True, readout=hooks.heads(3), label='head'),
              Layer('attention.proj', readout=Features(), label='feature')]
    folder = temporary()
    found = compute(Patches(), scenes, layers, k=4, size=None, transform=named, out=folder/'a', quiet=True)
    found

    test_eq([np.load(folder/'a'/layer/'maps.npy').shape for layer in found.layers],
            [(12, 4, 4, 6), (3, 4, 4, 6), (3, 4, 4, 6), (50, 4, 4, 6)])
    network = Patches().eval()
    with torch.inference_mode():
        patches = network.patch(scenes).flatten(2).transpose(1, 2)
        tokens = torch.cat([network.first.expand(30, -1, -1), patches], 1)
        features = Features()(network.attention(tokens)[0])[:, 1:].transpose(1, 2)
    best = features.amax(2).sort(dim=0, descending=True, stable=True)
    test_close(found.activations('attention.proj.feature'), best.values[:4].T.numpy(), eps=1e-5)
    assert np.array_equal(found.ids('attention.proj.feature'), best.indices[:4].T)
    with expect_fail(MilanError, contains='select='):
        compute(Patches(), scenes, 'attention', k=4, transform=named, out=folder / 'b', quiet=True)

    other = Features()
    with torch.no_grad(): other.encode.weight[0] *= 2
    readings = [*layers[:3], Layer('attention.proj', readout=other, label='feature')]
    with expect_fail(MilanError, contains='(readings)'):
        compute(Patches(), scenes, readings, k=4, size=None, transform=named, out=folder / 'a', quiet=True)
    again = compute(Patches(), scenes, readings, k=4, size=None, transform=named, out=folder/'c', quiet=True)
    before, after = (one.activations('attention.proj.feature')[0] for one in (found, again))
    assert (after != before).any()


# 15_any_network.ipynb, section "Some units, and dead ones"
def test_some_units_and_dead_ones():
    folder = temporary()
    found = compute(small_network(), Squares(), ['conv1', 'conv2', 'head'], k=5, size=None,
                    units={'conv2': [5, 2]}, out=folder/'a', quiet=True)
    found, found[6].unit, found.ids('conv2')

    test_eq(found.unit_numbers('conv2').tolist(), [2, 5])
    test_eq(found.units[6], Unit('conv2', 2))
    test_eq([exemplar.unit for exemplar in found], [*range(6), 2, 5, *range(4)])
    test_eq(found.k, 5)
    for layer in found.layers: assert (np.diff(found.activations(layer), axis=1) <= 0).all()
    exemplar = found.lookup('conv2', 5)
    assert torch.equal(exemplar.images[3], Squares()[exemplar.ids[3]][0].float() / 255)
    with expect_fail(MilanError, contains='unit 3'): found.lookup('conv2', 3)
    with expect_fail(MilanError, contains='conv1, conv2, head'): found.lookup('conv9', 3)

    network = small_network()
    with torch.no_grad(): network.conv2.bias[3] = -100
    dead = compute(network, Squares(), 'relu2', k=5, out=temporary()/'dead', quiet=True)
    dead.dead()

    assert Unit('relu2', 3) in dead.dead() and Unit('relu2', 2) not in dead.dead()
    test_eq(dead.levels('relu2')[3], 0)
    test_eq(dead.lookup('relu2', 3).masks.sum().item(), 0)
    test_eq(dead.ids('relu2')[3].tolist(), [0, 1, 2, 3, 4])    # ties go to the lowest number
    assert dead.lookup('relu2', 2).masks.sum() > 0


# 15_any_network.ipynb, section "Both signs"
def test_both_signs():
    folder = temporary()
    found = compute(small_network(), Squares(), 'conv2', k=5, bottom=True, units={'conv2': [3, 6]},
                    out=folder/'both', quiet=True)
    found.lookup('conv2.bottom', 6).grid()

    test_eq(found.layers, ['conv2', 'conv2.bottom'])
    negative = nn.Sequential(OrderedDict(small_network().named_children()))
    with torch.no_grad(): negative.conv2.weight.mul_(-1); negative.conv2.bias.mul_(-1)
    expected = compute(negative, Squares(), 'conv2', k=5, units={'conv2': [3, 6]}, out=folder/'negative',
                       quiet=True)
    test_eq(found.ids('conv2.bottom'), expected.ids('conv2'))
    test_close(found.activations('conv2.bottom'), expected.activations('conv2'), eps=1e-6)
    test_close(found.levels('conv2.bottom'), expected.levels('conv2'), eps=1e-6)
    assert torch.equal(found.masks('conv2.bottom', 24), expected.masks('conv2', 24))


# 15_any_network.ipynb, section "Generators"
def test_generators():
    class Generator(nn.Module):
        "An 8-number code and one of three classes → an image of 3 x 16 x 16 in [-1, 1]."
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.classes = nn.Embedding(3, 8)
            self.up1, self.up2 = nn.ConvTranspose2d(8, 6, 4), nn.ConvTranspose2d(6, 3, 4, 4)

        def forward(self, code, kind):
            return torch.tanh(self.up2(self.up1((code + self.classes(kind))[:, :, None, None]).relu()))


    codes = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    latents = [{'code': code, 'kind': number % 3} for number, code in enumerate(codes)]  # or tuples (code, kind)
    found = compute(Generator(), latents, 'up1', k=4, to_image=lambda output: (output + 1) / 2, size=48,
                    batch_size=6, out=temporary()/'x', quiet=True)
    found.lookup('up1', 2).grid(width=64)

    tuples = [(latent['code'], latent['kind']) for latent in latents]
    same = compute(Generator(), tuples, 'up1', k=4, to_image=lambda output: (output + 1) / 2, batch_size=6,
                   out=temporary()/'x', quiet=True)
    assert np.array_equal(same.ids('up1'), found.ids('up1'))
    # a registered network declares it once
    registered = Network('generator', Generator(), to_image=lambda output: (output + 1) / 2)
    assert torch.equal(compute(registered, tuples, 'up1', k=4, out=temporary()/'x', quiet=True)[2].images,
                       same[2].images)
    other = lambda output: (output + 1) / 3 # other images of the same latents are another result
    with expect_fail(MilanError, contains='(to_image)'):
        compute(Generator(), tuples, 'up1', k=4, to_image=other, batch_size=6, out=same.folder, quiet=True)
    darker = compute(Generator(), tuples, 'up1', k=4, to_image=other, batch_size=6, out=temporary()/'darker',
                     quiet=True)
    assert darker.lookup('up1', 2).images.max() < .7
    generator = Generator().eval()
    with torch.inference_mode():
        made = generator(codes, torch.arange(20) % 3)
        peaks = generator.up1((codes + generator.classes(torch.arange(20) % 3))[:, :, None, None]).amax((2, 3))
    assert np.array_equal(found.ids('up1')[2], peaks[:, 2].topk(4).indices)
    seen = found.view(size=16).lookup('up1', 2)
    test_close(seen.images, (made[seen.ids] + 1) / 2, eps=.5 / 255 + 1e-6)


# 15_any_network.ipynb, section "Images that are not square"
def test_images_that_are_not_square():
    wide = [torch.rand(3, 12, 30, generator=torch.Generator().manual_seed(i)) for i in range(8)]
    found = compute(small_network(), wide, ['conv1', 'conv2'], k=3, size=24, out=temporary()/'x', quiet=True)
    test_eq(found[0].images.shape, (3, 3, 24, 60))
    test_eq(found.lookup('conv2', 1).masks.shape, (3, 1, 24, 60))
    grey = compute(nn.Sequential(nn.Conv2d(1, 4, 3)), [image[:1] for image in wide], '0', k=3, size=None,
                   out=temporary()/'x', quiet=True)
    test_eq(grey.lookup(0, 1).images.shape, (3, 3, 12, 30))


# 15_any_network.ipynb, section "Faster: half precision, and channels last"
def test_faster_half_precision_and_channels_last():
    folder = temporary()
    full = compute(small_network(), Squares(), 'conv1', k=5, out=folder/'full', quiet=True)
    half = compute(small_network().to(torch.bfloat16), Squares(), 'conv1', k=5, out=folder/'half', quiet=True)
    cast = compute(small_network(), Squares(), 'conv1', k=5, autocast=torch.bfloat16, out=folder/'cast',
                   quiet=True)
    [float(np.abs(one.levels('conv1') - full.levels('conv1')).max()) for one in (half, cast)]

    float16 = compute(small_network().half(), Squares(), 'conv1', k=5, out=folder/'float16', quiet=True)
    for one in (half, cast, float16):
        test_eq(one.activations('conv1').dtype, np.float32)
        test_close(one.levels('conv1'), full.levels('conv1'), eps=.02)
        assert (one.activations('conv1') != full.activations('conv1')).any()
    network = small_network()
    last = compute(network, Squares(), 'conv1', k=5, channels_last=True, units={'conv1': [4, 1]},
                   out=folder/'last', quiet=True)
    assert np.array_equal(last.ids('conv1'), full.ids('conv1')[[1, 4]]) and network.conv1.weight.is_contiguous()
    test_close(last.levels('conv1'), full.levels('conv1')[[1, 4]], eps=1e-5)


# 15_any_network.ipynb, section "Networks of others"
@pytest.mark.slow
def test_networks_of_others_slow():
    import_torchvision()
    import timm
    import torchvision
    from transformers import ViTConfig, ViTModel

    folder, noise = temporary(), torch.rand(20, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    normalised = lambda images: (images - .45) / .225
    torch.manual_seed(0)
    resnet = torchvision.models.resnet18(weights=None)
    found = compute(resnet, noise, ['conv1', 'layer?'], k=3, transform=normalised, out=folder/'resnet',
                    quiet=True)
    test_eq(found.layers, ['conv1', 'layer1', 'layer2', 'layer3', 'layer4'])
    test_eq(len(found), 64 + 64 + 128 + 256 + 512)
    test_eq(found.lookup('layer4', 511).masks.shape, (3, 1, 224, 224))
    transformer = timm.create_model('vit_tiny_patch16_224', pretrained=False, img_size=64)
    found = compute(transformer, noise, 'blocks.*.mlp.fc1', units={'blocks.3.mlp.fc1': range(100)}, k=3,
                    out=folder/'vit', quiet=True)
    test_eq(len(found), 11 * 768 + 100)
    test_eq(np.load(found.folder/'blocks.3.mlp.fc1'/'maps.npy').shape, (100, 3, 4, 4))
    other = ViTModel(ViTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
                               image_size=64, patch_size=16))
    layers = ['layers.*.mlp.fc1', Layer('layers.*.attention.o_proj', input=True, readout=hooks.heads(4)),
              Layer('', select='last_hidden_state', label='states')]
    found = compute(other, noise, layers, k=3, transform=lambda images: {'pixel_values': normalised(images)},
                    out=folder/'other', quiet=True)
    test_eq([len(found.unit_numbers(layer)) for layer in found.layers], [48, 48, 4, 4, 24])
    shutil.rmtree(folder)
    found


# 15_any_network.ipynb, section "On a GPU"
@pytest.mark.gpu
def test_on_a_gpu_gpu():
    folder = temporary()
    found = [compute(small_network(), Squares(), ['conv1', 'conv2', 'head'], k=5, device=device, batch_size=8,
                     out=folder / device, quiet=True) for device in ('cpu', 'cuda')]
    for layer in found[0].layers:
        test_close(found[0].activations(layer), found[1].activations(layer), eps=1e-4)
        test_close(found[0].levels(layer), found[1].levels(layer), eps=1e-4)
        assert (found[0].ids(layer) == found[1].ids(layer)).mean() > .9 # near-ties may change places
