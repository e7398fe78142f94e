# Generated from nbs/04_networks/06_files.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.config import import_torchvision
from milan.networks import libraries
from milan.networks.network import normalised
from torch import nn
import torch
from milan.networks.files import (
    _below,
    _function,
    _imported,
    _numbers,
    _only_builds,
    _parsed,
    _require_modest,
    _require_trust,
    from_file,
    from_library,
    is_library,
    NetworkFile,
    read_file,
)

import tempfile
from pathlib import Path

from fastcore.test import expect_fail, test_eq

path = Path(tempfile.mkdtemp())/'net.yaml'


# 06_files.ipynb, section "Networks of libraries"
def test_networks_of_libraries():
    network = from_library('timm:vit_tiny_patch16_224', pretrained=False)
    assert is_library('hf:owner/model') and not is_library('resnet18/imagenet') and not is_library('timm:')
    network.name, network.size, network.layers[:3]

    images = torch.rand(1, 3, 4, 4)
    test_eq(network.transform(images), normalised((.5, .5, .5), (.5, .5, .5))(images))

    resnet = from_library('torchvision:resnet18', pretrained=False)
    test_eq(resnet.transform(images), normalised(libraries.IMAGENET_MEAN, libraries.IMAGENET_DEVIATION)(images))
    test_eq(resnet.layers, ['conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4.0', 'layer4.1', 'fc'])


# 06_files.ipynb, section "The fields of a file"
def test_the_fields_of_a_file():
    NetworkFile(name='pets/oxford', build='torchvision.models:resnet18', arguments={'num_classes': 37})


# 06_files.ipynb, section "What may be run"
def test_what_may_be_run():
    assert _below('torch.nn') and _below('torch.nn.modules.conv') and not _below('torch.nnx')

    assert _only_builds(nn.Conv2d) and _only_builds(import_torchvision().models.resnet18)
    assert not any(map(_only_builds, [torch.load, nn.utils.clip_grad_norm_,
                                      import_torchvision().models.get_model_weights]))

    path.write_text('name: pets/oxford')
    with expect_fail(ValueError, contains='no file'): _parsed(path.with_name('absent.yaml'))
    _parsed(path)

    with expect_fail(MilanError, contains='could run any code'): _require_trust('os:system', path, _below('os'))

    path.write_text('name: pets/oxford\nbuild: torch.nn:Linear\narguments: {in_features: 3, out_features: 4}')
    read_file(path)


# 06_files.ipynb, section "Building it"
def test_building_it():
    assert _imported('torch.nn', path, trust=False) is nn

    assert _function('torch.nn:Linear', path, trust=False) is nn.Linear
    with expect_fail(MilanError, contains="no function 'Liner'"): _function('torch.nn:Liner', path, trust=False)

    list(_numbers({'a': [1, {'b': 2.5}], 'c': 'x'}))

    large = NetworkFile(name='a', build='torch.nn:Linear',
                        arguments={'in_features': 99_999, 'out_features': 99_999})
    with expect_fail(MilanError, contains='9,999,900,000 parameters'): _require_modest(nn.Linear, large, path)

    described = NetworkFile(name='squeeze/none', build='torchvision:squeezenet1_1', layers=['features.3'],
                            size=96)
    from_file(described, path, pretrained=False)
