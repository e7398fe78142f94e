# Generated from nbs/15_command/01_testing.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
import numpy as np
import os
import torch
from milan.testing import (
    annotated_set,
    colour_clip,
    COLOUR_PHRASES,
    colour_units,
    counted,
    disc,
    forget,
    made_up_exemplars,
    made_up_folder,
    made_up_set,
    plain_pictures,
    published_by_hand,
    same_files,
    saved_tensors,
    small_clip,
    small_notebook,
    smooth_maps,
    some_units,
    THREE,
    untaught_captioner,
    user_folder,
    write_manifest,
)
import pytest

import shutil
import tempfile
from pathlib import Path

from fastcore.test import test_eq


# 01_testing.ipynb, section "Units in memory"
def test_units_in_memory():
    first = some_units()[0]
    test_eq((first.images.shape, first.masks.shape), ((3, 3, 16, 16), (3, 1, 16, 16)))

    class Means: # of a batch, inside the masks
        def read(self, images, masks, owner=None): return (images * masks).mean((1, 2, 3))

    units, encoder = some_units(), Means()
    passes = counted(encoder)
    encoder.read(units[0].images, units[0].masks)
    encoder.read(units[1].images[:2], units[1].masks[:2])
    passes, units[3].images.shape

    test_eq(passes, [3, 2])
    test_eq(len({image.sum().item() for unit in units for image in unit.images}), 6)

    disc()

    maps = smooth_maps(2, 3, 8, torch.Generator().manual_seed(0))
    test_eq(maps.shape, (2, 3, 8, 8))
    assert (np.diff(maps.max((2, 3))) <= 0).all()

    made = made_up_set()
    sorted(path.name for path in made.iterdir())

    test_eq(np.load(made/'conv1'/'maps.npy').shape, (3, 3, 8, 8))

    photographs, found = made_up_folder(), made_up_exemplars()
    Image.fromarray(np.hstack(np.load(found/'blocks.10'/'images.npy')[1].transpose(0, 2, 3, 1)))

    test_eq(sorted(str(path.relative_to(photographs)) for path in photographs.rglob('*.jpg')),
            ['blue/0.jpg', 'blue/2.jpg', 'red/1.jpg'])
    test_eq(disc().getpixel((24, 32)), (220, 40, 30, 255))

    images, masks = (np.load(found/'blocks.2'/f'{name}.npy') for name in ('images', 'masks'))
    test_eq((images.shape, masks.shape), ((4, 6, 3, 64, 64), (4, 6, 1, 64, 64)))
    assert masks.any((2, 3, 4)).all() and (images[0].transpose(0, 2, 3, 1)[masks[0, :, 0] > 0].std(0) == 0).all()
    for folder in (photographs.parent, found): shutil.rmtree(folder)


# 01_testing.ipynb, section "Folders, files and manifests"
@pytest.mark.training
def test_folders_files_and_manifests():
    folder = user_folder('data')
    os.environ['MILAN_DATA_DIR'] == str(folder/'data')

    folder = user_folder()
    write_manifest(folder, 'toy', [{'kind': 'local', 'path': 'toy.txt'}])
    sorted(path.name for path in folder.rglob('*'))

    from milan.config import data_dir
    test_eq(data_dir(), folder/'data')

    forget(folder)
    assert 'MILAN_DATA_DIR' not in os.environ and not folder.exists()

    test_eq(torch.load(saved_tensors({'weight': torch.eye(2)}), weights_only=True)['weight'].sum(), 2)

    first, second = user_folder('data'), user_folder('data')
    for folder in (first, second): (folder/'a.txt').write_text('the same')
    before = same_files(first, second)
    (second/'a.txt').write_text('another')
    test_eq((before, same_files(first, second)), (True, False))
    for folder in (first, second): forget(folder)

    folder = published_by_hand(Path(tempfile.mkdtemp()))
    found = sorted(path.name for path in folder.iterdir())
    shutil.rmtree(folder)
    test_eq(found, ['layer1', 'viz'])
    found

    folder = annotated_set(*THREE)
    found = sorted(path.name for path in folder.iterdir())
    test_eq(np.load(folder/'3'/'images.npy')[:, 0, 0, 0, 0], [40, 70])
    shutil.rmtree(folder)
    found

    test_eq(plain_pictures(['red', 'gray'], 4).mean((2, 3)).argmax(1)[0].item(), 0)

    test_eq(small_clip()[1]('red').input_ids[1:-1], [small_clip()[1].convert_tokens_to_ids('red</w>')])

    from milan.captioner.clip import image_vectors, text_vectors

    closest = (
        image_vectors(colour_clip(), plain_pictures(['green', 'red']))
        @ text_vectors(colour_clip(), COLOUR_PHRASES).T
    )
    test_eq(closest.argmax(1).tolist(), [1, 0])

    test_eq(len(colour_units().found.layers), 1)

    captioner, folder = untaught_captioner()
    assert captioner.describe(colour_units().found, strategy='greedy', cache=False,
                              progress=False).description.all()

    folder = user_folder('data')
    shown = small_notebook(folder).name
    forget(folder)
    shown
