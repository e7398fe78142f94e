# Generated from nbs/05_exemplars/13_command.ipynb by `make export`. Edit the notebook, not this file.

from dataclasses import fields
from milan.exemplars.masks import MaskRule
from milan.networks.registry import load as load_network
import inspect
from milan.exemplars.command import (
    _option,
    check_images,
    chosen_layers,
    find,
    load_inputs,
    mask_options,
    parse_ranking,
    parse_units,
    read_arguments,
    take_rule,
)

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_eq
from PIL import Image
from safetensors.torch import save_file

from milan.config import MilanError

def noise_folder():
    "A folder of six pictures of seeded noise."
    folder = Path(tempfile.mkdtemp())/'pictures'
    folder.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder/f'{number}.png')
    return folder


# 13_command.ipynb, section "Units"
def test_units():
    parse_units(['blocks.3:0-2', 'blocks.3:7,9', 'head:1'])

    test_eq(parse_units(['blocks.3:0-2', 'blocks.3:7,9', 'head:1']), {'blocks.3': [0, 1, 2, 7, 9], 'head': [1]})
    test_eq(parse_units(None), None)
    for wrong in ('blocks.3', 'a:3-1', 'a:x', ':3', 'a:' + '9' * 5000):
        with expect_fail(MilanError, contains='cannot be read'): parse_units([wrong])


# 13_command.ipynb, section "A network and images, by name"
def test_a_network_and_images_by_name():
    folder = noise_folder()
    network, pictures = load_inputs('planted/shapes', str(folder), 'cpu', random_weights=True)
    network.name, len(pictures)

    test_eq(len(pictures), 6)
    with expect_fail(MilanError, contains='nowhere'): check_images('nowhere')
    shutil.rmtree(folder.parent)


# 13_command.ipynb, section "Layers"
def test_layers():
    network = load_network('planted/shapes', pretrained=False)
    folder = Path(tempfile.mkdtemp())
    (folder/'cfg.json').write_text('{"architecture": "topk", "k": 2}')
    channels = network.module.shapes.out_channels
    save_file({'W_enc': torch.eye(channels), 'b_enc': torch.zeros(channels), 'b_dec': torch.zeros(channels)},
              folder/'sae_weights.safetensors')
    [layer.name for layer in chosen_layers(network, ['shapes'], dictionary=folder)]

    test_eq([layer.name for layer in chosen_layers(network)], network.layers)
    test_eq([layer.name for layer in chosen_layers(network, None, {'shapes': [1]})], ['shapes'])
    with expect_fail(MilanError, contains='none was given'): chosen_layers(network, dictionary=folder)
    with expect_fail(MilanError, contains='these are'): chosen_layers(network, ['*'], dictionary=folder)
    with expect_fail(MilanError, contains='no saved dictionary'):
        chosen_layers(network, ['shapes'], dictionary=folder/'none')


# 13_command.ipynb, section "Options of masks"
def test_options_of_masks():
    {option.name: option.default for option in mask_options()}

    values = {'k': 4} | vars(MaskRule(.9))
    test_eq((take_rule(values), values), (MaskRule(.9), {'k': 4}))
    test_eq({option.name for option in mask_options()}, {field.name for field in fields(MaskRule)})
    assert all(option.help for option in mask_options())


# 13_command.ipynb, section "Ranked by relevance"
def test_ranked_by_relevance():
    parse_ranking('relevance', '3', 'gradient'), parse_ranking('activation', None, 'epsilon_plus')

    test_eq(parse_ranking('relevance', 'predicted', 'gradient')['rank_by'].target, 'predicted')
    with expect_fail(MilanError, contains="'-1'"): parse_ranking('relevance', '-1', 'gradient')


# 13_command.ipynb, section "The command"
def test_the_command():
    folder = noise_folder()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        find('planted/shapes', str(folder), k=2, random_weights=True, device='cpu', keep_maxima=True,
             out=folder.parent/'set')
    printed.getvalue().split(':')[0]

    assert (folder.parent/'set'/'exemplars.json').exists()
    test_eq(len(list((folder.parent/'set').glob('*/maxima.npy'))), 4)
    shutil.rmtree(folder.parent)

    folder = noise_folder()
    with contextlib.redirect_stdout(io.StringIO()):
        find('planted/shapes', str(folder), ['shapes'], k=2, random_weights=True, device='cpu',
             rank_by='relevance', target='3', relevance_rule='gradient', out=folder.parent/'set')
    assert '"rule": "gradient"' in (folder.parent/'set'/'exemplars.json').read_text()
    with expect_fail(MilanError, contains='target='):
        find('planted/shapes', str(folder), random_weights=True, device='cpu', rank_by='relevance')
    shutil.rmtree(folder.parent)

    options = {name: _option(one) for name, one in inspect.signature(find).parameters.items()}
    test_eq(options['k'], {'type': int, 'default': 15})
    test_eq([options[name]['type'] for name in ('out', 'drop_tokens', 'device')], [Path, int, str])
    options['bottom']

    given = read_arguments(['planted/shapes', 'shapes', '-l', 'shapes', '--k', '4', '--bottom', '--out', 'here',
                            '--size', '64', '--quantile', '.9'])
    given['layers'], given['k'], given['masks']

    test_eq([given[name] for name in ('layers', 'k', 'bottom', 'out', 'masks')],
            [['shapes'], 4, True, Path('here'), MaskRule(.9, size=64)])

    defaults = {name: one.default for name, one in inspect.signature(find).parameters.items()}
    plain = read_arguments(['planted/shapes', 'shapes'])
    test_eq(plain, defaults | {'network': 'planted/shapes', 'images': 'shapes'})
