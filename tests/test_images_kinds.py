# Generated from nbs/02_images/09_kinds.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.images.edits import as_bytes
from milan.images.folders import ImageSet
from milan.images.kinds import (
    kinds_of,
    same_things,
    shape_kinds,
)

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from PIL import Image

from milan.images.drawing import compose
from milan.images.sets import ShapeScenes


# 09_kinds.ipynb, section "Ten kinds of things"
def test_ten_kinds_of_things():
    found = shape_kinds(400)
    sides = same_things(found, each=(20, 5, 5), things=3, size=48)
    Image.fromarray(torch.cat([*torch.cat([side.images[:5] for side in sides])], 2).permute(1, 2, 0).numpy())

    test_eq([np.bincount(side.labels).tolist() for side in sides], [[20] * 4, [5] * 4, [5] * 4])
    test_eq([len(set(side.things)) for side in sides], [12, 12, 12])
    test_eq((sides[1].images.shape, sides[1].masks.shape), ((20, 3, 48, 48), (20, 48, 48)))
    assert set(sides[0].things) == set(sides[2].things) and not torch.equal(sides[1].images, sides[2].images)
    for row, label in zip(found.pictures.table['group'].tolist(), found.labels):
        assert row not in sides[0].things or sides[0].labels[sides[0].things.index(row)] == label

    assert sides[0].things != same_things(found, each=(20,), things=3, size=48, seed=1)[0].things
    with expect_fail(MilanError, contains='things = 0'): same_things(found, things=0)

    table = found.pictures.table.assign(category=['animals/birds', 'food/fruit'] * (len(found.pictures) // 2)
                                        + ['sports'] * (len(found.pictures) % 2))
    sorted_ = ImageSet('sorted', table, as_bytes(found.pictures).permute(0, 2, 3, 1).numpy(),
                       np.full((len(table), 512), 255, np.uint8))
    two = kinds_of(sorted_, {'bird': 'animals/birds', 'fruit': 'food/fruit'})
    test_eq((two.names, two.labels[:4].tolist()), (['bird', 'fruit'], [0, 1, 0, 1]))

    with expect_fail(MilanError, contains='no picture with a mask of mammal'): kinds_of(sorted_)
