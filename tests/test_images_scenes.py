# Generated from nbs/02_images/04_scenes.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
import numpy as np
from milan.images.scenes import (
    _outline,
    concept_masks,
    concepts,
    draw_scene,
    SHAPES,
)

import shutil
import time

from fastcore.test import test_eq


# 04_scenes.ipynb, section "What a scene is made of"
def test_what_a_scene_is_made_of():
    concepts()

    test_eq(len(set(concepts())), 26)

    x, y = np.meshgrid(*[np.linspace(-1, 1, 101)] * 2)
    for name, inside in SHAPES.items(): assert 0.15 < inside(x, y).mean() < 0.8, name


# 04_scenes.ipynb, section "Drawing"
def test_drawing():
    np.vstack([np.hstack([_outline(kind, 8, 0.1) for kind in ('star', 'cross', 'letter A')])]).astype(int).sum()

    Image.fromarray(np.vstack([np.hstack([draw_scene(8 * row + i).image for i in range(8)]) for row in range(3)]))

    [region.phrase for region in draw_scene(0).regions + draw_scene(1).regions]

    again = draw_scene(5)
    test_eq(draw_scene(5).image, again.image)
    assert (draw_scene(6).image != again.image).any() and (draw_scene(5, seed=1).image != again.image).any()
    test_eq(draw_scene(5, size=96).image.shape, (96, 96, 3))
    for index in range(30):
        regions = draw_scene(index).regions
        assert 1 <= len(regions) <= 3 and sum(region.mask.astype(int) for region in regions).max() == 1
        for region in regions: assert set(region.words) <= set(concepts()) and region.words[0] in region.phrase

    start = time.perf_counter()
    for index in range(200): draw_scene(index)
    f'{200 / (time.perf_counter() - start):.0f} scenes a second'


# 04_scenes.ipynb, section "Where each concept is"
def test_where_each_concept_is():
    {concept: int(mask.sum()) for concept, mask in concept_masks(draw_scene(1)).items()}

    masks = concept_masks(draw_scene(1))
    for region in draw_scene(1).regions:
        for word in region.words: assert (masks[word] >= region.mask).all()
