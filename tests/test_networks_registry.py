# Generated from nbs/04_networks/07_registry.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.networks.network import Network
from milan.networks.network import identity
from milan.networks.network import imagenet
from torch import nn
import torch
from milan.networks.registry import (
    _installed,
    _registry,
    as_network,
    Entry,
    load,
    load_named,
    names,
    register,
    register_file,
    table,
)
import pytest

import os
import shutil
import tempfile
import warnings
from pathlib import Path

from fastcore.test import expect_fail, test_eq

from milan.hooks.layers import resolve

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


# 07_registry.ipynb, section "The registry"
def test_the_registry():
    entry = Entry(lambda pretrained: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), [], 16, identity)
    test_eq((entry.network('one', False).layers, entry.state()), (['0'], 'registered'))

    def build(pretrained): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))


    register('two-convolutions/none', build, ['0', '2'], size=16)
    assert 'two-convolutions/none' in names()
    _registry['two-convolutions/none'].network('two-convolutions/none', pretrained=False).layers


# 07_registry.ipynb, section "The paper's networks"
def test_the_paper_s_networks():
    [name for name in names() if 'places365' in name]

    entry = _registry['squeezenet1_0/imagenet']
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        network = entry.network('squeezenet1_0/imagenet', pretrained=False)
        network.module.eval()
        assert torch.equal(network(images), network.module(imagenet(images)))

    test_eq(network.layers, [f'features.{number}' for number in (0, 3, 4, 5, 7, 8, 9, 10, 12)])


# 07_registry.ipynb, section "EfficientNet-Lite"
def test_efficientnet_lite():
    lite = _registry['efficientnet_lite0/imagenet']
    test_eq((_installed('torch')(), _installed('no_such_package')()), ('ready', 'absent'))
    lite.size, lite.layers[-2:], lite.weights


# 07_registry.ipynb, section "Planted units"
def test_planted_units():
    test_eq(_registry['planted/shapes'].network('planted/shapes', False).layers,
            ['colours', 'textures', 'shapes', 'letters'])


# 07_registry.ipynb, section "Networks in files"
def test_networks_in_files():
    folder = Path(tempfile.mkdtemp())
    code = '''
from torch import nn

def make(width): return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 2, 3))
'''
    (folder/'own_network.py').write_text(code)
    torch.manual_seed(0)
    trained = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 3))
    renamed = {f'model.trunk.{name}' if name[0] == '0' else f'model.{name}': value for name,
               value in trained.state_dict().items()}
    torch.save({'state_dict': renamed}, folder/'own.pth')
    description = """
name: own/pictures
build: own_network:make
arguments: {width: 5}
weights: own.pth
prefix: model.
rename: {trunk.0: '0'}
layers: ['?']
size: 32
mean: [0.5, 0.5, 0.5]
std: [0.25, 0.25, 0.25]
"""
    (folder/'own.yaml').write_text(description)
    name = register_file(folder/'own.yaml', trust=True)
    own = _registry[name].network(name, pretrained=True)
    own.name, own.layers, own.size

    images = torch.rand(1, 3, 9, 9)
    assert torch.equal(own(images), trained((images - .5) / .25))
    test_eq(own.layers, ['0', '1', '2'])
    assert not torch.equal(_registry[name].network(name, pretrained=False).module[0].weight, trained[0].weight)
    test_eq((_registry[name].state(), _registry[name].weights), ('ready', 'file own.pth'))
    (folder/'library.yaml').write_text('name: squeeze/none\nbuild: torchvision:squeezenet1_1\nlayers: '
                                       '["features.3"]')
    squeeze = _registry[register_file(folder/'library.yaml')].network('squeeze/none', pretrained=False)
    assert torch.equal(squeeze.transform(images), imagenet(images))
    test_eq((squeeze.layers, squeeze.size), (['features.3'], 224))
    (folder/'package.yaml').write_text('name: package/none\nbuild: torchvision.models:squeezenet1_1\narguments: '
                                       '{num_classes: 3}')
    package = _registry[register_file(folder/'package.yaml')].network('package/none', pretrained=True)
    test_eq(package.module.classifier[1].out_channels, 3)

    def wrong(change):
        "The description with one line changed or added, in a file."
        lines = [line for line in description.splitlines() if not line.startswith(change.partition(':')[0] + ':')]
        (folder/'wrong.yaml').write_text('\n'.join([*lines, change]))
        return folder/'wrong.yaml'


    for change, said in {'layer: [a]': 'may give name, build', 'size: large': 'size: ',
                         'name: own pictures': 'name: ', 'name: vgg16/places365': 'of the registry',
                         'std: [1, 2]': 'std: ', 'build: timm:vit_tiny_patch16_224': 'arguments go with',
                         'rename: {1: 2}': 'rename', 'layers: [': 'YAML',
                         'build: ../own:make': 'build: '}.items():
        with expect_fail(MilanError, contains=said): register_file(wrong(change), trust=True)
    (folder/'wrong.yaml').write_text('name: own/pictures')
    with expect_fail(MilanError, contains='must give name and build'): register_file(folder/'wrong.yaml')
    with expect_fail(MilanError, contains='absent.yaml'): register_file(folder/'absent.yaml')
    torch.save({'0.weight': trained[0].weight.detach()}, folder/'other.pth')
    for change, said in {'build: own_network:mak': "no function 'mak'", 'build: no_such_network:make': 'neither',
                         'arguments: {height: 3}': 'TypeError',
                         'weights: absent.pth': 'absent.pth', 'weights: other.pth': 'lacks',
                         'layers: ["7"]': "no layer '7'",
                         'build: own_network:nn': 'no function'}.items():
        name = register_file(wrong(change), trust=True)
        with expect_fail(MilanError, contains=said): _registry[name].network(name, pretrained=True)
    shutil.rmtree(folder)


# 07_registry.ipynb, section "Loading"
def test_loading():
    lite = load('efficientnet_lite0/imagenet', 'cpu', pretrained=False)
    lite.layers[0], lite.layers[-1], lite.size, lite(torch.rand(1, 3, 64, 64)).shape

    test_eq(len(lite.layers), 17)

    for name in lite.layers: lite.module.get_submodule(name)
    for key in ('efficientnet_lite1/imagenet', 'efficientnet_lite2/imagenet'):
        network = load(key, 'cpu', pretrained=False)
        test_eq(network.layers[-2], f'_blocks.{len(network.module._blocks) - 1}')
    assert not lite.module.training and not any(value.requires_grad for value in lite.module.parameters())

    register('known/none', lambda pretrained: nn.Conv2d(3, 4, 3), [''], size=16)
    test_eq(load_named('known/none', 'captioner.json', 'cpu').size, 16)
    with expect_fail(MilanError, contains='not opened'): load_named('folder/net.yaml', 'captioner.json')

    os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    trained = load('efficientnet_lite0/imagenet', 'cpu')
    images = torch.stack([torch.full((3, 224, 224), 0.5),
                          torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))])
    probabilities = trained(images).softmax(1)
    del os.environ['MILAN_MODELS_DIR']
    probabilities.argmax(1).tolist(), probabilities.amax(1)

    trained, read = load('efficientnet_lite0/imagenet', 'cpu'), {}
    extremes = lambda name: lambda module, inputs, output: read.update({name: output.amax().item()})
    for name in ('_bn1', '_swish'): trained.module.get_submodule(name).register_forward_hook(extremes(name))
    trained(torch.rand(4, 3, 224, 224, generator=torch.Generator().manual_seed(1)).round())
    assert read['_swish'] <= 6 < read['_bn1']
    read

    for key in ('torchvision:resnet18', 'timm:vit_tiny_patch16_224'):
        network = load(key, 'cpu', pretrained=False)
        for name in network.layers: network.module.get_submodule(name)
        test_eq(network(torch.rand(1, 3, network.size, network.size)).shape, (1, 1000))
    network.layers


# 07_registry.ipynb, section "All registered networks"
def test_all_registered_networks():
    found = table()
    test_eq(found['name'].tolist(), names())
    shown = found[found['name'].str.contains('alexnet|biggan|efficientnet|planted')]
    shown.drop(columns=['download', 'state']).reset_index(drop=True)

    states = found.set_index('name')['state']
    test_eq((states['biggan/imagenet'], states['planted/shapes'], states['efficientnet_lite0/imagenet']),
            ('missing', 'ready', 'ready'))
    assert set(found['state']) <= {'ready', 'absent', 'missing', 'registered'}
    assert (found['download'] == (found['state'] == 'absent')).all()

    os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    test_eq(table().set_index('name')['download'][['alexnet/places365', 'biggan/imagenet']].tolist(),
            [True, False])

    (Path(os.environ['MILAN_MODELS_DIR'])/'alexnet-places365.pth').touch()
    test_eq(table().set_index('name')['state']['alexnet/places365'], 'ready')
    del os.environ['MILAN_MODELS_DIR']


# 07_registry.ipynb, section "Your own module"
def test_your_own_module():
    own = as_network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    own.name, own.layers

    test_eq(own.layers, ['0', '2'])

    images = torch.rand(1, 3, 9, 9)
    assert torch.equal(own(images), own.module(images))
    assert as_network(own) is own
    with expect_fail(MilanError, contains='ndarray is no network'): as_network(images.numpy())


# 07_registry.ipynb, section "Without any download"
@pytest.mark.slow
def test_without_any_download_slow():
    small = [name for name in names() if name.startswith(('squeezenet', 'shufflenet', 'mobilenet', 'efficientnet',
                                                          'planted', 'resnet18', 'densenet121'))]
    for name in small:
        network = load(name, 'cpu', pretrained=False)
        test_eq(resolve(network.module, network.layers), network.layers)
        with torch.inference_mode(): assert network(torch.rand(1, 3, 64, 64)).isfinite().all(), name
    small


# 07_registry.ipynb, section "Without any download"
def test_without_any_download():
    class Generator(nn.Module):
        "A code and a class → an image in [-1, 1]."
        def __init__(self):
            super().__init__()
            self.classes, self.layer0, self.layer1 = nn.Embedding(3,
                                                                  8), nn.ConvTranspose2d(8, 6,
                                                                  4), nn.ConvTranspose2d(6, 3, 4, 4)

        def forward(self, z, y):
            return torch.tanh(self.layer1(self.layer0((z + self.classes(y))[:, :, None, None]).relu()))


    register('small-generator/none', lambda pretrained: Generator(), ['layer0', 'layer1'], size=16,
             to_image=lambda images: (images + 1) / 2)
    generator = load('small-generator/none', 'cpu')
    made = generator.to_image(generator.module(*generator.transform((torch.zeros(2, 8), torch.tensor([0, 2])))))
    assert made.shape == (2, 3, 16, 16) and 0 <= made.min() <= made.max() <= 1
    generator.layers


# 07_registry.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='efficientnet_lite0/imagenet'): load('efficientnet_lite0/imagnet')
    with expect_fail(MilanError, contains='resnet18'): load('torchvision:resnet81')
    with expect_fail(MilanError, contains='vit_tiny_patch16_224'): load('timm:vit_tiny_patch16_242')
    with expect_fail(MilanError, contains='planted/shapes'): load('planted/shape')
    with expect_fail(MilanError, contains='networks.register'): load('biggan/imagenet')
    with expect_fail(MilanError, contains='nowhere.yaml'): load('nowhere.yaml')
    with expect_fail(MilanError, contains='hf:'): load('google/vit-base-patch16-224')
    register('one-convolution/none', lambda pretrained: nn.Conv2d(3, 4, 3), [''], size=16)
    test_eq(load('one-convolution/none', 'cpu').size, 16)
    planted = load('planted/shapes', 'cpu', pretrained=False)
    test_eq(sorted(planted.planted), sorted(planted.layers))
    for layer in planted.layers: planted.module.get_submodule(layer)
    test_eq(planted.planted['colours'][0], 'red')

    home = Path(tempfile.mkdtemp())
    def loaded(text, **given):
        "The network of a file with this text, or the error message."
        (home/'net.yaml').write_text(text)
        try: return load(str(home/'net.yaml'), 'cpu', **given)
        except MilanError as error: return str(error)


    (home/'own.py').write_text("from pathlib import Path\nfrom torch import "
                               f"nn\nPath({str(home/'ran')!r}).touch()\ndef make(): return nn.Conv2d(3, 4, 3)\n")
    shutil.copy(home/'own.py', home/'torch.nn.py')
    for build in ('os:system', 'subprocess:run', 'own:make', 'builtins:exec', 'torch:load', 'torch.hub:load',
                  'torch.utils.cpp_extension:load', 'torch.serialization:load',
                  'transformers:pipeline', 'timm:create_model', 'timm.models:load_checkpoint',
                  'torchvision.models:get_model_weights', 'torch.nn:os', 'torch.nn.modules.module:torch',
                  'torch.nn.utils:clip_grad_norm_', 'torchvision.models._api:import_module', 'torch.nnx:Conv2d',
                  'timm.models._registry:register_model'):
        message = loaded(f"name: a/b\nbuild: {build}\narguments: {{command: 'touch {home}/ran'}}\n")
        assert isinstance(message, str) and 'net.yaml' in message and not (home/'ran').exists(), (build, message)
    assert isinstance(loaded('name: a/b\nbuild: torch.nn:Conv2d\narguments: {in_channels: 3, out_channels: 4, '
                             'kernel_size: 3}'), Network)
    assert not (home/'ran').exists() # nor was torch.nn.py, which is in the same folder
    assert isinstance(loaded('name: a/b\nbuild: own:make', trust=True), Network) and (home/'ran').exists()

    home = Path(tempfile.mkdtemp())
    good, bad = 'name: a/b\nbuild: torch.nn:Linear\narguments: {in_features: 3, out_features: 4}\n', []
    for text in ('', '[]', '3', 'a: *b', 'x: &a [1]\ny: *a', '[' * 5000, '\x00', 'name: a/b', good + 'name2: x',
                 'name: ../b\nbuild: torch.nn:Linear', 'name: 3\nbuild: torch.nn:Linear',
                 'name: a/b\nbuild: 3', 'name: a/b\nbuild: torchvision:\n', 'name: a/b\nbuild: torchvision:../x',
                 'name: a/b\nbuild: timm:local-dir:/tmp', good + 'size: 0',
                 good + 'size: 1000000000', good + 'size: true', good + 'mean: [.5, .5, .5]',
                 good + 'mean: [.5, .5, .inf]\nstd: [1, 1, 1]', good + 'mean: [0, 0, 0]\nstd: [0, 1, 1]',
                 good + 'layers: conv1', good + 'layers: [1]', good + 'weights: [a]',
                 good + 'weights: absent.pth', good + 'prefix: 3', good + 'rename: [a]', '2024-99-99',
                 '!!python/object/apply:os.system [ls]',
                 'name: a/b\nbuild: torch.nn:Linear\narguments: {in_features: 99999, out_features: 99999}',
                 'name: a/b\nbuild: torch.nn:Linear\narguments: {in_features: 1000000000000, out_features: 1}',
                 'name: a/b\nbuild: torch.nn:Linear\narguments: {in_features: -1, out_features: x}',
                 'name: a/b\nbuild: torch.nn:Linear\narguments: 3',
                 'name: a/b\nbuild: torchvision.models:resnet18\narguments: {weights: nonsense}',
                 "name: a/b\nbuild: timm.models:resnet18\narguments: {pretrained_cfg: {file: /etc/passwd}}"):
        (home/'net.yaml').write_text(text)
        with expect_fail(MilanError, contains='net.yaml' if 'torchvision:' not in text and 'timm:' not in text
                         and 'absent' not in text else ''):
            load(str(home/'net.yaml'), 'cpu')
    (home/'net.yaml').write_bytes(b'\xff\xfe\x00')
    with expect_fail(MilanError, contains='net.yaml'): load(str(home/'net.yaml'))
    for place in (home, home/'no.yaml', Path(os.devnull)):
        with expect_fail(MilanError, contains=str(place)): register_file(place)

    home = Path(tempfile.mkdtemp())
    (home/'net.yaml').write_text('name: a/b\nbuild: torch.nn:Conv2d\narguments: {in_channels: 3, out_channels: '
                                 '4, kernel_size: 3}')
    for key in (str(home/'net.yaml'), 'net.yaml', '', 'hf:/etc', 'hf:../x/y', f'hf:{home}',
                'timm:hf-hub:someone/model', 'timm:local-dir:/tmp', 'torchvision:../x', 'planted/shape',
                'x' * 9999, 'hf:a\n/b'):
        with expect_fail(MilanError, contains='their captioner.json'): load_named(key, 'their captioner.json')
    os.makedirs(home/'owner'/'model')
    before = os.getcwd()
    os.chdir(home)
    with expect_fail(MilanError, contains='not opened'): load_named('hf:owner/model', 'their captioner.json')
    os.chdir(before)
    register('known/none', lambda pretrained: nn.Conv2d(3, 4, 3), [''], size=16)
    test_eq(load_named('known/none', 'x', 'cpu').name, 'known/none')
