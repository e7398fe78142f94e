# Generated from nbs/06_annotations/03_images.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from concurrent.futures import ThreadPoolExecutor
from milan.config import MilanError
from milan.exemplars.sharing import exclusive
from milan.images.folders import LabelledFolder
from milan.images.folders import resized_crop
from pathlib import Path
from tqdm.auto import tqdm
import json
import numpy as np
import os
import pandas as pd
from milan.annotations.images import (
    _claim,
    _done,
    _NOTE,
    _PARTIAL,
    _pixels,
    _read_record,
    _tidy,
    _write_layer,
    check_imagenet,
    compare,
    complete,
    numbered,
    RECORD,
    squash,
    TRANSFORMS,
)
import pytest

import warnings

warnings.filterwarnings('ignore', message='IProgress') # of progress bars that libraries would draw

import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from types import SimpleNamespace
from unittest import mock

import torch
from fastcore.test import expect_fail, test_close, test_eq
from IPython.display import display
from PIL import ImageDraw

from milan import annotations
from milan.config import import_torchvision
from milan.images.folders import ImageFolder
from milan.images.sets import ShapeScenes


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def photos(home, classes=('ant', 'bee', 'cat'), each=4):
    "An ImageFolder of generated scenes, stretched to wide and tall pictures: 12 of them."
    random, scenes = np.random.default_rng(0), ShapeScenes(len(classes) * each)
    for number in range(len(classes) * each):
        place = home/classes[number // each]
        place.mkdir(parents=True, exist_ok=True)
        scenes.picture(number).resize(tuple(random.integers(50, 100, 2).tolist())).save(
            place / f'{number:02}.png'
        )
    return home


def without_images(folder, layers=(('conv1', 5), ('conv2', 4)), k=3, side=32, numbers=12):
    "A set in the published layout that lacks its images."
    random = np.random.default_rng(1)
    for layer, units in layers:
        (folder/layer).mkdir(parents=True)
        masks = np.zeros((units, k, 1, side, side), np.uint8)
        masks[..., 8:24, 4:20] = 1
        np.save(folder/layer/'masks.npy', masks)
        np.savetxt(folder/layer/'ids.csv', random.integers(0, numbers, (units, k)), fmt='%d', delimiter=',')
        np.savetxt(folder/layer/'activations.csv', np.ones((units, k)), fmt='%.5e', delimiter=',')
    said = [f'{layer},{unit},something {which}' for layer, units in layers for unit in range(units)
            for which in ('red', 'round', 'big')]
    (folder/'annotations.csv').write_text('\n'.join(['layer,unit,summary', *said]) + '\n')
    return folder


# 03_images.ipynb, section "Which picture is number 4217?"
def test_which_picture_is_number_4217():
    home = photos(temporary())
    pictures = numbered(home)
    len(pictures), pictures.files[4], pictures.classes

    for file in ('bee/inner/00.png', 'bee/Z.PNG', '10/1.png', '9/1.png'):
        (home/file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(home/'ant'/'00.png', home/file)
    (home/'bee'/'notes.txt').write_text('no picture')
    order = import_torchvision().datasets.ImageFolder(str(home))
    test_eq([str(home/name) for name in numbered(home).files], [path for path, _ in order.samples])

    test_eq(numbered(order).files, numbered(home).files)
    test_eq(numbered(ImageFolder(photos(temporary()), 32)).files, pictures.files)

    with expect_fail(MilanError, contains='Subset does not tell'):
        numbered(torch.utils.data.Subset(order, [0, 1]))
    with expect_fail(MilanError, contains='one folder per class'): numbered(home/'valid')
    with expect_fail(MilanError, contains='sort the images into a folder for each class'): numbered(home/'ant')
    with expect_fail(MilanError, contains='give that'): numbered(photos(temporary()/'val').parent)


# 03_images.ipynb, section "Is this the validation set?"
def test_is_this_the_validation_set():
    names = [f'n{2_000_000 + 37 * (i // 50):08}/ILSVRC2012_val_{number:08}.JPEG'
             for i, number in enumerate(np.random.default_rng(0).permutation(50_000) + 1)]


    def validation(rename=str, drop=0):
        "Names as those of the validation set; `rename` spoils each, `drop` leaves some out."
        return sorted(map(rename, names[:len(names) - drop])), Path('imagenet/val')


    check_imagenet(*validation())
    validation()[0][:3]

    with expect_fail(MilanError, contains='this is the training set'):
        check_imagenet(*validation(lambda name: name.replace('ILSVRC2012_val', name[:9])))
    with expect_fail(MilanError, contains='49,999 pictures'): check_imagenet(*validation(drop=1))
    with expect_fail(MilanError, contains='class folders called'):
        check_imagenet(*validation(lambda name: name[5:]))
    with expect_fail(MilanError, contains='their order is unknown'):
        check_imagenet(*validation(lambda name: name.replace('ILSVRC2012_val_', '')))

    with expect_fail(MilanError, contains='usually imagenet/val'):
        check_imagenet([f'n{i % 1000:08}/{i}.JPEG' for i in range(50_001)], Path('imagenet/train'))


# 03_images.ipynb, section "One transform"
def test_one_transform():
    wide = Image.new('RGB', (300, 200), '#de8f05')
    ImageDraw.Draw(wide).ellipse((70, 20, 230, 180), fill='#0173b2')
    both = Image.new('RGB', (236, 112), 'white')
    for place, name in enumerate(TRANSFORMS): both.paste(TRANSFORMS[name](wide, 112), (124 * place, 0))
    both

    transforms = import_torchvision().transforms
    random = np.random.default_rng(0)
    for height, width in ((300, 500), (500, 333), (256, 256), (100, 90)):
        picture = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        cropped = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(picture)
        test_eq(np.asarray(TRANSFORMS['crop'](picture, 224)), np.asarray(cropped))
        original = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor()])(picture)
        # bytes by truncation, as in the original
        test_eq(np.asarray(squash(picture, 224)).transpose(2, 0, 1), (original * 255).byte().numpy())

    exif, folder = Image.Exif(), temporary()/'pictures'/'a'
    exif[274] = 6 # the camera lay on its side; the original did not ask
    folder.mkdir(parents=True)
    picture.save(folder/'1.png', exif=exif)
    test_eq(
        _pixels(LabelledFolder(folder.parent), 0, 'squash', 64),
        np.asarray(squash(picture, 64)).transpose(2, 0, 1),
    )
    assert not np.array_equal(
        LabelledFolder(folder.parent, 64, 'squash')[0],
        LabelledFolder(folder.parent, 64, 'squash', upright=False)[0],
    )


# 03_images.ipynb, section "Without writing anything"
def test_without_writing_anything():
    home = temporary()
    folder = without_images(home/'mynet'/'photos')
    found = annotations.load(folder, source=LabelledFolder(photos(home/'pictures'), 32))
    found[3].grid(width=64)

    pictures = numbered(home/'pictures')
    for image, number in zip(found[3].images, found[3].ids, strict=True):
        test_close(image * 255, _pixels(pictures, number, 'crop', 32), eps=1e-3)
    np.savetxt(folder/'conv1'/'ids.csv', np.full((5, 3), 12), fmt='%d', delimiter=',')
    with expect_fail(MilanError, contains='picture 12'):
        annotations.load(folder, source=LabelledFolder(home / 'pictures', 32))[0]
    shutil.rmtree(home)


# 03_images.ipynb, section "Row by row, and again after a kill"
def test_row_by_row_and_again_after_a_kill():
    read = []

    def number_itself(number, broken=()):
        "A picture whose pixels are its number."
        if number in broken: raise MilanError(f'picture {number} is broken')
        read.append(number)
        return np.full((3, 4, 4), number, np.uint8)


    folder, ids = temporary(), np.arange(80).reshape(40, 2)
    with ThreadPoolExecutor(2) as pool:
        arguments = (4, {'transform': 'crop'}, pool, tqdm(disable=True))
        with expect_fail(MilanError, contains='picture 70'):
            _write_layer(folder, ids, lambda number: number_itself(number, [70]), *arguments)
        first, read = sorted(read), []
        _write_layer(folder, ids, number_itself, *arguments)
    min(first), min(read), [path.name for path in folder.iterdir()]

    test_eq(sorted(read), list(range(64, 80)))
    test_eq(np.load(folder/'images.npy')[:, :, 0, 0, 0], ids)
    shutil.rmtree(folder)

    folder, shape = temporary(), (40, 2, 3, 4, 4)
    (folder/_PARTIAL).touch()
    test_eq(_done(folder, {}, shape), 0)
    _claim(folder/_PARTIAL, shape)
    note = {'transform': 'crop', 'shape': list(shape)}
    for told in (
        '',
        '[]',
        'null',
        '3',
        '{}',
        '[' * 100_000,
        '{"done": NaN}',
        *[json.dumps({**note, 'done': done}) for done in ('9', -1, 41, 1.5, True, None, [3])],
    ):
        (folder/_NOTE).write_text(told)
        test_eq(_done(folder, {'transform': 'crop'}, shape), 0) # started again
    (folder/_NOTE).write_text(json.dumps({**note, 'done': 32}))
    test_eq(_done(folder, {'transform': 'crop'}, shape), 32)
    for name in ('.mine.partial', '.images.npy.4217.partial'): (folder/name).write_text('x')
    _tidy(folder)
    test_eq([path.name for path in folder.iterdir()], ['.mine.partial'])
    shutil.rmtree(folder)


# 03_images.ipynb, section "Completing a set"
def test_completing_a_set():
    folder = temporary()
    for told in ('[' * 100_000, '{', '\x00'):
        (folder/RECORD).write_text(told)
        with expect_fail(MilanError, contains=f'{RECORD} is damaged'): _read_record(folder)
    shutil.rmtree(folder)

    home = temporary()
    folder = without_images(home/'mynet'/'photos')
    complete(folder, photos(home/'pictures'), progress=False)

    (folder/'completed.json').read_text()

    found = annotations.load(folder)
    for one, other in zip(found, annotations.load(folder, source=LabelledFolder(home / 'pictures', 32)),
                          strict=True):
        assert torch.equal(one.images, other.images)
    for layer, units in (('conv1', 5), ('conv2', 4)):
        images, ids = np.load(folder/layer/'images.npy'), found[0:9].layer(layer)
        test_eq((images.shape, images.dtype), ((units, 3, 3, 32, 32), np.uint8))
        pictures = LabelledFolder(home/'pictures', 32)
        test_eq(images, np.stack([[pictures[int(number)].numpy() for number in one.ids] for one in ids]))
    test_eq(
        sorted(path.name for path in (folder / 'conv1').iterdir()),
        ['activations.csv', 'ids.csv', 'images.npy', 'masks.npy'],
    )
    test_eq(set(complete(folder).images), {'were there'})
    found[3].grid(width=64)

    published = without_images(home/'published'/'photos')
    (published/'viz').mkdir()
    complete(published, home/'pictures', out=home/'copy'/'photos', transform='squash', workers=1, progress=False)
    assert not list(published.rglob('images.npy')) and os.path.samefile(
        published / 'conv1/masks.npy', home / 'copy/photos/conv1/masks.npy'
    )
    test_eq(sorted(path.relative_to(home / 'copy').as_posix() for path in (home / 'copy').rglob('*')
                   if path.is_file())[:4], ['photos/annotations.csv', 'photos/completed.json',
                                            'photos/conv1/activations.csv', 'photos/conv1/ids.csv'])
    test_eq(annotations.load(home/'copy'/'photos').annotations, annotations.load(published).annotations)
    shutil.rmtree(home)

    home = temporary()
    folder = without_images(home/'mynet'/'photos', [('conv1', 256)], k=8, side=64)
    photos(home/'pictures')
    tracemalloc.start()
    complete(folder, home/'pictures', workers=2, progress=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6, peak
    (folder/'conv1'/'images.npy').stat().st_size / 1e6

    shutil.rmtree(home)


# 03_images.ipynb, section "What is refused"
def test_what_is_refused():
    def refusal(spoil=lambda home: None, images='pictures', name='mynet/photos', **options):
        "What `complete` says about a set and pictures that `spoil` has spoilt."
        home = temporary()
        photos(home/'pictures')
        folder = without_images(home/name)
        spoil(home)
        try:
            complete(folder, None if images is None else home/images, progress=False, **options)
            return 'nothing'
        except MilanError as error:
            assert not list(home.rglob('images.npy')) and not list(home.rglob('.*'))
            return str(error).replace(str(home), 'data')
        finally:
            shutil.rmtree(home)


    def flat(home): # all pictures in one folder
        for path in list((home/'pictures').glob('*/*')): path.rename(home/'pictures'/path.name)
        for path in list((home/'pictures').iterdir()):
            if path.is_dir(): path.rmdir()


    REFUSED = {
        'no such folder': lambda: refusal(images='imagenet/val'),
        'the folder above': lambda: refusal(lambda home: (home / 'pictures').rename(home / 'val'), images='.'),
        'pictures without class folders': lambda: refusal(flat),
        'an empty folder': lambda: refusal(lambda home: (home / 'empty').mkdir(), images='empty'),
        'other pictures than ImageNet': lambda: refusal(name='alexnet/imagenet'),
        'no images for a set of one\'s own': lambda: refusal(images=None),
        'a number that no picture has': lambda: refusal(lambda home: shutil.rmtree(home / 'pictures' / 'cat')),
        'a negative number': lambda: refusal(
            lambda home: (home / 'mynet/photos/conv1/ids.csv').write_text('0,0,-1\n' * 5)
        ),
        'masks of 4 dimensions': lambda: refusal(
            lambda home: np.save(home / 'mynet/photos/conv1/masks.npy', np.zeros((5, 3, 16, 16), np.uint8))
        ),
        'an unknown transform': lambda: refusal(transform='stretch'),
    }
    told = {what: say() for what, say in REFUSED.items()}
    with mock.patch('milan.files.shutil.disk_usage', return_value=SimpleNamespace(free=1000)):
        told['a full disk'] = refusal()
    with pd.option_context('display.max_colwidth', None):
        display(pd.DataFrame({'what is wrong': list(told), 'what is said': list(told.values())}))

    assert 'nothing' not in told.values()
    assert ('sort the images into a folder for each class' in told['pictures without class folders']
            and 'is asked for' in told['a number that no picture has'])
    assert ('1,000 folders' in told['other pictures than ImageNet'] and 'no space' in told['a full disk']
            and 'images=' in told["no images for a set of one's own"])
    with expect_fail(MilanError, contains='did you mean'): complete('alexnet/imagenett', data_dir=temporary())

    home = temporary()
    folder = without_images(home/'mynet'/'photos')
    whole = (photos(home/'pictures')/'bee'/'05.png').read_bytes()
    (home/'pictures'/'bee'/'05.png').write_bytes(whole[:100])
    with expect_fail(MilanError, contains='05.png'): complete(folder, home/'pictures', progress=False)
    (home/'pictures'/'bee'/'05.png').write_bytes(whole)
    complete(folder, home/'pictures', progress=False)
    with expect_fail(MilanError, contains='another process'), exclusive(folder):
        complete(folder, home / 'pictures', progress=False)

    (folder/'conv2'/'images.npy').unlink()
    with expect_fail(MilanError,
                     contains="conv1 got their images with transform 'crop', now it would be transform 'squash'"):
        complete(folder, home/'pictures', transform='squash', progress=False)
    (home/'pictures'/'ant'/'00.png').rename(home/'pictures'/'ant'/'000.png')
    with expect_fail(MilanError, contains='names'): complete(folder, home/'pictures', progress=False)
    (home/'pictures'/'ant'/'000.png').rename(home/'pictures'/'ant'/'00.png')
    test_eq(complete(folder, home/'pictures', progress=False).images.tolist(), ['were there', 'completed'])
    (folder/'completed.json').write_text('{"transform": ')
    (folder/'conv2'/'images.npy').unlink()
    with expect_fail(MilanError, contains='completed.json is damaged'):
        complete(folder, home / 'pictures', progress=False)
    shutil.rmtree(home)


# 03_images.ipynb, section "Which transform was it?"
def test_which_transform_was_it():
    home = temporary()
    folder = without_images(home/'mynet'/'photos')
    complete(folder, photos(home/'pictures'), transform='squash', progress=False)
    result = compare(folder, home/'pictures')
    result.round(2)

    test_eq(result.identical.tolist(), [0, 1])
    test_eq(result.difference[1], 0)
    shutil.rmtree(home)


# 03_images.ipynb, section "Killed"
@pytest.mark.slow
def test_killed_slow():
    KILLING = '''
import filecmp, os, shutil, sys
from pathlib import Path

import numpy as np

from milan.annotations import images as completing
from milan.testing import killed, started


def run(folder, calls): # was it killed? See `milan.testing`
    work = lambda: completing.complete(folder, home/"pictures", workers=2, progress=False)
    return killed(started(work, calls, [(os, "replace"), (os, "unlink"), (np.memmap, "flush")]))


home = Path(sys.argv[1])
completing.PIECE = 8
shutil.copytree(home/"set", home/"whole")
assert not run(home/"whole", 0)
files = sorted(str(path.relative_to(home/"whole")) for path in (home/"whole").rglob("*") if path.is_file())
calls = 1
while True:
    folder = home/f"killed-{calls}"
    shutil.copytree(home/"set", folder)
    if not run(folder, calls): break
    assert not run(folder, 0)
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == files, found
    assert filecmp.cmpfiles(home/"whole", folder, files, shallow=False)[0] == files
    shutil.rmtree(folder)
    calls += 1
assert calls > 20, calls
print(f"killed {calls - 1} times")
'''

    home = temporary()
    photos(home/'pictures')
    without_images(home/'set', [('conv1', 24), ('conv2', 12)])
    run = subprocess.run([sys.executable, '-c', KILLING, str(home)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shutil.rmtree(home)
    run.stdout.strip()


# 03_images.ipynb, section "Fifty thousand files"
@pytest.mark.slow
def test_fifty_thousand_files_slow():
    home = temporary()
    photos(home/'some', ('a',), 20)
    numbers = np.random.default_rng(0).permutation(50_000) + 1
    for i, number in enumerate(numbers.tolist()):
        place = home/'imagenet'/'val'/f'n{2_000_000 + 37 * (i // 50):08}'
        if i % 50 == 0: place.mkdir(parents=True)
        os.link(home/'some'/'a'/f'{number % 20:02}.png', place/f'ILSVRC2012_val_{number:08}.png')
    folder = without_images(home/'alexnet'/'imagenet', numbers=50_000)
    made = complete('alexnet/imagenet', data_dir=home, progress=False)
    made

    order = import_torchvision().datasets.ImageFolder(str(home/'imagenet'/'val'))
    assert [f'{home}/imagenet/val/{name}' for name in numbered(home / 'imagenet' / 'val').files] == [
        path for path, _ in order.samples
    ]
    one = annotations.load('alexnet/imagenet', home)[4]
    for image, number in zip(one.images, one.ids, strict=True):
        expected = np.asarray(resized_crop(order[number][0], 32)).transpose(2, 0, 1)
        test_eq((image * 255).round().numpy(), expected)
    without_images(home/'dino_vits8'/'imagenet', numbers=50_000)
    (home / 'imagenet' / 'val' / f'n{2_000_000:08}' / f'ILSVRC2012_val_{numbers[0]:08}.png').rename(
        home / 'imagenet' / 'val' / f'n{2_000_000:08}' / f'ILSVRC2012_val_{numbers[0]:08}x.png'
    )
    with expect_fail(MilanError, contains='made from other files'):
        complete('dino_vits8/imagenet', data_dir=home, progress=False)
    shutil.rmtree(home)
