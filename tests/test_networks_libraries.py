# Generated from nbs/04_networks/04_libraries.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.networks.network import IMAGENET_DEVIATION
from milan.networks.network import IMAGENET_MEAN
from milan.networks.network import identity
from torch import nn
from milan.networks.libraries import (
    _input_of,
    _model,
    _network,
    _reach_hub,
    _side,
    from_huggingface,
    from_timm,
    from_torchvision,
    nearest,
)
import pytest

import sys
import tempfile
import warnings
from pathlib import Path
from unittest import mock

import torch
from fastcore.test import expect_fail, test_eq

from milan.config import import_torchvision
from milan.hooks.layers import resolve

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


# 04_libraries.ipynb, section "Unknown names"
def test_unknown_names():
    nearest('resnet81', ['resnet18', 'resnet50', 'vgg16']), nearest('x', ['resnet18', 'vgg16'])

    test_eq(_network('x', nn.Identity(), [], 8, None, None).transform, identity)


# 04_libraries.ipynb, section "torchvision"
def test_torchvision():
    found = from_torchvision('squeezenet1_1', pretrained=False)
    mean = torch.tensor(IMAGENET_MEAN)[:, None, None]
    assert not found.transform(mean).any()
    found.name, found.layers[:4], found.size

    with torch.device('meta'):
        test_eq(from_torchvision('efficientnet_b1', pretrained=False).size, 240)
        test_eq(from_torchvision('resnet152.IMAGENET1K_V1', pretrained=False).layers[:4],
                ['conv1', 'bn1', 'layer1', 'layer2'])
        # its weights are for 384, but without them it isn't
        test_eq(from_torchvision('vit_b_16.IMAGENET1K_SWAG_E2E_V1', pretrained=False).size, 224)

    with expect_fail(MilanError, contains='resnet18'): from_torchvision('resnet81')
    with expect_fail(MilanError, contains='IMAGENET1K_V1'): from_torchvision('resnet18.V3')


# 04_libraries.ipynb, section "timm"
def test_timm():
    found = from_timm('vit_tiny_patch16_224', pretrained=False)
    found.name, found.layers[:3], found.size

    test_eq(resolve(found.module, found.layers), found.layers)
    with expect_fail(MilanError, contains='vit_tiny_patch16_224'): from_timm('vit_tiny_patch16_242')


# 04_libraries.ipynb, section "Hugging Face"
def test_hugging_face():
    sides = [_side(value) for value in (224, [224, 196], {'height': 384, 'width': 384}, {'shortest_edge': 256},
                                        None)]
    test_eq(sides, [224, 224, 384, 256, None])

    import_torchvision()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        test_eq(_input_of(tempfile.mkdtemp(), None, True), (224, IMAGENET_MEAN, IMAGENET_DEVIATION))
    assert 'as for ImageNet' in str(caught[-1].message)

    import_torchvision()
    with expect_fail(ValueError, contains='model_type'): _model(tempfile.mkdtemp(), True, True)
    with mock.patch('huggingface_hub.get_session',
                    side_effect=ValueError('no route')), expect_fail(OSError, contains='no route'):
        _reach_hub()

    with expect_fail(MilanError, contains='config.json'): from_huggingface(tempfile.mkdtemp(), pretrained=False)


# 04_libraries.ipynb, section "Hugging Face"
@pytest.mark.slow
def test_hugging_face_slow():
    import_torchvision()
    from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTImageProcessor, ViTModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder, sizes = Path(tempfile.mkdtemp()), {'hidden_size': 24, 'num_hidden_layers': 3,
                                               'num_attention_heads': 4, 'intermediate_size': 48}
    vit = ViTModel(ViTConfig(**sizes, image_size=64, patch_size=16))
    vit.save_pretrained(folder/'vit')
    ViTImageProcessor(size={'height': 64, 'width': 64}, image_mean=[.5, .5, .5],
                      image_std=[.25, .25, .25]).save_pretrained(folder/'vit')
    found = from_huggingface(str(folder/'vit'))
    test_eq((found.name, found.size), ('hf:vit', 64))
    assert torch.equal(found.transform(torch.ones(1, 3, 2, 2)), torch.full((1, 3, 2, 2), 2.))
    assert all(torch.equal(value, found.module.state_dict()[name]) for name, value in vit.state_dict().items())
    random = from_huggingface(str(folder/'vit'), pretrained=False)
    assert not torch.equal(random.module.layers[0].mlp.fc1.weight, vit.layers[0].mlp.fc1.weight)
    config = CLIPConfig(vision_config=sizes | {'image_size': 32, 'patch_size': 8}, text_config=sizes
                        | {'vocab_size': 50, 'bos_token_id': 0, 'eos_token_id': 1},
                        projection_dim=8)
    CLIPModel(config).save_pretrained(folder/'clip')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        clip = from_huggingface(str(folder/'clip'), pretrained=False)
    assert any('as for ImageNet' in str(one.message) for one in caught)
    with torch.inference_mode(): clip.module(torch.rand(1, 3, 32, 32))
    found.layers, clip.layers, clip.size


# 04_libraries.ipynb, section "Errors"
@pytest.mark.slow
def test_errors_slow():
    import_torchvision()
    from transformers import BertConfig

    folder = tempfile.mkdtemp()
    BertConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
               vocab_size=50).save_pretrained(folder)
    with expect_fail(MilanError, contains='input_ids'): from_huggingface(folder, pretrained=False)
    with mock.patch.object(sys.modules[from_huggingface.__module__],
                           '_reach_hub'), mock.patch('transformers.AutoConfig.from_pretrained',
                           side_effect=OSError('no route to host')) as asked:
        with expect_fail(MilanError, contains='no route to host'): from_huggingface('no-owner/no-model')
        # first the cache, then the hub
        test_eq([call.kwargs['local_files_only'] for call in asked.mock_calls], [True, False])
        with mock.patch.dict('os.environ', MILAN_OFFLINE='1'), expect_fail(MilanError, contains='HF_HOME'):
            from_huggingface('no-owner/no-model')
        test_eq(len(asked.mock_calls), 3)
    with mock.patch.dict(sys.modules, transformers=None), expect_fail(MilanError, contains='[clip]'):
        from_huggingface('no-owner/no-model')
