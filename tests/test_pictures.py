# Generated from nbs/09_pictures.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from milan.pictures import (
    centre_crop,
    COLUMNS,
    concatenate,
    fit_object,
    ImageFolder,
    ImageSet,
    LabelledFolder,
    Latents,
    open_picture,
    read_latents,
    resized_crop,
)

import shutil
import tempfile

from fastcore.test import expect_fail, test_eq

from milan.config import import_torchvision
from milan.shapes import disc, made_up_folder


def class_folders():
    "A folder as ImageFolder wants it, with what can go wrong in sorting: capitals, numbers, inner folders, other files."
    folder, random = Path(tempfile.mkdtemp()), np.random.default_rng(0)
    for name in ('b/10.png', 'b/9.png', 'b/Z.PNG', 'b/inner/1.png', 'a/c.png', 'B/x.png', 'a/note.txt', 'a/d.gif'):
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (int(random.integers(20, 90)), int(random.integers(20, 90)), 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder/name) if name[-3:] in ('png', 'PNG') else (folder/name).write_text('no picture')
    return folder


# 09_pictures.ipynb, section "Opening a picture"
def test_opening_a_picture():
    folder = made_up_folder()
    open_picture(folder/'red'/'1.jpg').size

    test_eq(open_picture(folder/'red'/'1.jpg', 'RGB').mode, 'RGB')
    whole = (folder/'red'/'1.jpg').read_bytes()
    (folder/'cut.jpg').write_bytes(whole[:len(whole) // 2])
    (folder/'text.png').write_text('no picture')
    for name in ('cut.jpg', 'text.png', 'nowhere.png'):
        with expect_fail(MilanError, contains=name): open_picture(folder/name)


# 09_pictures.ipynb, section "One shape for all"
def test_one_shape_for_all():
    wide = Image.new('RGB', (200, 100), (0, 0, 255))
    wide.paste((255, 0, 0), (0, 0, 40, 100))
    middle = np.asarray(centre_crop(wide, 64))
    test_eq(middle.shape, (64, 64, 3))
    assert (middle == (0, 0, 255)).all()
    fitted = np.asarray(fit_object(disc(), 50))[..., 3] > 127
    test_eq(fitted.shape, (50, 50))
    assert 43 <= fitted.any(0).sum() <= 46 and 43 <= fitted.any(1).sum() <= 46
    fit_object(disc(), 50).getbbox()


# 09_pictures.ipynb, section "A set of images"
def test_a_set_of_images():
    def tiny(name, count):
        "A set of `count` random 8 x 8 images; the first has a mask."
        random, masks = np.random.default_rng(count), np.zeros((count, 8), np.uint8)
        masks[0] = np.packbits(np.eye(8, dtype=bool))
        table = pd.DataFrame({column: [f'{column} {i}' for i in range(count)] for column in COLUMNS})
        return ImageSet(name, table, random.integers(0, 255, (count, 8, 8, 3), dtype=np.uint8), masks, f'{name}{count}')


    five = tiny('five', 5)
    five, five[0].shape, five[0].dtype

    assert torch.equal(five.mask(0), torch.eye(8, dtype=torch.bool)) and five.mask(1) is None
    test_eq(five[0].numpy().transpose(1, 2, 0), np.asarray(five.picture(0)))
    test_eq(len(list(five)), 5)
    with expect_fail(IndexError): five[5]
    both = concatenate([five, tiny('two', 2)])
    test_eq((both.name, len(both)), ('five+two', 7))
    assert torch.equal(both[-2], tiny('two', 2)[0]) and both.mask(5) is not None
    some = both.subset([6, 0])
    test_eq(some.table['file'].tolist(), ['file 1', 'file 0'])
    assert torch.equal(some[1], five[0])
    assert some.fingerprint != both.fingerprint and some.fingerprint == both.subset([6, 0]).fingerprint
    test_eq(len(five.subset(five.table['file'] == 'file 3')), 1)
    with expect_fail(MilanError, contains='all of one size'): concatenate([])


# 09_pictures.ipynb, section "A folder of images"
def test_a_folder_of_images():
    folder = made_up_folder()
    photos = ImageFolder(folder, 32)
    photos, photos.table[['file', 'category']].values.tolist()

    test_eq(photos[0].shape, (3, 32, 32))
    assert photos.mask(0) is None
    whole = (folder/'red'/'1.jpg').read_bytes()
    (folder/'red'/'1.jpg').write_bytes(whole[:len(whole) // 3])
    with expect_fail(MilanError, contains='1.jpg'): list(photos)
    (folder/'empty').mkdir()
    with expect_fail(MilanError, contains='no images in'): ImageFolder(folder/'empty')
    with expect_fail(MilanError, contains='beside it lie empty'): ImageFolder(folder/'emty')


# 09_pictures.ipynb, section "Prepared as in the paper"
def test_prepared_as_in_the_paper():
    transforms = import_torchvision().transforms
    random = np.random.default_rng(0)
    for width, height in [(300, 200), (200, 301), (256, 256), (90, 500), (401, 257), (224, 1001)]:
        picture = Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8))
        theirs = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(picture)
        test_eq(np.asarray(resized_crop(picture)), np.asarray(theirs))
    resized_crop(picture, 64).size


# 09_pictures.ipynb, section "Class folders"
def test_class_folders():
    folder = class_folders()
    labelled = LabelledFolder(folder, 32, name='made up')
    labelled, labelled.recipe, labelled.table[['file', 'class', 'label']].values.tolist()

    torchvision = import_torchvision()
    transforms = torchvision.transforms
    for fit, steps in [('crop', [transforms.Resize(256), transforms.CenterCrop(224)]), ('squash', [transforms.Resize((224, 224))])]:
        theirs = torchvision.datasets.ImageFolder(folder, transforms.Compose(steps))
        ours = LabelledFolder(folder, fit=fit)
        test_eq([str(folder/file) for file in ours.files], [file for file, _ in theirs.samples])
        test_eq(ours.labels.tolist(), theirs.targets)
        test_eq(ours.classes, theirs.classes)
        for index, (picture, _) in enumerate(theirs): test_eq(ours[index].numpy().transpose(1, 2, 0), np.asarray(picture))
    assert ours.fingerprint != LabelledFolder(folder).fingerprint and ours.mask(0) is None
    copy = Path(shutil.copytree(folder, Path(tempfile.mkdtemp())/'copy'))
    test_eq(LabelledFolder(copy, fit='squash').fingerprint, ours.fingerprint)
    test_eq(ours.subset([3, 0]).table['class'].tolist(), [ours.classes[ours.labels[3]], 'B'])

    (copy/'c').mkdir()
    with expect_fail(MilanError, contains='copy/c holds no images'): LabelledFolder(copy)
    with expect_fail(MilanError, contains='holds 2 images and no folders'): LabelledFolder(made_up_folder()/'blue')
    with expect_fail(MilanError, contains='"crop" or "squash"'): LabelledFolder(copy, fit='stretch')
    with expect_fail(MilanError, contains='no folder'): LabelledFolder(copy/'absent')


# 09_pictures.ipynb, section "Latent codes"
def test_latent_codes():
    codes, classes = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 1, 4, 1, 5])
    pairs = Latents('pairs', [codes, classes])
    pairs, pairs[3][1], pairs.table['label'].tolist()

    assert torch.equal(pairs[-1][0], codes[4]) and torch.equal(Latents('codes', [codes])[2], codes[2])
    some = pairs.subset([4, 0])
    test_eq((len(some), some[0][1].item(), some.table['label'].tolist()), (2, 5, [5, 3]))
    test_eq(len(pairs.subset(pairs.table['label'] == 1)), 2)
    with expect_fail(IndexError): pairs[5]
    with expect_fail(MilanError, contains='not pictures'): pairs.picture(0)
    with expect_fail(MilanError, contains='as many rows'): Latents('odd', [codes, classes[:3]])

    folder = Path(tempfile.mkdtemp())
    torch.save(classes := torch.tensor([3, 1, 4]), folder/'a-classes.pth')
    torch.save(torch.arange(12.).view(3, 4), folder/'codes.pth')
    latents = read_latents(folder, 'six')
    latents, latents[1]

    torch.save({'z': torch.arange(12.).view(3, 4), 'y': classes}, both := Path(tempfile.mkdtemp())/'both.pth')
    assert all(torch.equal(one, other) for one, other in zip(read_latents(both.parent).tensors, latents.tensors, strict=True))
    assert read_latents(folder).fingerprint == latents.fingerprint != read_latents(both.parent).fingerprint
    torch.save({'z': 3}, both)
    with expect_fail(MilanError, contains='both.pth holds dict'): read_latents(both.parent)
    both.unlink()
    with expect_fail(MilanError, contains='z.pth'): read_latents(both.parent)
