# Generated from nbs/04_shapes.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
import numpy as np
import torch
from milan.shapes import (
    _auroc,
    _outline,
    check_planted,
    COLOURS,
    concept_masks,
    concepts,
    disc,
    draw_scene,
    fit,
    made_up_exemplars,
    made_up_folder,
    planted_network,
    PlantedNetwork,
    SHAPES,
    small_network,
    Squares,
)
import pytest

import shutil
import time

from fastcore.test import test_eq


# 04_shapes.ipynb, section "What a scene is made of"
def test_what_a_scene_is_made_of():
    concepts()

    test_eq(len(set(concepts())), 26)
    x, y = np.meshgrid(*[np.linspace(-1, 1, 101)] * 2)
    for name, inside in SHAPES.items(): assert 0.15 < inside(x, y).mean() < 0.8, name


# 04_shapes.ipynb, section "Drawing"
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


# 04_shapes.ipynb, section "Where each concept is"
def test_where_each_concept_is():
    {concept: int(mask.sum()) for concept, mask in concept_masks(draw_scene(1)).items()}

    masks = concept_masks(draw_scene(1))
    for region in draw_scene(1).regions:
        for word in region.words: assert (masks[word] >= region.mask).all()


# 04_shapes.ipynb, section "A network with planted units"
def test_a_network_with_planted_units():
    network = PlantedNetwork().eval()
    [tuple(part.shape) for part in network.maps(torch.rand(2, 3, 64, 64))], sum(len([c for c in cs if c]) for cs in network.planted.values())

    network = PlantedNetwork().eval()
    image = torch.full((1, 3, 64, 64), 0.5)
    image[0, :, 20:44, 20:44] = torch.tensor(COLOURS['orange'])[:, None, None] / 255
    answers = network.colours(image)[0].amax((1, 2))
    test_eq(network.planted['colours'][answers[:9].argmax()], 'orange')
    assert answers[1] > 0.99 and answers[[0, 2, 3, 4, 5, 6, 7, 8]].max() < 0.5
    answers


# 04_shapes.ipynb, section "Fitting the rest"
@pytest.mark.training
def test_fitting_the_rest():
    random_one = planted_network(pretrained=False)
    assert torch.equal(random_one.textures.weight, PlantedNetwork(0).textures.weight)
    quick = PlantedNetwork()
    before = fit(quick, count=64, epochs=1)
    after = fit(quick, count=128, epochs=3)
    before, after

    assert after < before
    assert not torch.equal(quick.textures.weight, random_one.textures.weight)
    assert torch.equal(quick.colours.centres, random_one.colours.centres)


# 04_shapes.ipynb, section "Do the units find what was planted?"
def test_do_the_units_find_what_was_planted():
    colours_only = check_planted(planted_network(pretrained=False), scenes=200)
    colours_only[colours_only['layer'] == 'colours'].round(3)

    by_layer = colours_only.groupby('layer')['hits'].mean()
    test_eq(by_layer['colours'], 1.0)
    assert by_layer['letters'] < 0.6
    test_eq(_auroc(np.array([1., 2., 2., 3.]), np.array([False, False, True, True])), 0.875)


# 04_shapes.ipynb, section "Do the units find what was planted?"
@pytest.mark.slow
@pytest.mark.training
def test_do_the_units_find_what_was_planted_slow():
    measured = check_planted(planted_network())
    assert (measured['hits'] >= 0.9).all() and (measured['auroc'] > 0.85).all()
    measured.round(3)


# 04_shapes.ipynb, section "Smaller still"
def test_smaller_still():
    Image.fromarray(np.hstack([Squares()[index][0].permute(1, 2, 0).numpy().repeat(3, 0).repeat(3, 1) for index in range(6)]))

    images = torch.stack([image for image, _ in Squares()])
    test_eq((len(Squares()), images.shape, images.dtype), (40, (40, 3, 24, 24), torch.uint8))
    for image, strongest in Squares(): test_eq(int(image.amax((1, 2)).argmax()), strongest)
    test_eq(small_network()(images.float() / 255).shape, (40, 4))
    assert torch.equal(small_network().head.weight, small_network().head.weight)

    photographs, found = made_up_folder(), made_up_exemplars()
    Image.fromarray(np.hstack(np.load(found/'blocks.10'/'images.npy')[1].transpose(0, 2, 3, 1)))

    test_eq(sorted(str(path.relative_to(photographs)) for path in photographs.rglob('*.jpg')), ['blue/0.jpg', 'blue/2.jpg', 'red/1.jpg'])
    test_eq(disc().getpixel((24, 32)), (220, 40, 30, 255))
    images, masks = (np.load(found/'blocks.2'/f'{name}.npy') for name in ('images', 'masks'))
    test_eq((images.shape, masks.shape), ((4, 6, 3, 64, 64), (4, 6, 1, 64, 64)))
    assert masks.any((2, 3, 4)).all() and (images[0].transpose(0, 2, 3, 1)[masks[0, :, 0] > 0].std(0) == 0).all()
    for folder in (photographs.parent, found): shutil.rmtree(folder)
