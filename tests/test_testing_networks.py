# Generated from nbs/15_command/20_small_networks.ipynb by `make export`. Edit the notebook, not this file.

import numpy as np
import torch
from milan.testing.networks import (
    batch_of_squares,
    block_network,
    Counting,
    deep_network,
    EitherColour,
    Residual,
    seeing_network,
    small_network,
    Squares,
)

from fastcore.test import test_eq
from PIL import Image

image, channel = Squares()[0]
test_eq((len(Squares()), image.shape), (40, (3, 24, 24)))
channel

test_eq(batch_of_squares(2).shape, (2, 3, 24, 24))

Image.fromarray(np.hstack([Squares()[index][0].permute(1, 2, 0).numpy().repeat(3, 0).repeat(3, 1)
                           for index in range(6)]))

images = torch.stack([image for image, _ in Squares()])
test_eq((len(Squares()), images.shape, images.dtype), (40, (40, 3, 24, 24), torch.uint8))
for image, strongest in Squares(): test_eq(int(image.amax((1, 2)).argmax()), strongest)
test_eq(small_network()(images.float() / 255).shape, (40, 4))
assert torch.equal(small_network().head.weight, small_network().head.weight)


# 20_small_networks.ipynb, section "Networks whose units are known or counted"
def test_networks_whose_units_are_known_or_counted():
    global images
    images = torch.stack([Squares()[index][0] for index in range(6)]).float() / 255
    assert torch.equal(seeing_network()(images).argmax(1), images.amax((2, 3)).argmax(1))
    seeing_network()(images).argmax(1)

    test_eq(Residual(3).eval()(torch.rand(1, 3, 8, 8)).shape, (1, 3, 8, 8))

    counting = Counting(Residual(3).eval())
    counting(torch.rand(1, 3, 8, 8))
    counting.runs

    deep, images = deep_network(), torch.rand(2, 3, 24, 24)
    assert torch.equal(deep(images), deep_network()(images))
    [getattr(deep, name).runs for name in ('stem', 'early', 'late', 'head')]

    test_eq(block_network()(torch.zeros(1, 3, 16, 16)).shape, (1, 5))

    maps = EitherColour()(torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert (maps.unflatten(1, (2, -1))[:, 1] >= maps.unflatten(1, (2, -1))[:, 0]).all()
    maps.shape
