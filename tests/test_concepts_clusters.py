# Generated from nbs/08_concepts/07_clusters.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from torch.nn import functional
import numpy as np
import torch
from milan.concepts.clusters import (
    features_of,
    fit_clusters,
    load_clusters,
    named_clusters,
    sample_positions,
    save_clusters,
    sheet,
)

import tempfile

from fastcore.test import test_close, test_eq

from milan import images

def toy_vectors():
    "400 vectors of 20 numbers: four directions in turn, and noise."
    generator = torch.Generator().manual_seed(0)
    directions = functional.normalize(torch.randn(4, 20, generator=generator), dim=1)
    return directions.repeat(100, 1) * 3 + torch.randn(400, 20, generator=generator) / 4


# 07_clusters.ipynb, section "Which positions"
def test_which_positions():
    covered = np.zeros((3, 40, 40))
    covered[0, :20], covered[2] = .5, np.nan # an object in the upper half, no object, a photograph
    taken = sample_positions(covered)
    [float(part.mean().round(2)) for part in (taken[0, :20], taken[0, 20:], taken[1], taken[2])]

    assert taken[0, :20].all() and .4 < taken[2].mean() < .6 and taken[1].mean() < .2
    assert .4 < sample_positions(covered, density=.5)[0, :20].mean() < .6


# 07_clusters.ipynb, section "From vectors to clusters"
def test_from_vectors_to_clusters():
    maps = {'early': torch.arange(16.).view(1, 1, 4, 4), 'later': torch.ones(1, 2, 2, 2)}
    features_of(maps, ['early', 'later'])[0, :2]

    test_eq(features_of(maps, ['early', 'later'])[0, 0], torch.tensor([[2.5, 4.5], [10.5, 12.5]]))
    test_eq(features_of(maps, ['early']), maps['early'])


    vectors, which = toy_vectors(), torch.arange(400) % 4
    found = fit_clusters(vectors, count=4, dimensions=8)
    assigned = (found.directions(vectors) @ found.centres.T).argmax(1)
    [torch.bincount(assigned[which == one], minlength=4).tolist() for one in range(4)]

    for one in range(4): # each direction is one cluster
        assert torch.bincount(assigned[which == one]).max() == 100
    test_eq(len({int(assigned[which == one][0]) for one in range(4)}), 4)
    maps = found.maps(vectors[:12].view(3, 2, 2, 20).permute(0, 3, 1, 2))
    test_close(maps[1, :, 0, 1], found.directions(vectors[5:6])[0] @ found.centres.T, eps=1e-5)


# 07_clusters.ipynb, section "Sheets to name them from"
def test_sheets_to_name_them_from():
    scenes = images.ShapeScenes(40, seed=3)
    late = functional.adaptive_avg_pool2d(torch.stack([scenes[i] for i in range(40)]).float() / 255, 16)
    late = late - late.mean(1, keepdim=True) # hue and saturation, without brightness
    vectors = late.permute(0, 2, 3, 1).flatten(0, 2)
    by_colour = fit_clusters(vectors, count=12, dimensions=3)
    sizes = torch.bincount((by_colour.directions(vectors) @ by_colour.centres.T).argmax(1), minlength=12)
    rarest = sizes.argsort()[:4].tolist() # the larger ones are backgrounds
    page = sheet(scenes, np.arange(40).astype(str), by_colour.maps(late).numpy(), rarest, count=6, side=64)
    page

    test_eq(page.size, (6 * 64 + 60, 4 * 64))
    late_maps, names = by_colour.maps(late).numpy(), np.arange(40).astype(str)
    later = sheet(scenes, names, late_maps, rarest, count=3, start=3, side=64)
    right = page.crop((252, 0, page.width, page.height)).tobytes()
    test_eq(later.crop((60, 0, later.width, later.height)).tobytes(), right)


# 07_clusters.ipynb, section "The file"
def test_the_file():
    vectors = toy_vectors()
    found = fit_clusters(vectors, count=4, dimensions=8, layers=['18', '20'])
    found.names = ['stripes', '', 'round tops', 'wheels']
    with tempfile.TemporaryDirectory() as folder:
        save_clusters(found, f'{folder}/mine.safetensors')
        again = load_clusters(f'{folder}/mine.safetensors')
    again.names

    test_eq((again.names, again.layers), (found.names, ('18', '20')))
    assert all(clusters.layers and any(clusters.names) for clusters in named_clusters().values())
    test_close(again.directions(vectors) @ again.centres.T, found.directions(vectors) @ found.centres.T, eps=.01)


# 07_clusters.ipynb, section "Errors"
def test_errors():
    import pytest

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)/'mine.safetensors'
        with pytest.raises(MilanError, match='hold no clusters'):
            load_clusters(place)
        save_clusters(fit_clusters(toy_vectors(), count=4, dimensions=8), place)
        place.with_suffix('.csv').write_text('cluster,name\n0,stripes\n')
        with pytest.raises(MilanError, match='names 1 clusters'):
            load_clusters(place)
        place.with_suffix('.csv').write_text('cluster;name\n0;stripes\n')
        with pytest.raises(MilanError, match='hold no clusters'):
            load_clusters(place)
        place.write_bytes(b'no tensors')
        with pytest.raises(MilanError, match='hold no clusters'):
            load_clusters(place)
