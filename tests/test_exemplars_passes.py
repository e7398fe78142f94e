# Generated from nbs/05_exemplars/20_passes.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.passes import (
    Pass,
)

import torch
from fastcore.test import test_eq

from milan import networks
from milan.hooks.layers import layers_of
from milan.images.sets import ShapeScenes


# 20_passes.ipynb, section "One pass"
def test_one_pass():
    network, scenes = networks.load('planted/shapes', pretrained=False), ShapeScenes(5)
    run = Pass(network, layers_of(network.module, ['colours']), scenes, 3, True)
    with torch.inference_mode(): batches = list(run.run('maps'))
    [(ids.tolist(), tuple(maps['colours'].shape)) for ids, maps in batches]

    images = torch.stack([scenes[number] for number in range(5)]) / 255
    test_eq(torch.cat([maps['colours'] for _, maps in batches]), network.module.colours(images))
