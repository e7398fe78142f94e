# Generated from nbs/05_exemplars/18_maia.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.exemplars.store import Exemplars
from pathlib import Path
import numpy as np
from milan.exemplars.maia import (
    export_maia,
)

import tempfile

from fastcore.test import expect_fail, test_eq
from PIL import Image

from milan.files import remove
from milan.testing import made_up_set, published_by_hand


# 18_maia.ipynb, section "The folder"
def test_the_folder():
    folder = made_up_set()
    found = Exemplars.open(folder)
    place = export_maia(found, folder.parent/'exemplars', 'resnet152')
    [path.relative_to(folder.parent).as_posix() for path in sorted(place.rglob('*.*')) if 'conv1' in str(path)]

    thresholds = np.loadtxt(place/'conv1'/'thresholds.csv', delimiter=',')
    thresholds.round(2)

    layer = found._stored['conv1']
    np.testing.assert_allclose(thresholds[[1, 4, 7]], [layer.threshold(row) for row in range(3)], rtol=1e-6)
    test_eq(np.isnan(thresholds), [unit not in (1, 4, 7) for unit in range(8)])
    masks = np.load(place/'conv1'/'masks.npy')
    assert masks[4].any() and not masks[5].any()
    test_eq(masks[7], found.lookup('conv1', 7).masks.numpy())
    remove(folder.parent)


# 18_maia.ipynb, section "As MAIA reads it"
def test_as_maia_reads_it():
    def as_maia_reads(root, network, layer, units):
        "Pictures of each unit, activations, thresholds."
        folder = f'{root}/{network}/imagenet/{layer}'
        activations, thresholds = (np.loadtxt(f'{folder}/{name}.csv', delimiter=',')
                                   for name in ('activations', 'thresholds'))
        images, masks = (np.load(f'{folder}/{name}.npy') for name in ('images', 'masks'))
        pictures = {}
        for unit in units:
            outside = np.repeat(masks[unit], 3, axis=1) == 0
            shown = np.where(outside, images[unit] * .25, images[unit]).astype(np.uint8)
            pictures[unit] = [Image.fromarray(one.transpose(1, 2, 0)).resize((224, 224), Image.Resampling.LANCZOS)
                              for one in shown[:15]]
        return pictures, activations[:, :15], thresholds


    folder = made_up_set()
    found = Exemplars.open(folder)
    export_maia(found, folder.parent/'exemplars', 'resnet152')
    pictures, activations, thresholds = as_maia_reads(folder.parent/'exemplars', 'resnet152', 'conv1', [4])
    pictures[4][0]

    test_eq((activations.shape, thresholds.shape, len(pictures[4])), ((8, 3), (8,), 3))
    np.testing.assert_allclose(activations[4], found.lookup('conv1', 4).activations, rtol=1e-5)
    assert activations[4, 0] > thresholds[4]
    one = export_maia(Exemplars.open(made_up_set(['fc'], [0], k=2)), folder.parent/'exemplars', 'one')
    test_eq(np.loadtxt(one/'fc'/'activations.csv', delimiter=',').shape, (2, 2))

    with expect_fail(MilanError, contains='holds'): export_maia(found, folder.parent/'exemplars', 'resnet152')
    with expect_fail(MilanError, contains='name of a folder'): export_maia(found, folder.parent, 'a/b')
    with expect_fail(MilanError, contains='2 or more'): export_maia(found.select(k=1), folder.parent, 'few')
    published = Exemplars.open(published_by_hand(Path(tempfile.mkdtemp())))
    with expect_fail(MilanError, contains='no thresholds'): export_maia(published, folder.parent, 'published')
    assert not (folder.parent/'few').exists() and not (folder.parent/'published').exists()
    remove(folder.parent)
    remove(published.folder)
