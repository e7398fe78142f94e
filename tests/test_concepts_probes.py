# Generated from nbs/08_concepts/11_probes.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.items import ITEMS
from milan.config import MilanError
from milan.data.formats import manifests_dir
from pathlib import Path
import numpy as np
import torch
from milan.concepts.probes import (
    item_probes,
    kinds_at,
    LEAST,
    load_probes,
    Probes,
    read_examples,
    save_probes,
    train_probes,
    UNCLEAR,
)
import pytest

import tempfile

from fastcore.test import test_close, test_eq

from milan import networks
from milan.concepts.teacher import load_teacher
from milan.images.drawing import plain_background

TWO = ('horizontal stripes', 'vertical stripes') # kinds that random filters distinguish

def toy_teacher():
    "A random convolution, a maximum over 8 x 8 pixels, and 64 x 64 pixels to read."
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 48, 5, 2, 2), torch.nn.ReLU(), torch.nn.MaxPool2d(4),
                              torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(48, 2))
    entry = networks.Network('toy', net.eval(), [], 64, networks.network.identity, None)
    return load_teacher(entry, names=['a', 'b'], layers=['2'], precise=True)

def plain(seed):
    "Twenty plain grounds."
    random = np.random.default_rng(seed)
    return [plain_background(64, random, np.full((1, 3), 127)).astype(np.uint8) for _ in range(20)]

def made_up_probes():
    "Two probes with random weights."
    weights = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    return Probes(['eyes', 'stars'], weights, torch.tensor([.5, 0]), ('18', '20'), [.75, .5])


# 11_probes.ipynb, section "Which positions show an item"
def test_which_positions_show_an_item():
    mask = np.zeros((8, 8), bool)
    mask[:4, :5] = True # all of one position, a quarter of the next
    kinds_at([('discs', mask)], (2, 2))

    test_eq(kinds_at([('discs', mask)], (2, 2)).tolist(), [['discs', UNCLEAR], ['', '']])
    test_eq(kinds_at([], (1, 2)).tolist(), [['', '']])



    examples = read_examples(toy_teacher(), plain(0), ['2'], count=20, kinds=TWO)
    tuple(examples.features.shape), {kind: int((examples.kinds == kind).sum()) for kind in ('', *TWO)}

    test_eq(len(examples.features), len(examples.kinds))
    test_eq(set(examples.kinds), {'', *TWO})
    again = read_examples(toy_teacher(), plain(0), ['2'], count=20, kinds=TWO)
    assert (again.kinds == examples.kinds).all()


# 11_probes.ipynb, section "Training"
@pytest.mark.training
def test_training():
    def toy_probes(**settings):
        "Probes of two kinds of items."
        return train_probes(toy_teacher(), plain(0), plain(1), ['2'], count=45, held_out=15, kinds=TWO,
                            **settings)

    probes = toy_probes()
    dict(zip(probes.names, probes.precision, strict=True))

    test_eq(probes.names, list(TWO))
    assert min(probes.precision) > .4 # chance is about .05
    test_eq(toy_probes(least=1.01).names, [])
    shown = read_examples(toy_teacher(), plain(2), ['2'], count=40, seed=5, kinds=TWO)
    scores = probes.maps(shown.features[:, :, None, None])[:, :, 0, 0] # (positions, kinds)
    means = torch.stack([scores[torch.from_numpy(shown.kinds == kind)].mean(0) for kind in TWO])
    assert (means.diagonal() > means.flip(1).diagonal()).all() # each is higher where its own kind is


# 11_probes.ipynb, section "The file"
def test_the_file():
    probes = made_up_probes()
    with tempfile.TemporaryDirectory() as folder:
        save_probes(probes, f'{folder}/mine.safetensors')
        again = load_probes(f'{folder}/mine.safetensors')
    again.names, again.precision

    test_eq((again.names, again.layers, again.precision), (probes.names, probes.layers, probes.precision))
    features = torch.randn(3, 6, 2, 2, generator=torch.Generator().manual_seed(1))
    test_close(again.maps(features), probes.maps(features), eps=.02)
    test_close(probes.maps(features)[1, 1, 0, 1], features[1, :, 0, 1] @ probes.weights[1], eps=1e-5)
    test_eq(probes.subset([1]).names, ['stars'])

    STRUCK = ('crescents', 'crosses', 'digits', 'spirals') # wrong on pictures of things

    def make_file():
        "What made the committed file, in a few minutes."
        from milan import images
        from milan.describers.assessment import halves_of

        pictures = images.probe()
        parts, sets = halves_of(pictures).part, pictures.table['set'].isin(['stamps', 'gcompris', 'photographs'])
        grounds = [[np.asarray(pictures.picture(row)) for row in np.flatnonzero((parts == part) & sets)]
                   for part in (0, 1)]
        layers = [f'_blocks.{number}' for number in (12, 14, 18, 20)]
        probes = train_probes(load_teacher(layers=layers), *grounds, layers)
        kept = [row for row, name in enumerate(probes.names) if name not in STRUCK]
        save_probes(probes.subset(kept), manifests_dir()/'probes'/'efficientnet_lite2.safetensors')

    item_probes().names, np.round(item_probes().precision, 2).tolist()

    assert set(item_probes().names) <= set(ITEMS) and min(item_probes().precision) >= LEAST


# 11_probes.ipynb, section "Errors"
def test_errors():
    global pytest
    import pytest

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)/'mine.safetensors'
        with pytest.raises(MilanError, match='hold no probes'):
            load_probes(place)
        save_probes(made_up_probes(), place)
        place.with_suffix('.csv').write_text('name,average precision\neyes,.75\n')
        with pytest.raises(MilanError, match='names 1 probes'):
            load_probes(place)
        place.with_suffix('.csv').write_text('name,average precision\neyes,high\nstars,low\n')
        with pytest.raises(MilanError, match='hold no probes'):
            load_probes(place)
        place.write_bytes(b'no tensors')
        with pytest.raises(MilanError, match='hold no probes'):
            load_probes(place)
