# Generated from nbs/02_images/03_latents.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import numpy as np
import torch
from milan.images.latents import (
    draw_latents,
    Latents,
    pack_latents,
    read_latents,
    write_latents,
)

import tempfile
import zipfile

from fastcore.test import expect_fail, test_eq
from PIL import Image

def class_folders():
    """A folder as ImageFolder wants it, with what can go wrong in sorting: capitals, numbers, inner folders,
    other files."""
    folder, random = Path(tempfile.mkdtemp()), np.random.default_rng(0)
    for name in ('b/10.png', 'b/9.png', 'b/Z.PNG', 'b/inner/1.png', 'a/c.png', 'B/x.png', 'a/note.txt',
                 'a/d.gif'):
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (int(random.integers(20, 90)), int(random.integers(20, 90)), 3),
                                 dtype=np.uint8)
        (
            Image.fromarray(pixels).save(folder / name)
            if name[-3:] in ('png', 'PNG')
            else (folder / name).write_text('no picture')
        )
    return folder


# 03_latents.ipynb, section "Latent codes"
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
    assert all(torch.equal(one, other) for one, other in zip(read_latents(both.parent).tensors, latents.tensors,
                                                             strict=True))
    assert read_latents(folder).fingerprint == latents.fingerprint != read_latents(both.parent).fingerprint

    torch.save({'z': 3}, both)
    with expect_fail(MilanError, contains='both.pth holds dict'): read_latents(both.parent)

    both.unlink()
    with expect_fail(MilanError, contains='z.pth'): read_latents(both.parent)


# 03_latents.ipynb, section "New codes"
def test_new_codes():
    codes, classes = draw_latents(2000, classes=10)
    codes.shape, round(codes.std().item(), 2), round(codes.abs().max().item(), 1), classes[:8]

    assert all(map(torch.equal, (codes, classes), draw_latents(2000, classes=10)))
    assert not torch.equal(codes, draw_latents(2000, classes=10, seed=1)[0])
    test_eq(classes.bincount().shape, (10,))
    assert codes.abs().max() > 3 and abs(codes.std() - 1) < .01
    short, _ = draw_latents(2000, 8, truncation=.5)
    assert .9 < short.abs().max() <= 1

    folder = write_latents(Path(tempfile.mkdtemp())/'biggan-zs-imagenet', *draw_latents(50))
    written = read_latents(folder)
    written

    assert all(map(torch.equal, written.tensors, draw_latents(50)))
    test_eq(sorted(path.name for path in folder.iterdir()), ['y.pth', 'z.pth'])
    assert read_latents(write_latents(folder.with_name('codes'), codes)).size == 0

    packed = zipfile.ZipFile(pack_latents(folder, folder.with_name('biggan-zs-imagenet.zip')))
    packed.namelist()

    packed.extractall(folder.with_name('unpacked'))
    test_eq(len(read_latents(folder.with_name('unpacked')/'biggan-zs-imagenet')), 50)
    with expect_fail(MilanError, contains='holds no .pth'):
        pack_latents(folder.parent/'none', folder.parent/'a.zip')
    assert not (folder.parent/'a.zip').exists()

    loaded = [torch.load(file, weights_only=True) for file in sorted(folder.iterdir())] # y, z
    test_eq([len(one.shape) for one in sorted(loaded, key=lambda one: not one.dtype.is_floating_point)], [2, 1])

    for sizes in ((0,), (5, 0), (5, 8, 0)):
        with expect_fail(MilanError, contains='at least'): draw_latents(*sizes)
    with expect_fail(MilanError, contains='truncation'): draw_latents(5, truncation=0)
    with expect_fail(MilanError, contains='as many rows'):
        write_latents(folder.with_name('b'), codes, classes[:3])
    with expect_fail(MilanError, contains='not written here'): write_latents(folder, codes)
    test_eq(sorted(path.name for path in folder.parent.iterdir()),
            ['biggan-zs-imagenet', 'biggan-zs-imagenet.zip', 'codes', 'unpacked'])
