# Generated from nbs/13_experiments/08_annotated.ipynb by `make export`. Edit the notebook, not this file.

from milan import exemplars
from milan import networks
from milan.annotations.simulated import ABSTAIN
from milan.captioner.encoder import PyramidEncoder
from milan.config import MilanError
from milan.hooks.layers import Unit
import numpy as np
import torch
from milan.experiments.annotated import (
    _pretrained,
    _small_network,
    annotate_units,
    AnnotatedUnits,
    features_of,
    LAYERS,
    load_annotated,
    missing_sets,
    noun_classes,
    OTHER,
    PictureSet,
    resized,
    scene_pictures,
    simulated_sets,
    SimulatedAnnotations,
    toy_networks,
)

import os
import tempfile
import warnings

from fastcore.test import expect_fail, test_close, test_eq

from milan.testing import THREE, annotated_set

warnings.filterwarnings('ignore', message='IProgress') # a warning of a progress-bar library


def scenes_and_planted():
    "Generated scenes for annotators, a network with planted colours, and its exemplars."
    pictures = PictureSet.of(*scene_pictures(80))
    planted = networks.load('planted/shapes', 'cpu', pretrained=False)
    layers, out = ['colours', 'shapes', 'textures'], tempfile.mkdtemp() + '/planted'
    return pictures, planted, exemplars.compute(planted, pictures.images, layers, k=10, out=out, quiet=True)


# 08_annotated.ipynb, section "A network's annotated units"
def test_a_network_s_annotated_units():
    one = AnnotatedUnits('toy', [Unit('layer', 0)], [['dogs', 'a dog', 'dogs']], torch.zeros(1, 5, 12))
    test_eq((len(one), one.key == AnnotatedUnits('other', *list(vars(one).values())[1:4]).key), (1, False))

    toys = toy_networks(['first', 'second'])
    test_eq(toy_networks(['first', 'second'])['second'].key, toys['second'].key)
    assert toys['first'].annotations != toys['second'].annotations
    toys['first'].annotations[:2], tuple(toys['first'].features.shape)


# 08_annotated.ipynb, section "Simulated annotators"
def test_simulated_annotators():
    test_eq(len(SimulatedAnnotations([('conv', 1)], [['a cup'] * 3], None, asked=4, named=1)), 1)

    letters, things = scene_pictures(80, ['letter'])
    assert 0 < len(letters) < 80
    test_eq(all('letter' in one for one in things), True)

    pictures, planted, found = scenes_and_planted()
    annotated = annotate_units(found, pictures)
    list(zip(annotated.units, annotated.annotations))[:3], (annotated.named, annotated.asked)

    pairs = [(planted.planted['colours'][unit.unit], ' '.join(texts))
             for unit, texts in zip(annotated.units, annotated.annotations) if unit.layer == 'colours']
    assert np.mean([c in text for c, text in pairs if c in ('red', 'green', 'blue', 'yellow', 'purple')]) > .5
    test_eq((len(annotated.regions), annotated.named), (10 * len(annotated), len(annotated)))
    test_eq(annotate_units(found, pictures).annotations, annotated.annotations)
    assert all(len(three) == 3 and ABSTAIN not in three for three in annotated.annotations)

    test_eq(len(annotate_units(found, pictures, count=10)), 10)
    with expect_fail(MilanError, contains='can name only'): annotate_units(found.select(['textures']), pictures)


# 08_annotated.ipynb, section "Features"
def test_features():
    pictures, planted, found = scenes_and_planted()
    annotated = annotate_units(found, pictures)
    encoder = PyramidEncoder(planted, ['colours', 'shapes'])
    both = {'planted': annotated, 'some of it': annotate_units(found, pictures, count=10)}
    features = features_of(encoder, pictures, both, keep=False)
    tuple(features['planted'].shape)

    shapes = found.select(['shapes']).unit_numbers('shapes').size
    test_eq(features['planted'].shape, (len(annotated), 10, 12 + shapes))
    test_eq(features['some of it'].shape[:2], (10, 10))

    regions = annotated.regions
    by_hand = encoder.read(pictures.images[int(regions.ids[0])][None], regions.masks[0][None, None].float())
    test_close(features['planted'][0, 0], by_hand[0], 1e-2)


# 08_annotated.ipynb, section "Small networks, trained here"
def test_small_networks_trained_here():
    test_eq(resized(8)(torch.rand(2, 3, 16, 16)).shape, (2, 3, 8, 8))

    words = [frozenset({'dog', 'animal'}), frozenset({'cat', 'animal'}), frozenset({'cat'}), frozenset()]
    classes, numbers = noun_classes(words, least=2)
    test_eq((set(classes), numbers[3]), ({'animal', 'cat'}, None))
    with expect_fail(MilanError, contains='at least two'): noun_classes([frozenset({'dog'})] * 5, least=3)
    test_eq(resized(64)(torch.rand(2, 3, 112, 112)).shape, (2, 3, 64, 64))
    classes, numbers

    test_eq(_small_network('cnn', 3, 4, 64, 0)(torch.rand(1, 3, 64, 64)).shape, (1, 3))
    test_eq(_small_network('vit', 3, 4, 64, 0)(torch.rand(1, 3, 64, 64)).shape, (1, 3))


# 08_annotated.ipynb, section "The sets of a profile"
def test_the_sets_of_a_profile():
    made = _pretrained({'planted'}, 'cpu')
    test_eq((list(made), made['planted'].layers), (['planted'], LAYERS['planted']))

    os.environ['MILAN_RESULTS_DIR'] = os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    sets, pictures, overview = simulated_sets('smoke', ['planted', 'cnn', 'generator'], device='cpu')
    overview

    test_eq([one.features.shape[:2] for one in sets.values()], [(len(one), 8) for one in sets.values()])
    test_eq(list(sets), [f'{name}{ending}' for ending in ('', OTHER) for name in ('planted', 'cnn', 'generator')])
    halves = [pictures['photographs'].half(number) for number in (0, 1)]
    assert not set(halves[0].images.table.group) & set(halves[1].images.table.group)
    test_eq(sum(len(one.words) for one in halves), len(pictures['photographs'].words))
    test_eq(len({sets[name].features.shape[2] for name in sets}), 1)

    again, _, _ = simulated_sets('smoke', ['planted', 'cnn', 'generator'], device='cpu')
    test_eq([again[name].key for name in sets], [sets[name].key for name in sets])
    for name in ('MILAN_RESULTS_DIR', 'MILAN_MODELS_DIR'): del os.environ[name]


# 08_annotated.ipynb, section "The published annotations"
def test_the_published_annotations():
    os.environ['MILAN_DATA_DIR'] = tempfile.mkdtemp()
    lines = missing_sets(['alexnet/imagenet', 'resnet152/places365'])
    test_eq(sum('milan data fetch milannotations-' in line for line in lines), 2)
    assert any('images of alexnet/imagenet' in line for line in lines)
    del os.environ['MILAN_DATA_DIR']
    [line.split(':')[0] for line in lines]

    load_annotated(annotated_set(*THREE))
