# Generated from nbs/07_zoo.ipynb by `make export`. Edit the notebook, not this file.

from milan import architectures
from milan.config import MilanError
from milan.config import import_torchvision
from milan.weights import by_path
from torch import nn
import re
from milan.zoo import (
    _biggan,
    _densenet_names,
    _dino,
    Row,
    vgg_names,
    ZOO,
)
import pytest

import os
import tempfile
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from unittest import mock

import torch
from fastcore.test import expect_fail, test_eq

from milan.hooks import prefix_tokens, record, resolve, spatial

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


def shapes_of(network, layers, side):
    "Layer → shape of its units in space, for one image of `side` pixels."
    with torch.inference_mode(), record(network, layers) as recording:
        network(torch.zeros(1, 3, side, side, device=next(network.parameters()).device))
    return {layer: tuple(spatial(output, prefix=prefix_tokens(network)).shape[1:]) for layer, output in recording.outputs.items()}


def hollow(row):
    "A row's network on the meta device: all its shapes, none of its numbers."
    import_torchvision()
    if row.network.startswith('dino'): return row.make().eval().to('meta')    # timm computes a few numbers while it builds
    with torch.device('meta'): return row.make().eval()


# 07_zoo.ipynb, section "Weights"
def test_weights():
    def linear(): return nn.Sequential(nn.Linear(2, 3))


    os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    row = Row('linear', 'made-up', ('0',), linear)
    trained = linear()
    torch.save({'state_dict': {f'module.{name}': value for name, value in trained.state_dict().items()}}, row.file)
    assert torch.equal(row.build()[0].weight, trained[0].weight)
    row.key, row.file.name, row.state()

    assert not torch.equal(row.build(pretrained=False)[0].weight, trained[0].weight)
    torch.save({'0.weight': torch.zeros(3, 2)}, row.file)
    with expect_fail(MilanError, contains='linear-made-up.pth'): row.build()
    row.file.unlink()
    test_eq(row.state(), 'absent')
    with expect_fail(MilanError, contains='no file'): row.build()
    del os.environ['MILAN_MODELS_DIR']


# 07_zoo.ipynb, section "Names in old files"
def test_names_in_old_files():
    vgg_names()

    vgg16 = import_torchvision().models.vgg16
    with torch.device('meta'): network = vgg16(num_classes=3)
    for name, path in vgg_names().items():
        assert isinstance(network.get_submodule(path), nn.Conv2d if 'conv' in name else nn.Linear), name
    test_eq(_densenet_names('features.denseblock1.denselayer12.norm.1.running_mean'), 'features.denseblock1.denselayer12.norm1.running_mean')


# 07_zoo.ipynb, section "BigGAN"
def test_biggan():
    for pretrained in (True, False):
        with expect_fail(MilanError, contains="networks.register('biggan/places365'"): _biggan('places365').build(pretrained)
    try: _biggan('imagenet').make()
    except MilanError as error: print(error)


# 07_zoo.ipynb, section "DINO"
def test_dino():
    network = _dino()
    test_eq(sorted({re.sub(r'\d+', 'N', name) for name in network.state_dict()}),
            sorted(['cls_token', 'pos_embed', *(f'{name}.{kind}' for name in ('patch_embed.proj', 'norm', *(f'blocks.N.{part}' for part in (
                'normN', 'attn.qkv', 'attn.proj', 'mlp.fcN'))) for kind in ('weight', 'bias'))]))
    test_eq((network.pos_embed.shape, network.norm.eps, network.num_prefix_tokens), ((1, 785, 384), 1e-6, 1))
    sum(value.numel() for value in network.parameters())


# 07_zoo.ipynb, section "All of them"
def test_all_of_them():
    test_eq(len(ZOO), 15 + 15 + 4 + 1 + 2)
    [f'{key}: {" ".join(row.layers)}' for key, row in ZOO.items() if row.data != 'imagenet-blurred']

    torch.manual_seed(0)
    for key in ('squeezenet1_0/imagenet', 'shufflenet_v2_x1_0/imagenet', 'mobilenet_v2/imagenet-blurred'):
        network = ZOO[key].build(pretrained=False).eval()
        test_eq(list(shapes_of(network, ZOO[key].layers, 64)), list(ZOO[key].layers))
        with torch.inference_mode(): test_eq(network(torch.rand(1, 3, 64, 64)).shape, (1, 1000))
    list(shapes_of(network, ZOO[key].layers, 64).values())


# 07_zoo.ipynb, section "All of them"
@pytest.mark.slow
def test_all_of_them_slow():
    units, maps = {}, {}
    for key, row in ZOO.items():
        if row.network == 'biggan':
            with expect_fail(MilanError, contains=key): row.make()
            continue
        if row.data == 'imagenet-blurred' and row.layers == ZOO[f'{row.network}/imagenet'].layers: # the same network with other weights
            units[key] = units[f'{row.network}/imagenet']
            continue
        network = hollow(row)
        test_eq(resolve(network, row.layers), list(row.layers))
        shapes = shapes_of(network, row.layers, row.size)
        assert all(len(shape) == 3 and shape[1] == shape[2] for shape in shapes.values()), (key, shapes)
        sides = [shape[1] for shape in shapes.values()]
        assert sides == sorted(sides, reverse=True), (key, sides)
        units[key] = sum(shape[0] for shape in shapes.values())
        maps[key] = list(shapes.values())
    test_eq([units[key] for key in ('alexnet/imagenet', 'alexnet/places365', 'resnet152/imagenet', 'resnet152/places365')], [1152, 1376, 3904, 3904])
    test_eq((units['dino_vits8/imagenet'], maps['dino_vits8/imagenet'][3]), (12 * 1536, (1536, 28, 28)))
    units


# 07_zoo.ipynb, section "Files as they were published"
@pytest.mark.slow
def test_files_as_they_were_published_slow():
    def published(key, change):
        "Save made-up weights for an entry under changed names, load them, and say whether each parameter got its own."
        row = replace(ZOO[key], make=lambda: hollow(ZOO[key]).to_empty(device='cpu'))
        state = {name: torch.tensor(number, dtype=value.dtype).expand(value.shape) for number, (name, value) in enumerate(hollow(row).state_dict().items())}
        torch.save(change(state), row.file)
        loaded = row.build().state_dict()
        row.file.unlink()
        return loaded.keys() == state.keys() and all((loaded[name] == number).all() for number, name in enumerate(state) if 'tracked' not in name)


    def swapped(state, names):
        "The state with its modules' names changed."
        return {by_path(names)(name): value for name, value in state.items()}


    def untracked(state):
        "As before 2018."
        return {name: value for name, value in state.items() if 'tracked' not in name}


    os.environ['MILAN_MODELS_DIR'], os.environ['MILAN_MANIFESTS_DIR'] = tempfile.mkdtemp(), tempfile.mkdtemp() # only what is put there
    old_vgg = {new: old for old, new in vgg_names().items()}
    old_densenet = lambda name: re.sub(r'(denselayer\d+)\.(norm|conv)([12])\.', r'\1.\2.\3.', name)
    cases = {'resnet18/imagenet-blurred': lambda state: {'epoch': 90, 'arch': 'resnet18', 'state_dict': {f'module.{name}': value for name, value in state.items()}},
             'resnet18/places365': lambda state: {'state_dict': {f'module.{name}': value for name, value in untracked(state).items()}},
             'squeezenet1_0/imagenet': lambda state: state,
             'alexnet/imagenet': lambda state: swapped(state, {new: old for old, new in architectures.ALEXNET_NAMES.items() if old != 'linear8'}),
             'alexnet/places365': lambda state: {'state_dict': state},
             'alexnet/imagenet-blurred': lambda state: {'state_dict': {name.replace('features.', 'features.module.'): value for name, value in state.items()}},
             'vgg16/places365': lambda state: swapped(state, old_vgg),
             'densenet121/imagenet': lambda state: {old_densenet(name): value for name, value in untracked(state).items()},
             'resnet152/places365': untracked, 'dino_vits8/imagenet': lambda state: state}
    for key, change in cases.items(): assert published(key, change), key
    test_eq(list(swapped({'classifier.6.weight': 0, 'features.28.bias': 0}, old_vgg)), ['classifier.fc8a.weight', 'features.conv5_3.bias'])
    with expect_fail(MilanError, contains='resnet18-places365.pth doesn'): published('resnet18/places365', lambda state: {**state, 'fc.bias': torch.zeros(1000)})
    with expect_fail(MilanError, contains='lacks 1 (features.0.weight)'): published('squeezenet1_0/imagenet', lambda state: dict(list(state.items())[1:]))
    for variable in ('MILAN_MODELS_DIR', 'MILAN_MANIFESTS_DIR'): del os.environ[variable]

    os.environ['MILAN_MODELS_DIR'], os.environ['TORCH_HOME'] = tempfile.mkdtemp(), tempfile.mkdtemp()
    row = ZOO['squeezenet1_0/imagenet']
    with mock.patch('torch.hub.download_url_to_file', side_effect=OSError('no route to host')), redirect_stdout(StringIO()):
        with expect_fail(MilanError, contains='squeezenet1_0-imagenet.pth yourself'): row.build()
    with mock.patch.dict('os.environ', MILAN_OFFLINE='1'), expect_fail(MilanError, contains='MILAN_OFFLINE is set'): row.build()
    test_eq(row.state(), 'absent')
    cache, trained = Path(torch.hub.get_dir())/'checkpoints', row.make().state_dict()
    cache.mkdir(parents=True, exist_ok=True)
    torch.save(trained, cache/import_torchvision().models.SqueezeNet1_0_Weights.IMAGENET1K_V1.url.rpartition('/')[2])
    test_eq(row.state(), 'ready')
    loaded = row.build().state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in trained.items())
    torch.save({name: value + 1 for name, value in trained.items()}, row.file)    # and a file of one's own outweighs it
    assert torch.equal(row.build().state_dict()['features.0.bias'], trained['features.0.bias'] + 1)
    for variable in ('MILAN_MODELS_DIR', 'TORCH_HOME'): del os.environ[variable]
