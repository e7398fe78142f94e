# Generated from nbs/07_clusters.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from torch.nn import functional
import numpy as np
import torch
from milan.concepts.clusters import (
    fit_clusters,
    load_clusters,
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


# 07_clusters.ipynb, section "From vectors to clusters"
def test_from_vectors_to_clusters():
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


# 07_clusters.ipynb, section "The file"
def test_the_file():
    vectors = toy_vectors()
    found = fit_clusters(vectors, count=4, dimensions=8)
    found.names = ['stripes', '', 'round tops', 'wheels']
    with tempfile.TemporaryDirectory() as folder:
        save_clusters(found, f'{folder}/mine.safetensors')
        again = load_clusters(f'{folder}/mine.safetensors')
    again.names

    test_eq(again.names, found.names)
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
