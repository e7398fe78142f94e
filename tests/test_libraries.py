# Generated from nbs/08_libraries.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from torch import nn
from milan.libraries import (
    _side,
    default_layers,
    from_huggingface,
    from_timm,
    from_torchvision,
    inner_layers,
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
from milan.hooks import resolve

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


# 08_libraries.ipynb, section "What a library tells"
def test_what_a_library_tells():
    nearest('resnet81', ['resnet18', 'resnet50', 'vgg16']), nearest('x', ['resnet18', 'vgg16'])

    default_layers(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 40, 3), nn.ReLU(), nn.Conv2d(40, 40, 3))))


# 08_libraries.ipynb, section "torchvision"
def test_torchvision():
    found = from_torchvision('squeezenet1_1', pretrained=False)
    found.name, found.layers[:4], found.size, found.mean, found.deviation

    with torch.device('meta'):
        test_eq(from_torchvision('efficientnet_b1', pretrained=False).size, 240)
        test_eq(from_torchvision('resnet152.IMAGENET1K_V1', pretrained=False).layers[:4], ['conv1', 'bn1', 'layer1', 'layer2'])
        test_eq(from_torchvision('vit_b_16.IMAGENET1K_SWAG_E2E_V1', pretrained=False).size, 224) # its weights are for 384, but without them it isn't
    with expect_fail(MilanError, contains='resnet18'): from_torchvision('resnet81')
    with expect_fail(MilanError, contains='IMAGENET1K_V1'): from_torchvision('resnet18.V3')


# 08_libraries.ipynb, section "timm"
def test_timm():
    found = from_timm('vit_tiny_patch16_224', pretrained=False)
    found.name, found.layers[:3], found.size, found.mean

    test_eq(resolve(found.module, found.layers), found.layers)
    with expect_fail(MilanError, contains='vit_tiny_patch16_224'): from_timm('vit_tiny_patch16_242')


# 08_libraries.ipynb, section "Hugging Face"
def test_hugging_face():
    deep = nn.Sequential()
    deep.stem, deep.encoder = nn.Conv2d(3, 4, 3), nn.Module()
    deep.encoder.stages = nn.ModuleList([nn.Conv2d(4, 40, 3), nn.Conv2d(40, 40, 3)])
    inner_layers(deep)

    test_eq(inner_layers(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3))), ['0', '1'])
    test_eq([_side(value) for value in (224, [224, 196], {'height': 384, 'width': 384}, {'shortest_edge': 256}, None)], [224, 224, 384, 256, None])

    with expect_fail(MilanError, contains='config.json'): from_huggingface(tempfile.mkdtemp(), pretrained=False)


# 08_libraries.ipynb, section "Hugging Face"
@pytest.mark.slow
def test_hugging_face_slow():
    import_torchvision()
    from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTImageProcessor, ViTModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder, sizes = Path(tempfile.mkdtemp()), {'hidden_size': 24, 'num_hidden_layers': 3, 'num_attention_heads': 4, 'intermediate_size': 48}
    vit = ViTModel(ViTConfig(**sizes, image_size=64, patch_size=16))
    vit.save_pretrained(folder/'vit')
    ViTImageProcessor(size={'height': 64, 'width': 64}, image_mean=[.5, .5, .5], image_std=[.25, .25, .25]).save_pretrained(folder/'vit')
    found = from_huggingface(str(folder/'vit'))
    test_eq((found.name, found.size, list(found.mean), list(found.deviation)), ('hf:vit', 64, [.5] * 3, [.25] * 3))
    assert all(torch.equal(value, found.module.state_dict()[name]) for name, value in vit.state_dict().items())
    random = from_huggingface(str(folder/'vit'), pretrained=False)
    assert not torch.equal(random.module.layers[0].mlp.fc1.weight, vit.layers[0].mlp.fc1.weight)
    config = CLIPConfig(vision_config=sizes | {'image_size': 32, 'patch_size': 8}, text_config=sizes | {'vocab_size': 50, 'bos_token_id': 0, 'eos_token_id': 1},
                        projection_dim=8)
    CLIPModel(config).save_pretrained(folder/'clip')
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        clip = from_huggingface(str(folder/'clip'), pretrained=False)
    assert any('as for ImageNet' in str(one.message) for one in said)
    with torch.inference_mode(): clip.module(torch.rand(1, 3, 32, 32))
    found.layers, clip.layers, clip.size

    import_torchvision()
    from transformers import BertConfig

    folder = tempfile.mkdtemp()
    BertConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48, vocab_size=50).save_pretrained(folder)
    with expect_fail(MilanError, contains='input_ids'): from_huggingface(folder, pretrained=False)
    with mock.patch.object(sys.modules[from_huggingface.__module__], '_reach_hub'), mock.patch('transformers.AutoConfig.from_pretrained', side_effect=OSError('no route to host')) as asked:
        with expect_fail(MilanError, contains='no route to host'): from_huggingface('nobody/nothing')
        test_eq([call.kwargs['local_files_only'] for call in asked.mock_calls], [True, False])    # first the cache, then the hub
        with mock.patch.dict('os.environ', MILAN_OFFLINE='1'), expect_fail(MilanError, contains='HF_HOME'): from_huggingface('nobody/nothing')
        test_eq(len(asked.mock_calls), 3)
    with mock.patch.dict(sys.modules, transformers=None), expect_fail(MilanError, contains='[clip]'): from_huggingface('nobody/nothing')
