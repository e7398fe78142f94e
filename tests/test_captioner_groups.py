# Generated from nbs/07_captioner/14_groups.ipynb by `make export`. Edit the notebook, not this file.

from collections import Counter
from milan import images
from milan.annotations.simulated import ABSTAIN
from milan.annotations.simulated import Annotator
from milan.annotations.simulated import QUALITIES
from milan.annotations.simulated import Views
from milan.captioner.grammar import SILENT
from milan.config import MilanError
import numpy as np
import torch
from milan.captioner.groups import (
    concept_groups,
    concept_phrases,
    object_regions,
    phrase_weights,
    random_directions,
    shape_regions,
    silent_groups,
    unit_groups,
    with_silence,
    word_groups,
)

from fastcore.test import expect_fail, test_eq

class Squares(
    torch.utils.data.Dataset
): # sixty small pictures, each a bright square of one of three colours somewhere
    name, table = 'squares', None
    def __len__(self): return 60
    def mask(self, i):
        mask = torch.zeros(112, 112, dtype=torch.bool)
        mask[10 + i % 7 * 6:60 + i % 7 * 6, 10 + i % 5 * 8:60 + i % 5 * 8] = True
        return mask
    def __getitem__(self, i):
        picture = torch.full((3, 112, 112), 60, dtype=torch.uint8)
        picture[i % 3, self.mask(i)] = 240
        return picture


# 14_groups.ipynb, section "Regions"
def test_regions():
    views = Views.of(Squares())
    regions = object_regions(Squares(), views, layer=0)
    len(regions), regions.masks.shape

    test_eq(regions.ids.tolist(), list(range(60)))
    assert regions.qualities[0, QUALITIES.index('red')] and not regions.qualities[1, QUALITIES.index('red')]


# 14_groups.ipynb, section "Groups with phrases"
def test_groups_with_phrases():
    annotator = Annotator.from_words([frozenset({'square', ['tomato', 'leaf', 'sea'][i % 3]}) for i in range(60)])
    views = Views.of(Squares())
    regions = object_regions(Squares(), views, layer=0)
    everything = torch.ones(60, dtype=torch.bool)
    annotated = word_groups(annotator, regions, everything, 15, 40, np.random.default_rng(0))
    Counter(phrase for said in annotated.annotations for phrase in said).most_common(4)

    test_eq(len(annotated), 40)
    test_eq({len(group) for group in annotated.groups}, {15})

    about_leaves = [said for said, word in zip(annotated.annotations, annotated.words) if word == 'leaf']
    assert sum('leaf' in phrase or 'green' in phrase for said in about_leaves
               for phrase in said) > len(about_leaves)

    first_half = torch.arange(60) < 30
    assert all((group < 30).all() for group in word_groups(annotator, regions, first_half, 15, 20,
                                                           np.random.default_rng(0)).groups)
    with expect_fail(MilanError, contains='fewer groups'):
        word_groups(annotator, regions, torch.zeros(60, dtype=torch.bool) | (torch.arange(60) < 2), 15, 5,
                    np.random.default_rng(0))

    units = unit_groups(annotator, regions, everything, 15, 4, np.random.default_rng(0))
    test_eq([group[0].item() for group in units.groups], [0, 15, 30, 45])
    test_eq(units.some([2, 0]).annotations, [units.annotations[2], units.annotations[0]])


# 14_groups.ipynb, section "Nothing to say"
def test_nothing_to_say():
    random = np.random.default_rng(0)
    annotator = Annotator.from_words([frozenset({'square', ['tomato', 'leaf', 'sea'][i % 3]}) for i in range(60)])
    regions = object_regions(Squares(), Views.of(Squares()), layer=0)
    drawn = word_groups(annotator, regions, torch.ones(60, dtype=torch.bool), 15, 40, random)
    both = with_silence(drawn, silent_groups(regions, 15, 7, random))
    Counter(phrase for said in both.annotations for phrase in said).most_common(4)

    test_eq(len(both), 47)
    test_eq(both.annotations[40:], [[SILENT] * 3] * 7)
    assert all(len(group.unique()) == 15 for group in both.groups[40:]) # drawn without repetition
    assert ABSTAIN not in {text for said in both.annotations for text in said}

    maps = torch.rand(2, 5, 4, 4)
    directions = random_directions(3)
    directions(maps).shape

    assert torch.equal(directions(maps), random_directions(3)(maps))
    assert not torch.equal(directions(maps), random_directions(3, seed=1)(maps))
    lengths = random_directions(3)(torch.eye(5)[:, :, None, None]).flatten(1).norm(dim=0)
    assert (lengths - 1).abs().max() < 1e-5

    phrase_weights([['cats'] * 3, ['cats', 'dogs', 'cats']], ordinary=2)

    test_eq(phrase_weights([['cats'] * 3, ['cats', 'dogs']], ordinary=1), [[.5, .5, .5], [.5, 1.]])


# 14_groups.ipynb, section "Shapes"
def test_shapes():
    concept_phrases(['red', 'circle']), concept_phrases(['striped']), concept_phrases(['letter', 'letter A'])

    scenes = images.ShapeScenes(count=40)
    regions, concepts = shape_regions(scenes, np.random.default_rng(0))
    annotated = concept_groups(concepts, torch.ones(len(concepts), dtype=torch.bool), 10, 30,
                            np.random.default_rng(0))
    len(regions), concepts[0], annotated.annotations[:3]

    test_eq(concept_phrases(['red', 'circle']), ['red circles'] * 3)
    test_eq(concept_phrases(['striped']), ['striped things', 'striped shapes', 'striped areas'])
    test_eq(concept_phrases(['letter', 'letter A'])[0], 'the letter A')
    test_eq(regions.masks.shape, (len(concepts), 64, 64))
    for group, word in zip(annotated.groups, annotated.words):
        if word: assert np.mean([word in concepts[i] for i in group]) >= .6
