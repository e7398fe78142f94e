# Generated from nbs/10_describers/02_clip_dissect.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.clip import image_vectors
from milan.captioner.clip import text_vectors
from milan.config import MilanError
import numpy as np
import torch
from milan.describers.clip_dissect import (
    clip_similarity,
    ClipDissectDescriber,
    describe_by_clip,
    soft_wpmi,
)

import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan import exemplars, networks
from milan.captioner.clip import Clip
from milan.concepts.observations import observe, pack_concepts
from milan.concepts.segmentations import Scenes
from milan.images.sets import ShapeScenes
from milan.testing import colour_clip, plain_pictures, small_clip

warnings.filterwarnings('ignore', message='IProgress') # of libraries' progress bars

def plain_example():
    "Ninety plain pictures in three colours, exemplars of the planted colour units, and a describer."
    torch.manual_seed(0)
    shown = list((255 * plain_pictures(['red', 'green', 'gray'] * 30, 64)).to(torch.uint8))
    planted = networks.load('planted/shapes', pretrained=False)
    found = exemplars.compute(planted, shown, ['colours'], k=15, size=64, quiet=True, keep_maxima=True,
                              out=Path(tempfile.mkdtemp())/'found')
    words = ['gray things', 'red things', 'green things']
    return planted.planted['colours'], found, ClipDissectDescriber(shown, words, colour_clip(), top=20)


# 02_clip_dissect.ipynb, section "Soft WPMI"
def test_soft_wpmi():
    similarity = torch.tensor([[.9, .1], [.8, .2], [.1, .9], [.2, .7]])
    activations = torch.tensor([[5., 0.], [4., 1.], [0., 6.], [1., 7.]])
    soft_wpmi(similarity, activations, images=2)

    def naive_soft_wpmi(similarity, activations, k):
        "The formula in double precision."
        given = np.zeros((activations.shape[1], similarity.shape[1]))
        for unit in range(activations.shape[1]):
            for rank, image in enumerate(np.argsort(-activations[:, unit])[:k]):
                p = np.exp(10 * similarity[image]) / np.exp(10 * similarity[image]).sum()
                given[unit] += np.log(1 + (.998 - rank / k * .028) * (p - 1) + 1e-7)
        return given - np.log(np.exp(given).mean(0))


    generator = np.random.default_rng(0)
    similarity, activations = generator.normal(.2, .05, (30, 6)), generator.normal(size=(30, 4))
    expected = naive_soft_wpmi(similarity, activations, 5)
    test_close(soft_wpmi(similarity, activations, 5).numpy(), expected, eps=1e-4)
    test_eq(soft_wpmi(similarity, activations).shape, (4, 6))


# 02_clip_dissect.ipynb, section "Similarities"
def test_similarities():
    clip = Clip(*small_clip())
    scenes, texts = Scenes(ShapeScenes(10)), ['red', 'a ring', 'stripes']
    similarity = clip_similarity(clip, scenes, texts, batch_size=4)
    test_close(similarity, clip_similarity(clip, scenes, texts, batch_size=10), eps=2e-3)
    pixels = torch.stack([scenes[row] for row in range(10)])
    test_close(similarity, (image_vectors(clip, pixels) @ text_vectors(clip, texts).T).numpy(), eps=2e-3)
    assert similarity.shape == (10, 3) and (abs(similarity) <= 1.001).all()


# 02_clip_dissect.ipynb, section "Descriptions"
def test_descriptions():
    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(100))
    watched, concepts = observe(network, scenes, 'colours'), pack_concepts(scenes)
    similarity, planted = 4 * concepts.masks.shares(), network.planted['colours']
    table = describe_by_clip(watched, similarity, concepts.names, images=10).assign(planted=planted)
    table.head(9).round(2)

    scores = soft_wpmi(similarity, watched.means, 10)[:9]
    figure, axis = plt.subplots(figsize=(5.4, 2.5), layout='constrained')
    shades = axis.imshow(scores, cmap='cividis', aspect='auto')
    axis.scatter(scores.argmax(1), range(9), marker='o', facecolor='none', edgecolor='#D55E00')
    axis.set_xticks(range(len(concepts.names)), concepts.names, rotation=90, size=7)
    axis.set_yticks(range(9), [f'{unit} ({planted[unit]})' for unit in range(9)], size=7)
    axis.set(xlabel='text', ylabel='unit (planted colour)')
    figure.colorbar(shades, label='soft WPMI (circle: best)')
    plt.show()

    assert (table.description == table.planted)[:9].mean() > .8


# 02_clip_dissect.ipynb, section "The describer"
def test_the_describer():
    planted, found, describer = plain_example()
    table = describer.describe(found, progress=False)
    table.assign(planted=planted).head(4).round(2)

    said = dict(zip(planted, table.description))
    test_eq([said['red'], said['green']], ['red things', 'green things'])
    two = describer.describe(found, units={'colours': [2, 0]}, progress=False)
    test_eq(two.description.tolist(), table.description[[0, 2]].tolist())
    test_eq(describer.candidates(found, progress=False).groupby('unit').size().tolist(), [3] * 12)

    single = exemplars.compute(networks.load('planted/shapes', pretrained=False), describer.images, ['colours'],
                               units={'colours': [0]}, k=15, size=64, quiet=True, keep_maxima=True,
                               out=Path(tempfile.mkdtemp())/'found')
    test_eq(describer.describe(single, progress=False).description.tolist(), ['red things'])
    half = ClipDissectDescriber(describer.images, describer.words, describer.clip, top=20, pictures=range(45))
    assert half.settings() != describer.settings() and half.settings()['clip'] == describer.settings()['clip']
    test_eq(half.describe(found, progress=False).description[0], 'red things')


# 02_clip_dissect.ipynb, section "Errors"
def test_errors():
    ones = np.ones((4, 2))
    with expect_fail(MilanError, contains='same images'): soft_wpmi(ones, ones[:3])
    with expect_fail(MilanError, contains='one column per text'): describe_by_clip(None, ones, ['a'])

    planted, found, describer = plain_example()
    describer.images = describer.images[:80]
    with expect_fail(MilanError, contains='give both the same images'): describer.describe(found, progress=False)
