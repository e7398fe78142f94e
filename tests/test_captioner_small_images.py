# Generated from nbs/07_captioner/16_small_images.ipynb by `make export`. Edit the notebook, not this file.

from milan.annotations.simulated import Views
from milan.captioner.encoder import PyramidEncoder
from milan.config import MilanError
from milan.images.edits import variants
import numpy as np
import torch
from milan.captioner.small_images import (
    lettered,
    mentions,
    region_groups,
    small_captioner,
    small_training_data,
    TEXT,
    words_for,
)
import pytest

from fastcore.test import expect_fail, test_eq
from PIL import Image

from milan.experiments.classifiers import small_cnn
from milan.images.edits import as_bytes
from milan.images.kinds import shape_kinds
from milan.images.sets import ShapeScenes


def scenes(count, size=56):
    "Scenes with one thing each that is no letter, as variants; and their words."
    drawn = ShapeScenes(6 * count)
    single = [index for index in range(len(drawn)) if len(drawn.regions(index)) == 1
              and 'letter' not in drawn.table['description'][index]][:count]
    return variants(drawn, single, size), [frozenset(drawn.regions(index)[0].words[2:]) for index in single]


# 16_small_images.ipynb, section "Which descriptions mention it"
def test_which_descriptions_mention_it():
    mentions(['White letters', 'tops of red birds', 'In context', 'Text.', 'small body parts'],
             ['text', 'letter', 'body part'])

    test_eq(mentions(['White letters', 'tops of red birds', 'In context', 'Text.', 'small body parts'],
                     ['text', 'letter', 'body part']).tolist(), [True, False, False, True, True])
    test_eq(mentions([], ['text']).shape, (0,))
    test_eq(mentions(['Textures', 'swords', 'White letters', 'red'], ['text', 'word', 'letter'],
                     as_original=True).tolist(),
            [True, True, True, False])


# 16_small_images.ipynb, section "Pictures of words"
def test_pictures_of_words():
    shown = lettered(scenes(6)[0])
    Image.fromarray(np.hstack([shown.picture(row) for row in range(6)]))

    test_eq((len(shown), shown.table['description'][0]), (6, 'text'))
    for row in range(6): assert 0 < shown.mask(row).float().mean() < .4
    test_eq(shown.fingerprint, lettered(scenes(6)[0]).fingerprint)


# 16_small_images.ipynb, section "Regions that look like a unit's"
def test_regions_that_look_like_a_unit_s():
    pictures, _ = scenes(8)
    regions = region_groups(pictures, Views.of(pictures), [True] * 8)
    Image.fromarray(np.hstack([np.kron(mask.numpy() * np.uint8(255), np.ones((2, 2), np.uint8))
                               for mask in regions.masks[:8]]))

    test_eq(regions.ids.tolist(), [index for index in range(8) for _ in range(4)])
    for index in range(8):
        whole, part, grown, beside = regions.masks[regions.ids == index]
        assert ((part <= whole).all() and (whole <= grown).all() and not (beside & whole).any() and part.any()
                and beside.any())
    test_eq(len(region_groups(pictures, Views.of(pictures), [False] * 8)), 24)


# 16_small_images.ipynb, section "The training data"
def test_the_training_data():
    pictures, words = scenes(120)
    network = small_cnn(3, width=8, stages=2)
    training_data = small_training_data(pictures, words, PyramidEncoder(network, network.layers),
                          lettered(pictures.subset(range(60))), drawn=150)
    len(training_data.training), training_data.features.shape, training_data.training.annotations[:4]

    test_eq((len(training_data.training), len(training_data.held_out), len(training_data.pictures)),
            (150, 20, 180))

    about_words = [said for said, word in zip(training_data.training.annotations, training_data.training.words)
                   if word in TEXT]
    assert len(about_words) > 10 and np.mean([mentions(said, TEXT).any() for said in about_words]) > .5

    others = [said for said, word in zip(training_data.training.annotations, training_data.training.words)
              if word not in TEXT]
    assert np.mean([mentions(said, TEXT).any() for said in others]) < .3
    with expect_fail(MilanError, contains='3 sets of words for 120'):
        small_training_data(pictures, words[:3], PyramidEncoder(network, network.layers))


# 16_small_images.ipynb, section "The captioner"
@pytest.mark.training
def test_the_captioner():
    pictures, words = scenes(120)
    network = small_cnn(3, width=8, stages=2)
    reader = PyramidEncoder(network, network.layers)
    captioner = small_captioner('trial', pictures, words, reader, lettered(pictures.subset(range(60))), drawn=150,
                                epochs=6)
    {word: round(share, 2) for word, share in captioner.card['exam'].items()}

    assert 0 <= captioner.card['exam']['all'] <= 1 and captioner.card['exam']['text'] > .5
    assert 'Not the published MILAN' in captioner.card['data']
    pixels, masks = as_bytes(lettered(pictures.subset(range(15)), seed=5)), torch.stack(
        [lettered(pictures.subset(range(15)), seed=5).mask(row) for row in range(15)]
    )
    said = captioner(pixels[None], masks[None, :, None].float()).captions
    assert mentions(said, TEXT)[0], said
    said


# 16_small_images.ipynb, section "The stamps' own"
def test_the_stamps_own():
    found = shape_kinds(120)
    words = [frozenset({found.names[label], 'shape'}) for label in found.labels]
    words_for(found, words, 'star')

    test_eq(words_for(found, words, 'star'), ['star'])
    test_eq(words_for(found, [frozenset({'twinkle'}) if name == 'star' else frozenset({'round'})
                              for name in (found.names[label] for label in found.labels)], 'star'),
            ['star', 'twinkle'])
