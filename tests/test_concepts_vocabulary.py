# Generated from nbs/08_concepts/09_vocabulary.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.clusters import Clusters
from milan.concepts.probes import Probes
from milan.concepts.sweep import Batch
from milan.concepts.sweep import Regions
from milan.concepts.sweep import SIDE
from milan.concepts.sweep import Values
from milan.config import MilanError
import numpy as np
import torch
from milan.concepts.vocabulary import (
    candidates,
    cluster_family,
    hypernym_family,
    look_family,
    presence,
    probe_family,
    Rule,
    VAGUE,
    word_family,
)

from fastcore.test import test_close, test_eq

from milan.concepts.teacher import Reading
from milan.hooks.layers import Unit

def toy_values():
    "Three units with four, three and one regions, and what was measured there of the concepts x and y."
    units = [Unit('a', number) for number in range(3)]
    pictures = np.array([[0, 1, 2, 3], [0, 1, 2, -1], [0, -1, -1, -1]])
    regions = Regions(units, pictures, np.zeros((3, 4, SIDE * SIDE // 8), np.uint8))
    inside = np.zeros((3, 4, 2), np.float16)
    inside[0, :3, 0], inside[1, :1, 1], inside[2, 0, 0] = .9, .9, .9
    sample = np.linspace(0, 1, 11)[:, None].repeat(2, 1).astype(np.float16)
    return Values(['x', 'y'], np.zeros((4, 2), np.float16), inside, sample), regions


# 09_vocabulary.ipynb, section "Classes and hypernyms"
def test_classes_and_hypernyms():
    family = hypernym_family({'bird': (0, 2), 'structure': (1, 3), 'vehicle': (3,)}, classes=4)
    none = torch.zeros(1, 0, 1, 1)
    reading = Reading(classes=torch.tensor([.1, .2, .3, .4]).view(1, 4, 1, 1), features=none, layers={})
    batch = Batch(torch.zeros(1, 3, SIDE, SIDE), reading)
    dict(zip(family.concepts, family.maps(batch).flatten().tolist(), strict=True))

    test_eq(family.concepts, ['bird', 'vehicle'])
    assert {'causal agent', 'machine', 'mercantile establishment'} <= VAGUE # however the list is wrapped
    test_close(family.maps(batch).flatten(), torch.tensor([.4, .4]))


# 09_vocabulary.ipynb, section "Looks, clusters, items, words"
def test_looks_clusters_items_words():
    def square(row):
        "The pictured object: the upper left quarter of picture 0, all of the others."
        mask = torch.zeros(SIDE, SIDE)
        mask[:SIDE // 2, :SIDE // 2] = 1
        return mask if row == 0 else None

    words = word_family([frozenset({'jug'}), frozenset({'jug', 'old'})], square)
    shares = words.maps(Batch(torch.zeros(2, 3, SIDE, SIDE), None, rows=[0, 1])).mean((2, 3))
    words.concepts, shares.tolist()

    test_eq(words.concepts, ['jug', 'old'])
    test_eq(shares, torch.tensor([[.25, 0], [1, 1]]))
    names = ['wheels', '', 'wheels']
    clusters = Clusters(torch.zeros(3), torch.ones(3), torch.eye(3), torch.eye(3), names, layers=('20',))
    wheels = cluster_family(clusters)
    late = torch.tensor([[0., 3, 0], [2, 0, 0], [0, 0, 2]])[:, :, None, None] # one picture of each direction
    test_eq(wheels.concepts, ['wheels'])
    test_close(wheels.maps(Batch(late, Reading(late, late, {'20': late}))).flatten(), torch.tensor([0., 1, 1]))
    probes = Probes(['eyes', 'rods'], torch.eye(3)[:2], torch.tensor([0., 1]), ('20',), [.9, .6])
    items = probe_family(probes)
    test_eq((items.name, items.concepts, items.sampled), ('item', ['eyes', 'rods'], True))
    found = items.maps(Batch(late, Reading(late, late, {'20': late})))[:, :, 0, 0]
    test_close(found, torch.tensor([[0., 4], [2, 1], [0, 1]]))
    test_eq(look_family().maps(Batch(torch.zeros(2, 3, SIDE, SIDE), None)).shape, (2, 49, SIDE, SIDE))


# 09_vocabulary.ipynb, section "Presence"
def test_presence():
    values, regions = toy_values()
    found, share = presence(values, regions, Rule(.5, quantile=.8))
    share.round(2)

    test_close(share, [[.75, 0], [0, 1 / 3], [1, 0]], eps=1e-6)
    test_eq(found.tolist(), [[True, False], [False, False], [False, False]]) # a single region is no evidence
    assert not presence(values, regions, Rule(.5, above=.5, lift=3))[0].any() # other units have it as well


# 09_vocabulary.ipynb, section "Candidates"
def test_candidates():
    values, regions = toy_values()
    varied = np.random.default_rng(0).random((4, 1)).astype(np.float16)
    other = Values(['z'], varied, values.regions[:, :, :1], values.sample[:, :1] / 2)
    both = candidates({'look': values, 'cluster': other}, regions)
    both.names, both.present.tolist()

    test_eq(both.names, ['z']) # x and y are the same on every picture
    test_eq(both.present.tolist(), [[True], [False], [False]])


# 09_vocabulary.ipynb, section "Errors"
def test_errors():
    import pytest

    values, regions = toy_values()
    with pytest.raises(MilanError, match="no rule of presence for 'smell'"):
        candidates({'smell': values}, regions)
