# Generated from nbs/04_networks/02_zoo.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.config import import_torchvision
from milan.networks.weights import by_path
from torch import nn
import re
from milan.networks.zoo import (
    _biggan,
    _block,
    _cached,
    _convolutions,
    _densenet_names,
    _dino,
    _layers_of,
    _maker,
    _STAGES,
    _torchvision_weights,
    ALEXNET_NAMES,
    named_alexnet,
    old_alexnet,
    old_resnet,
    vgg_names,
    ZOO,
    ZooEntry,
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
from fastcore.test import expect_fail, test_close, test_eq

from milan.hooks.layers import prefix_tokens, resolve, spatial
from milan.hooks.recording import record

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

CONVOLUTIONS = [f'conv{number}' for number in range(1, 6)]


def shapes_of(network, layers, side):
    "Layer → shape of its units in space for one image of `side` pixels."
    with torch.inference_mode(), record(network, layers) as recording:
        network(torch.empty(1, 3, side, side, device=next(network.parameters()).device))
    return {layer: tuple(spatial(output, prefix=prefix_tokens(network)).shape[1:]) for layer,
            output in recording.outputs.items()}


def hollow(entry):
    "The network of an entry on the meta device: all its shapes, none of its numbers."
    import_torchvision()
    # timm computes a few numbers while it builds
    if entry.network.startswith('dino'): return entry.make().eval().to('meta')
    with torch.device('meta'): return entry.make().eval()


# 02_zoo.ipynb, section "AlexNet with named layers"
def test_alexnet_with_named_layers():
    with torch.device('meta'): network = named_alexnet()
    shapes = shapes_of(network, CONVOLUTIONS, 224)
    test_eq(sum(shape[0] for shape in shapes.values()), 1152)
    shapes

    theirs = import_torchvision().models.alexnet(num_classes=10).eval()
    with torch.device('meta'): ours = named_alexnet(10).eval()
    renamed = {f'{ALEXNET_NAMES[name.rpartition(".")[0]]}.{name.rpartition(".")[2]}': value for name,
               value in theirs.state_dict().items()}
    ours.load_state_dict(renamed, assign=True)
    image = torch.rand(1, 3, 70, 70)
    with torch.inference_mode(): assert torch.equal(ours(image), theirs(image))


# 02_zoo.ipynb, section "The AlexNet of 2012"
def test_the_alexnet_of_2012():
    with torch.device('meta'): parts = _convolutions(True)
    test_eq(list(parts)[:5], ['conv1', 'relu1', 'pool1', 'lrn1', 'conv2'])

    with torch.device('meta'): network = old_alexnet()
    shapes = shapes_of(network, CONVOLUTIONS, 224)
    test_eq(sum(shape[0] for shape in shapes.values()), 1376)    # as many as MILANNOTATIONS have
    shapes

    expected = 96 * (3 * 121 + 1) + 256 * (48 * 25 + 1) + 384 * (256 * 9 + 1)
    expected += 384 * (192 * 9 + 1) + 256 * (192 * 9 + 1)
    expected += 4096 * (9216 + 1) + 4096 * (4096 + 1) + 365 * (4096 + 1)
    test_eq(sum(value.numel() for value in network.parameters()), expected)
    test_eq(shapes_of(network, ['pool5'], 227), {'pool5': (256, 6, 6)})
    test_eq(shapes_of(network, ['pool5', 'fc8'], 224), {'pool5': (256, 5, 5), 'fc8': (365, 1, 1)})
    assert torch.equal(network.avgpool.to('cpu')(cells := torch.rand(2, 4, 6, 6)), cells)
    with torch.device('meta'):
        names = [name for name, _ in old_alexnet(response_normalisation=True).named_children()]
    test_eq(names[:5], ['conv1', 'relu1', 'pool1', 'lrn1', 'conv2'])
    expected


# 02_zoo.ipynb, section "The ResNet-152 of Places365"
def test_the_resnet_152_of_places365():
    with torch.device('meta'): block = _block(64, 64, 2, first=True)
    test_eq(block(torch.empty(1, 64, 8, 8, device='meta')).shape, (1, 256, 4, 4))

    with torch.device('meta'): network = old_resnet()
    shapes = shapes_of(network, ['0', '4', '5', '6', '7'], 224)
    test_eq(sum(shape[0] for shape in shapes.values()), 3904)    # as many as MILANNOTATIONS have
    shapes

    torch.manual_seed(0)
    resnet = import_torchvision().models.resnet
    theirs, ours = resnet.ResNet(resnet.Bottleneck, [2, 1, 1, 1],
                                 num_classes=7).eval(), old_resnet(7, (2, 1, 1, 1)).eval()
    for module in theirs.modules(): # statistics as if it had seen something
        if isinstance(module, nn.BatchNorm2d): module.running_mean.normal_(); module.running_var.uniform_(.5, 2)
    inner = {'conv1': '0.0', 'bn1': '0.1', 'conv2': '0.3', 'bn2': '0.4', 'conv3': '0.6', 'bn3': '0.7',
             'downsample.0': '1.0', 'downsample.1': '1.1'}
    names = {'conv1': '0', 'bn1': '1', 'fc': '10.1'}
    names |= {f'layer{stage}.{block}.{name}': f'{stage + 3}.{block}.0.{new}' for stage in range(1, 5)
              for block in range(2) for name, new in inner.items()}
    ours.load_state_dict({f'{names[name.rpartition(".")[0]]}.{name.rpartition(".")[2]}': value for name,
                          value in theirs.state_dict().items()})
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode(): test_close(ours(image), theirs(image), eps=1e-5)
    assert {'4.0.0.0.0.weight', '4.0.0.1.0.weight', '10.1.weight'} <= set(ours.state_dict())


# 02_zoo.ipynb, section "Weights"
def test_weights():
    with mock.patch.dict('os.environ', MILAN_OFFLINE='1', TORCH_HOME=tempfile.mkdtemp()):
        assert not _cached('squeezenet1_0')
        with expect_fail(MilanError, contains='squeezenet1_0-imagenet.pth yourself'):
            _torchvision_weights('squeezenet1_0')

    def linear(): return nn.Sequential(nn.Linear(2, 3))


    os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    entry = ZooEntry('linear', 'made-up', ('0',), linear)
    trained = linear()
    torch.save({'state_dict': {f'module.{name}': value for name, value in trained.state_dict().items()}},
               entry.file)
    assert torch.equal(entry.build()[0].weight, trained[0].weight)
    entry.key, entry.file.name, entry.state()

    assert not torch.equal(entry.build(pretrained=False)[0].weight, trained[0].weight)

    torch.save({'0.weight': torch.zeros(3, 2)}, entry.file)
    with expect_fail(MilanError, contains='linear-made-up.pth'): entry.build()

    entry.file.unlink()
    test_eq(entry.state(), 'absent')
    with expect_fail(MilanError, contains='no file'): entry.build()
    del os.environ['MILAN_MODELS_DIR']


# 02_zoo.ipynb, section "Names in old files"
def test_names_in_old_files():
    vgg_names()

    vgg16 = import_torchvision().models.vgg16
    with torch.device('meta'): network = vgg16(num_classes=3)
    for name, path in vgg_names().items():
        assert isinstance(network.get_submodule(path), nn.Conv2d if 'conv' in name else nn.Linear), name
    test_eq(_densenet_names('features.denseblock1.denselayer12.norm.1.running_mean'),
            'features.denseblock1.denselayer12.norm1.running_mean')


# 02_zoo.ipynb, section "BigGAN"
def test_biggan():
    for pretrained in (True, False):
        with expect_fail(MilanError, contains="networks.register('biggan/places365'"):
            _biggan('places365').build(pretrained)
    try: _biggan('imagenet').make()
    except MilanError as error: print(error)


# 02_zoo.ipynb, section "DINO"
def test_dino():
    network = _dino()
    test_eq(sorted({re.sub(r'\d+', 'N', name) for name in network.state_dict()}),
            sorted(['cls_token', 'pos_embed',
                    *(f'{name}.{kind}' for name in ('patch_embed.proj', 'norm', *(f'blocks.N.{part}' for part in (
                'normN', 'attn.qkv', 'attn.proj', 'mlp.fcN'))) for kind in ('weight', 'bias'))]))
    test_eq((network.pos_embed.shape, network.norm.eps, network.num_prefix_tokens), ((1, 785, 384), 1e-6, 1))
    sum(value.numel() for value in network.parameters())


# 02_zoo.ipynb, section "All of them"
def test_all_of_them():
    with torch.device('meta'): test_eq(resolve(_maker('resnet18', 7)(), _layers_of('resnet18')), list(_STAGES))
    _layers_of('vgg16')

    test_eq(len(ZOO), 15 + 15 + 4 + 1 + 2)
    [f'{key}: {" ".join(entry.layers)}' for key, entry in ZOO.items() if entry.data != 'imagenet-blurred']

    torch.manual_seed(0)
    for key in ('squeezenet1_0/imagenet', 'shufflenet_v2_x1_0/imagenet', 'mobilenet_v2/imagenet-blurred'):
        network = ZOO[key].build(pretrained=False).eval()
        test_eq(list(shapes_of(network, ZOO[key].layers, 64)), list(ZOO[key].layers))
        with torch.inference_mode(): test_eq(network(torch.rand(1, 3, 64, 64)).shape, (1, 1000))
    list(shapes_of(network, ZOO[key].layers, 64).values())


# 02_zoo.ipynb, section "All of them"
@pytest.mark.slow
def test_all_of_them_slow():
    units, maps = {}, {}
    for key, entry in ZOO.items():
        if entry.network == 'biggan':
            with expect_fail(MilanError, contains=key): entry.make()
            continue
        # the same network with other weights
        if entry.data == 'imagenet-blurred' and entry.layers == ZOO[f'{entry.network}/imagenet'].layers:
            units[key] = units[f'{entry.network}/imagenet']
            continue
        network = hollow(entry)
        test_eq(resolve(network, entry.layers), list(entry.layers))
        shapes = shapes_of(network, entry.layers, entry.size)
        assert all(len(shape) == 3 and shape[1] == shape[2] for shape in shapes.values()), (key, shapes)
        sides = [shape[1] for shape in shapes.values()]
        assert sides == sorted(sides, reverse=True), (key, sides)
        units[key] = sum(shape[0] for shape in shapes.values())
        maps[key] = list(shapes.values())
    test_eq([units[key] for key in ('alexnet/imagenet', 'alexnet/places365', 'resnet152/imagenet',
                                    'resnet152/places365')], [1152, 1376, 3904, 3904])
    test_eq((units['dino_vits8/imagenet'], maps['dino_vits8/imagenet'][3]), (12 * 1536, (1536, 28, 28)))
    units


# 02_zoo.ipynb, section "Files as they were published"
@pytest.mark.slow
def test_files_as_they_were_published_slow():
    def published(key, change):
        "Save made-up weights under changed names, load them, and check each parameter."
        entry = replace(ZOO[key], make=lambda: hollow(ZOO[key]).to_empty(device='cpu'))
        state = {name: torch.tensor(number, dtype=value.dtype).expand(value.shape) for number,
                 (name, value) in enumerate(hollow(entry).state_dict().items())}
        torch.save(change(state), entry.file)
        loaded = entry.build().state_dict()
        entry.file.unlink()
        return loaded.keys() == state.keys() and all((loaded[name] == number).all() for number,
                                                     name in enumerate(state) if 'tracked' not in name)


    def swapped(state, names):
        "The state with its modules' names changed."
        return {by_path(names)(name): value for name, value in state.items()}


    def untracked(state):
        "As before 2018."
        return {name: value for name, value in state.items() if 'tracked' not in name}


    # only what is put there
    os.environ['MILAN_MODELS_DIR'], os.environ['MILAN_MANIFESTS_DIR'] = tempfile.mkdtemp(), tempfile.mkdtemp()
    old_vgg = {new: old for old, new in vgg_names().items()}
    old_densenet = lambda name: re.sub(r'(denselayer\d+)\.(norm|conv)([12])\.', r'\1.\2.\3.', name)
    cases = {'resnet18/imagenet-blurred': lambda state: {'epoch': 90, 'arch': 'resnet18',
                                                         'state_dict': {f'module.{name}': value for name,
                                                                        value in state.items()}},
             'resnet18/places365': lambda state: {'state_dict': {f'module.{name}': value for name,
                                                                 value in untracked(state).items()}},
             'squeezenet1_0/imagenet': lambda state: state,
             'alexnet/imagenet': lambda state: swapped(state,
                                                       {new: old for old, new in ALEXNET_NAMES.items()
                                                        if old != 'linear8'}),
             'alexnet/places365': lambda state: {'state_dict': state},
             'alexnet/imagenet-blurred': lambda state: {'state_dict': {name.replace('features.',
                                                                                    'features.module.'): value
                                                                       for name, value in state.items()}},
             'vgg16/places365': lambda state: swapped(state, old_vgg),
             'densenet121/imagenet': lambda state: {old_densenet(name): value for name,
                                                    value in untracked(state).items()},
             'resnet152/places365': untracked, 'dino_vits8/imagenet': lambda state: state}
    for key, change in cases.items(): assert published(key, change), key
    test_eq(list(swapped({'classifier.6.weight': 0, 'features.28.bias': 0}, old_vgg)),
            ['classifier.fc8a.weight', 'features.conv5_3.bias'])
    with expect_fail(MilanError, contains='resnet18-places365.pth doesn'):
        published('resnet18/places365', lambda state: {**state, 'fc.bias': torch.zeros(1000)})
    with expect_fail(MilanError, contains='lacks 1 (features.0.weight)'):
        published('squeezenet1_0/imagenet', lambda state: dict(list(state.items())[1:]))
    for variable in ('MILAN_MODELS_DIR', 'MILAN_MANIFESTS_DIR'): del os.environ[variable]

    os.environ['MILAN_MODELS_DIR'], os.environ['TORCH_HOME'] = tempfile.mkdtemp(), tempfile.mkdtemp()
    entry = ZOO['squeezenet1_0/imagenet']
    with mock.patch('torch.hub.download_url_to_file',
                    side_effect=OSError('no route to host')), redirect_stdout(StringIO()):
        with expect_fail(MilanError, contains='squeezenet1_0-imagenet.pth yourself'): entry.build()
    with mock.patch.dict('os.environ',
                         MILAN_OFFLINE='1'), expect_fail(MilanError, contains='MILAN_OFFLINE is set'):
        entry.build()
    test_eq(entry.state(), 'absent')
    cache, trained = Path(torch.hub.get_dir())/'checkpoints', entry.make().state_dict()
    cache.mkdir(parents=True, exist_ok=True)
    torch.save(trained,
               cache/import_torchvision().models.SqueezeNet1_0_Weights.IMAGENET1K_V1.url.rpartition('/')[2])
    test_eq(entry.state(), 'ready')
    loaded = entry.build().state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in trained.items())
    # a file of your own takes precedence
    torch.save({name: value + 1 for name, value in trained.items()}, entry.file)
    assert torch.equal(entry.build().state_dict()['features.0.bias'], trained['features.0.bias'] + 1)
    for variable in ('MILAN_MODELS_DIR', 'TORCH_HOME'): del os.environ[variable]
