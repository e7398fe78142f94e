# Generated from nbs/02_images/08_sets.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.images import scenes as shapes
from milan.images.folders import ImageFolder
from milan.images.folders import LabelledFolder
from milan.images.latents import Latents
from pathlib import Path
import numpy as np
import torch
from milan.images.sets import (
    demo,
    latents,
    load,
    names,
    parts,
    probe,
    published,
    ShapeScenes,
    spurious,
)

import os
import tempfile
import warnings
from unittest.mock import patch

from fastcore.test import expect_fail, test_eq
from PIL import Image

from milan.testing import disc, made_up_folder

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


# 08_sets.ipynb, section "Generated scenes"
def test_generated_scenes():
    scenes = ShapeScenes(12)
    scenes, scenes.table['description'][0]

    test_eq(len(ShapeScenes(0).table), 0)
    test_eq(scenes[3].shape, (3, 64, 64))
    test_eq(scenes[3].numpy().transpose(1, 2, 0), shapes.draw_scene(3).image)
    assert set(scenes.concepts(3)) <= set(shapes.concepts())
    test_eq(scenes.mask(3).numpy(), np.any(list(scenes.concepts(3).values()), axis=0))
    test_eq(scenes.subset([3]).table['description'][0], scenes.table['description'][3])
    assert torch.equal(scenes.subset([3])[0], scenes[3])
    assert scenes.fingerprint != ShapeScenes(12, seed=1).fingerprint
    Image.fromarray(np.hstack([scenes.picture(i) for i in range(6)]))


# 08_sets.ipynb, section "The paper's data sets"
def test_the_paper_s_data_sets():
    os.environ['MILAN_DATA_DIR'] = str(home := Path(tempfile.mkdtemp()))
    for name in ('imagenet/val/n01440764/ILSVRC2012_val_00000293',
                 'imagenet/val/n02123045/ILSVRC2012_val_00000012', 'imagenet/train/n01440764/n01440764_10026',
                 'places365/a/1'):
        (home/name).parent.mkdir(parents=True, exist_ok=True)
        disc(80, background=(40, 60, 90, 255)).convert('RGB').save((home/name).with_suffix('.JPEG'))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        found = published('imagenet')
    test_eq(len(said), 1)
    assert ("holds 2 images in 2 classes; ImageNet (ILSVRC 2012) has 50,000 in 1,000, so published image numbers"
            " don't hold" in str(said[0].message))
    found, found.table[['file', 'label']].values.tolist()

    with warnings.catch_warnings(action='ignore'):
        test_eq([published(name).name for name in ('imagenet/val', 'imagenet/train', 'places365')],
                ['imagenet', 'imagenet/train', 'places365'])
        test_eq(published('imagenet', 96)[0].shape, (3, 96, 96))
    with expect_fail(MilanError, contains='imagenet/val or imagenet/train'): published('imagenet/test')
    with expect_fail(MilanError, contains='imagenet-blurred/val should hold'): published('imagenet-blurred')

    (home/'imagenet'/'val').rename(home/'imagenet'/'valid')
    with expect_fail(MilanError, contains='train but no val'): published('imagenet')

    (home/'imagenet'/'train').rename(home/'imagenet'/'val')
    with expect_fail(MilanError, contains='n01440764_10026.JPEG'): published('imagenet')
    with expect_fail(MilanError, contains='imagenet/train should hold'): published('imagenet/train')

    (home/'imagenet'/'val').rename(home/'imagenet-blurred')
    (home/'imagenet-blurred'/'n01440764'/'n01440764_10026.JPEG').rename(home/'imagenet-blurred'/'1.JPEG')
    (home/'imagenet-blurred'/'n01440764').rmdir()
    with expect_fail(MilanError, contains='sort the images into a folder for each class'):
        published('imagenet-blurred')
    del os.environ['MILAN_DATA_DIR']

    os.environ['MILAN_DATA_DIR'], os.environ['MILAN_MANIFESTS_DIR'] = (
        str(home := Path(tempfile.mkdtemp())), tempfile.mkdtemp()
    )
    (home/'imagenet-spurious-text/50pct/test/tench').mkdir(parents=True)
    disc(80).convert('RGB').save(home/'imagenet-spurious-text/50pct/test/tench/1.png')
    (home/'biggan-zs-imagenet').mkdir()
    torch.save(torch.randn(3, 128), home/'biggan-zs-imagenet'/'z.pth')
    torch.save(torch.tensor([0, 999, 3]), home/'biggan-zs-imagenet'/'y.pth')
    spurious('imagenet-spurious-text/50pct/test'), latents('biggan-zs-imagenet')

    test_eq(spurious('imagenet-spurious-text/50pct/test').recipe, 'both sides 224, bilinear')
    test_eq(latents('biggan-zs-imagenet')[1][1].item(), 999)
    with expect_fail(MilanError, contains='here are imagenet-spurious-text/50pct/test'):
        spurious('imagenet-spurious-text')
    with expect_fail(MilanError, contains='here are imagenet-spurious-text/50pct/test'):
        spurious('imagenet-spurious-text/50pct/train')

    with expect_fail(MilanError, contains='<5pct|'): spurious('imagenet-spurious-color/50pct')
    with expect_fail(MilanError, contains='z and the classes y'): latents('biggan-zs-places365')
    for variable in ('MILAN_DATA_DIR', 'MILAN_MANIFESTS_DIR'): del os.environ[variable]


# 08_sets.ipynb, section "Parts that share no source"
def test_parts_that_share_no_source():
    groups = [f'object {i // 3}' for i in range(60)]
    part = parts(groups)
    np.bincount(part)

    assert np.bincount(part).tolist() == [15] * 4
    assert all(len({part[i] for i in range(60) if groups[i] == one}) == 1 for one in groups)
    assert (parts(groups, seed=1) != part).any() and (parts(groups) == part).all()


# 08_sets.ipynb, section "Loading by name"
def test_loading_by_name():
    few = {name: ImageFolder(made_up_folder(count), 32)
           for count, name in enumerate(('stamps', 'gcompris', 'clipart', 'emoji', 'photographs'), 1)}
    joined = []
    with patch.dict(probe.__globals__, {name: lambda *_, name=name: few[name] for name in few}):
        joined.extend([probe(32), demo(32), demo(32, ('emoji', 'photographs'))])
    joined

    test_eq([(one.name, len(one)) for one in joined], [('probe', 15), ('demo', 10), ('demo', 9)])
    test_eq(joined[0].table['file'].tolist()[:10], joined[1].table['file'].tolist()) # numbered alike
    assert torch.equal(joined[0][14], few['photographs'][4])

    load('shapes'), load(made_up_folder(), 48), names()

    folder = made_up_folder()
    (folder/'blue'/'cut.png').write_bytes(b'\x89PNG')
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        mine = load(folder, 48, skip_broken=True)
    len(mine), {name: str(error).replace(str(folder), '…') for name, error in mine.broken.items()}

    assert len(told) == 1 and 'blue/cut.png' in str(told[0].message)
    test_eq(len(load(folder, 48)), len(mine) + 1) # without it, the error comes when the picture is read
    with expect_fail(MilanError, contains='skip_broken=True'): list(load(folder, 48))
    for name in (None, 3, ['a'], b'a'):
        with expect_fail(MilanError, contains='give a name'): load(name)
    for count in (-1, '9', None, 1.5, 10**12):
        with expect_fail(MilanError, contains='scenes: give'): ShapeScenes(count)
    for name in ('x' * 300, 'a\0b', ''):
        with expect_fail(MilanError, contains='neither a set'): load(name)
    for size in (0, -5, 10**9):
        with expect_fail(MilanError, contains='1 … 4096'): load('shapes', size)

    with expect_fail(MilanError, contains='the nearest are stamps'): load('stamp')
    with expect_fail(MilanError, contains='no folder'): load('somewhere/photos')
    with expect_fail(MilanError, contains='choose from'): demo(sets=['imagenet'])
    os.environ['MILAN_DATA_DIR'] = str(home := Path(tempfile.mkdtemp()))
    with expect_fail(MilanError, contains='Places365 is not here'): load('places365')
    with expect_fail(MilanError, contains='the nearest are imagenet'): load('imagnet')
    (home/'places365/val/airfield').mkdir(parents=True)
    disc(80).convert('RGB').save(home/'places365/val/airfield/1.png')
    (home/'biggan-zs-imagenet').mkdir()
    torch.save({'z': torch.randn(3, 128), 'y': torch.arange(3)}, home/'biggan-zs-imagenet'/'zs.pth')
    os.environ['MILAN_MANIFESTS_DIR'] = tempfile.mkdtemp()
    with warnings.catch_warnings(action='ignore'): assert isinstance(load('places365', 32), LabelledFolder)
    assert isinstance(load('biggan-zs-imagenet'), Latents) and isinstance(load(home/'places365'), ImageFolder)
    for variable in ('MILAN_DATA_DIR', 'MILAN_MANIFESTS_DIR'): del os.environ[variable]
