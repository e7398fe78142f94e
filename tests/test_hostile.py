# Generated from nbs/15_command/06_hostile.ipynb by `make export`. Edit the notebook, not this file.

import contextlib
import errno
import functools
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import signal
import socket
import stat
import struct
import sys
import tarfile
import tempfile
import threading
import time
import traceback
import unittest
import unittest.mock
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image, TiffImagePlugin
from torch import nn

import milan
import milan.annotations
import milan.data.archives
import milan.captioner
import milan.cli
import milan.gallery.browser
import milan.annotations.crowdsourcing
import milan.annotations.qualification
import milan.data.downloads
import milan.exemplars
import milan.gallery
import milan.images
import milan.data.manifests
import milan.networks
import milan.images.files
import milan.concepts.segmentations
import milan.networks.weights
from milan.captioner import checkpoints
from milan.captioner.model import Captioner
from milan.config import MilanError, import_torchvision
from milan.exemplars.compute import compute
from milan.exemplars.store import Exemplars
from milan.testing import Site

if sys.platform != 'linux':
    raise unittest.SkipTest('limits of memory, and forks of a process with threads, are those of Linux')
import resource

torch.set_num_threads(1)
import_torchvision()  # once, for all cases

# MILAN_HOSTILE_TABLE names a CSV file in which outcomes are noted instead of asserted, for those who repair
# what
# a new case shows
# what takes longer hangs; what hangs, hangs for ever
SECONDS = float(os.environ.get('MILAN_HOSTILE_SECONDS', 120))
MEMORY = 2 * 10**9  # bytes, beyond what the process has already
GOOD = 'clear error', 'read rightly'
BAD = 'unclear error', 'raw traceback', 'hang', 'out of memory', 'lost'
SEEN: list[dict] = []


class Case(NamedTuple):
    "One malformed input, and what to do with it."

    name: str
    make: Callable[[Path], Any]  # writes the input below a folder
    use: Callable[[Path], Any]  # what a user would do with it
    named: tuple[str, ...] = ()  # the error's text has one of these in it
    right: Callable[[Any], bool] | None = None  # whether a result is right; None: only an error is
    # names at the top of the folder that may change, besides data, models, results and home
    may: tuple[str, ...] = ()
    # those where something may be added, as the user asked for it, but nothing changed
    adds: tuple[str, ...] = ()


def state_of(folder):
    "Path → kind and content of all that is below a folder; nothing is followed, and no pipe is opened."
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            about = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(about.st_mode) else None
            if stat.S_ISREG(about.st_mode):
                content = (hashlib.sha1(open(path, 'rb').read()).hexdigest() if about.st_size < 10**7
                           else about.st_size)
            found[os.path.relpath(path, folder)] = stat.S_IFMT(about.st_mode), content
    return found


def losses(before, after, may, adds):
    "What was changed, removed, or written where nothing belongs."
    changed = [path for path, content in before.items() if after.get(path) != content
               and path.split(os.sep)[0] not in may and stat.S_ISDIR(content[0]) <= (path not in after)]
    made = [
        path
        for path in after
        if path not in before
        and path.split(os.sep)[0] not in ('data', 'models', 'results', 'home', *may, *adds)
    ]
    return [f'changed or removed: {path}' for path in changed] + [f'made: {path}' for path in made]


def only_here(self, address, connect=socket.socket.connect):
    "No case may reach another machine."
    if isinstance(address, tuple) and address[0] not in ('127.0.0.1', '::1', 'localhost'):
        raise ConnectionRefusedError(111, 'no connection beyond this machine')
    return connect(self, address)


def limited():
    "Limits for this process, and no way out of it."
    size = [int(line.split()[1]) * 1024 for line in open('/proc/self/status') if line.startswith('VmData')][0]
    resource.setrlimit(resource.RLIMIT_DATA, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (300 * 10**6,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    socket.socket.connect = only_here


def settle(folder):
    "The user's own files, and the folders of a new user."
    (folder / 'mine/sub').mkdir(parents=True)
    (folder / 'mine/notes.txt').write_text('years of work')
    (folder / 'mine/sub/photo.jpg').write_bytes(b'a photo')
    for name in ('data', 'models', 'results', 'home', 'here'):
        (folder / name).mkdir()
        os.environ[f'MILAN_{name.upper()}_DIR'] = str(folder / name)
    os.environ |= {'HOME': str(folder / 'home'), 'MILAN_OFFLINE': '1', 'HF_HUB_OFFLINE': '1',
                   'COLUMNS': '500'}
    os.chdir(folder / 'here')


def verdict(case, folder):
    "What came of using it: outcome, and the error's text."
    try:
        result = case.use(folder)
        if case.right is None:
            return 'lost', f'accepted without a word: {str(result)[:150]!r}'
        return (
            ('read rightly', '') if case.right(result) else ('lost', f'silently wrong: {str(result)[:150]!r}')
        )
    except MilanError as error:
        text = str(error)
        return 'clear error' if any(name in text for name in case.named) else 'unclear error', text
    except BaseException as error:
        short = isinstance(error, MemoryError) or 'allocate memory' in str(error)
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if 'milan'
                 in frame.filename.split('hostile')[-1]][-1:]
        return ('out of memory' if short else 'raw traceback',
                (f'{type(error).__name__}: {str(error).strip()[:300]}'
                 f' {[f"{Path(one.filename).name}:{one.lineno}" for one in where]}'))


def child(case, folder, pipe):
    "All that happens in the process of a case."
    said = os.open(f'{folder}.said', os.O_CREAT | os.O_WRONLY)
    for number in (1, 2):
        os.dup2(said, number)
    # a notebook has others
    sys.stdout, sys.stderr = io.open(1, 'w', closefd=False), io.open(2, 'w', closefd=False)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        settle(folder)
        case.make(folder)
        pipe.write(pickle.dumps(state_of(folder)))
        pipe.flush()
        limited()
        outcome, text = verdict(case, folder)
    pipe.write(pickle.dumps((outcome, text[:3000])))
    pipe.flush()


def attempt(case, root):
    "Run a case; outcome, and the error's text."
    folder = Path(tempfile.mkdtemp(dir=root)) / 'case'
    folder.mkdir()
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.setsid()
            os.close(reading)
            with open(writing, 'wb') as pipe:
                child(case, folder, pipe)
        except BaseException:
            with open(f'{folder}.broken', 'w') as file:
                traceback.print_exc(file=file)
        finally:
            os._exit(0)
    os.close(writing)
    begun, timer = time.monotonic(), threading.Timer(SECONDS, lambda: os.killpg(process, signal.SIGKILL))
    timer.start()
    with open(reading, 'rb') as pipe:
        told = io.BytesIO(pipe.read())
    status = os.waitpid(process, 0)[1]
    timer.cancel()
    assert not Path(f'{folder}.broken').exists(), f'{case.name}: {Path(f"{folder}.broken").read_text()}'
    before = pickle.load(told)
    rest = told.read()
    outcome, text = (
        pickle.loads(rest) if rest else (('hang', 'no end') if time.monotonic() - begun >= SECONDS
                                         else ('out of memory', f'ended with status {status}'))
    )
    lost = losses(before, state_of(folder), case.may, case.adds)
    shutil.rmtree(folder.parent, ignore_errors=True)
    return ('lost', f'{lost[:3]}; {text}') if lost else (outcome, text.replace(str(folder), '…'))


def tried(section, cases):
    "Run cases one after the other; a table of counts. What went wrong is printed."
    rows, root = [], tempfile.mkdtemp()
    for case in cases:
        begun = time.monotonic()
        outcome, text = attempt(case, root)
        rows.append({'section': section, 'case': case.name, 'outcome': outcome,
                     'text': (text.strip().splitlines() or [''])[-1],
                     'seconds': round(time.monotonic() - begun, 2)})
    shutil.rmtree(root, ignore_errors=True)
    assert len({row['case'] for row in rows}) == len(rows), 'two cases of one name'
    SEEN.extend(rows)
    if os.environ.get('MILAN_HOSTILE_TABLE'):
        note(os.environ['MILAN_HOSTILE_TABLE'])
    bad = [f'{row["case"]}: {row["outcome"]}: {row["text"]}' for row in rows if row['outcome'] in BAD]
    return rows, bad


def note(path):
    "Keep all rows in a file, for those who repair what is wrong."
    rows = pd.DataFrame(SEEN)
    if Path(path).exists():
        old = pd.read_csv(path)
        rows = pd.concat([old[~old.section.isin(set(rows.section))], rows])
    rows.to_csv(path, index=False)


def check(section, cases):
    "Try the cases; none may end badly."
    rows, bad = tried(section, cases)
    counts = pd.Series([row['outcome'] for row in rows]).value_counts()
    assert not bad or os.environ.get('MILAN_HOSTILE_TABLE'), '\n'.join(
        [f'{len(bad)} of {len(rows)} ended badly', *bad]
    )
    return counts.reindex([*GOOD, *BAD], fill_value=0).rename(section).to_frame().T


def table_of(make, use, table, **more):
    "Cases from a table: name → (damage, what the error names), perhaps with a check of the result."

    def made(damage):
        def both(folder):
            make(folder)
            damage(folder)

        return both

    return [Case(name, made(damage), use, (named,) if isinstance(named, str) else named, *right, **more)
            for name, (damage, named, *right) in table.items()]

RAMP = (np.stack([np.linspace(0, 255, 16 * 12).reshape(12, 16), np.linspace(255, 0, 16 * 12).reshape(12, 16),
                  np.full((12, 16), 60)], 2).round().astype(np.uint8))
GREY = RAMP[..., 0]


def packed(array, format='PNG', **options):
    "An image's bytes."
    kept = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(kept, format, **options)
    return kept.getvalue()


def png(width, height, rows=b'', depth=8, colour=2, filtered=0, interlaced=0, before=b'', crc=None):
    "A PNG, whatever it claims."

    def chunk(kind, body, crc=None):
        return (
            struct.pack('>I', len(body))
            + kind
            + body
            + struct.pack('>I', zlib.crc32(kind + body) if crc is None else crc)
        )

    head = struct.pack('>IIBBBBB', width, height, depth, colour, 0, filtered, interlaced)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head, crc) + before + chunk(b'IDAT', zlib.compress(rows, 9))
            + chunk(b'IEND', b''))


def written(body, name='x.png'):
    "A damage: these bytes as a file of the folder."
    return lambda folder: (folder / 'in' / name).write_bytes(body)


def inside(folder):
    (folder / 'in').mkdir()


def nothing(folder):
    pass


def small_network():
    "Four units, two layers."
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()


def seen_by(images, network=None, layers=('0', '2'), k=2, **more):
    "Exemplars of a small network."
    return compute(small_network() if network is None else network, images, list(layers),
                   **{'k': k, 'size': None, 'quantile': 0.8, 'quiet': True, **more})


def content(found):
    "All that a set of exemplars holds."
    return [(one.layer, one.unit, one.ids.tolist(), one.activations, one.images, one.masks) for one in found]


def same_content(found, expected, shown=True):
    "Whether two sets show the same images of the same units."
    pairs = list(zip(content(found), expected, strict=True))
    return all(one[:3] == other[:3] and np.allclose(one[3], other[3], atol=1e-4)
               for one, other in pairs) and (not shown or all(torch.allclose(one[4], other[4], atol=0.003)
                                                              and one[5].shape == other[5].shape
                                                              and (one[5] != other[5]).float().mean() < 0.02
                                                              for one, other in pairs))


noise = list(torch.randint(256, (8, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)))
with tempfile.TemporaryDirectory() as aside:
    expected = content(seen_by(noise, out=Path(aside) / 'out'))


def itself():
    state = {'w': torch.zeros(2)}
    state['state_dict'] = state
    return state


class Runs:
    "A pickle that makes a file where it is opened."

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


def saved(value):
    return lambda folder: torch.save(value() if callable(value) else value, folder / 'in/w.pth')


state = small_network().state_dict()


MISSING = object()
# as a name that files may give
milan.networks.register('tiny/shapes', lambda pretrained: small_network(), ['0', '2'], 9)


def small_captioner(encoder=False):
    "Untrained, with ten words."
    from milan.captioner.decoder import Decoder
    from milan.captioner.encoder import PyramidEncoder
    from milan.captioner.lm import LanguageModel
    from milan.captioner.text import Vocabulary

    torch.manual_seed(0)
    words = Vocabulary('a red blue dog cat thing with many round shapes'.split())
    eye = PyramidEncoder('tiny/shapes', ['0', '2']) if encoder else None
    features = eye.encode(torch.rand(2, 2, 3, 9, 9)).shape[-1] if encoder else 8
    return Captioner(Decoder(words, features, embedding_size=4, hidden_size=6), LanguageModel(words, 4, 6),
                     eye, {'data': 'nothing'}, {'length': 5, 'beam_size': 3})


def entry(*path, value=MISSING, file='in/captioner.json'):
    "A damage: one entry of a JSON file has another value, or is missing."

    def damage(folder):
        told = json.loads((folder / file).read_text())
        inner = functools.reduce(lambda part, key: part[key], path[:-1], told)
        inner.pop(path[-1]) if value is MISSING else inner.__setitem__(path[-1], value)
        (folder / file).write_text(json.dumps(told))

    return damage


def replaced(name, content):
    "A damage: a file has other bytes."

    def damage(folder):
        (folder / name).unlink()
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def instead(file, make):
    "A damage: something else stands in the place of a file."

    def damage(folder):
        (folder / file).unlink(missing_ok=True)
        make(folder / file)

    return damage


def no_file(file):
    "Damages that every file may have: it is a folder, or a pipe."
    name = Path(file).name
    return {'a folder': (instead(file, Path.mkdir), name), 'a pipe': (instead(file, os.mkfifo), name)}


def broken_json(file):
    "Damages that every JSON file may have."
    return {
        'empty': (replaced(file, ''), Path(file).name),
        'not JSON': (replaced(file, '{"format": 1,'), Path(file).name),
        'a list': (replaced(file, '[1]'), Path(file).name),
        'null': (replaced(file, 'null'), Path(file).name),
        'a number': (replaced(file, '7'), Path(file).name),
        'not text': (replaced(file, b'\xff\xfe\x00'), Path(file).name),
        'very deep': (replaced(file, '[' * 200_000), Path(file).name),
        'a number of 100,000 digits': (replaced(file, '{"format": ' + '9' * 100_000 + '}'), Path(file).name),
        **no_file(file),
    }


def three(folder):
    "A folder of pictures, in two classes."
    for name in ('a/1.png', 'a/2.png', 'b/3.png'):
        (folder / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / 'in' / name).write_bytes(packed(RAMP))


class Items:
    "A data set of whatever is given."

    def __init__(self, items, length=None):
        self.items, self.length = items, length

    def __len__(self):
        return len(self.items) if self.length is None else self.length

    def __getitem__(self, index):
        if index >= len(self.items):
            raise IndexError(index)
        return self.items[index]() if callable(self.items[index]) else self.items[index]


def same_content_lists(one, other):
    return all(a[:3] == b[:3] and torch.equal(a[4], b[4]) for a, b in zip(one, other, strict=True))


def is_expected(found):
    return same_content(found, expected)


# 06_hostile.ipynb, section "Pictures"
def test_pictures():
    def looks(expected, most=3):
        "A check that a picture is the expected array, except for a few levels."
        expected = np.repeat(expected[..., None], 3, 2) if expected.ndim == 2 else expected
        return (lambda picture: np.asarray(picture).shape == expected.shape
                and np.abs(np.asarray(picture).astype(int) - expected).max() <= most)


    def turned(orientation):
        "A JPEG stored in another orientation than it is to be seen in."
        undo = {1: None, 2: 'FLIP_LEFT_RIGHT', 3: 'ROTATE_180', 4: 'FLIP_TOP_BOTTOM', 5: 'TRANSPOSE',
                6: 'ROTATE_90', 7: 'TRANSVERSE', 8: 'ROTATE_270'}[orientation]
        picture = Image.fromarray(RAMP)
        exif = Image.Exif()
        exif[0x0112] = orientation
        return packed(picture.transpose(Image.Transpose[undo]) if undo else picture, 'JPEG', quality=100,
                      subsampling=0, exif=exif)


    def as_picture(folder):
        return milan.images.files.open_picture(next(iter(sorted((folder / 'in').iterdir())), folder / 'in/x.png'),
                                               'RGB', 8)


    wide = Image.fromarray((GREY.astype(np.uint16) * 257))
    rgba = Image.fromarray(np.dstack([RAMP, np.full((12, 16), 255, np.uint8)]))
    palette = Image.fromarray(RAMP).quantize(200)
    damaged_pictures = {
        'empty': (written(b''), 'x.png'),
        'text': (written(b'hello'), 'x.png'),
        'a web page': (written(b'<!doctype html><title>404</title>'), 'x.png'),
        **{f'png cut to {size}': (written(packed(RAMP)[:size]), 'x.png') for size in (4, 8, 20, 33, 45, 60)},
        **{
            f'jpeg cut to {size}': (written(packed(RAMP, 'JPEG')[:size], 'x.jpg'), 'x.jpg')
            for size in (2, 20, 160, 300, 620)
        },
        **{
            f'{kind} cut to {size}': (written(packed(RAMP, kind)[:size], f'x.{kind}'), f'x.{kind}')
            for kind, size in (
                ('gif', 10),
                ('gif', 100),
                ('bmp', 30),
                ('bmp', 200),
                ('tiff', 6),
                ('tiff', 100),
                ('webp', 18),
                ('webp', 60),
                ('ppm', 9),
                ('ppm', 60),
            )
        },
        'a wrong check sum': (written(png(4, 4, bytes(52), crc=1)), 'x.png'),
        'no rows': (written(png(4, 4)), 'x.png'),
        'no width': (written(png(0, 4)), 'x.png'),
        'depth 3': (written(png(4, 4, bytes(52), depth=3)), 'x.png'),
        'colour type 5': (written(png(4, 4, bytes(52), colour=5)), 'x.png'),
        'rows not deflated': (written(packed(RAMP).replace(b'IDAT\x78', b'IDAT\x00')), 'x.png'),
        'claims 300,000 x 300,000': (written(png(300_000, 300_000)), 'x.png'),
        'claims 2^31 wide': (written(png(2**31 - 1, 1)), 'x.png'),
        'a bomb of 100 million pixels': (
            written(png(10_000, 10_000, bytes(10_000 * 1251), depth=1, colour=0)),
            'x.png',
        ),
        'a bomb in a text': (
            written(
                png(
                    4,
                    4,
                    bytes(52),
                    before=struct.pack('>I', len(body := b'zTXtComment\0\0' + zlib.compress(bytes(10**8), 9)) - 4)
                    + body
                    + struct.pack('>I', zlib.crc32(body)),
                )
            ),
            'x.png',
            lambda picture: picture.size == (4, 4),
        ),
        'bmp of 2^31 x 2^31': (
            written(
                b'BM'
                + struct.pack('<IIIIiiHHIIiiII', 70, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0),
                'x.bmp',
            ),
            'x.bmp',
        ),
        'ppm of 10^9 x 10^9': (written(b'P6 1000000000 1000000000 255\n', 'x.ppm'), 'x.ppm'),
        'ppm of -3 x 4': (written(b'P6 -3 4 255\n' + bytes(90), 'x.ppm'), 'x.ppm'),
        'ppm without end': (written(b'P3 4 4 255\n' + b'9' * 10**6, 'x.ppm'), 'x.ppm'),
        'tiff whose pages are a circle': (
            written(packed(RAMP, 'TIFF')[:-4] + struct.pack('<I', 8), 'x.tif'),
            'x.tif',
            lambda picture: picture.size == (16, 12),
        ),
        'PostScript': (
            lambda folder: (folder / 'in/x.jpg').write_text(
                f'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n({folder}/canary) (w) file'
                ' closefile showpage\n'
            ),
            'x.jpg',
        ),
        'an array of NumPy': (
            lambda folder: np.save(folder / 'in/x.npy', RAMP)
            or (folder / 'in/x.npy').rename(folder / 'in/x.png'),
            'x.png',
        ),
        'a folder': (lambda folder: (folder / 'in/x.png').mkdir(), 'x.png'),
        'missing': (lambda folder: None, 'x.png'),
        'a pipe': (lambda folder: os.mkfifo(folder / 'in/x.jpg'), 'x.jpg'),
        'a link to itself': (lambda folder: (folder / 'in/x.png').symlink_to('x.png'), 'x.png'),
        'a link to nothing': (lambda folder: (folder / 'in/x.png').symlink_to('nothing.png'), 'x.png'),
        'a device without end': (lambda folder: (folder / 'in/x.png').symlink_to('/dev/zero'), 'x.png'),
        'a socket': (lambda folder: socket.socket(socket.AF_UNIX).bind('../in/x.png'), 'x.png'),
        'a bomb that is 1 wide': (
            written(png(1, 300_000, bytes(1200_000))),
            ('x.png', '300000'),
            lambda picture: picture.size == (1, 300_000),
        ),
    }
    read_pictures = {
        'grey': (written(packed(GREY)), 'x.png', looks(GREY)),
        'grey with alpha': (written(packed(Image.fromarray(GREY).convert('LA'))), 'x.png', looks(GREY)),
        'black and white': (
            written(packed(Image.fromarray(GREY > 99))),
            'x.png',
            looks(np.uint8(255) * (GREY > 99)),
        ),
        'palette': (written(packed(palette)), 'x.png', looks(np.asarray(palette.convert('RGB')))),
        'palette with a transparent colour': (
            written(packed(palette, transparency=3)),
            'x.png',
            looks(np.asarray(palette.convert('RGB'))),
        ),
        'alpha': (written(packed(rgba)), 'x.png', looks(RAMP)),
        'interlaced': (
            written(png(1, 1, b'\0' + bytes([1, 2, 3]), interlaced=1)),
            'x.png',
            looks(np.uint8([[[1, 2, 3]]])),
        ),
        '16 bits, grey': (written(packed(wide)), 'x.png', looks(GREY)),
        '16 bits, tiff': (written(packed(wide, 'TIFF'), 'x.tif'), 'x.tif', looks(GREY)),
        '16 bits, big-endian': (
            written(
                packed(
                    Image.frombytes('I;16B', (16, 12), (GREY.astype('>u2') * 257).astype('>u2').tobytes()), 'TIFF'
                ),
                'x.tif',
            ),
            'x.tif',
            looks(GREY),
        ),
        '16 bits, colours': (
            written(
                png(
                    16,
                    12,
                    b''.join(b'\0' + (row.astype('>u2') * 257).astype('>u2').tobytes() for row in RAMP),
                    depth=16,
                )
            ),
            'x.png',
            looks(RAMP),
        ),
        '16 bits, pgm': (
            written(b'P5 16 12 65535\n' + (GREY.astype('>u2') * 257).astype('>u2').tobytes(), 'x.pgm'),
            'x.pgm',
            looks(GREY),
        ),
        '32 bits': (
            written(packed(Image.fromarray(GREY.astype(np.int32) * 257), 'TIFF'), 'x.tif'),
            ('x.tif', '32'),
            looks(GREY),
        ),
        '32 bits, all of them': (
            written(packed(Image.fromarray(GREY.astype(np.int32) * 8_000_000), 'TIFF'), 'x.tif'),
            ('x.tif', '32'),
            looks(GREY),
        ),
        'floats to 1': (
            written(packed(Image.fromarray(GREY.astype(np.float32) / 255), 'TIFF'), 'x.tif'),
            ('x.tif', 'float'),
            looks(GREY),
        ),
        'floats to 255': (
            written(packed(Image.fromarray(GREY.astype(np.float32)), 'TIFF'), 'x.tif'),
            ('x.tif', 'float'),
            looks(GREY),
        ),
        'CMYK, jpeg': (
            written(packed(Image.fromarray(RAMP).convert('CMYK'), 'JPEG', quality=100), 'x.jpg'),
            'x.jpg',
            looks(RAMP, 12),
        ),
        'CMYK, tiff': (
            written(packed(Image.fromarray(RAMP).convert('CMYK'), 'TIFF'), 'x.tif'),
            'x.tif',
            looks(RAMP),
        ),
        'grey, jpeg': (written(packed(GREY, 'JPEG', quality=100), 'x.jpg'), 'x.jpg', looks(GREY, 12)),
        'progressive': (
            written(packed(RAMP, 'JPEG', quality=100, subsampling=0, progressive=True), 'x.jpg'),
            'x.jpg',
            looks(RAMP, 12),
        ),
        'animated': (
            written(packed(palette, 'GIF', save_all=True, append_images=[palette]), 'x.gif'),
            'x.gif',
            looks(np.asarray(palette.convert('RGB'))),
        ),
        'another ending': (written(packed(RAMP), 'x.jpg'), 'x.jpg', looks(RAMP)),
        'a profile that is none': (written(packed(RAMP, icc_profile=b'no profile')), 'x.png', looks(RAMP)),
        'EXIF that is none': (
            written(packed(RAMP, 'JPEG', quality=100, subsampling=0, exif=b'Exif\0\0garbage'), 'x.jpg'),
            'x.jpg',
            looks(RAMP, 12),
        ),
        'EXIF orientation 99': (
            written(
                packed(
                    RAMP,
                    'JPEG',
                    quality=100,
                    subsampling=0,
                    exif=(lambda exif: (exif.__setitem__(0x0112, 99), exif)[1])(Image.Exif()),
                ),
                'x.jpg',
            ),
            'x.jpg',
            looks(RAMP, 12),
        ),
        **{
            f'EXIF orientation {number}': (written(turned(number), 'x.jpg'), 'x.jpg', looks(RAMP, 12))
            for number in range(1, 9)
        },
    }

    check('Pictures', table_of(inside, as_picture, damaged_pictures | read_pictures))


# 06_hostile.ipynb, section "Image folders"
def test_image_folders():
    def all_of(folder, **more):
        found = milan.images.ImageFolder(folder / 'in', 16, **more)
        return len([image.sum() for image in found]), len(found.table)


    def labelled(folder):
        found = milan.images.folders.LabelledFolder(folder / 'in', 16)
        return len([image.sum() for image in found]), len(found.table)


    def put(body, name='a/9.png'):
        return lambda folder: (folder / 'in' / name).write_bytes(body)


    def linked(name, to):
        return lambda folder: (folder / 'in' / name).symlink_to(to)


    def emptied(folder):
        shutil.rmtree(folder / 'in')


    def deep(folder):
        place = folder / 'in/a'
        for _ in range(300):
            place = place / 'deeper'
        place.mkdir(parents=True)
        (place / '9.png').write_bytes(packed(RAMP))


    def two_links(folder):
        (folder / 'in/one').symlink_to('.')
        (folder / 'in/two').symlink_to('.')


    is_three, is_four = (lambda found: found == (3, 3)), (lambda found: found == (4, 4))
    folder_table = {
        'whole': (nothing, 'in', is_three),
        'missing': (emptied, 'in'),
        'empty': (lambda folder: (emptied(folder), (folder / 'in').mkdir()), 'in'),
        'a file': (lambda folder: (emptied(folder), (folder / 'in').write_text('x')), 'in'),
        'only texts': (
            lambda folder: (emptied(folder), (folder / 'in').mkdir(), (folder / 'in/a.txt').write_text('x')),
            'in',
        ),
        'an empty picture': (put(b''), '9.png'),
        'a text': (put(b'text'), '9.png'),
        'a bomb that is 1 wide': (put(png(1, 300_000, bytes(1200_000))), '9.png', is_four),
        'a bomb that is 1 high': (put(png(300_000, 1, bytes(900_001))), '9.png', is_four),
        'a cut picture': (put(packed(RAMP)[:60]), '9.png'),
        'a link to nothing': (linked('a/9.png', 'nothing.png'), '9.png', is_three),
        'a link to itself': (linked('a/9.png', '9.png'), '9.png', is_three),
        'a link to .': (linked('one', '.'), 'one', is_three),
        'two links to .': (two_links, ('one', 'two'), is_three),
        'a link to ..': (linked('a/up', '../..'), 'up', is_three),
        'a link to a picture': (linked('a/9.png', '1.png'), '9.png', is_four),
        'a link to a folder': (linked('c', 'b'), 'c', lambda found: found in ((3, 3), (4, 4))),
        'a pipe': (lambda folder: os.mkfifo(folder / 'in/a/x.jpg'), 'x.jpg', is_three),
        'a folder called 9.png': (lambda folder: (folder / 'in/a/9.png').mkdir(), '9.png', is_three),
        'a name that is no text': (
            lambda folder: Path(os.fsdecode(os.fsencode(folder / 'in/a') + b'/\xff\xfe.png')).write_bytes(
                packed(RAMP)
            ),
            '.png',
            lambda found: found in ((3, 3), (4, 4)),
        ),
        'a name with a line break': (put(packed(RAMP), 'a/9\n.png'), '9', is_four),
        'a name of 250 letters': (put(packed(RAMP), 'a/' + 'x' * 246 + '.png'), 'xxx', is_four),
        'deep below': (deep, 'in', is_four),
        'capital endings': (put(packed(RAMP), 'a/9.PNG'), '9', is_four),
    }
    classes_table = {
        'two links to .': (two_links, ('one', 'two'), lambda found: found == (9, 9)),
        'whole': (nothing, 'in', is_three), 'an empty class': (lambda folder: (folder / 'in/c').mkdir(), 'c'),
        'a class of texts': (lambda folder: ((folder / 'in/c').mkdir(), put(b'x', 'c/x.txt')(folder)), 'c'),
        'no classes': (lambda folder: (emptied(folder), (folder / 'in').mkdir(),
                                       put(packed(RAMP), '9.png')(folder)), 'in'), 'missing': (emptied, 'in'),
        'a file': (lambda folder: (emptied(folder), (folder / 'in').write_text('x')), 'in'),
        'a pipe': (lambda folder: os.mkfifo(folder / 'in/a/x.jpg'), 'x.jpg', is_three),
        'a link to ..': (linked('a/up', '../..'), 'up', is_three), 'a text called 9.png': (put(b'text'), '9.png'),
        'a cut picture': (put(packed(RAMP)[:60]), '9.png')
    }
    sizes = {f'size {size!r}': (size, str(size)) for size in (0, -1, 10**6, 10**12, 1.5, 'big', float('nan'))}
    size_cases = [
        Case(name, three, lambda folder, size=size: milan.images.ImageFolder(folder / 'in', size)[0].shape,
             (named, 'size')) for name, (size, named) in sizes.items()
    ]
    names = ['nosuchset', '', 'a/b/c', 'imagenet', 'imagenet/tests', 'imagenet/../mine', 'places365',
             'imagenet-spurious-text', 'imagenet-spurious-text/5pct/tests', 'imagenet-spurious-text/../..',
             'shapes/', '/dev/null', 'x' * 5000, 'a\0b']
    name_cases = [Case(f'load {name[:40]!r}', lambda folder: None, lambda folder,
                       name=name: milan.images.load(name), (name[:20].strip('.') or 'images', repr(name)[1:4],
                                                            'ImageNet', 'Places', 'set', 'null'))
                  for name in names]

    check(
        'Image folders',
        [
            *table_of(three, all_of, folder_table),
            *[case._replace(name=f'classes: {case.name}') for case in table_of(three, labelled, classes_table)],
            *size_cases,
            *name_cases,
        ],
    )


# 06_hostile.ipynb, section "Data sets"
def test_data_sets():
    class Stream(torch.utils.data.IterableDataset):
        def __len__(self):
            return 8

        def __iter__(self):
            return iter(noise)


    others = np.stack(noise)


    def with_item(item, at=5):
        return lambda: Items([*noise[:at], item, *noise[at + 1 :]])


    def boom():
        raise RuntimeError('a reader that fails')


    def mapped(function):
        return lambda: Items([function(image) for image in noise])


    def frozen(image):
        image = image.copy()
        image.setflags(write=False)
        return image


    data_sets = {
        'whole': (lambda: Items(noise), 'x', is_expected),
        'a list': (lambda: noise, 'x', is_expected),
        'a tensor': (lambda: torch.stack(noise), 'x', is_expected),
        'an array': (lambda: others, 'x', is_expected),
        'reversed arrays': (
            lambda: Items([image[:, ::-1, ::-1] for image in others[:, :, ::-1, ::-1].copy()]),
            'x',
            is_expected,
        ),
        'a reversed array': (lambda: others[::-1].copy()[::-1], 'x', is_expected),
        'arrays that may not be written': (lambda: Items([frozen(image) for image in others]), 'x', is_expected),
        'fractions': (mapped(lambda image: image.float() / 255), 'x', is_expected),
        'fractions in half precision': (
            mapped(lambda image: (image.float() / 255).half()),
            ('float16', 'half'),
            lambda found: same_content(found, expected, False) or True,
        ),
        'fractions in double precision': (
            mapped(lambda image: image.double() / 255),
            ('float64', 'double'),
            is_expected,
        ),
        'needing a gradient': (mapped(lambda image: (image.float() / 255).requires_grad_()), 'grad', is_expected),
        'views of one tensor': (lambda: Items([torch.stack(noise)[row] for row in range(8)]), 'x', is_expected),
        'with labels': (mapped(lambda image: (image, 3)), 'x', is_expected),
        'dictionaries': (mapped(lambda image: {'image': image, 'label': 3}), 'x', is_expected),
        'uint16': (lambda: Items(list(others.astype(np.uint16))), ('uint16', 'image 0')),
        'uint16 of 16 bits': (
            lambda: Items(list(others.astype(np.uint16) * 257)),
            ('uint16', 'image 0'),
            is_expected,
        ),
        'big-endian floats': (lambda: Items(list((others / 255).astype('>f4'))), ('>f4', 'image 0'), is_expected),
        'big-endian uint16': (lambda: Items(list(others.astype('>u2'))), ('>u2', 'image 0', 'uint16')),
        'int64': (mapped(lambda image: image.long()), ('int64', 'image 0')),
        'int32 arrays': (lambda: Items(list(others.astype(np.int32))), ('int32', 'image 0')),
        'int8': (lambda: Items(list(others.astype(np.int8))), ('int8', 'image 0')),
        'complex': (mapped(lambda image: image.to(torch.complex64)), ('complex', 'image 0')),
        'true and false': (
            mapped(lambda image: image > 99),
            ('bool', 'image 0'),
            lambda found: bool((found[0].images.unique() == torch.tensor([0.0, 1.0])).all()),
        ),
        'objects': (lambda: Items(list(others.astype(object))), ('object', 'item 0')),
        'texts in an array': (lambda: Items(list(others.astype(str))), ('item 0',)),
        'sparse': (mapped(lambda image: (image.float() / 255).to_sparse()), ('sparse', 'image 0')),
        'on no device': (mapped(lambda image: (image.float() / 255).to('meta')), ('meta', 'image 0')),
        'quantised': (
            mapped(lambda image: torch.quantize_per_tensor(image.float() / 255, 0.1, 0, torch.quint8)),
            ('quint8', 'image 0'),
        ),
        'bytes as floats': (mapped(lambda image: image.float()), ('255', '[0, 1]', 'between 0 and 1')),
        'negative': (
            mapped(lambda image: image.float() / 255 - 0.5),
            ('[0, 1]', '-0.496', '-0.5', 'from 0 to 1'),
        ),
        'not numbers': (with_item(torch.full((3, 9, 9), float('nan'))), ('image 5', 'image 0', 'nan')),
        'infinite': (mapped(lambda image: image / 255 * float('inf')), ('image 0', 'inf')),
        'one that is not a number': (
            lambda: Items(
                [
                    *(image / 255 for image in noise[:5]),
                    torch.full((3, 9, 9), float('nan')),
                    *(image / 255 for image in noise[6:]),
                ]
            ),
            ('image 5', 'nan'),
        ),
        'height first': (mapped(lambda image: image.permute(1, 2, 0)), ('image 0', '(9, 9, 3)')),
        'grey': (mapped(lambda image: image[:1]), ('image 0', '(1, 9, 9)', '1, 9, 9')),
        'grey without channels': (mapped(lambda image: image[0]), ('image 0', '(9, 9)')),
        'with alpha': (mapped(lambda image: torch.cat([image, image[:1]])), ('image 0', '(4, 9, 9)')),
        'five dimensions': (mapped(lambda image: image[None, None]), ('image 0', '(1, 1, 3')),
        'a number': (mapped(lambda image: image.sum()), ('image 0', 'item 0')),
        'without pixels': (mapped(lambda image: image[:, :0]), ('image 0', '(3, 0, 9)')),
        'too small for the network': (mapped(lambda image: image[:, :2, :2]), ('2', 'image')),
        'pictures of Pillow': (
            mapped(lambda image: Image.fromarray(image.permute(1, 2, 0).numpy())),
            ('image 0', 'Image'),
            is_expected,
        ),
        'numbers': (lambda: Items(list(range(8))), ('image 0', 'int')),
        'bytes': (lambda: Items([b'bytes'] * 8), ('image 0', 'bytes')),
        'names of files': (lambda: Items(['a.png'] * 8), ('image 0', 'str')),
        'nothing': (lambda: Items([None] * 8), ('image 0', 'None')),
        'empty tuples': (lambda: Items([()] * 8), ('item 0', 'tuple')),
        'empty dictionaries': (lambda: Items([{}] * 8), ('image 0', 'dict')),
        'a dictionary without an image': (lambda: Items([{'label': 3}] * 8), ('image 0', 'dict', 'label')),
        'one is larger': (with_item(torch.zeros(3, 9, 10, dtype=torch.uint8)), 'image 5'),
        'one is float': (with_item(torch.zeros(3, 9, 9)), 'image 5'),
        'one is None': (with_item(None), ('image 5', 'item 5')),
        'one is a list': (with_item([[0]]), ('image 5', 'item 5')),
        'one fails': (with_item(boom), ('image 5', 'a reader that fails')),
        'the first fails': (with_item(boom, 0), ('image 0', 'a reader that fails')),
        'longer than it says': (
            lambda: Items(noise, 4),
            'x',
            lambda found: max(one.ids.max() for one in found) < 4,
        ),
        'shorter than it says': (lambda: Items(noise, 9), ('image 8', '8')),
        'a length below 0': (lambda: Items(noise, -1), 'length'),
        'a length that is no number': (lambda: Items(noise, 'many'), 'length'),
        'a length of 10^15': (lambda: Items(noise, 10**15), ('8', 'space', 'memory', str(10**15))),
        'empty': (lambda: Items([]), 'no images'),
        'a stream with a length': (Stream, ('Stream', 'map-style')),
        'a generator': (lambda: (image for image in noise), ('generator', 'map-style')),
        'a loader': (lambda: torch.utils.data.DataLoader(noise), ('DataLoader', 'dataset'), is_expected),
        'a dictionary of images': (lambda: dict(enumerate(noise)), ('dict',), is_expected),
        'a dictionary by name': (
            lambda: {f'{number}.png': image for number, image in enumerate(noise)},
            ('dict',),
        ),
        'a set': (lambda: set(range(8)), 'set'),
        'a name that is none': (lambda: 'mypics', 'mypics'),
        'a path that is none': (lambda: Path('mypics'), ('mypics', 'PosixPath')),
        'no set': (lambda: None, ('None',)),
        'a number for a set': (lambda: 5, 'int'),
    }
    set_cases = [
        Case(
            name,
            nothing,
            lambda folder, make=make: seen_by(make()),
            (named,) if isinstance(named, str) else named,
            *right,
        )
        for name, (make, named, *right) in data_sets.items()
    ]
    settings = {'k=0': dict(k=0), 'k=-1': dict(k=-1), 'k=99': dict(k=99), 'k=1.5': dict(k=1.5),
                "k='two'": dict(k='two'), 'k=None': dict(k=None), 'quantile=2': dict(quantile=2),
                'quantile=nan': dict(quantile=float('nan')), "quantile='x'": dict(quantile='x'),
                'size=0': dict(size=0), 'size=-5': dict(size=-5), 'size=1.5': dict(size=1.5),
                "size='x'": dict(size='x'), 'batch_size=0': dict(batch_size=0),
                'batch_size=2.5': dict(batch_size=2.5), 'batch_size=None': dict(batch_size=None),
                'workers=-1': dict(workers=-1), "workers='two'": dict(workers='two'), 'seed=-1': dict(seed=-1),
                'seed=1.5': dict(seed=1.5), "borders='x'": dict(borders='x'), "device='tpu'": dict(device='tpu'),
                "device='cuda:99'": dict(device='cuda:99'), "units={'0': [9]}": dict(units={'0': [9]}),
                "units={'0': [-1]}": dict(units={'0': [-1]}), "units={'0': []}": dict(units={'0': []}),
                "units={'9': [0]}": dict(units={'9': [0]}), "units={'0': 3}": dict(units={'0': 3}),
                "units={'0': ['a']}": dict(units={'0': ['a']}), 'units=[0]': dict(units=[0]),
                'save_every=nan': dict(save_every=float('nan')), 'save_every=-1': dict(save_every=-1),
                'drop_tokens=-1': dict(drop_tokens=-1), 'transform=5': dict(transform=5),
                'transform that returns None': dict(transform=lambda images: None),
                'transform that fails': dict(transform=lambda images: 1 / 0),
                'transform to 4 dimensions more': dict(transform=lambda images: images[None]),
                'autocast=int': dict(autocast=torch.int32)}
    may_be_fine = {'seed=1.5', 'save_every=-1', 'save_every=nan', 'drop_tokens=-1', 'k=1.5', 'batch_size=2.5'}
    setting_cases = [Case(name, nothing, lambda folder, more=more: seen_by(noise, **more),
                          (*more, *map(str, more.values())), is_expected if name in may_be_fine - {'k=1.5'}
                          else None) for name, more in settings.items()]


    def in_place(images):
        return images.mul_(0.5).add_(0.1)


    def plain(images):
        return images * 0.5 + 0.1


    def fractions():
        return [image / 255 for image in noise]


    class Greedy(nn.Module):
        "Its first layer overwrites its input."

        def __init__(self):
            super().__init__()
            self.inner = small_network()

        def forward(self, images):
            return self.inner(images.mul_(2).sub_(1))


    class Kind(Greedy):
        def forward(self, images):
            return self.inner(images * 2 - 1)


    def twice(folder, change):
        "The second result, after something about the data set has changed, and what is right."
        items = [image.clone() for image in (noise * 40)[:300]]
        first = seen_by(Items(items), out=folder / 'results/twice')
        change(items)
        return (content(seen_by(Items(items), out=folder / 'results/twice')),
                content(seen_by(Items(items), out=folder / 'results/anew')), first)


    def both_same(found):
        return same_content_lists(*found[:2])


    aliasing = [
        Case(
            'a transform that works in place',
            nothing,
            lambda folder: [
                content(seen_by(fractions(), transform=one, out=folder / 'results' / name))
                for name, one in (('a', in_place), ('b', plain))
            ],
            ('transform',),
            lambda found: same_content_lists(*found),
        ),
        Case(
            'a network that works in place',
            nothing,
            lambda folder: [
                content(seen_by(fractions(), one, ['inner.0'], out=folder / 'results' / name))
                for name, one in (('a', Greedy()), ('b', Kind()))
            ],
            ('place',),
            lambda found: same_content_lists(*found),
        ),
        Case(
            'a data set that is kept',
            nothing,
            lambda folder: (
                kept := fractions(),
                before := torch.stack(kept).clone(),
                seen_by(kept, Greedy(), ['inner.0'], transform=in_place),
                torch.equal(before, torch.stack(kept)),
            )[-1],
            ('place',),
            bool,
        ),
        Case(
            'a change between two looks',
            nothing,
            lambda folder: twice(folder, lambda items: items[7].fill_(255)),
            ('image',),
            both_same,
        ),
        Case(
            'a change of all but the first',
            nothing,
            lambda folder: twice(folder, lambda items: [image.bitwise_not_() for image in items[1:-1:2]]),
            ('image',),
            both_same,
        ),
        Case(
            'an order that changed',
            nothing,
            lambda folder: twice(folder, lambda items: items.__setitem__(slice(6, 9), items[8:5:-1])),
            ('image',),
            both_same,
        ),
        Case('no change', nothing, lambda folder: twice(folder, lambda items: None), ('image',), both_same),
    ]
    out_cases = [
        Case(
            'out is a file of the user',
            nothing,
            lambda folder: seen_by(noise, out=folder / 'mine/notes.txt'),
            ('notes.txt',),
        ),
        Case(
            'out is a folder of the user', nothing, lambda folder: seen_by(noise, out=folder / 'mine'), ('mine',)
        ),
        Case(
            'out is .',
            lambda folder: (folder / 'here/work.txt').write_text('x'),
            lambda folder: seen_by(noise, out='.'),
            ('/here',),
        ),
        Case(
            'out is a/..',
            lambda folder: ((folder / 'here/a').mkdir(), (folder / 'here/work.txt').write_text('x')),
            lambda folder: seen_by(noise, out='a/..'),
            ('a/..', 'here'),
        ),
        Case(
            'out is below a file',
            nothing,
            lambda folder: seen_by(noise, out=folder / 'mine/notes.txt/out'),
            ('notes.txt',),
        ),
        Case(
            'out is a link to a folder of the user',
            lambda folder: (folder / 'here/out').symlink_to('../mine'),
            lambda folder: seen_by(noise, out='out'),
            ('out', 'mine'),
        ),
        Case(
            "the user's file in a finished set",
            lambda folder: (
                seen_by(noise, out=folder / 'results/out'),
                (folder / 'results/out/thesis.txt').write_text('x'),
            ),
            lambda folder: seen_by(noise[::-1], out=folder / 'results/out'),
            ('thesis.txt', 'out'),
        ),
        Case(
            "the user's folder in a finished set",
            lambda folder: (
                seen_by(noise, out=folder / 'results/out'),
                (folder / 'results/out/mine').mkdir(),
                (folder / 'results/out/mine/a.txt').write_text('x'),
            ),
            lambda folder: seen_by(noise, out=folder / 'results/out', resume=False),
            ('mine', 'out'),
        ),
        Case(
            'out may not be written', nothing, lambda folder: seen_by(noise, out='/proc/nothing/out'), ('/proc',)
        ),
        Case(
            'out has a name of 300 letters',
            nothing,
            lambda folder: seen_by(noise, out=folder / 'results' / ('x' * 300)),
            ('xxx',),
        ),
        Case(
            'out has a zero in it',
            nothing,
            lambda folder: seen_by(noise, out=f'{folder}/results/a\0b'),
            ('a\0b', 'a\\x00b'),
        ),
    ]

    check('Data sets', set_cases + setting_cases + aliasing + out_cases)


# 06_hostile.ipynb, section "Networks"
def test_networks():
    class Odd(nn.Module):
        "A convolution, and something odd after it."

        def __init__(self, then=lambda output: output):
            super().__init__()
            self.inner, self.then = nn.Conv2d(3, 4, 3), then

        def forward(self, images):
            return self.then(self.inner(images))


    class Gives(nn.Module):
        "A layer that gives something odd."

        def __init__(self, then):
            super().__init__()
            self.first, self.odd, self.then = nn.Conv2d(3, 4, 3), nn.Identity(), then

        def forward(self, images):
            output = self.first(images)
            self.odd(self.then(output))
            return output


    def scripted():
        return torch.jit.script(small_network())


    def traced():
        return torch.jit.trace(small_network(), torch.rand(1, 3, 9, 9))


    def with_weight(value):
        network = small_network()
        with torch.no_grad():
            network[0].weight.view(-1)[5] = value
        return network


    def shares():
        network = small_network()
        return nn.Sequential(network[0], nn.Conv2d(4, 3, 3), network[0])


    odd_networks = {
        'whole': (small_network, ['0', '2'], 'x', is_expected),
        'scripted': (scripted, ['0', '2'], ('script', 'Script', 'hook'), is_expected),
        'traced': (traced, ['0', '2'], ('trac', 'script', 'Script', 'hook'), is_expected),
        'on no device': (lambda: small_network().to('meta'), ['0'], 'meta'),
        'lazy': (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), ['0'], ('lazy', 'Lazy', 'initiali')),
        'half precision': (
            lambda: small_network().half(),
            ['0'],
            ('half', 'float16'),
            lambda found: len(found) == 4,
        ),
        'bfloat16': (lambda: small_network().bfloat16(), ['0'], 'bfloat16', lambda found: len(found) == 4),
        'double precision': (lambda: small_network().double(), ['0', '2'], 'float64', is_expected),
        'complex weights': (lambda: small_network().to(torch.complex64), ['0'], ('complex', '0')),
        'weights that are no numbers': (lambda: with_weight(float('nan')), ['0'], ('finite', 'nan')),
        'infinite weights': (lambda: with_weight(float('inf')), ['0'], ('finite', 'inf')),
        'in training mode': (lambda: small_network().train(), ['0', '2'], 'x', is_expected),
        'a class': (lambda: nn.Conv2d, ['0'], ('Conv2d', 'type')),
        'a function': (lambda: lambda images: images, ['0'], 'function'),
        'a state dict': (lambda: small_network().state_dict(), ['0'], ('OrderedDict', 'dict')),
        'a number': (lambda: 5, ['0'], 'int'),
        'nothing': (lambda: b'', ['0'], 'bytes'),
        'an unknown name': (lambda: 'resnet99/imagenet', ['0'], 'resnet99/imagenet'),
        'an empty name': (lambda: '', ['0'], "''"),
        'without weights': (lambda: nn.Sequential(nn.Identity()), ['0'], 'x', lambda found: len(found) == 3),
        'empty': (lambda: nn.Sequential(), ['0'], ("'0'", 'Sequential')),
        'a module that is no network': (lambda: nn.Module(), ['0'], ("'0'", 'Module')),
        'gives None': (lambda: Odd(lambda output: None), ['inner'], 'x', lambda found: len(found) == 4),
        'fails': (lambda: Odd(lambda output: 1 / 0), ['inner'], ('division by zero', 'Odd')),
        'wants 5 channels': (lambda: nn.Sequential(nn.Conv2d(5, 4, 3)), ['0'], ('5', 'Sequential')),
        'wants numbers of words': (lambda: nn.Sequential(nn.Embedding(9, 3)), ['0'], ('0', 'Sequential')),
        'wants two arguments': (lambda: nn.Bilinear(3, 3, 3), ['0'], ("'0'", 'Bilinear')),
        'a layer twice': (shares, ['0'], "'0'"),
        'a layer that does not run': (
            lambda: nn.ModuleDict({'a': nn.Conv2d(3, 4, 3)}),
            ['a'],
            ("'a'", 'ModuleDict'),
        ),
        'a layer that is not used': (
            lambda: (network := Odd(), network.add_module('idle', nn.Conv2d(3, 4, 3)))[0],
            ['idle'],
            'idle',
        ),
        'an unknown layer': (small_network, ['nine'], 'nine'),
        'no layers': (small_network, [], 'layers'),
        'a layer of numbers': (small_network, [9], '9'),
        'a layer of -1': (small_network, [-1], '-1'),
        'a layer that is None': (small_network, [None], 'None'),
        'a layer with ..': (small_network, ['../0'], '../0'),
        'an empty layer': (small_network, [''], "''"),
        'all layers but none': (small_network, ['x*'], 'x*'),
        **{
            f'a layer that gives {name}': (lambda then=then: Gives(then), ['odd'], ('odd', 'output'))
            for name, then in {
                'None': lambda output: None,
                'a number': lambda output: 3,
                'a text': lambda output: 'x',
                'an empty tuple': lambda output: (),
                'no dimension': lambda output: output.sum(),
                'one dimension': lambda output: output[:, 0, 0, 0],
                'five dimensions': lambda output: output[:, :, None],
                'other rows': lambda output: output[:1],
                'rows mixed': lambda output: output.flatten(0, 1)[:, None],
                'complex numbers': lambda output: output.to(torch.complex64),
                'sparse numbers': lambda output: output.to_sparse(),
                'no units': lambda output: output[:, :0],
                'no places': lambda output: output[..., :0],
                'nan': lambda output: output * float('nan'),
            }.items()
        },
        'a layer that gives true and false': (
            lambda: Gives(lambda output: output > 0),
            ['odd'],
            'odd',
            lambda found: len(found) == 4,
        ),
        'a layer that gives a list': (
            lambda: Gives(lambda output: [output]),
            ['odd'],
            'odd',
            lambda found: len(found) == 4,
        ),
        'a layer that gives integers': (
            lambda: Gives(lambda output: (output * 10).long()),
            ['odd'],
            'odd',
            lambda found: len(found) == 4,
        ),
        'maps that change their size': (
            lambda: Gives(lambda output: output[..., : 1 + int(output.sum().abs() * 100) % 5]),
            ['odd'],
            'odd',
            lambda found: len(found) == 4,
        ),
    }
    network_cases = [
        Case(name, nothing, lambda folder, make=make, layers=layers: seen_by(noise, make(), layers, batch_size=2),
             (named,) if isinstance(named, str) else named, *right)
        for name, (make, layers, named, *right) in odd_networks.items()
    ]


    kept = io.BytesIO()
    torch.save(state, kept)
    weights_files = {
        'whole': (saved(state), 'w.pth', lambda network: isinstance(network, nn.Module)),
        'under a key': (saved({'state_dict': state}), 'w.pth', lambda network: isinstance(network, nn.Module)),
        'missing': (nothing, 'w.pth'),
        'empty': (written(b'', 'w.pth'), 'w.pth'),
        'text': (written(b'text', 'w.pth'), 'w.pth'),
        'cut': (written(kept.getvalue()[:800], 'w.pth'), 'w.pth'),
        'cut at the end': (written(kept.getvalue()[:-30], 'w.pth'), 'w.pth'),
        'contains itself': (saved(itself), 'w.pth'),
        'contains itself, twice': (
            saved(lambda: (a := {}, b := {'model': a}, a.__setitem__('model', b))[0]),
            'w.pth',
        ),
        'code': (lambda folder: torch.save(Runs(folder / 'canary'), folder / 'in/w.pth'), 'w.pth'),
        'code, bare': (
            lambda folder: (folder / 'in/w.pth').write_bytes(pickle.dumps(Runs(folder / 'canary'))),
            'w.pth',
        ),
        'a whole module': (saved(small_network), 'w.pth'),
        'a list': (saved([1]), 'w.pth'),
        'no tensors': (saved({'a': 1}), 'w.pth'),
        'a folder': (lambda folder: (folder / 'in/w.pth').mkdir(), 'w.pth'),
        'one missing': (saved({name: value for name, value in state.items() if name != '2.bias'}), '2.bias'),
        'one more': (saved({**state, 'more': torch.zeros(2)}), 'more'),
        'another shape': (saved({**state, '2.bias': torch.zeros(9)}), '2.bias'),
        'names that are numbers': (saved({0: torch.zeros(2)}), 'w.pth'),
        'complex': (saved({**state, '2.bias': torch.zeros(2, dtype=torch.complex64)}), '2.bias'),
        'not numbers': (saved({**state, '2.bias': torch.full((2,), float('nan'))}), ('2.bias', 'finite', 'nan')),
        'integers': (
            saved({**state, '2.bias': torch.zeros(2, dtype=torch.long)}),
            '2.bias',
            lambda network: bool((network[2].bias == 0).all()),
        ),
        'sparse': (saved({**state, '2.bias': torch.zeros(2).to_sparse()}), '2.bias'),
        'on no device': (saved({**state, '2.bias': torch.zeros(2, device='meta')}), '2.bias'),
        'views of a large tensor': (
            saved({**state, '2.bias': torch.zeros(10**6)[:2]}),
            '2.bias',
            lambda network: True,
        ),
        'a pipe': (lambda folder: os.mkfifo(folder / 'in/w.pth'), 'w.pth'),
        'safetensors with a header of 2^60': (
            lambda folder: written(struct.pack('<Q', 2**60), 'w.safetensors')(folder),
            'w.safetensors',
        ),
    }


    def weights_of(folder):
        place = next(iter(sorted((folder / 'in').glob('w.*'))), folder / 'in/w.pth')
        network = milan.networks.weights.fit(small_network(), milan.networks.weights.read_state(place), place)
        seen_by(noise, network)
        return network

    check(
        'Networks',
        network_cases
        + [case._replace(name=f'weights: {case.name}') for case in table_of(inside, weights_of, weights_files)],
    )


# 06_hostile.ipynb, section "Network YAML"
def test_network_yaml():
    WHOLE = {'name': 'mine/pictures', 'build': 'torchvision:squeezenet1_1', 'layers': ['features.3'], 'size': 32,
             'mean': [0.5, 0.5, 0.5], 'std': [0.2, 0.2, 0.2]}


    def card(**changes):
        "A damage: the file with other entries; `None` leaves one out."
        return lambda folder: (folder / 'in/n.yaml').write_text(
            yaml.safe_dump({name: value for name, value in {**WHOLE, **changes}.items() if value is not None})
        )


    def raw(text):
        return lambda folder: (folder / 'in/n.yaml').write_bytes(
            text if isinstance(text, bytes) else text.encode()
        )


    def built(folder):
        network = milan.networks.load(folder / 'in/n.yaml', 'cpu', pretrained=(folder / 'in/w.pth').exists())
        return (compute(network, noise_32, None, k=1, size=None, quiet=True, units={network.layers[0]: [0]})
                if len(network.layers) == 1 else network.layers)


    def is_one(found):
        return len(found) == 1 and bool(np.isfinite(found.activations(found.layers[0])).all())


    def from_beside(code):
        return lambda folder: ((folder / 'in/own.py').write_text(code.replace('CANARY', str(folder / 'canary'))),
                               card(build='own:make')(folder))


    def called(build, *arguments, **named):
        return lambda folder: card(
            build=build,
            arguments={
                name: str(value).replace('CANARY', str(folder / 'canary')) for name, value in named.items()
            }
            or None,
        )(folder)


    noise_32 = list(torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8,
                                  generator=torch.Generator().manual_seed(1)))
    bomb = 'a: &a [x, x, x, x, x, x, x, x, x]\n' + ''.join(f'{b}: &{b} [{", ".join([f"*{a}"] * 9)}]\n'
                                                           for a, b in zip('abcdefgh', 'bcdefghi', strict=True))
    yaml_table = {
        'whole': (card(), 'n.yaml', is_one),
        'missing': (nothing, 'n.yaml'),
        'empty': (raw(''), 'n.yaml'),
        'a list': (raw('- a'), 'n.yaml'),
        'a text': (raw('hello'), 'n.yaml'),
        'not YAML': (raw('a: [b: {'), 'n.yaml'),
        'not text': (raw(b'\xff\xfe\x00a'), 'n.yaml'),
        'a folder': (lambda folder: (folder / 'in/n.yaml').mkdir(), 'n.yaml'),
        'a pipe': (lambda folder: os.mkfifo(folder / 'in/n.yaml'), 'n.yaml'),
        'a bomb': (raw(bomb + yaml.safe_dump({**WHOLE}) + 'arguments: *i\n'), 'n.yaml'),
        'a bomb under rename': (
            raw(bomb.replace('a:', 'rename: {z: y}\na:', 1) + yaml.safe_dump(WHOLE)),
            'n.yaml',
        ),
        'a circle': (
            raw(yaml.safe_dump({**WHOLE, 'build': 'torch.nn:Identity'}) + 'arguments: &x {a: *x}\n'),
            ('n.yaml', 'Identity'),
        ),
        'very deep': (raw('a: ' + '[' * 50_000), 'n.yaml'),
        'code': (raw('!!python/object/apply:os.system ["touch ../canary"]'), 'n.yaml'),
        'code in a value': (
            lambda folder: raw(
                yaml.safe_dump(WHOLE)
                + f'arguments: {{a: !!python/object/apply:os.system ["touch {folder}/canary"]}}'
            )(folder),
            'n.yaml',
        ),
        'no name': (card(name=None), 'name'),
        'no build': (card(build=None), 'build'),
        'an unknown key': (card(sise=3), 'sise'),
        'a key that is a number': (raw(yaml.safe_dump({**WHOLE, 7: 8})), '7'),
        **{
            f'name {value!r}': (card(name=value), 'name')
            for value in (
                '',
                '/etc/x',
                'a b',
                'resnet18/imagenet',
                'planted/shapes',
                'efficientnet_lite0/imagenet',
                5,
                ['a'],
                'a\nb',
            )
        },
        **{f'name {value!r}': (card(name=value), 'name', is_one) for value in ('../x', 'a/../../b', '..')},
        **{f'size {value!r}': (card(size=value), 'size') for value in (0, -1, 10**9, 1.5, 'big', True, [3])},
        'mean of two': (card(mean=[0.5, 0.5]), 'mean'),
        'mean of texts': (card(mean=['a', 'b', 'c']), 'mean'),
        'mean of nan': (card(mean=[float('nan')] * 3), 'mean'),
        'mean without std': (card(std=None), 'mean'),
        'std 0': (card(std=[0, 0.2, 0.2]), 'std'),
        'std below 0': (card(std=[-0.2, 0.2, 0.2]), 'std'),
        'std inf': (card(std=[float('inf')] * 3), 'std'),
        'mean of true': (card(mean=[True] * 3), 'mean'),
        'mean a number': (card(mean=0.5), 'mean'),
        'layers unknown': (card(layers=['nosuch']), 'nosuch'),
        'layers a text': (card(layers='features.3'), 'layers', is_one),
        'layers of numbers': (card(layers=[99]), ('99', 'layers')),
        'layers of lists': (card(layers=[['features.3']]), ('layers', 'features.3')),
        'layers None': (card(layers=[None]), ('layers', 'None')),
        'layers ../x': (card(layers=['../x']), '../x'),
        'layers empty': (card(layers=[]), 'layers', lambda found: len(found) > 1),
        'weights missing': (
            lambda folder: (card(weights='w.pth')(folder), torch.save({}, folder / 'in/w.pth')),
            'w.pth',
        ),
        'weights of code': (
            lambda folder: (
                card(weights='w.pth')(folder),
                torch.save(Runs(folder / 'canary'), folder / 'in/w.pth'),
            ),
            'w.pth',
        ),
        'weights of another network': (
            lambda folder: (card(weights='w.pth')(folder), saved(state)(folder)),
            'w.pth',
        ),
        'weights that contain themselves': (
            lambda folder: (card(weights='w.pth')(folder), saved(itself)(folder)),
            'w.pth',
        ),
        'rename a list': (card(rename=['a']), 'rename'),
        'rename of numbers': (card(rename={1: 2}), 'rename'),
        'prefix 5': (card(prefix=5), 'prefix'),
        'arguments of a library': (card(arguments={'a': 1}), 'arguments'),
        'arguments a list': (card(arguments=[1]), 'arguments'),
        **{
            f'build {value!r}': (card(build=value), (str(value)[:20], 'build', 'has no network'))
            for value in (
                '',
                'x',
                'torchvision:',
                'torchvision:nosuch',
                'torchvision:../x',
                'timm:nosuch',
                'timm:hf-hub:evil/model',
                'hf:../../mine',
                ':x',
                'x:',
                'a:b:c',
                'nosuchmodule:f',
                'torch.nn:nosuch',
                'torch.nn:Conv2d',
                'math:pi',
                'os:getcwd',
                7,
                ['a'],
            )
        },
        'runs os.system': (called('os:system', command='touch CANARY'), ('os:system', 'trust')),
        'runs posix.system': (called('posix:system', command='touch CANARY'), ('posix:system', 'trust')),
        'runs subprocess': (
            lambda folder: card(build='subprocess:run', arguments={'args': ['touch', str(folder / 'canary')]})(
                folder
            ),
            ('subprocess:run', 'trust'),
        ),
        'runs subprocess, by another name': (
            lambda folder: card(build='torch.utils.cpp_extension:subprocess')(folder),
            ('cpp_extension', 'trust'),
        ),
        'runs builtins.exec': (called('builtins:exec', source='open("CANARY", "w")'), ('builtins:exec', 'trust')),
        'runs shutil.rmtree': (
            lambda folder: card(build='shutil:rmtree', arguments={'path': str(folder / 'mine')})(folder),
            ('shutil:rmtree', 'trust'),
        ),
        'runs os.remove': (
            lambda folder: card(build='os:remove', arguments={'path': str(folder / 'mine/notes.txt')})(folder),
            ('os:remove', 'trust'),
        ),
        'opens a file to write': (
            lambda folder: card(build='io:open', arguments={'file': str(folder / 'canary'), 'mode': 'w'})(folder),
            ('io:open', 'trust'),
        ),
        'runs torch.load': (
            lambda folder: (
                torch.save(Runs(folder / 'canary'), folder / 'in/w.pth'),
                card(build='torch:load', arguments={'f': str(folder / 'in/w.pth'), 'weights_only': False})(
                    folder
                ),
            ),
            ('torch:load', 'trust'),
        ),
        'runs torch.hub': (
            lambda folder: (
                (folder / 'in/hubconf.py').write_text(f'open("{folder}/canary", "w")\ndef f(): pass'),
                card(
                    build='torch.hub:load',
                    arguments={'repo_or_dir': str(folder / 'in'), 'model': 'f', 'source': 'local'},
                )(folder),
            ),
            ('torch.hub:load', 'trust'),
        ),
        'runs a module by importing it': (
            lambda folder: card(build='antigravity:x')(folder),
            ('antigravity', 'trust'),
        ),
        'code beside it': (
            from_beside('open("CANARY", "w")\ndef make(): import torch; return torch.nn.Identity()'),
            ('own:make', 'trust'),
        ),
        'code beside it that shadows a package': (
            lambda folder: (
                (folder / 'in/torch.py').write_text(f'open("{folder}/canary", "w")'),
                card(build='torch:nn')(folder),
            ),
            ('torch:nn', 'trust'),
        ),
        "code beside it in torchvision's name": (
            lambda folder: (
                (folder / 'in/torchvision.py').write_text(f'open("{folder}/canary", "w")'),
                card()(folder),
            ),
            'trust',
            is_one,
        ),
    }

    check('Network YAML', table_of(inside, built, yaml_table))


# 06_hostile.ipynb, section "Captioner folders"
def test_captioner_folders():
    global aside
    def speaks(captioner):
        "What it says, and how certain it is."
        images = torch.rand(2, 2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
        features = (
            captioner.encode(images)
            if captioner.encoder is not None
            else torch.rand(2, 2, 8, generator=torch.Generator().manual_seed(2))
        )
        said = captioner.decode(features)
        return said.captions, said.scores


    def tensors(change, file='in/weights.safetensors'):
        "A damage: other tensors."
        from safetensors.torch import load_file, save_file

        def damage(folder):
            told = load_file(folder / file)
            save_file({name: value.contiguous() for name, value in (change(told) or told).items()}, folder / file)

        return damage


    def with_value(name, value):
        return lambda told: told.__setitem__(name, value(told[name]))


    def filled(value, place=0):
        "The same tensor with another number at one place."

        def change(tensor):
            tensor = tensor.clone()
            tensor.view(-1)[place] = value
            return tensor

        return change


    with tempfile.TemporaryDirectory() as aside:
        spoken = {}
        saved_captioners = {}
        for kind in (False, True):
            small_captioner(kind).save(Path(aside) / 'c')
            saved_captioners[kind] = {path.name: path.read_bytes() for path in (Path(aside) / 'c').iterdir()}
            spoken[kind] = speaks(milan.captioner.load(Path(aside) / 'c', 'cpu'))
            shutil.rmtree(Path(aside) / 'c')


    def as_before(kind=False):
        return lambda said: said[0] == spoken[kind][0] and torch.allclose(said[1], spoken[kind][1], atol=1e-3)


    def saved_here(kind):
        return lambda folder: ((folder / 'in').mkdir(), [(folder / 'in' / name).write_bytes(body)
                                                         for name, body in saved_captioners[kind].items()])


    def loaded(folder):
        return speaks(milan.pretrained(folder / 'in', 'cpu'))


    plain_ok, named_ok = as_before(), as_before(True)
    numbers = {'missing': MISSING, 'null': None, '0': 0, '-1': -1, '10^10': 10**10, '1.5': 1.5, 'a text': 'x',
               'a list': [], 'true': True, 'other': 7}
    captioner_table = {
        'whole': (lambda folder: None, 'in', plain_ok),
        **{f'captioner.json: {name}': more for name, more in broken_json('in/captioner.json').items()},
        'captioner.json: missing': (lambda folder: (folder / 'in/captioner.json').unlink(), 'captioner.json'),
        'weights: missing': (lambda folder: (folder / 'in/weights.safetensors').unlink(), 'weights.safetensors'),
        **{
            f'format: {name}': (entry('format', value=value), 'format')
            for name, value in {**numbers, '2': 2, '"1"': '1'}.items()
        },
        **{
            f'decoder: {key} {name}': (entry('decoder', key, value=value), (key, 'decoder', 'weights'), plain_ok)
            for key in ('features', 'hidden_size')
            for name, value in numbers.items()
        },
        **{
            f'decoder: {key} {name}': (entry('decoder', key, value=value), (key, 'decoder', 'weights'), plain_ok)
            for key, name, value in (
                ('embedding_size', '10^10', 10**10),
                ('embedding_size', 'a text', 'x'),
                ('attention_hidden_size', '-3', -3),
                ('attention_hidden_size', '10^12', 10**12),
                ('dropout', '7', 7),
                ('dropout', 'nan', float('nan')),
                ('dropout', 'a text', 'x'),
                ('device', 'unknown', 'cuda'),
                ('__class__', 'unknown', 1),
            )
        },
        **{
            f'lm: {key} {name}': (
                entry('lm', key, value=value),
                (key, 'lm', 'language model', 'weights'),
                plain_ok,
            )
            for key, name, value in (
                ('layers', '10^9', 10**9),
                ('layers', '0', 0),
                ('layers', '1', 1),
                ('layers', 'a text', 'x'),
                ('hidden_size', '10^9', 10**9),
                ('hidden_size', '-1', -1),
                ('embedding_size', 'null', None),
                ('dropout', '2', 2),
                ('outer_dropout', '-1', -1),
                ('more', 'unknown', 1),
            )
        },
        **{
            f'{key}: {name}': (entry(key, value=value), key, plain_ok)
            for key in ('decoder', 'defaults', 'card')
            for name, value in {
                'missing': MISSING,
                'a list': [1],
                'a text': 'x',
                'null': None,
                'a number': 5,
            }.items()
        },
        **{
            f'{key}: {name}': (entry(key, value=value), (key, 'weights'))
            for key in ('words',)
            for name, value in {
                'missing': MISSING,
                'a list': [],
                'null': None,
                'numbers': [1, 2],
                'a text': 'abcdefghij',
                'twice': ['a'] * 10,
                'fewer': ['a'],
                'lists': [['a']] * 10,
                'null in it': [None, *'abcdefghi'],
            }.items()
        },
        'words: not text': (entry('words', value=['\ud800', *'bcdefghij']), 'words'),
        **{
            f'defaults: {key} {name}': (entry('defaults', key, value=value), (key, str(value)), plain_ok)
            for key, name, value in (
                ('strategy', 'unknown', 'magic'),
                ('strategy', 'null', None),
                ('strategy', 'a list', []),
                ('temperature', 'nan', float('nan')),
                ('temperature', 'inf', float('inf')),
                ('temperature', '-1', -1),
                ('temperature', 'a text', 'x'),
                ('beam_size', '0', 0),
                ('beam_size', '-1', -1),
                ('beam_size', '10^9', 10**9),
                ('beam_size', '1.5', 1.5),
                ('beam_size', 'a text', 'x'),
                ('length', '0', 0),
                ('length', '-1', -1),
                ('length', '10^9', 10**9),
                ('length', 'a text', 'x'),
                ('length', 'null', None),
                ('more', 'unknown', 1),
            )
        },
        **{
            f'weights: {name}': (replaced('in/weights.safetensors', content), 'weights.safetensors')
            for name, content in {
                'empty': b'',
                'a text': b'text',
                'cut in the header': saved_captioners[False]['weights.safetensors'][:90],
                'cut at the end': saved_captioners[False]['weights.safetensors'][:-40],
                'a header of 2^60': struct.pack('<Q', 2**60) + b'{}',
                'a header of 2^26': struct.pack('<Q', 2**26) + b'{}',
                'places beyond the end': (
                    struct.pack('<Q', 76)
                    + b'{"decoder.x":{"dtype":"F32","shape":[4],"data_offsets":[0,999999999999]}}   '
                ),
            }.items()
        },
        'weights: code': (
            lambda folder: (folder / 'in/weights.safetensors').write_bytes(pickle.dumps(Runs(folder / 'canary'))),
            'weights.safetensors',
        ),
        **{f'weights: {name}': case for name, case in no_file('in/weights.safetensors').items()},
        **{
            f'weights: {name}': (tensors(change), named, *right)
            for name, (change, named, *right) in {
                'one missing': (
                    lambda told: told.pop('decoder.embedding.weight') is None,
                    ('embedding', 'decoder'),
                ),
                'all of the language model missing': (
                    lambda told: {name: value for name, value in told.items() if not name.startswith('lm.')},
                    ('lm', 'language model'),
                ),
                'one more': (lambda told: told.__setitem__('decoder.more', torch.zeros(2)), ('more', 'decoder')),
                'one that belongs to nothing': (
                    lambda told: told.__setitem__('nothing', torch.zeros(2)),
                    'nothing',
                    plain_ok,
                ),
                'another shape': (
                    with_value('decoder.embedding.weight', lambda value: value[:3]),
                    ('embedding', 'decoder'),
                ),
                'double precision': (
                    with_value('decoder.embedding.weight', torch.Tensor.double),
                    'embedding',
                    plain_ok,
                ),
                'half precision': (
                    lambda told: {name: value.half() for name, value in told.items()},
                    'float16',
                    lambda said: True,
                ),
                'integers': (with_value('decoder.embedding.weight', torch.Tensor.long), ('embedding', 'decoder')),
                'not numbers': (
                    with_value('decoder.embedding.weight', filled(float('nan'))),
                    ('finite', 'embedding', 'nan'),
                ),
                'infinite': (
                    with_value('lm.embedding.weight', filled(float('inf'), 5)),
                    ('finite', 'embedding', 'inf'),
                ),
            }.items()
        },
        'README: missing': (lambda folder: (folder / 'in/README.md').unlink(), 'README', plain_ok),
        'a file': (lambda folder: (shutil.rmtree(folder / 'in'), (folder / 'in').write_text('x')), 'in'),
        'missing': (lambda folder: shutil.rmtree(folder / 'in'), 'in'),
        'empty': (lambda folder: (shutil.rmtree(folder / 'in'), (folder / 'in').mkdir()), 'captioner.json'),
        "the language model's settings only": (entry('lm', value=None), 'lm', lambda said: len(said[0]) == 2),
    }
    own_net = {'name': 'mine/net', 'build': 'os:system', 'arguments': {'command': 'touch CANARY'}}


    def yaml_beside(folder, name='in/net.yaml', **more):
        (folder / name).write_text(yaml.safe_dump({**own_net, 'arguments': {'command': f'touch {folder}/canary'},
                                                   **more}))
        return folder / name


    encoders = {
        'whole': (lambda folder: None, 'in', named_ok),
        'a YAML that runs code': (
            lambda folder: entry('encoder', 'name', value=str(yaml_beside(folder)))(folder),
            ('net.yaml', 'encoder'),
        ),
        'a YAML beside it': (
            lambda folder: (
                yaml_beside(folder, 'here/net.yaml'),
                entry('encoder', 'name', value='net.yaml')(folder),
            ),
            ('net.yaml', 'encoder'),
        ),
        'a YAML in capitals': (
            lambda folder: (
                yaml_beside(folder, 'here/net.YAML'),
                entry('encoder', 'name', value='net.YAML')(folder),
            ),
            ('net.YAML', 'encoder'),
        ),
        'a yml': (
            lambda folder: (
                yaml_beside(folder, 'here/net.yml'),
                entry('encoder', 'name', value='net.yml')(folder),
            ),
            ('net.yml', 'encoder'),
        ),
        'a library with code': (
            lambda folder: entry('encoder', 'name', value=f'timm:local-dir:{folder}/in')(folder),
            ('timm', 'encoder'),
        ),
        **{
            f'encoder name {value!r}': (
                entry('encoder', 'name', value=value),
                ('encoder', repr(value), str(value)[:12], 'network'),
            )
            for value in (
                'nosuch',
                'hf:evil/model',
                'hf:../../mine',
                'timm:nosuch',
                'original:resnet18',
                'original:../x',
                '../x',
                5,
                ['a'],
                {},
                'resnet18/imagenet',
                'a\0b',
                'tiny/shapes\n',
            )
        },
        **{
            f'encoder {key} {name}': (
                entry('encoder', key, value=value),
                ('encoder', key, str(value), "'nosuch'", "'99'"),
                named_ok,
            )
            for key, name, value in (
                ('layers', 'unknown', ['nosuch']),
                ('layers', 'a text', 'shapes'),
                ('layers', 'empty', []),
                ('layers', 'numbers', [99]),
                ('layers', 'null', None),
                ('layers', 'missing', MISSING),
                ('size', '-1', -1),
                ('size', '10^9', 10**9),
                ('size', 'a text', 'x'),
                ('size', '1.5', 1.5),
                ('size', 'null', None),
                ('kind', 'unknown', 'x'),
                ('kind', 'a list', []),
                ('kind', 'places', 'places'),
                ('hash', 'wrong', '0' * 16),
                ('hash', 'missing', MISSING),
                ('hash', 'null', None),
                ('transform', 'wrong', 'x'),
                ('stored', 'true', True),
                ('stored', 'a text', 'x'),
                ('stored', 'missing', MISSING),
                ('projection', 'true', True),
                ('projection', 'missing', MISSING),
                ('name', 'missing', MISSING),
            )
        },
        'encoder a text': (entry('encoder', value='tiny/shapes'), 'encoder'),
        'encoder a list': (entry('encoder', value=[1]), 'encoder'),
        'encoder empty': (entry('encoder', value={}), 'encoder', lambda said: False),
    }
    cases = [
        *table_of(saved_here(False), loaded, captioner_table),
        *[case._replace(name=f'encoder: {case.name}') for case in table_of(saved_here(True), loaded, encoders)],
    ]

    check('Captioner folders', [case._replace(named=(*case.named, '/in')) for case in cases])


# 06_hostile.ipynb, section "Checkpoints"
def test_checkpoints():
    global aside
    from milan.captioner.decoder import Decoder
    from milan.captioner.lm import LanguageModel
    from milan.captioner.text import Vocabulary

    torch.manual_seed(0)
    ten_words = Vocabulary('a red blue dog cat thing with many round shapes'.split())
    unsaved = Captioner(Decoder(ten_words, 8, embedding_size=4, hidden_size=6), LanguageModel(ten_words, 4, 6),
                        None, None, {'length': 5, 'beam_size': 3})
    with tempfile.TemporaryDirectory() as aside:
        checkpoint = checkpoints.save(unsaved, Path(aside) / 'c.pth', encoder=False).read_bytes()
        with warnings.catch_warnings():  # it has no encoder
            warnings.simplefilter('ignore')
            published = checkpoints.load(Path(aside) / 'c.pth', 'cpu').decode(
                torch.rand(2, 2, 8, generator=torch.Generator().manual_seed(2))
            )


    def from_file(folder):
        said = milan.pretrained(folder / 'in/c.pth', 'cpu').decode(
            torch.rand(2, 2, 8, generator=torch.Generator().manual_seed(2))
        )
        return said.captions, said.scores


    def whole_file(folder):
        (folder / 'in').mkdir(), (folder / 'in/c.pth').write_bytes(checkpoint)


    def is_published(said):
        return said[0] == published.captions and torch.allclose(said[1], published.scores, atol=1e-3)


    def is_words(said):
        return all(isinstance(text, str) for text in said[0]) and bool(said[1].isfinite().all())


    def within(*path, value=MISSING):
        "A damage: one entry of the file has another value, or is missing."

        def damage(folder):
            with torch.serialization.safe_globals(checkpoints._ALLOWED):
                told = torch.load(folder / 'in/c.pth', weights_only=True)
            inner = functools.reduce(lambda part, key: part[key], path[:-1], told)
            (
                inner.pop(path[-1])
                if value is MISSING
                else inner.__setitem__(path[-1], value(inner[path[-1]]) if callable(value) else value)
            )
            torch.save(told, folder / 'in/c.pth')

        return damage


    def rules(**changes):
        "A damage: other rules of the tokeniser."
        import srsly

        def change(packed):
            told = srsly.msgpack_loads(packed)
            inner = srsly.msgpack_loads(told['tokenizer'])
            return srsly.msgpack_dumps({**told, 'tokenizer': srsly.msgpack_dumps({**inner, **changes})})

        return tokenizer(lambda nlp: (nlp[0], change(nlp[1])))


    def tokenizer(change):
        return within('properties', 'indexer', 'properties', 'tokenize', 'properties', 'nlp', value=change)


    vocabulary, weight = ('properties', 'indexer', 'properties', 'vocab', 'properties', 'tokens'), (
        'state_dict', 'embedding.weight'
    )
    checkpoint_table = {
        'whole': (lambda folder: None, 'c.pth', is_published),
        **{
            f'file: {name}': (replaced('in/c.pth', content), 'c.pth')
            for name, content in {
                'empty': b'',
                'a text': b'text',
                'a web page': b'<!doctype html>',
                'cut': checkpoint[:3000],
                'cut at the end': checkpoint[:-50],
                'a zip of nothing': b'PK\x05\x06' + bytes(18),
                'a pickle': pickle.dumps({'properties': {}, 'state_dict': {}}),
                'damaged inside': checkpoint[:2000] + b'\xff' * 50 + checkpoint[2050:],
            }.items()
        },
        'file: missing': (lambda folder: (folder / 'in/c.pth').unlink(), 'c.pth'),
        'file: a pipe': (
            lambda folder: ((folder / 'in/c.pth').unlink(), os.mkfifo(folder / 'in/c.pth')),
            'c.pth',
        ),
        'file: code': (lambda folder: torch.save(Runs(folder / 'canary'), folder / 'in/c.pth'), 'c.pth'),
        'file: code in a value': (
            lambda folder: within('properties', 'length', value=Runs(folder / 'canary'))(folder),
            'c.pth',
        ),
        'file: code, bare': (
            lambda folder: (folder / 'in/c.pth').write_bytes(pickle.dumps(Runs(folder / 'canary'))),
            'c.pth',
        ),
        'properties: missing': (within('properties'), 'c.pth'),
        'properties: a list': (within('properties', value=[1]), 'c.pth'),
        'state_dict: missing': (within('state_dict'), 'c.pth'),
        'state_dict: a list': (within('state_dict', value=[1]), 'c.pth'),
        'state_dict: empty': (within('state_dict', value={}), 'c.pth'),
        'state_dict: contains itself': (
            within('state_dict', value=lambda told: (told.__setitem__('state_dict', told), told)[1]),
            'c.pth',
        ),
        'state_dict: a text in it': (
            within('state_dict', 'x', value='x') if False else within(*weight, value='x'),
            'embedding.weight',
        ),
        'state_dict: names that are numbers': (
            within('state_dict', value=lambda told: {5: torch.zeros(2), **told}),
            'c.pth',
        ),
        **{
            f'words: {name}': (within(*vocabulary, value=value), ('c.pth', 'word'))
            for name, value in {
                'missing': MISSING,
                'null': None,
                'numbers': [1] * 10,
                'a text': 'abcdefghij',
                'twice': ['a'] * 10,
                'fewer': ['a'],
                'lists': [['a']] * 10,
                'a number': 5,
            }.items()
        },
        'indexer: missing': (within('properties', 'indexer'), 'c.pth'),
        'indexer: a list': (within('properties', 'indexer', value=[]), 'c.pth'),
        **{
            f'{key}: {name}': (within('properties', key, value=value), ('c.pth', key), is_words if fine else None)
            for key, name, value, fine in (
                ('embedding_size', '-1', -1, 0),
                ('embedding_size', 'a text', 'x', 0),
                ('embedding_size', '10^10', 10**10, 0),
                ('hidden_size', '0', 0, 0),
                ('hidden_size', '10^9', 10**9, 0),
                ('hidden_size', 'nan', float('nan'), 0),
                ('hidden_size', 'null', None, 0),
                ('dropout', '2', 2, 0),
                ('dropout', 'a text', 'x', 0),
                ('attention_hidden_size', 'a text', 'x', 1),
                ('strategy', 'unknown', 'magic', 0),
                ('strategy', 'a list', [], 0),
                ('strategy', 'null', None, 1),
                ('temperature', 'nan', float('nan'), 0),
                ('temperature', 'inf', float('inf'), 0),
                ('temperature', 'a text', 'x', 0),
                ('temperature', '-1', -1, 0),
                ('beam_size', '0', 0, 0),
                ('beam_size', '-1', -1, 0),
                ('beam_size', '10^9', 10**9, 0),
                ('beam_size', '1.5', 1.5, 0),
                ('beam_size', 'a tensor', torch.ones(3), 0),
                ('length', '0', 0, 0),
                ('length', '-1', -1, 0),
                ('length', '10^9', 10**9, 0),
                ('length', 'a text', 'x', 0),
                ('length', 'missing', MISSING, 1),
                ('strategy', 'missing', MISSING, 1),
                ('lm', 'a list', [1], 1),
                ('lm', 'missing', MISSING, 1),
                ('lm', 'a text', 'x', 1),
                ('encoder', 'a list', [1], 1),
                ('encoder', 'unknown', {'properties': {'config': 'x'}}, 1),
                ('encoder', 'a config that is a list', {'properties': {'config': []}}, 1),
            )
        },
        **{
            f'lm {key}: {name}': (
                within('properties', 'lm', 'properties', key, value=value),
                ('c.pth', key),
                is_words if fine else None,
            )
            for key, name, value, fine in (
                ('layers', '10^9', 10**9, 0),
                ('layers', '1', 1, 0),
                ('layers', 'a text', 'x', 0),
                ('hidden_size', '-1', -1, 0),
                ('dropout', 'nan', float('nan'), 0),
                ('indexer', 'missing', MISSING, 1),
                ('indexer', 'other words', {'properties': {'vocab': {'properties': {'tokens': ['a']}}}}, 0),
            )
        },
        **{
            f'weights: {name}': (change, ('c.pth', 'embedding'))
            for name, change in {
                'another shape': within(*weight, value=lambda value: value[:3]),
                'one dimension': within(*weight, value=lambda value: value.view(-1)),
                'no dimension': within(*weight, value=torch.tensor(3.0)),
                'complex': within(*weight, value=lambda value: value.to(torch.complex64)),
                'integers': within(*weight, value=lambda value: value.long()),
                'sparse': within(*weight, value=lambda value: value.to_sparse()),
                'on no device': within(*weight, value=lambda value: value.to('meta')),
                'not numbers': within(*weight, value=lambda value: value * float('nan')),
                'infinite': within('state_dict', 'lm.embedding.weight', value=lambda value: value + float('inf')),
                'missing': within(*weight),
                'of 10^12, without bytes': within(*weight, value=torch.zeros(1).expand(10**6, 10**6)),
            }.items()
        },
        'weights: one more': (within('state_dict', value=lambda told: {**told, 'more': torch.zeros(2)}), 'more'),
        'children: a list': (within('children', value=[1]), 'c.pth', is_words),
        'children: an unknown encoder': (within('children', value={'encoder': 'Evil'}), 'Evil', is_words),
        'children: an encoder that is a list': (within('children', value={'encoder': []}), 'c.pth', is_words),
        'tokeniser: missing': (tokenizer(lambda nlp: None), 'c.pth', is_published),
        'tokeniser: garbage': (tokenizer(lambda nlp: (nlp[0], b'\xc1garbage')), 'c.pth', is_published),
        'tokeniser: a list': (tokenizer(lambda nlp: (nlp[0], b'\x91\x01')), 'c.pth', is_published),
        'tokeniser: very deep': (tokenizer(lambda nlp: (nlp[0], b'\x91' * 5000)), 'c.pth', is_published),
        'tokeniser: a list of 2^31': (
            tokenizer(lambda nlp: (nlp[0], b'\xdd\x7f\xff\xff\xff')),
            'c.pth',
            is_published,
        ),
        'tokeniser: not bytes': (tokenizer(lambda nlp: (nlp[0], 'text')), 'c.pth', is_published),
        'tokeniser: an expression without end': (rules(prefix_search='(a+)+$|(.*a){25}x'), 'c.pth', is_published),
        'tokeniser: an expression without end in infixes': (
            rules(infix_finditer='((.|\\w)+)+Q'),
            'c.pth',
            is_published,
        ),
        'tokeniser: an expression without end in url_match': (
            rules(url_match='(([a-z])+.)+[A-Z]([a-z])+$'),
            'c.pth',
            is_published,
        ),
        'tokeniser: no expression': (rules(prefix_search='('), 'c.pth', is_published),
        'tokeniser: an expression that is a number': (rules(prefix_search=5), 'c.pth', is_published),
        'tokeniser: exceptions that are a list': (rules(exceptions=[1]), 'c.pth', is_published),
        'tokeniser: exceptions of numbers': (rules(exceptions={'a': [1]}), 'c.pth', is_published),
    }
    many_words = Vocabulary(['a' * 60 + 'b'] + [f'w{number}' for number in range(9)])
    long_words = within(*vocabulary, value=lambda words: ['a' * 60 + 'b', *words[1:]])
    checkpoint_table['tokeniser: an expression without end, and a word for it'] = (
        lambda folder: (long_words(folder), rules(prefix_search='(a+)+$')(folder)), 'c.pth', lambda said: True
    )
    checkpoint_table['a word of a million letters'] = (
        within(*vocabulary, value=lambda words: ['a-' * 500_000, *words[1:]]), 'c.pth', lambda said: True
    )

    check(
        'Checkpoints',
        [
            case._replace(named=(*case.named, 'c.pth'))
            for case in table_of(whole_file, from_file, checkpoint_table)
        ],
    )


# 06_hostile.ipynb, section "Exemplar folders"
def test_exemplar_folders():
    global aside
    with tempfile.TemporaryDirectory() as aside:
        native = seen_by(noise, out=Path(aside) / 'native', k=3)
        native_content = content(native)
        native.export(Path(aside) / 'published')
        sets = {
            kind: {
                str(path.relative_to(Path(aside) / kind)): path.read_bytes()
                for path in (Path(aside) / kind).rglob('*')
                if path.is_file()
            }
            for kind in ('native', 'published')
        }


    def unpacked(kind):
        def make(folder):
            for name, body in sets[kind].items():
                (folder / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / 'in' / name).write_bytes(body)

        return make


    def everything(folder):
        "All that can be asked of a set."
        found = Exemplars.open(folder / 'in')
        shown = content(found)
        with contextlib.suppress(MilanError):  # sets in the published layout keep neither
            found.dead(), content(found.view(quantile=0.9, size=5))
        return (found.k, len(found), [found.masks(layer, 4).sum() for layer in found.layers], found.select(k=1).k,
                shown)


    def array(name, change):
        "A damage: another array in its place."

        def damage(folder):
            before = np.load(folder / 'in' / name)
            np.save(folder / 'in' / name, change(before), allow_pickle=True)

        return damage


    def at(value, place=0):
        def change(array):
            array = array.copy()
            array.reshape(-1)[place] = value
            return array

        return change


    def is_native(found):
        return all(
            one[:3] == other[:3]
            and np.allclose(one[3], other[3], atol=1e-3)
            and torch.allclose(one[4], other[4], atol=0.003)
            for one, other in zip(found[-1], native_content, strict=True)
        )


    def about(key, value=MISSING):
        return entry(key, value=value, file='in/exemplars.json')


    changes = {
        'empty': lambda folder, file: (folder / 'in' / file).write_bytes(b''), 'text': lambda folder,
        file: (folder / 'in' / file).write_text('1,2,3'), 'cut': lambda folder,
        file: (folder / 'in' / file).write_bytes((folder / 'in' / file).read_bytes()[:-3]),
        'missing': lambda folder, file: (folder / 'in' / file).unlink(), 'code': lambda folder,
        file: np.save(folder / 'in' / file, np.array([Runs(folder / 'canary')], dtype=object), allow_pickle=True),
        'a number': lambda folder, file: np.save(folder / 'in' / file, np.array(3)), 'texts': lambda folder,
        file: array(file, lambda values: values.astype(str))(folder), 'one dimension less': lambda folder,
        file: array(file, lambda values: values[0])(folder), 'a row less': lambda folder,
        file: array(file, lambda values: values[:-1])(folder), 'complex': lambda folder,
        file: array(file, lambda values: values.astype(complex))(folder), 'no rows': lambda folder,
        file: array(file, lambda values: values[:0])(folder)
    }
    per_file = {
        f'{file}: {name}': (
            lambda folder, change=change, file=file: change(folder, file),
            (file, Path(file).stem, '/in'),
        )
        for file in (
            '0/units.npy',
            '0/ids.npy',
            '0/activations.npy',
            '0/levels.npy',
            '0/maps.npy',
            'images.npy',
            'image_ids.npy',
        )
        for name, change in changes.items()
    }
    native_table = {
        'whole': (lambda folder: None, 'in', is_native),
        **{f'exemplars.json: {name}': more for name, more in broken_json('in/exemplars.json').items()},
        **per_file,
        **{
            f'layers {name}': (about('layers', value), ('layers', 'nosuch', '/in'))
            for name, value in {
                'missing': MISSING,
                'null': None,
                'a text': '0',
                'a number': 5,
                'numbers': [0],
                'empty': [],
                'unknown': ['nosuch'],
                'twice': ['0', '0'],
                'lists': [['0']],
                'null in it': [None],
                'an empty name': [''],
                'of 10^5 letters': ['x' * 10**5],
                'a zero in it': ['a\0b'],
            }.items()
        },
        'layers ../x': (
            lambda folder: (shutil.copytree(folder / 'in/0', folder / 'x'), about('layers', ['../x'])(folder)),
            '../x',
        ),
        'layers an absolute path': (
            lambda folder: (
                shutil.copytree(folder / 'in/0', folder / 'x'),
                about('layers', [str(folder / 'x')])(folder),
            ),
            'layers',
        ),
        'layers .': (
            lambda folder: (
                shutil.copytree(folder / 'in/0', folder / 'in', dirs_exist_ok=True),
                about('layers', ['.'])(folder),
            ),
            'layers',
        ),
        'layers 0/../0': (about('layers', ['0/../0']), 'layers'),
        'a layer that is a link outside': (
            lambda folder: (
                shutil.move(folder / 'in/0', folder / 'x'),
                (folder / 'in/0').symlink_to(folder / 'x'),
            ),
            "'0'",
            is_native,
        ),
        **{
            f'size {name}': (about('size', value), ('size', '/in'), is_native if fine else None)
            for name, value, fine in (
                ('missing', MISSING, 1),
                ('0', 0, 0),
                ('-1', -1, 0),
                ('10^9', 10**9, 0),
                ('a text', 'x', 0),
                ('1.5', 1.5, 0),
                ('a list', [4], 0),
                ('true', True, 0),
                ('nan', float('nan'), 0),
            )
        },
        **{
            f'borders {name}': (about('borders', value), ('borders', '/in'), is_native if fine else None)
            for name, value, fine in (
                ('missing', MISSING, 1),
                ('unknown', 'x', 0),
                ('null', None, 0),
                ('a list', [], 0),
            )
        },
        'quantile a text': (about('quantile', 'x'), 'quantile', is_native),
        'format 1': (about('format', 'milan exemplars 1'), 'format'),
        'format null': (about('format', None), 'None'),
        'format a list': (about('format', []), '[]'),
        'something more': (about('more', 5), 'more', is_native),
        'units below 0': (array('0/units.npy', at(-1)), 'units'),
        'units twice': (array('0/units.npy', at(1)), 'units'),
        'units that are no whole numbers': (array('0/units.npy', lambda values: values + 0.5), 'units'),
        'units that are nan': (array('0/units.npy', lambda values: values * np.nan), 'units'),
        'an id that was not kept': (array('0/ids.npy', at(999)), ('999', 'ids')),
        'an id between those kept': (
            lambda folder: (
                array('image_ids.npy', lambda values: values * 2)(folder),
                array('0/ids.npy', lambda values: values * 2 + 1)(folder),
            ),
            'ids',
        ),
        'an id below 0': (array('0/ids.npy', at(-1)), ('-1', 'ids')),
        'ids that are fractions': (array('0/ids.npy', lambda values: values + 0.5), 'ids'),
        'ids of another image kept': (array('image_ids.npy', lambda values: values[::-1]), 'image_ids'),
        'image numbers twice': (array('image_ids.npy', lambda values: values * 0), 'image_ids'),
        'activations nan': (array('0/activations.npy', at(np.nan)), 'activations'),
        'activations ascending': (array('0/activations.npy', lambda values: values[:, ::-1]), 'activations'),
        'levels nan': (array('0/levels.npy', at(np.nan)), 'levels'),
        'maps nan': (array('0/maps.npy', at(np.nan)), 'maps'),
        'maps of five dimensions': (array('0/maps.npy', lambda values: values[..., None]), 'maps'),
        'maps without cells': (array('0/maps.npy', lambda values: values[..., :0]), 'maps'),
        'images as floats': (array('images.npy', lambda values: values / 255), 'images'),
        'images with two channels': (array('images.npy', lambda values: values[:, :2]), 'images'),
        'images without pixels': (array('images.npy', lambda values: values[..., :0]), 'images'),
        'more images than numbers': (
            array('images.npy', lambda values: np.concatenate([values, values])),
            'images',
        ),
        'big-endian ids': (array('0/ids.npy', lambda values: values.astype('>i8')), 'ids', is_native),
        'Fortran order': (array('0/maps.npy', np.asfortranarray), 'maps', is_native),
        'big-endian maps': (array('0/maps.npy', lambda values: values.astype('>f4')), 'maps', is_native),
        'quantiles nan': (array('0/quantiles.npy', lambda values: values * np.nan), 'quantiles', is_native),
        'images claim 10^13 bytes': (
            replaced(
                'in/images.npy',
                b'\x93NUMPY\x01\x00\x76\x00'
                + b"{'descr': '|u1', 'fortran_order': False, 'shape': (100000000, 3, 200, 200), }".ljust(117)
                + b'\n',
            ),
            'images',
        ),
        'missing': (lambda folder: shutil.rmtree(folder / 'in'), 'in'),
        'a file': (lambda folder: (shutil.rmtree(folder / 'in'), (folder / 'in').write_text('x')), 'in'),
    }
    csv_changes = {'empty': '', 'text': 'hello', 'too few rows': '1,2,3\n', 'too few columns': '1,2\n' * 4,
                   'ragged': '1,2,3\n1,2\n1,2,3\n1,2,3\n', 'not text': b'\xff\xfe', 'nan': 'nan,nan,nan\n' * 4,
                   'huge': f'{10**30},1,2\n' * 4, 'inf': 'inf,inf,inf\n' * 4}
    published_table = {
        'whole': (lambda folder: None, 'in', is_native),
        **{
            f'0/{file}.csv: {name}': (
                replaced(f'in/0/{file}.csv', body),
                (f'{file}.csv',),
                (lambda found: found[0] == 3) if (file, name) == ('activations', 'huge') else None,
            )
            for file in ('ids', 'activations')
            for name, body in csv_changes.items()
        },
        'ids below 0': (replaced('in/0/ids.csv', '-1,2,3\n' * 4), 'ids.csv'),
        'ids missing': (
            lambda folder: (folder / 'in/0/ids.csv').unlink(),
            'ids.csv',
            lambda found: found[0] == 3,
        ),
        'activations missing': (
            lambda folder: (folder / 'in/0/activations.csv').unlink(),
            'in',
            # of one layer they are unknown, the rest is as it was
            lambda found: [one[:3] for one in found[-1]] == [one[:3] for one in native_content],
        ),
        **{
            f'0/{file}: {name}': (
                lambda folder, change=change, file=file: change(folder, f'0/{file}'),
                (file, '/in'),
            )
            for file in ('masks.npy', 'images.npy')
            for name, change in changes.items()
        },
        'units of another number': (lambda folder: np.save(folder / 'in/0/units.npy', np.arange(9)), 'units.npy'),
        'units below 0': (lambda folder: np.save(folder / 'in/0/units.npy', -np.arange(4)), 'units.npy'),
        'units twice': (lambda folder: np.save(folder / 'in/0/units.npy', np.zeros(4, int)), 'units.npy'),
        'units of code': (lambda folder: changes['code'](folder, '0/units.npy'), 'units.npy'),
        'units that are fractions': (
            lambda folder: np.save(folder / 'in/0/units.npy', np.arange(4) + 0.5),
            'units.npy',
        ),
        'masks of other sides': (array('0/masks.npy', lambda values: values[..., :-1]), ('masks.npy',)),
        'masks as floats': (array('0/masks.npy', lambda values: values * 0.5), 'masks.npy'),
        'masks of 255': (
            array('0/masks.npy', lambda values: values * 255),
            'masks.npy',
            lambda found: all(bool(((one[5] == 0) | (one[5] == 1)).all()) for one in found[-1]),
        ),
        'layers of other k': (
            lambda folder: (
                [array(f'2/{name}.npy', lambda values: values[:, :2])(folder) for name in ('masks', 'images')]
                and [(folder / f'in/2/{name}.csv').write_text('1,2\n1,2\n') for name in ('ids', 'activations')]
            ),
            'k',
        ),
        'images missing': (lambda folder: (folder / 'in/0/images.npy').unlink(), 'images.npy'),
    }
    published_table['0/images.npy: missing'] = published_table['0/images.npy: missing'][0], ('images.npy', '/in')
    published_table.pop('images missing')

    check(
        'Exemplar folders', [case._replace(named=(*case.named, '/in'))
                             for case in [*table_of(unpacked('native'), everything, native_table),
                                          *[case._replace(name=f'published: {case.name}')
                                            for case in table_of(unpacked('published'), everything,
                                                                 published_table)]]]
    )


# 06_hostile.ipynb, section "Annotation sets"
def test_annotation_sets():
    global aside
    with tempfile.TemporaryDirectory() as aside:
        seen_by(noise, out=Path(aside) / 'native', k=3).export(Path(aside) / 'published')
        published_set = {
            str(path.relative_to(Path(aside) / 'published')): path.read_bytes()
            for path in (Path(aside) / 'published').rglob('*') if path.is_file()
        }
    said_of = 'layer,unit,summary\n' + ''.join(f'{layer},{unit},"a {layer}, and {unit}"\n'
                                               for layer, units in ((0, 4), (2, 2)) for unit in range(units)
                                               for _ in range(3))


    def annotated(folder):
        for name, body in published_set.items():
            (folder / 'in/set' / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / 'in/set' / name).write_bytes(body)
        (folder / 'in/set/annotations.csv').write_text(said_of)


    def told(folder):
        found = milan.annotations.load(folder / 'in/set')
        return [(one.layer, one.unit, one.annotations) for one in found]


    whole_set = [(str(layer), unit, [f'a {layer}, and {unit}'] * 3) for layer, units in ((0, 4), (2, 2))
                 for unit in range(units)]


    def is_whole(found):
        return found == whole_set


    def csv_of(text):
        return replaced('in/set/annotations.csv', text)


    annotation_table = {
        'whole': (lambda folder: None, 'set', is_whole),
        'missing': (lambda folder: (folder / 'in/set/annotations.csv').unlink(), 'annotations.csv'),
        'empty': (csv_of(''), 'annotations.csv'),
        'a header': (csv_of('layer,unit,summary\n'), ('annotations', 'set')),
        'no header': (csv_of(said_of.partition('\n')[2]), 'annotations.csv'),
        'a web page': (csv_of('<!doctype html>'), 'annotations.csv'),
        'not text': (csv_of(b'\xff\xfe\x00'), 'annotations.csv'),
        'zeros': (csv_of(bytes(5000)), 'annotations.csv'),
        'a quote without end': (csv_of(said_of + '0,1,"open\n'), 'annotations.csv'),
        'a field of 10 MB': (csv_of(said_of + '0,1,"' + 'x' * 10**7 + '"\n'), 'annotations.csv'),
        'too many values': (csv_of(said_of + '0,1,a,b\n'), 'annotations.csv'),
        'too few values': (csv_of(said_of + '0,1\n'), 'annotations.csv'),
        'a unit that is a text': (csv_of(said_of + '0,one,x\n'), 'one'),
        'a unit below 0': (csv_of(said_of + '0,-1,x\n'), '-1'),
        'a unit that is a fraction': (csv_of(said_of + '0,1.5,x\n'), '1.5'),
        'a unit of 5,000 digits': (csv_of(said_of + f'0,{"9" * 5000},x\n'), ('annotations.csv', '999')),
        'a unit of 30 digits': (csv_of(said_of + f'0,{"9" * 30},x\n'), ('annotations.csv', '999'), is_whole),
        'a unit in other digits': (csv_of(said_of + '0,٣,x\n'), '٣'),
        'no layer': (csv_of(said_of + ',1,x\n'), 'layer'),
        'units that are not there': (
            csv_of(said_of.replace('0,', '7,').replace('2,', '8,')),
            ('layers', 'units'),
        ),
        'a byte-order mark': (csv_of('\ufeff' + said_of), 'annotations.csv', is_whole),
        'Windows line ends': (csv_of(said_of.replace('\n', '\r\n')), 'annotations.csv', is_whole),
        'columns in another order': (
            csv_of(
                'summary,more,unit,layer\n'
                + ''.join(
                    f'"a {layer}, and {unit}",x,{unit},{layer}\n'
                    for layer, units in ((0, 4), (2, 2))
                    for unit in range(units)
                    for _ in range(3)
                )
            ),
            'annotations.csv',
            is_whole,
        ),
        'a column twice': (
            csv_of(
                said_of.replace('layer,unit,summary', 'layer,unit,summary,summary').replace('"\n', '",other\n')
            ),
            ('summary',),
        ),
        'semicolons': (csv_of(said_of.replace(',', ';')), 'annotations.csv'),
        'tabs': (csv_of(said_of.replace(',', '\t')), 'annotations.csv'),
        **no_file('in/set/annotations.csv'),
        'a zero in it': (csv_of(said_of + '0,1,a\0b\n'), 'annotations.csv', is_whole),
        'fewer than three each': (csv_of('layer,unit,summary\n0,1,x\n'), 'set'),
        'nothing at all': (lambda folder: shutil.rmtree(folder / 'in/set'), 'set'),
    }
    key_cases = [Case(f'key {key!r}', nothing, lambda folder, key=key: milan.annotations.load(key),
                      (str(key)[:20], 'alexnet')) for key in ('nosuch', '', 'base', 'alexnet/imagenet', '../x',
                                                              'a\0b', 'x' * 5000, '/dev/null')]


    def broden(folder):
        (folder / 'in/images').mkdir(parents=True)
        for name, body in {
            'index.csv': 'image,split,ih,iw,sh,sw,object,color\na.png,train,12,16,6,8,a_object.png,3\n',
            'category.csv': 'name,first,last,count,frequency\nobject,1,2,2,1\ncolor,3,3,1,1\n',
            'label.csv': (
                'number,name,category,frequency,coverage,syns\n1,sky,object(1),1,1,\n2,dog,object(1),1,1,\n3,red-c,color(1),1,1,\n'
            ),
            'c_object.csv': 'code,number,name,frequency,coverage\n1,1,sky,1,1\n2,2,dog,1,1\n',
            'c_color.csv': 'code,number,name,frequency,coverage\n1,3,red-c,1,1\n',
        }.items():
            (folder / 'in' / name).write_text(body)
        Image.fromarray(RAMP).save(folder / 'in/images/a.png')
        Image.fromarray(np.dstack([np.repeat([[1] * 4 + [2] * 4], 6, 0),
                                   np.zeros((6, 8, 2))]).astype(np.uint8)).save(folder / 'in/images/a_object.png')


    def labels(folder):
        found = milan.concepts.segmentations.load(folder / 'in')
        return ([concept.name for concept in found.concepts],
                [(one.sum().item(), {number: int(mask.sum()) for number, mask in found.regions(index).items()})
                 for index, one in ((index, found[index].int()) for index in range(len(found)))],
                np.stack([*found.regions(0).values(), np.zeros(1)][:1]).shape)


    def is_labelled(found):
        return found[0] == ['sky', 'dog', 'red'] and found[1][0][1] == {0: 24, 1: 24, 2: 48}


    def in_csv(file, old, new):
        return lambda folder: replaced(f'in/{file}', (folder / 'in' / file).read_text().replace(old, new))(folder)


    broden_table = {
        'whole': (lambda folder: None, 'in', is_labelled),
        **{
            f'{file}: {name}': (replaced(f'in/{file}', body), file)
            for file in ('index.csv', 'category.csv', 'label.csv', 'c_object.csv')
            for name, body in {
                'empty': '',
                'text': 'hello',
                'not text': b'\xff\xfe\x00',
                'ragged': 'a,b\n1\n1,2,3,4\n',
                'a header': 'x\n',
            }.items()
        },
        **{
            f'{file}: missing': (lambda folder, file=file: (folder / 'in' / file).unlink(), (file, '/in'))
            for file in (
                'index.csv',
                'category.csv',
                'label.csv',
                'c_object.csv',
                'images/a.png',
                'images/a_object.png',
            )
        },
        'an image outside': (in_csv('index.csv', 'a.png', '../../mine/a.png'), '../../mine/a.png'),
        'labels outside': (in_csv('index.csv', 'a_object.png', '../../mine/a.png'), '../../mine/a.png'),
        'an absolute image': (in_csv('index.csv', 'a.png,', '/etc/passwd,'), '/etc/passwd'),
        'a category outside': (in_csv('category.csv', 'object', '../x'), '../x'),
        'a size that is a text': (in_csv('index.csv', '6,8', 'x,8'), ('x', 'index.csv')),
        'a size of 0': (in_csv('index.csv', '6,8', '0,8'), ('0', 'index.csv')),
        'a size of 10^9': (in_csv('index.csv', '6,8', '999999999,999999999'), ('999999999', 'index.csv')),
        'a size below 0': (in_csv('index.csv', '6,8', '-6,8'), ('-6', 'index.csv')),
        'a label of another number': (
            in_csv('index.csv', ',3\n', ',99\n'),
            '99',
            lambda found: 2 not in found[1][0][1],
        ),
        'a label of 5,000 digits': (in_csv('index.csv', ',3\n', f',{"9" * 5000}\n'), ('999', 'index.csv')),
        'a label that is a picture of text': (
            lambda folder: (folder / 'in/images/a_object.png').write_text('x'),
            'a_object.png',
        ),
        'numbers that are texts': (in_csv('label.csv', '1,sky', 'one,sky'), ('one', 'label.csv')),
        'a coverage that is a text': (in_csv('c_object.csv', ',1\n', ',x\n'), ('x', 'c_object.csv')),
        'a coverage of nan': (in_csv('c_object.csv', 'sky,1,1', 'sky,1,nan'), ('nan', 'c_object.csv')),
        'other digits': (in_csv('index.csv', ',3\n', ',²\n'), ('²', 'index.csv')),
        'names twice': (in_csv('label.csv', 'dog', 'sky'), 'sky', lambda found: len(set(found[0])) == 3),
        'another split': (lambda folder: in_csv('index.csv', 'a_object.png,3', ',')(folder), 'index.csv'),
    }
    results_csv = 'Input.layer,Input.unit,Answer.summary,RejectionTime,WorkerId\n0,1,A dog,,W1\n0,2,a cat,,W2\n'
    results_table = {
        f'results: {name}': (
            written(body if isinstance(body, bytes) else body.encode(), 'r.csv'),
            ('r.csv', *more[:1]),
            *more[1:],
        )
        for name, (body, *more) in {
            'whole': (results_csv, 'x', lambda found: found == ['a dog', 'a cat']),
            'empty': ('',),
            'text': ('hello',),
            'not text': (b'\xff\xfe\x00',),
            'ragged': (results_csv + '1,2,3,4,5,6,7,8\n',),
            'a unit that is a text': (results_csv + '0,x,y,,W\n',),
            'a unit of 5,000 digits': (results_csv + f'0,{"9" * 5000},y,,W\n',),
            'other digits': (results_csv + '0,٣,y,,W\n', '٣', lambda found: found[-1] == 'y'),
            'a column missing': (results_csv.replace('Input.unit', 'unit'),),
            'a column twice': (results_csv.replace('WorkerId', 'Answer.summary'),),
            'zeros': (bytes(1000),),
        }.items()
    }


    def answers(folder):
        return milan.annotations.cleaning.clean(folder / 'in/r.csv').answers.summary.tolist()


    cleaning_table = {
        f'cleaning: {name}': (written(body if isinstance(body, bytes) else body.encode(), 'c.yaml'), ('c.yaml',))
        for name, body in {'a list': '- a', 'not YAML': 'a: [', 'not text': b'\xff\xfe\x00',
                           'unknown': 'prefixes: {}', 'numbers': 'prefix: [1]', 'a number': 'prefix: 5',
                           'empty texts': 'prefix: [""]', 'at_most a text': 'at_most: x',
                           'at_most -1': 'at_most: -1', 'at_most 0': 'at_most: 0',
                           'workers a list': 'workers: [a]', 'workers of numbers': 'workers: {a: 1}',
                           'spelling a text': 'spelling: "yes"', 'columns unknown': 'columns: {nosuch: a}',
                           'columns of numbers': 'columns: {layer: 1}',
                           'code': '!!python/object/apply:os.system ["touch ../canary"]',
                           'very deep': '[' * 20_000, 'a circle': 'prefix: &a [*a]',
                           'ignore of lists': 'ignore: [[a]]', 'empty': ''}.items()
    }
    question = {
        'title': 'A test', 'instructions': 'Choose.',
        'questions': [{'id': 'q1', 'image_urls': ['https://example.org/1.png'], 'options': ['a', 'b'],
                       'answer_index': 0}]
    }


    def asked(**more):
        return written(yaml.safe_dump({**question, 'questions': [{**question['questions'][0], **more}]}).encode(),
                       'q.yaml')


    test_table = {
        f'test: {name}': (damage, 'q.yaml')
        for name, damage in {
            'no options': asked(options=[]),
            'options of numbers': asked(options=[1, 2]),
            'options twice': asked(options=['a', 'a']),
            'options a text': asked(options='ab'),
            'an answer beyond': asked(answer_index=2),
            'an answer below 0': asked(answer_index=-1),
            'an answer that is true': asked(answer_index=True),
            'an answer that is a text': asked(answer_index='0'),
            'an address that is a file': asked(image_urls=['file:///etc/passwd']),
            'an address that is code': asked(image_urls=['javascript:alert(1)']),
            'an address with a password': asked(image_urls=['https://a:b@example.org']),
            'an address with a bad port': asked(image_urls=['https://example.org:99999/']),
            'an address that is broken': asked(image_urls=['https://[::1']),
            'addresses a text': asked(image_urls='https://example.org'),
            'no id': asked(id=''),
            'an id that is a list': asked(id=['a']),
            'letters XML cannot say': asked(options=['a\x01', 'b']),
            'half a letter': asked(options=['a', 'b'], id='\U0000ffff'),
            'unknown keys': asked(optoins=[]),
        }.items()
    }


    def cleaned(folder):
        return milan.annotations.cleaning.clean(
            pd.DataFrame({'Input.layer': ['0'], 'Input.unit': ['1'], 'Answer.summary': ['x'],
                          'RejectionTime': [''], 'WorkerId': ['w']}),
            milan.annotations.cleaning.Cleaning.read(folder / 'in/c.yaml')
        )


    def exam(folder):
        return milan.annotations.qualification.question_form(
            milan.annotations.qualification.read_qualification(folder / 'in/q.yaml'))


    cleaning_table['cleaning: empty'] = *cleaning_table['cleaning: empty'], lambda found: len(found.answers) == 1
    cleaning_table['cleaning: ignore of lists'] = (*cleaning_table['cleaning: ignore of lists'],
                                                   lambda found: len(found.answers) == 1)

    check(
        'Annotation sets',
        [
            *table_of(annotated, told, annotation_table),
            *key_cases,
            *[
                case._replace(name=f'Broden: {case.name}', named=(*case.named, '/in'))
                for case in table_of(broden, labels, broden_table)
            ],
            *table_of(inside, answers, results_table),
            *table_of(inside, cleaned, cleaning_table),
            *table_of(inside, exam, test_table),
        ],
    )


# 06_hostile.ipynb, section "Manifests and lock files"
def test_manifests_and_lock_files():
    BODY = packed(RAMP)
    SHA = hashlib.sha256(BODY).hexdigest()
    manifest = {
        'title': 'Things', 'licence': {'spdx': 'CC0-1.0', 'sentence': 'Free.'}, 'credit': 'Somebody',
        'homepage': 'https://example.org',
        'parts': [{'name': 'part', 'at_most': 100_000,
                   'sources': [{'kind': 'local', 'file': 'things.png', 'sha256': SHA, 'unpack': 'none'}]}]
    }


    def manifested(folder):
        "One manifest, and the file that it wants, put there by the user."
        (folder / 'in').mkdir()
        (folder / 'data/downloads').mkdir()
        (folder / 'data/downloads/things.png').write_bytes(BODY)
        (folder / 'in/things.yaml').write_text(yaml.safe_dump(manifest))
        os.environ['MILAN_MANIFESTS_DIR'] = str(folder / 'in')


    def fetched(folder):
        "All that is done with an asset."
        names = milan.data.manifests.names()
        milan.data.manifests.table(), milan.data.manifests.state('things')
        place = milan.data.manifests.fetch('things', quiet=True)
        return (names, place.relative_to(folder / 'data'), milan.data.manifests.verify('things'),
                [path.read_bytes() for path in sorted(place.rglob('*.png'))])


    def is_fetched(found):
        return found[0] == ['things'] and found[-1] == [BODY]


    def manifest_with(*path, value=MISSING):
        def damage(folder):
            told = json.loads(json.dumps(manifest))
            inner = functools.reduce(lambda part, key: part[key], path[:-1], told)
            inner.pop(path[-1]) if value is MISSING else inner.__setitem__(path[-1], value)
            (folder / 'in/things.yaml').write_text(yaml.safe_dump(told))

        return damage


    def source(key, value=MISSING):
        return manifest_with('parts', 0, 'sources', 0, key, value=value)


    def part(key, value=MISSING):
        return manifest_with('parts', 0, key, value=value)


    def lock(text):
        return lambda folder: (
            source('sha256', None)(folder),
            (folder / 'data/milan-lock.json').write_bytes(text if isinstance(text, bytes) else text.encode()),
        )


    def stamp(text):
        return lambda folder: (
            fetched(folder),
            (folder / 'data/things/manifest.json').write_bytes(
                text if isinstance(text, bytes) else text.encode()
            ),
        )


    outside = ('../../mine/x', '/tmp/milan-hostile-x', '..', 'a/../../../x',
               'sub/../../things/../../mine/notes.txt', '')
    manifest_table = {
        'whole': (lambda folder: None, 'things', is_fetched),
        'empty': (replaced('in/things.yaml', ''), 'things.yaml'),
        'a list': (replaced('in/things.yaml', '- a'), 'things.yaml'),
        'not YAML': (replaced('in/things.yaml', 'a: ['), 'things.yaml'),
        'not text': (replaced('in/things.yaml', b'\xff\xfe\x00'), 'things.yaml'),
        'code': (
            replaced('in/things.yaml', '!!python/object/apply:os.system ["touch ../canary"]'),
            'things.yaml',
        ),
        'a folder': (
            lambda folder: ((folder / 'in/things.yaml').unlink(), (folder / 'in/things.yaml').mkdir()),
            'things',
        ),
        'a pipe': (
            lambda folder: ((folder / 'in/things.yaml').unlink(), os.mkfifo(folder / 'in/things.yaml')),
            'things',
        ),
        'very deep': (replaced('in/things.yaml', '[' * 20_000), 'things.yaml'),
        'a bomb': (
            replaced(
                'in/things.yaml',
                'a: &a [x, x, x, x, x, x, x, x, x]\n'
                + ''.join(
                    f'{b}: &{b} [{", ".join([f"*{a}"] * 9)}]\n'
                    for a, b in zip('abcdefgh', 'bcdefghi', strict=True)
                )
                + yaml.safe_dump(manifest),
            ),
            'things.yaml',
            is_fetched,
        ),
        'a circle': (
            replaced('in/things.yaml', yaml.safe_dump(manifest) + 'note: &x [*x]\n'),
            'things.yaml',
            is_fetched,
        ),
        **{f'{key}: missing': (manifest_with(key), key) for key in manifest},
        **{
            f'{key}: a number': (
                manifest_with(key, value=5),
                (key, 'things.yaml'),
                is_fetched if key in ('title', 'credit', 'homepage') else None,
            )
            for key in manifest
        },
        **{
            f'{key}: a list': (
                manifest_with(key, value=[5]),
                (key, 'things.yaml'),
                is_fetched if key in ('title', 'credit', 'homepage') else None,
            )
            for key in manifest
        },
        'licence a text': (manifest_with('licence', value='CC0'), 'licence'),
        'licence without spdx': (manifest_with('licence', value={'a': 1}), ('licence', 'spdx')),
        **{
            f'file {value!r}': (
                lambda folder, value=value: (
                    (folder / 'mine/x').write_bytes(BODY),
                    source('file', value)(folder),
                ),
                ('file', repr(value)),
            )
            for value in outside
        },
        **{
            f'part name {value!r}': (
                part('name', value),
                ('name', repr(value)),
                is_fetched if value == '' else None,
            )
            for value in outside
        },
        **{
            f'place {value!r}': (manifest_with('place', value=value), ('place', repr(value)))
            for value in (*outside, '.', 'a\\..\\b', 5, ['a'])
        },
        'file with a zero': (source('file', 'a\0b'), 'file'),
        'file a number': (source('file', 5), 'file'),
        'file a list': (source('file', ['a']), 'file'),
        'store unknown': (manifest_with('store', value='elsewhere'), 'store', is_fetched),
        **{
            f'at_most {value!r}': (part('at_most', value), ('at_most', str(value), 'things'))
            for value in ('many', -1, 0, 5, None, [1], float('nan'))
        },
        'at_most missing': (part('at_most'), 'at_most'),
        'sources missing': (part('sources'), 'sources'),
        'sources empty': (part('sources', []), 'sources'),
        'sources a text': (part('sources', 'x'), 'sources'),
        'sources of texts': (part('sources', ['x']), 'source'),
        'part name missing': (part('name'), 'name'),
        **{
            f'kind {value!r}': (source('kind', value), ('kind', str(value)))
            for value in ('ftp', None, ['url'], 5)
        },
        **{
            f'sha256 {value!r}': (source('sha256', value), ('sha256', str(value)[:9]))
            for value in ('0' * 64, 'x', 5, '')
        },
        'sha256 in capitals': (source('sha256', SHA.upper()), 'sha256', is_fetched),
        'sha256 missing': (source('sha256'), 'sha256'),
        **{
            f'unpack {value!r}': (source('unpack', value), ('unpack', repr(value), 'things.png'))
            for value in ('rar', None, 5, ['zip'], 'zip', 'tar', 'deb')
        },
        'size a text': (source('size', 'x'), 'size', is_fetched),
        'size -1': (source('size', -1), 'size', is_fetched),
        'members a number': (
            lambda folder: manifest_with(
                'parts',
                0,
                'sources',
                0,
                value={'kind': 'local', 'file': 'things.png', 'sha256': SHA, 'unpack': 'zip', 'members': 5},
            )(folder),
            ('members', 'things.png'),
        ),
        'an address of a file': (
            lambda folder: manifest_with(
                'parts',
                0,
                'sources',
                0,
                value={
                    'kind': 'url',
                    'file': 'other.png',
                    'address': 'file:///etc/passwd',
                    'sha256': None,
                    'unpack': 'none',
                },
            )(folder),
            ('file:///etc/passwd', 'offline'),
        ),
        'a package that runs code': (
            lambda folder: (
                (folder / 'here/evil.py').write_text(f'open("{folder}/canary", "w")'),
                sys.path.insert(0, str(folder / 'here')),
                manifest_with(
                    'parts',
                    0,
                    'sources',
                    0,
                    value={
                        'kind': 'package',
                        'package': 'evil.inner',
                        'member': 'x',
                        'distribution': 'evil',
                        'file': 'x',
                        'sha256': None,
                        'unpack': 'none',
                    },
                )(folder),
            ),
            ('package', 'evil'),
        ),
        'a member outside': (
            lambda folder: manifest_with(
                'parts',
                0,
                'sources',
                0,
                value={
                    'kind': 'package',
                    'package': 'yaml',
                    'member': '../../../../../../../../../etc/passwd',
                    'distribution': 'pyyaml',
                    'file': 'x',
                    'sha256': None,
                    'unpack': 'none',
                },
            )(folder),
            ('member', '..'),
        ),
        'an option for apt': (
            lambda folder: manifest_with(
                'parts',
                0,
                'sources',
                0,
                value={
                    'kind': 'apt',
                    'package': '-o=Dir::Bin::methods=x',
                    'file': 'x.deb',
                    'sha256': None,
                    'unpack': 'deb',
                },
            )(folder),
            ('package', '-o=Dir', 'offline'),
        ),
        **{
            f'lock: {name}': (lock(text), 'milan-lock.json')
            for name, text in {
                'empty': '',
                'a list': '[1]',
                'a number': '5',
                'not JSON': '{',
                'not text': b'\xff\xfe\x00',
                'a text': '"x"',
                'numbers': '{"things/things.png": 5}',
                'null': '{"things/things.png": null}',
                'a list in it': '{"things/things.png": [1]}',
                'no file': '{"things": "x"}',
                'hash a number': '{"things/things.png": {"sha256": 5}}',
                'very deep': '[' * 100_000,
                'another hash': '{"things/things.png": "' + '0' * 64 + '"}',
                'size a text': '{"things/things.png": {"sha256": "' + SHA + '", "size": "x"}}',
            }.items()
        },
        'lock: a folder': (
            lambda folder: (source('sha256', None)(folder), (folder / 'data/milan-lock.json').mkdir()),
            'milan-lock.json',
        ),
        'lock: a pipe': (
            lambda folder: (source('sha256', None)(folder), os.mkfifo(folder / 'data/milan-lock.json')),
            'milan-lock.json',
        ),
        "lock: a link to the user's file": (
            lambda folder: (
                source('sha256', None)(folder),
                (folder / 'mine/lock.json').write_text('{}'),
                (folder / 'data/milan-lock.json').symlink_to(folder / 'mine/lock.json'),
            ),
            'milan-lock.json',
            is_fetched,
        ),
        **{
            f'stamp: {name}': (stamp(text), ('things', 'manifest.json'), is_fetched)
            for name, text in {
                'empty': '',
                'a list': '[1]',
                'a number': '5',
                'not JSON': '{',
                'not text': b'\xff\xfe\x00',
                'very deep': '[' * 100_000,
                'no files': '{}',
                'files a list': '{"manifest": "x", "files": [1], "sizes": [1]}',
                'files outside': (
                    '{"manifest": "x", "files": {"../../mine/notes.txt": "0"}, "sizes": {"../../mine/notes.txt":'
                    ' 13}}'
                ),
            }.items()
        },
        "the user's folder in its place": (
            lambda folder: ((folder / 'data/things').mkdir(), (folder / 'data/things/a.txt').write_text('x')),
            'things',
        ),
        "the user's file in its place": (lambda folder: (folder / 'data/things').write_text('x'), 'things'),
        'another file of its name': (
            lambda folder: (folder / 'data/downloads/things.png').write_bytes(b'other'),
            'things.png',
        ),
        'a pipe of its name': (
            lambda folder: (
                (folder / 'data/downloads/things.png').unlink(),
                os.mkfifo(folder / 'data/downloads/things.png'),
            ),
            'things.png',
        ),
        'a web page of its name': (
            lambda folder: (
                source('sha256', None)(folder),
                (folder / 'data/downloads/things.png').write_text('<!doctype html><title>Login</title>'),
            ),
            'things.png',
        ),
    }


    def own_weights(folder):
        "Real manifests: what a user adds by hand must be what it claims to be."
        os.environ.pop('MILAN_MANIFESTS_DIR', None)


    def added(name, body):
        return Case(f'add {name}', lambda folder: (folder / 'here' / name.rpartition(', ')[2]).write_bytes(body),
                    lambda folder: milan.data.manifests.add([folder / 'here' / name.rpartition(', ')[2]],
                                                            quiet=True), (name.rpartition(', ')[2],))


    adding = [added(f'{kind}, {name}', body) for name in ('milan-base.pth', 'alexnet-places365.zip',
                                                          'resnet18_places365-2f475921.pth')
              for kind, body in (('garbage', b'garbage'), ('nothing', b''), ('a web page', b'<!doctype html>'),
                                 ('a pickle', pickle.dumps(5)), ('a cut zip', b'PK\x03\x04' + bytes(50)))]
    adding += [
        Case(
            'add a folder',
            lambda folder: (folder / 'here/x').mkdir(),
            lambda folder: milan.data.manifests.add([folder / 'here/x']),
            ('x',),
        ),
        Case('add nothing', nothing, lambda folder: milan.data.manifests.add(['nothing']), ('nothing',)),
        Case(
            'add a pipe',
            lambda folder: os.mkfifo(folder / 'here/milan-base.pth'),
            lambda folder: milan.data.manifests.add([folder / 'here/milan-base.pth']),
            ('milan-base.pth',),
        ),
        Case(
            'add code',
            lambda folder: torch.save(Runs(folder / 'canary'), folder / 'here/milan-base.pth'),
            lambda folder: milan.data.manifests.add([folder / 'here/milan-base.pth'], quiet=True),
            ('milan-base.pth',),
            lambda found: True,
        ), # it is not run, here or later
        *[
            Case(
                f'asset {name!r}',
                nothing,
                lambda folder, name=name: milan.data.manifests.load(name),
                (repr(name), name[:9]),
            )
            for name in ('nosuch', '../mine/notes', '', 'a\0b', 'x' * 300, '/etc/passwd')
        ],
    ]
    kept_here = ('stamp: ', "lock: a link to the user's file")  # what is ours may be written again

    check('Manifests and lock files',
          [case._replace(named=(*case.named, 'things.yaml'), may=('data',) if case.name.startswith(kept_here)
                         else ()) for case in table_of(manifested, fetched, manifest_table)] + adding)


# 06_hostile.ipynb, section "Archives"
def test_archives():
    def zipped(*files, **options):
        "A zip archive; each file a name or a `ZipInfo`, and a body."
        kept = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(kept, 'w', **options) as archive:
            warnings.simplefilter('ignore')  # of a name given twice
            for name, body in files:
                archive.writestr(name, body)
        return kept.getvalue()


    def tarred(*files, kind='w:gz', **facts):
        "A tar archive; `facts` are set of its last member."
        kept = io.BytesIO()
        with tarfile.open(fileobj=kept, mode=kind) as archive:
            for name, body in files:
                member = tarfile.TarInfo(name)
                member.size = len(body)
                for fact, value in facts.items() if (name, body) == files[-1] else ():
                    setattr(member, fact, value)
                archive.addfile(member, io.BytesIO(body))
        return kept.getvalue()


    def ar(*members):
        "A Debian package, whatever it claims; each member a name, a body and perhaps another size."
        return b'!<arch>\n' + b''.join(name.encode().ljust(16)[:16] + b'0'.ljust(12) + b'0'.ljust(6) * 2
                                       + b'644'.ljust(8) + str(size[0] if size else len(body)).encode().ljust(10)
                                       + b'`\n' + body + b'\n' * (len(body) % 2) for name, body, *size in members)


    def link(name):
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        return entry


    def rcc(*nodes, version=2, names=None):
        "A Qt resource archive: nodes (flags, first, second), one for each name."
        named = b''.join(struct.pack('>HI', len(name), 0) + name.encode('utf-16-be') for name in names
                         or ['a.png'])
        at = np.cumsum([0, *(6 + 2 * len(name) for name in (names or ['a.png']))]).tolist()
        tree = b''.join(struct.pack('>IHII', at[max(0, number - 1)] if number <= len(names or ['a.png']) else 0,
                                    flags, first, second) + bytes(8)
                        for number, (flags, first, second) in enumerate(nodes))
        body = struct.pack('>I', 5) + b'bytes'
        return (b'qres' + struct.pack('>IIII', version, 20 + len(body) + len(named), 20, 20 + len(body)) + body
                + named + tree)


    def opened(folder):
        (folder / 'results/out').mkdir()
        how = json.loads((folder / 'in/how.json').read_text())
        milan.data.archives.unpack(folder / 'in/archive.bin', folder / 'results/out',
                                   {'file': 'archive.bin', **how}, 10**6)
        return {
            str(path.relative_to(folder / 'results/out')): path.read_bytes()
            for path in (folder / 'results/out').rglob('*') if path.is_file()
        }


    def archive(body, unpack, **more):
        return lambda folder: ((folder / 'in/archive.bin').write_bytes(body),
                               (folder / 'in/how.json').write_text(json.dumps({'unpack': unpack, **more})))


    one, is_one_file = ('a.png', b'bytes'), (lambda found: found == {'a.png': b'bytes'})
    escapes = ('../x', '/tmp/milan-hostile', 'a/../../x', '..\\..\\x', 'C:\\x', 'C:x', '//server/x', 'a/../..',
               '..')
    whole_rcc, lies = rcc((2, 1, 1), (0, 0, 0)), zipped(('a.png', b'a' * 10**5), compression=zipfile.ZIP_DEFLATED)
    where = lies.index(b'PK\x01\x02') + 24
    archive_table = {
        **{
            f'zip: {name}': (archive(body, 'zip', **(more[1] if more[1:] else {})), 'archive.bin', *more[:1])
            for name, (body, *more) in {
                'whole': (zipped(one), is_one_file),
                'empty': (b'',),
                'text': (b'text',),
                'of nothing': (zipped(),),
                'cut': (zipped(one)[:-30],),
                'damaged inside': (zipped(one).replace(b'bytes', b'bytez'),),
                'claims less than it holds': (lies[:where] + struct.pack('<I', 5) + lies[where + 4 :],),
                'another method': (
                    zipped(one).replace(
                        b'PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00',
                        b'PK\x01\x02\x14\x03\x14\x00\x00\x00\x63\x00',
                    ),
                ),
                'encrypted': (
                    zipped(one).replace(
                        b'PK\x01\x02\x14\x03\x14\x00\x00\x00', b'PK\x01\x02\x14\x03\x14\x00\x01\x00'
                    ),
                ),
                'a file before it': (b'#!/bin/sh\n' + zipped(one), is_one_file),
                'folders only': (zipped(('a/', b'')),),
                'a file that is a folder too': (zipped(('a', b'x'), ('a/b', b'y')),),
                'a name of 300 letters': (zipped(('x' * 300, b'x')),),
                'a path of 5,000 letters': (zipped(('a/' * 2500 + 'b', b'x')),),
                'a name that is no text': (
                    zipped(('a\udcff.png', b'x')) if False else zipped(('a\u00e9.png', b'bytes')),
                    lambda found: len(found) == 1,
                ),
                'nothing that is wanted': (zipped(one), None, {'members': ['*.jpg']}),
                'another root': (zipped(one), None, {'root': 'nosuch'}),
                'root ..': (zipped(one), None, {'root': '..'}),
                'without what it should hold': (zipped(one), None, {'holds': 'x.csv'}),
            }.items()
        },
        'zip: a bomb': (
            archive(zipped(('a.png', bytes(10**7)), compression=zipfile.ZIP_DEFLATED), 'zip'),
            ('1,000,000', 'bytes'),
        ),
        'zip: 150,000 files': (
            archive(zipped(*[(f'{number}', b'') for number in range(101_000)]), 'zip'),
            '100,000',
        ),
        'zip: a name twice': (archive(zipped(one, one), 'zip'), 'a.png'),
        'zip: two names that differ in ./': (archive(zipped(one, ('./a.png', b'other')), 'zip'), 'a.png'),
        'zip: a link': (archive(zipped((link('l'), '../../mine'), ('l/x', b'x')), 'zip'), "'l'"),
        **{
            f'zip: {name!r}': (archive(zipped((name, b'x')), 'zip'), (repr(name), 'archive.bin'))
            for name in escapes
        },
        **{
            f'tar: {name}': (archive(body, 'tar', **(more[1] if more[1:] else {})), 'archive.bin', *more[:1])
            for name, (body, *more) in {
                'whole': (tarred(one), is_one_file),
                'empty': (b'',),
                'text': (b'text',),
                'cut': (tarred(one)[:-20], is_one_file),
                'cut in the middle': (tarred(one, ('b', os.urandom(5000)))[:3000],),
                'cut, plain': (tarred(one, kind='w')[:515],),
                'of nothing': (tarred(),),
                'a size below 0': (tarred(one, kind='w').replace(b'00000000005\x00', b'-0000000005\x00'),),
                'a wrong check sum': (tarred(one, kind='w').replace(b'a.png', b'b.png', 1),),
                'a folder and a file of one name': (tarred(('a', b'x'), ('a/b', b'y')),),
                'a name of 300 letters': (tarred(('x' * 300, b'x')),),
                'bzip2': (tarred(one, kind='w:bz2'), is_one_file),
                'xz, cut': (tarred(one, kind='w:xz')[:-30], is_one_file),
                'a name twice': (tarred(one, one), lambda found: found == {'a.png': b'bytes'}),
                'deep folders': (tarred(('a/' * 3000 + 'b', b'x')),),
            }.items()
        },
        'tar: a bomb': (archive(tarred(('a.png', bytes(10**7))), 'tar'), ('1,000,000', 'bytes')),
        **{
            f'tar: {name!r}': (archive(tarred((name, b'x')), 'tar'), (repr(name), 'archive.bin'))
            for name in escapes
        },
        **{
            f'tar: {name}': (archive(tarred(one, ('l', b''), type=kind, linkname=to), 'tar'), 'l', is_one_file)
            for name, kind, to in (
                ('a link', tarfile.SYMTYPE, '../../mine'),
                ('a hard link', tarfile.LNKTYPE, '../../mine/notes.txt'),
                ('a device', tarfile.CHRTYPE, ''),
                ('a pipe', tarfile.FIFOTYPE, ''),
            )
        },
        'tar: a file through a link': (
            archive(tarred(('l', b''), type=tarfile.SYMTYPE, linkname='../../mine')[:0] + tarred(one), 'tar'),
            'archive.bin',
            is_one_file,
        ),
        'tar: a sparse file of 10^12': (
            archive(
                tarred(
                    one,
                    kind='w',
                    pax_headers={
                        'GNU.sparse.major': '1',
                        'GNU.sparse.minor': '0',
                        'GNU.sparse.realsize': str(10**12),
                    },
                ),
                'tar',
            ),
            ('archive.bin', 'bytes'),
        ),
        'tar: a member of 10^12': (
            archive(tarred(one, kind='w', pax_headers={'size': str(10**12)}), 'tar'),
            ('archive.bin', 'bytes'),
        ),
        **{
            f'deb: {name}': (archive(body, 'deb'), ('archive.bin', '1,000,000', "'../x'"), *more)
            for name, (body, *more) in {
                'whole': (ar(('debian-binary', b'2.0\n'), ('data.tar.gz', tarred(one))), is_one_file),
                'empty': (b'',),
                'text': (b'text',),
                'of nothing': (b'!<arch>\n',),
                'no data': (ar(('debian-binary', b'2.0\n')),),
                'a size below 0': (ar(('debian-binary', b'2.0\n', -60), ('data.tar.gz', tarred(one))),),
                'a size that leads back': (ar(('a', b'', -68)),),
                'a size beyond the end': (ar(('data.tar.gz', tarred(one), 10**9)), is_one_file),
                'a size of 10^9': (ar(('a', b'xx', 9999999999)),),
                'a size that is a text': (ar(('a', b'xx')).replace(b'2         `', b'two       `'),),
                'a size with _': (ar(('a', b'xx')).replace(b'2         `', b'0_2       `'),),
                'a damaged header': (ar(('data.tar.gz', tarred(one))).replace(b'`\n', b'xx', 1),),
                'cut': (ar(('data.tar.gz', tarred(one)))[:-40],),
                'garbage in data': (ar(('data.tar.gz', b'garbage')),),
                'garbage in xz': (ar(('data.tar.xz', b'garbage')),),
                'garbage in zst': (ar(('data.tar.zst', b'garbage')),),
                'another packing': (ar(('data.tar.lz4', b'x')),),
                'a bomb': (ar(('data.tar.gz', tarred(('a.png', bytes(10**7))))),),
                'an escape': (ar(('data.tar.gz', tarred(('../x', b'x')))),),
                'many members': (ar(*[('a', b'')] * 200_000), None),
            }.items()
        },
        **{
            f'rcc: {name}': (
                archive(tarred(('r.rcc', body)), 'tar', then='rcc'),
                ('r.rcc', 'archive.bin', *more[:1]),
                *more[1:],
            )
            for name, (body, *more) in {
                'whole': (whole_rcc, 'x', is_one_file),
                'empty': (b'',),
                'text': (b'text' * 9,),
                'cut': (whole_rcc[:30],),
                'version 9': (rcc((2, 1, 1), (0, 0, 0), version=9),),
                'a circle': (rcc((2, 1, 1), (2, 1, 0)),),
                'its own child': (rcc((2, 1, 0)),),
                '10^9 children': (rcc((2, 10**9, 1)),),
                'a child beyond the end': (rcc((2, 1, 9999)),),
                'places beyond the end': (b'qres' + struct.pack('>IIII', 2, 2**31, 2**31, 2**31),),
                'bytes beyond the end': (rcc((2, 1, 1), (0, 0, 2**30)),),
                'an escape': (rcc((2, 1, 1), (0, 0, 0), names=['../../mine/x']), '../../mine/x'),
                'an absolute name': (
                    rcc((2, 1, 1), (0, 0, 0), names=['/x']),
                    'x',
                    lambda found: found == {'x': b'bytes'},
                ),
                'an empty name': (rcc((2, 1, 1), (0, 0, 0), names=['']),),
                'a name with a zero': (rcc((2, 1, 1), (0, 0, 0), names=['a\0b']), 'a'),
                'packed garbage': (rcc((2, 1, 1), (1, 0, 0)),),
                'a name that is .': (rcc((2, 1, 1), (0, 0, 0), names=['.']),),
            }.items()
        },
        'torch file, cut': (archive(b'PK\x03\x04' + bytes(99), 'none', file='w.pth'), ('archive.bin', 'w.pth')),
        'an unknown way': (archive(b'x', 'rar'), ('rar',)),
    }
    archive_table['zip: two names that differ in ./'] = (*archive_table['zip: two names that differ in ./'],)

    check('Archives', table_of(inside, opened, archive_table))


# 06_hostile.ipynb, section "Downloads"
def test_downloads():
    import http.server


    def serving(answer):
        "A server whose answers are given by a function of the handler."

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.0'

            def do_GET(self):
                with contextlib.suppress(OSError):
                    answer(self)

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        return f'http://127.0.0.1:{server.server_port}'


    def says(body=b'', status=200, repeat=1, pause=0.0, **headers):
        "An answer."

        def answer(handler):
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace('_', '-'), str(value))
            handler.end_headers()
            for _ in range(repeat):
                handler.wfile.write(body)
                time.sleep(pause)

        return answer


    def bare(text):
        "An answer that is no HTTP, or half of it."

        def answer(handler):
            handler.wfile.write(text)

        return answer


    def downloaded(folder, answer, at_most=10**6, path='/a.bin', **more):
        os.environ['MILAN_OFFLINE'] = '0'
        milan.data.downloads.TIMEOUT = 2
        milan.data.downloads.download(serving(answer) + path, folder / 'results/a.bin', at_most=at_most, **more)
        return (folder / 'results/a.bin').read_bytes()


    moved = lambda to: says(status=302, Location=to)
    answers_table = {
        'whole': (says(b'bytes', Content_Length=5), 'x', lambda found: found == b'bytes'),
        'without a length': (says(b'bytes'), 'x', lambda found: found == b'bytes'),
        'more than allowed': (says(b'x' * 10**6, repeat=9), '1,000,000'),
        'more than allowed, as it says': (says(b'x', Content_Length=10**12), '1,000,000'),
        'without end': (says(b'x' * 10**6, repeat=10**4), '1,000,000'),
        'less than it says': (says(b'by', Content_Length=5), ('2', '5')),
        'more than it says': (says(b'bytes and more', Content_Length=5), 'x', lambda found: found == b'bytes'),
        'a length below 0': (
            says(b'bytes', Content_Length=-5),
            ('-5', 'length', 'Content-Length'),
            lambda found: found == b'bytes',
        ),
        'a length that is a text': (
            says(b'bytes', Content_Length='five'),
            ('five', 'Content-Length'),
            lambda found: found == b'bytes',
        ),
        'a length of 5,000 digits': (
            says(b'bytes', Content_Length='9' * 5000),
            ('bytes', 'Content-Length', 'line'),
            lambda found: found == b'bytes',
        ),
        'a length in other digits': (
            bare('HTTP/1.0 200 OK\r\nContent-Length: ²\r\n\r\nbytes'.encode('latin-1')),
            'x',
            lambda found: found == b'bytes',
        ),
        'nothing': (says(b'', Content_Length=0), ('0', 'empty', 'nothing'), lambda found: found == b''),
        'a web page': (says(b'<!doctype html><title>Login</title>', Content_Type='text/html'), 'Login'),
        **{
            f'status {status}': (says(b'x', status=status), (str(status), 'server'))
            for status in (204, 206, 304, 400, 403, 404, 410, 416, 418, 429, 500, 503, 999)
        },
        'no HTTP': (bare(b'garbage\r\n\r\n'), ('garbage', 'server', 'answer')),
        'no answer': (bare(b''), ('server', 'answer', 'connection', 'closed')),
        'half a header': (
            (bare(b'HTTP/1.0 200 OK\r\nContent-Le'), ('answer', 'server', '0'), lambda found: found == b'')
            if False
            else (bare(b'HTTP/1.0 '), ('HTTP', 'server', 'answer'))
        ),
        'a header of 1 MB': (
            bare(b'HTTP/1.0 200 OK\r\nA: ' + b'x' * 10**6 + b'\r\n\r\nbytes'),
            ('header', 'line', 'server'),
        ),
        '10,000 headers': (
            bare(b'HTTP/1.0 200 OK\r\n' + b'A: b\r\n' * 10**4 + b'\r\nbytes'),
            ('header', 'server'),
        ),
        'a status that is a text': (bare(b'HTTP/1.0 many OK\r\n\r\nbytes'), ('many', 'server', 'HTTP')),
        'sent on in a circle': (lambda handler: moved('/b')(handler), ('redirect', 'circle', 'loop', 'infinite')),
        'sent on to a file': (moved('file:///etc/passwd'), 'file:'),
        'sent on to ftp': (moved('ftp://example.org/x'), 'ftp:'),
        'sent on without encryption': (moved('http://example.org/x'), 'http://example.org'),
        'sent on to nothing': (moved(''), ('redirect', '302', 'loop', 'circle', 'infinite')),
        'sent on to a broken address': (moved('http://[::1'), ('http://[::1', 'address', 'IPv6')),
        'sent on to a line break': (
            bare(b'HTTP/1.0 302 Found\r\nLocation: https://a\n b\r\n\r\n'),
            ('https://a', 'address', 'host', 'URL', 'control'),
        ),
        'chunks that lie': (
            bare(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nbytes\r\n0\r\n\r\n'),
            ('bytes', 'connection', 'chunk', 'invalid'),
        ),
        'a chunk of 2^60': (
            bare(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nbytes\r\n0\r\n\r\n'),
            ('bytes', 'connection', 'chunk', 'more'),
        ),
        'slower than the patience': (lambda handler: time.sleep(9), ('seconds', 'answer')),
        'packed': (
            says(zlib.compress(b'bytes'), Content_Encoding='deflate'),
            ('deflate', 'x'),
            lambda found: True,
        ),
    }
    download_cases = [Case(name, nothing, lambda folder, answer=answer: downloaded(folder, answer),
                           (named,) if isinstance(named, str) else named, *right)
                      for name, (answer, named, *right) in answers_table.items()]
    addresses_table = ('file:///etc/passwd', 'ftp://example.org/x', 'http://', 'https://[::1',
                       'https://exa mple.org/x', 'https://example.org:99999/x', 'https://example.org:x/',
                       'nothing', '', 'javascript:alert(1)', 'https://example.org/a\r\nHost: b',
                       'https://user:pass@example.org/x', 'http://\0/', 'https://' + 'a' * 300 + '/x', '-o/tmp/x')
    download_cases += [
        Case(f'address {address[:30]!r}', nothing, lambda folder,
             address=address: milan.data.downloads.download(address, folder / 'results/a.bin', at_most=99),
             (address[:20], 'host', 'address', 'port', 'connection', 'URL', 'label'))
        for address in addresses_table
    ]


    def begun(body=b'by', notes=None):
        "A download that was interrupted, as it lies there."

        def make(folder):
            (folder / 'data/downloads').mkdir()
            (folder / 'data/downloads/a.bin.partial').write_bytes(body)
            if notes is not None:
                (folder / 'data/downloads/a.bin.partial.json').write_bytes(
                    notes if isinstance(notes, bytes) else json.dumps(notes).encode()
                )

        return make


    def goes_on(handler, body=b'bytes'):
        wanted = handler.headers.get('Range')
        start = int(wanted[6:-1]) if wanted else 0
        says(body[start:], 206 if start else 200, ETag='"e"',
             **({'Content-Range': f'bytes {start}-{len(body) - 1}/{len(body)}'} if start else {}),
             Content_Length=len(body) - start)(handler)


    is_bytes = lambda found: found == b'bytes'
    noted = {'etag': '"e"', 'modified': '', 'total': 5, 'address': None}
    for name, make in {
        'notes that are none': begun(notes=b'{'),
        'notes that are a list': begun(notes=b'[1]'),
        'notes that are not text': begun(notes=b'\xff\xfe'),
        'notes that are a number': begun(notes=b'5'),
        'notes that are very deep': begun(notes=b'[' * 100_000),
        'no notes': begun(),
        'more than the whole': begun(b'x' * 99),
        'a folder in its place': lambda folder: (folder / 'data/downloads/a.bin.partial').mkdir(parents=True),
        "a link to the user's file": lambda folder: (
            (folder / 'data/downloads').mkdir(),
            (folder / 'data/downloads/a.bin.partial').symlink_to(folder / 'mine/notes.txt'),
        ),
        'notes of numbers': begun(notes={'etag': 5, 'modified': 5, 'total': 'x', 'address': 7}),
    }.items():
        download_cases.append(Case(f'begun: {name}', make, lambda folder: downloaded(folder, goes_on),
                                   ('a.bin.partial',), is_bytes, ('data',)))
    for name, answer in {
        'another range': lambda handler: says(b'xx', 206, Content_Range='bytes 0-1/5')(handler),
        'a range that is none': lambda handler: says(b'xx', 206, Content_Range='garbage')(handler),
        'no range': lambda handler: says(b'xx', 206)(handler),
        '416 always': lambda handler: says(b'', 416)(handler),
        '416 with garbage': lambda handler: says(b'', 416, Content_Range='bytes */x')(handler),
    }.items():
        download_cases.append(
            Case(f'going on: {name}', nothing, lambda folder, answer=answer: resumed(folder, answer),
                 ('piece', 'server', '416', 'range'), is_bytes)
        )


    def resumed(folder, answer):
        "After two bytes of five the connection ends; the rest comes as given."
        first = [True]

        def both(handler):
            if first:
                return first.pop() and says(b'by', ETag='"e"', Content_Length=5)(handler)
            answer(handler)

        return downloaded(folder, both, hashed=True)


    drive = {
        'a page that leads elsewhere': (
            '<form action="https://evil.example/x" id="download-form"><input name="a" value="b"></form>'
        ),
        'a page that leads to a file': '<a href="file:///etc/passwd?confirm=t">x</a>',
        'a page that leads to itself': '<a href="/a.bin?confirm=t">x</a>',
        'a page of nothing': '',
        'a page of 10 MB': '<p>' * 3_000_000,
        'a page that is very deep': '<div>' * 100_000,
        'a form without a name': '<form id="download-form"><input name></form>',
        'a page that is no text': '\ufffd\x00',
    }
    download_cases += [
        Case(
            f'Drive: {name}',
            nothing,
            lambda folder, page=page: downloaded(folder, says(page.encode(), Content_Type='text/html')),
            ('web page',),
        )
        for name, page in drive.items()
    ]


    def through_manifest(folder, answer, **more):
        "The same by way of a manifest, with its bound."
        os.environ |= {'MILAN_OFFLINE': '0', 'MILAN_MANIFESTS_DIR': str(folder / 'in')}
        (folder / 'in').mkdir()
        source = {'kind': 'url', 'address': serving(answer) + '/a.bin', 'file': 'a.bin', 'sha256': None, **more}
        (folder / 'in/things.yaml').write_text(
            yaml.safe_dump({'title': 'x', 'licence': {'spdx': 'x', 'sentence': 'x'}, 'credit': 'x',
                            'homepage': 'https://example.org',
                            'parts': [{'name': 'p', 'at_most': 10**6, 'sources': [source]}]})
        )
        place = milan.data.manifests.fetch('things', quiet=True)
        return [path.read_bytes() for path in place.rglob('*') if path.name != 'manifest.json']


    for unpack in ('none', 'zip', 'tar', 'deb'):
        download_cases.append(
            Case(f'manifest: {unpack} without end', nothing, lambda folder,
                 unpack=unpack: through_manifest(folder, says(b'x' * 10**6, repeat=300), unpack=unpack),
                 ('allow', 'more than'), may=('in',))
        )
    for name, mirror in {'a file': 'file:///etc', 'nothing': 'nothing', 'a line break': 'https://a\n.org',
                         'broken': 'https://[::1'}.items():
        download_cases.append(
            Case(f'mirror: {name}', nothing, lambda folder,
                 mirror=mirror: milan.data.manifests.fetch('milan-base', quiet=True, mirror=mirror,
                                                           offline=False), (mirror[:9], 'mirror'))
        )

    check('Downloads', download_cases)


# 06_hostile.ipynb, section "Command line"
def test_command_line():
    def ran(folder, *words):
        "The command in this process; its error, as an exception."
        shown, wrong = io.StringIO(), io.StringIO()
        try:
            with (contextlib.redirect_stdout(shown), contextlib.redirect_stderr(wrong),
                  unittest.mock.patch('rich.console._is_jupyter', return_value=False)):
                milan.cli.app([str(word) for word in words], prog_name='milan')
        except SystemExit as end:
            if end.code in (0, None):
                return shown.getvalue()
            assert end.code in (1, 2), end.code
            raise MilanError(re.sub(r'\x1b\[[0-9;]*m', '', wrong.getvalue()).replace('\n', ' ')) from end
        return shown.getvalue()


    def pics(folder):
        "A folder of pictures, where the user is."
        (folder / 'here/pics').mkdir()
        for number in range(6):
            Image.fromarray(np.roll(RAMP, number, 0)).save(folder / f'here/pics/{number}.png')


    def named_pics(folder):
        pics(folder)
        small_captioner(True).save(folder / 'models/speaker')


    def found_pics(folder, **damaged):
        "Exemplars with all maxima and descriptions, in `here/set`; a file may be replaced."
        pics(folder)
        seen_by(milan.images.load(str(folder / 'here/pics'), size=9), out=folder / 'here/set/exemplars',
                keep_maxima=True)
        rows = [f'{layer},{unit},red' for layer, units in (('0', 4), ('2', 2)) for unit in range(units)]
        (folder / 'here/set/descriptions.csv').write_text('\n'.join(['layer,unit,description', *rows]))
        for name, body in damaged.items():
            (folder / 'here/set' / name.replace('__', '/').replace('_', '.')).write_bytes(body)


    def commanded(name, *words, named, make=pics, right=None, may=()):
        return Case(
            name,
            make,
            lambda folder: ran(
                folder,
                *(
                    str(word).replace('MINE', str(folder / 'mine')).replace('MODELS', str(folder / 'models'))
                    for word in words
                ),
            ),
            (named,) if isinstance(named, str) else named,
            right,
            may,
        )


    find, speak = ('exemplars', 'tiny/shapes', 'pics', '--device', 'cpu', '--k', '2'), (
        'describe', 'tiny/shapes', 'pics', '--device', 'cpu', '--k', '2', '--captioner', 'MODELS/speaker'
    )
    command_cases = [
        commanded('whole', *find, named='x', right=lambda said: '6 units' in said),
        commanded(
            'describe: whole', *speak, named='x', make=named_pics, right=lambda said: '6 descriptions' in said
        ),
        commanded('no command', 'nosuch', named='nosuch'),
        commanded('an unknown option', *find, '--nosuch', named='--nosuch'),
        commanded('an unknown network', 'exemplars', 'nosuch/net', 'pics', named='nosuch/net'),
        commanded('an unknown set', 'exemplars', 'tiny/shapes', 'nosuch', named='nosuch'),
        commanded('a missing folder', 'exemplars', 'tiny/shapes', './nosuch', named='nosuch'),
        commanded(
            'no pictures',
            'exemplars',
            'tiny/shapes',
            './empty',
            named='empty',
            make=lambda folder: (folder / 'here/empty').mkdir(),
        ),
        *[
            commanded(
                f'{option} {value!r}',
                *find[:5],
                *(() if option == '--k' else find[5:]),
                option,
                value,
                named=(
                    option,
                    option.strip('-').replace('-', '_'),
                    str(value).partition(':')[0] if option == '--units' else value,
                ),
                right=right,
            )
            for option, value, *rest in (
                ('--k', '0'),
                ('--k', '-1'),
                ('--k', 'x'),
                ('--k', '999'),
                ('--k', '9' * 30),
                ('--quantile', '2'),
                ('--quantile', 'nan'),
                ('--quantile', 'x'),
                ('--batch-size', '0'),
                ('--batch-size', '9' * 30, lambda said: True),
                ('--workers', '-1'),
                ('--device', 'tpu'),
                ('--device', 'cuda:99'),
                ('--seed', '-1'),
                ('--seed', '9' * 40, lambda said: True),
                ('--layers', 'nosuch'),
                ('--layers', '['),
                ('--layers', '../0'),
                ('--borders', 'x'),
                ('--drop-tokens', '-1'),
                ('--save-every', '-1'),
                ('--save-every', 'nan', lambda said: True),
                ('--units', '0:0-99999999999'),
                ('--units', '0:0-999999999999999999999'),
                ('--units', 'x'),
                ('--units', '0:'),
                ('--units', '0:a'),
                ('--units', '0:3-1'),
                ('--units', ':3'),
                ('--units', '0:-1'),
                ('--units', '0:1,,2'),
                ('--units', '0:99'),
                ('--units', '0:1-2-3'),
                ('--units', 'nosuch:1'),
                ('--units', '0:٣', lambda said: True),
                ('--units', f'0:{"9" * 5000}'),
                ('--units', '0:1_0'),
            )
            for right in [rest[0] if rest else None]
        ],
        commanded('--out a file', *find, '--out', 'MINE/notes.txt', named='notes.txt'),
        commanded('--out a folder of the user', *find, '--out', 'MINE', named='mine'),
        commanded('--out .', *find, '--out', '.', named=('here', '.')),
        commanded('--out a/..', *find, '--out', 'pics/..', named=('here', 'pics/..')),
        commanded('--out its pictures', *find, '--out', 'pics', named='pics'),
        commanded('--out below a file', *find, '--out', 'MINE/notes.txt/x', named='notes.txt'),
        commanded('--out ~', *find, '--out', '~/x', named='~', right=lambda said: True, may=('here',)),
        commanded(
            'a corrupt picture',
            *find,
            named='bad.png',
            make=lambda folder: (pics(folder), (folder / 'here/pics/bad.png').write_bytes(b'x')),
        ),
        commanded(
            'a pipe among them',
            *find,
            named='x',
            make=lambda folder: (pics(folder), os.mkfifo(folder / 'here/pics/p.jpg')),
            right=lambda said: '6 units' in said,
        ),
        commanded(
            'a folder called shapes',
            'exemplars',
            'tiny/shapes',
            './shapes',
            '--k',
            '2',
            named='x',
            make=lambda folder: (pics(folder), (folder / 'here/pics').rename(folder / 'here/shapes')),
            right=lambda said: '6 units' in said,
        ),
        commanded(
            'a YAML that runs code',
            'exemplars',
            'n.yaml',
            'pics',
            named=('os:system', 'trust'),
            make=lambda folder: (
                pics(folder),
                (folder / 'here/n.yaml').write_text(
                    yaml.safe_dump(
                        {'name': 'a/b', 'build': 'os:system', 'arguments': {'command': f'touch {folder}/canary'}}
                    )
                ),
            ),
        ),
        commanded('a name with line breaks', 'exemplars', 'a\nb', 'pics', named=('a\nb', "'a\\nb'", 'a b')),
        *[
            commanded(f'describe: {name}', *speak[:7], *more, named=named, make=named_pics)
            for name, more, named in (
                ('an unknown captioner', ('--captioner', 'nosuch'), 'nosuch'),
                ('a folder without one', ('--captioner', 'pics'), 'pics'),
                ('a picture for one', ('--captioner', 'pics/0.png'), '0.png'),
                ('an unknown published one', ('--captioner', 'bas'), 'bas'),
                ('a published one that is not here', ('--captioner', 'base'), 'base'),
                ('an unknown CLIP', ('--captioner', 'MODELS/speaker+clip:nosuch'), 'nosuch'),
                ('an empty name', ('--captioner', ''), "''"),
            )
        ],
        *[
            commanded(
                f'describe: {option} {value!r}',
                *speak,
                option,
                value,
                named=(option, option.strip('-'), value),
                make=named_pics,
            )
            for option, value in (
                ('--strategy', 'magic'),
                ('--temperature', 'nan'),
                ('--temperature', '-1'),
                ('--temperature', 'inf'),
                ('--beam-size', '0'),
                ('--beam-size', '9' * 12),
                ('--seed', 'x'),
            )
        ],
        commanded(
            'describe: --out a folder of the user',
            *speak,
            '--out',
            'MINE',
            named='mine',
            make=named_pics,
            right=lambda said: '6 descriptions' in said,
        )._replace(adds=('mine',)),
        commanded(
            'describe: --out a file', *speak, '--out', 'MINE/notes.txt', named='notes.txt', make=named_pics
        ),
        commanded(
            'describe: --out .',
            *speak,
            '--out',
            '.',
            named=('here', '.'),
            make=named_pics,
            right=lambda said: '6 descriptions' in said,
        )._replace(adds=('here',)),
        *[
            commanded(f'train: {name}', 'train', *words, '--device', 'cpu', named=named)
            for name, words, named in (
                ('an unknown set', ('nosuch',), 'nosuch'),
                ('a folder of pictures', ('./pics',), 'pics'),
                ('--profile bogus', ('shapes', '--profile', 'bogus'), 'bogus'),
                ('--out a folder of the user', ('shapes', '--profile', 'smoke', '--out', 'MINE'), 'mine'),
                ('--out a file', ('shapes', '--profile', 'smoke', '--out', 'MINE/notes.txt'), 'notes.txt'),
                ('--out .', ('shapes', '--profile', 'smoke', '--out', '.'), ('here', '.')),
                ('--out a/..', ('shapes', '--profile', 'smoke', '--out', 'pics/..'), ('here', 'pics')),
                ('--out its pictures', ('shapes', '--profile', 'smoke', '--out', 'pics'), 'pics'),
                ('--out /', ('shapes', '--profile', 'smoke', '--out', '/'), '/'),
                ('an unknown encoder', ('alexnet/imagenet', '--encoder', 'nosuch'), ('nosuch', 'alexnet')),
                ('--seed -1', ('shapes', '--seed', '-1'), '--seed'),
            )
        ],
        *[
            commanded(f'search: {name}', 'search', *words, named=named, right=right,
                      make=lambda folder, damaged=damaged: found_pics(folder, **damaged))
            for name, words, damaged, named, right in (
                ('whole', ('red', 'set', '--by', 'words'), {}, 'x', lambda said: said.count('red') == 6),
                ('a unit', ('0:1', 'set', '--by', 'unit'), {}, 'x', lambda said: said.count('red') == 5),
                ('a missing folder', ('red', 'nosuch'), {}, 'nosuch', None),
                ('no word', ('!?', 'set'), {}, '!?', None),
                ('an empty query', ('', 'set'), {}, "''", None),
                ('an unknown unit', ('0:99', 'set', '--by', 'unit'), {}, '99', None),
                ('no unit', ('9' * 999, 'set', '--by', 'unit'), {}, '999', None),
                ('a missing picture', ('nosuch.png', 'set', '--by', 'picture'), {}, 'nosuch.png', None),
                ('notes for a picture', ('MINE/notes.txt', 'set', '--by', 'picture'), {}, 'notes.txt', None),
                ('--by smell', ('red', 'set', '--by', 'smell'), {}, 'smell', None),
                ('--count 0', ('red', 'set', '--count', '0'), {}, '--count', None),
                ('a table that is none', ('red', 'set'), {'descriptions_csv': b'\xff\xfe\0'},
                 'descriptions.csv', None),
                ('a table without units', ('red', 'set'), {'descriptions_csv': b'layer,description\n0,red\n'},
                 'no column unit', None),
                ('maxima cut short', ('0:1', 'set', '--by', 'unit'), {'exemplars__0__maxima_npy': b'\x93NUMPY'},
                 'maxima.npy', None),
            )
        ],
        *[
            commanded(f'compare: {name}', 'compare', *words, named=named, right=right, make=found_pics)
            for name, words, named, right in (
                ('whole', ('set', 'set'), 'x', lambda said: 'kept' in said),
                ('a missing folder', ('set', 'nosuch'), 'nosuch', None),
                ('a folder of the user', ('set', 'set', '--out', 'MINE'), 'mine', None),
                ('a file', ('set', 'set', '--out', 'MINE/notes.txt'), 'notes.txt', None),
                ('its own folder', ('set', 'set', '--out', 'set'), 'set', None),
                ('--layers x', ('set', 'set', '--layers', 'x'), "'x'", None),
                ('--layers =', ('set', 'set', '--layers', '='), '--layers', None),
                ('--layers twice', ('set', 'set', '--layers', '0=2', '--layers', '2'), 'the same one', None),
                ('--least nan', ('set', 'set', '--least', 'nan'), ('nan', '--least'), None),
                ('--least 2', ('set', 'set', '--least', '2'), '--least', None),
            )
        ],
        *[
            commanded(f'browse: {name}', 'browse', *words, '--no-open', named=named)
            for name, words, named in (
                ('a missing folder', ('nosuch',), 'nosuch'),
                ('no gallery', ('pics',), 'pics'),
                ('a file', ('MINE/notes.txt',), 'notes.txt'),
                ('port 99999', ('pics', '--port', '99999'), ('99999', '--port', 'pics')),
                ('port -1', ('pics', '--port', '-1'), ('-1', '--port', 'pics')),
                ('port x', ('pics', '--port', 'x'), ("'x'", '--port')),
            )
        ],
        *[
            commanded(' '.join(words).replace('MINE', 'mine')[:60], *words, named=named, right=right)
            for words, named, *rest in (
                (('networks', 'zzz'), 'zzz'),
                (('networks', '['), '['),
                (('data', 'list', 'nosuch'), 'nosuch'),
                (('data', 'list', '['), '['),
                (('data', 'fetch', 'nosuch'), 'nosuch'),
                (('data', 'fetch', '../x'), '../x'),
                (('data', 'fetch', 'milan-base', '--offline'), 'offline'),
                (('data', 'fetch', 'milan-base', '--mirror', 'file:///etc'), 'file:///etc'),
                (('data', 'add', 'nosuch'), 'nosuch'),
                (('data', 'add', 'MINE/notes.txt'), 'notes.txt'),
                (('data', 'add', 'MINE'), 'mine'),
                (('data', 'verify', 'nosuch'), 'nosuch'),
                (('data', 'verify'), 'x', lambda said: 'nothing' in said),
                (('data', 'complete', 'nosuch'), 'nosuch'),
                (('data', 'complete', 'pics', '--images', 'nosuch'), ('pics', 'nosuch')),
                (('data', 'complete', 'alexnet/imagenet', '--transform', 'x'), ('x', 'alexnet')),
                (('reproduce', 'nosuch'), 'nosuch'),
                (('reproduce', '../x'), '../x'),
                (('reproduce', 'describe_a_network', '--profile', 'bogus'), 'bogus'),
                (('reproduce', '--all', '--profile', 'bogus'), 'bogus'),
                (('reproduce', 'describe_a_network', '-p', 'x'), '-p'),
                (('reproduce', 'describe_a_network', '-p', '=1'), '-p'),
                (('reproduce', 'describe_a_network', '-p', 'nosuch=1', '--profile', 'smoke'), 'nosuch'),
                (('reproduce', 'describe_a_network', '--jobs', '0'), '--jobs'),
                (('reproduce', '--profile', 'bogus'), 'bogus', None),
            )
            for right in [rest[0] if rest else None]
        ],
    ]

    check('Command line', command_cases)


# 06_hostile.ipynb, section "Saving"
def test_saving():
    def thesis(name):
        "A folder of the user's, not empty."
        return lambda folder: ((folder / name).mkdir(parents=True, exist_ok=True),
                               (folder / name / 'thesis.txt').write_text('years'))


    def old_captioner(*more):
        return lambda folder: (small_captioner().save(folder / 'results/c'),
                               [((folder / 'results/c' / name).mkdir() if name.endswith('/')
                                 else (folder / 'results/c' / name).write_text('x')) for name in more])


    def reads(folder):
        return milan.captioner.load(folder, 'cpu').vocabulary.words == small_captioner().vocabulary.words


    ten, is_true = small_captioner(), bool
    save_cases = [
        Case(
            'captioner: a new folder',
            nothing,
            lambda folder: reads(ten.save(folder / 'results/new/c')),
            ('x',),
            is_true,
        ),
        Case(
            'captioner: an empty folder',
            lambda folder: (folder / 'results/c').mkdir(),
            lambda folder: reads(ten.save(folder / 'results/c')),
            ('x',),
            is_true,
        ),
        Case(
            'captioner: an older captioner',
            old_captioner(),
            lambda folder: reads(ten.save(folder / 'results/c')),
            ('/c',),
            is_true,
            ('results',),
        ),
        *[
            Case(
                f'captioner: an older captioner, and {what}',
                old_captioner(*names),
                lambda folder: ten.save(folder / 'results/c'),
                ('/c', *names),
            )
            for what, names in {
                'a file of the user': ('thesis.txt',),
                'a folder of the user': ('thesis/', 'thesis/a.txt'),
                'a hidden file': ('.git',),
                'a file called as one of ours, by another ending': ('weights.pth',),
            }.items()
        ],
        *[
            Case(
                f'captioner: {what}',
                make,
                lambda folder, place=place: ten.save(place if isinstance(place, str) else folder / place[0]),
                named,
            )
            for what, make, place, named in (
                ('a folder of the user', nothing, ('mine',), ('mine',)),
                ('a file of the user', nothing, ('mine/notes.txt',), ('notes.txt',)),
                ('below a file', nothing, ('mine/notes.txt/c',), ('notes.txt',)),
                ('.', thesis('here'), '.', ('here', "'.'")),
                ('an empty text', thesis('here'), '', ('here', "''", '.')),
                (
                    'a/..',
                    lambda folder: (thesis('here')(folder), (folder / 'here/a').mkdir()),
                    'a/..',
                    ('here', 'a/..'),
                ),
                ('..', thesis('here'), '..', ('..', 'case')),
                (
                    'a link to a folder of the user',
                    lambda folder: (folder / 'here/l').symlink_to('../mine'),
                    'l',
                    ('mine', '/l', "'l'", 'l '),
                ),
                (
                    'a link to nothing',
                    lambda folder: (folder / 'here/l').symlink_to('nothing'),
                    'l',
                    ('nothing', 'l'),
                ),
                ('/', nothing, '/', ('/',)),
                ('/proc/x', nothing, '/proc/x/c', ('/proc',)),
                ('a folder of pictures', lambda folder: three(folder), ('in',), ('/in',)),
                ('a gallery', lambda folder: drawn(folder, folder / 'results/g'), ('results/g',), ('/g',)),
                ('exemplars', lambda folder: seen_by(noise, out=folder / 'results/e'), ('results/e',), ('/e',)),
                ('a pipe', lambda folder: os.mkfifo(folder / 'here/p'), 'p', ('p ', '/p', "'p'")),
                ('a name of 300 letters', nothing, 'x' * 300, ('xxx',)),
                ('a zero in it', nothing, 'a\0b', ('a\0b', 'a\\x00b')),
            )
        ],
        *[
            Case(
                f'checkpoint: {what}',
                make,
                lambda folder, place=place: checkpoints.save(ten, folder / place, encoder=False),
                named,
            )
            for what, make, place, named in (
                ('a file of the user', nothing, 'mine/notes.txt', ('notes.txt',)),
                ('a folder of the user', nothing, 'mine', ('mine',)),
                ('below a file', nothing, 'mine/notes.txt/c.pth', ('notes.txt',)),
            )
        ],
        *[
            Case(
                f'export: {what}',
                nothing,
                lambda folder, place=place: seen_by(noise, out=folder / 'results/e').export(folder / place),
                named,
            )
            for what, place, named in (
                ('a folder of the user', 'mine', ('mine',)),
                ('a file of the user', 'mine/notes.txt', ('notes.txt',)),
                ('below a file', 'mine/notes.txt/x', ('notes.txt',)),
                ('its own folder', 'results/e', ('/e',)),
            )
        ],
        *[
            Case(
                f'pictures to host: {what}',
                nothing,
                lambda folder, place=place: milan.annotations.crowdsourcing.hits(
                    seen_by(noise, out=folder / 'results/e'),
                    'https://example.org',
                    folder / place,
                    progress=False,
                ),
                named,
            )
            for what, place, named in (
                ('a folder of the user', 'mine', ('mine',)),
                ('a file of the user', 'mine/notes.txt', ('notes.txt',)),
            )
        ],
        *[
            Case(
                f'answers: {what}',
                make,
                lambda folder, place=place: milan.annotations.cleaning.clean(
                    pd.DataFrame(
                        {
                            'Input.layer': ['0'],
                            'Input.unit': ['1'],
                            'Answer.summary': ['x'],
                            'RejectionTime': [''],
                            'WorkerId': ['w'],
                        }
                    )
                ).write(folder / place),
                named,
                right,
            )
            for what, make, place, named, right in (
                ('a new folder', nothing, 'results/answers', ('mine',), lambda path: path.exists()),
                ('a file of the user', nothing, 'mine/notes.txt', ('notes.txt',), None),
            )
        ],
        *[
            Case(
                f'gallery: {what}',
                make,
                lambda folder, place=place: drawn(folder, folder / place),
                named,
                right,
                may,
            )
            for what, make, place, named, right, may in (
                ('a folder of the user', nothing, 'mine', ('mine',), None, ()),
                ('a file of the user', nothing, 'mine/notes.txt', ('notes.txt',), None, ()),
                (
                    'an older gallery',
                    lambda folder: drawn(folder, folder / 'results/g'),
                    'results/g',
                    ('/g',),
                    lambda path: path.exists(),
                    ('results',),
                ),
                (
                    "an older gallery with the user's file",
                    lambda folder: (
                        drawn(folder, folder / 'results/g'),
                        (folder / 'results/g/thesis.txt').write_text('x'),
                    ),
                    'results/g',
                    ('/g', 'thesis.txt'),
                    None,
                    (),
                ),
                (
                    'a folder that looks like one',
                    lambda folder: (folder / 'mine/gallery.json').write_text('mine'),
                    'mine',
                    ('mine',),
                    None,
                    (),
                ),
            )
        ],
        *[
            Case(
                f'a disk that is full after {size:,} bytes: {what}',
                make,
                lambda folder, work=work, size=size: (
                    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
                    work(folder),
                )[1],
                named,
                None,
                may,
            )
            for size in (0, 1000)
            for what, make, work, named, may in (
                (
                    'a captioner',
                    old_captioner(),
                    lambda folder: ten.save(folder / 'results/c'),
                    ('/c', 'space', 'disk', 'large'),
                    (),
                ),
                (
                    'a checkpoint',
                    nothing,
                    lambda folder: checkpoints.save(ten, folder / 'results/c.pth', encoder=False),
                    ('c.pth', 'space', 'disk', 'large'),
                    (),
                ),
                (
                    'exemplars',
                    nothing,
                    lambda folder: seen_by(noise, out=folder / 'results/e'),
                    ('/e', 'space', 'disk', 'large'),
                    (),
                ),
                (
                    'a gallery',
                    lambda folder: seen_by(noise, out=folder / 'results/made'),
                    lambda folder: drawn(folder, folder / 'results/g'),
                    ('/g', 'space', 'disk', 'large'),
                    (),
                ),
            )
        ],
    ]


    def drawn(folder, place):
        "A gallery of two units."
        found = seen_by(noise, out=folder / 'results/made')
        return milan.gallery.write(
            found, pd.DataFrame({'layer': ['0', '2'], 'unit': [1, 0], 'description': ['one', 'two']}), place
        )

    check('Saving', save_cases)


# 06_hostile.ipynb, section "Gallery and browse"
def test_gallery_and_browse():
    good_table = {'layer': ['0', '0', '2'], 'unit': [0, 1, 1], 'description': ['a dog', 'a cat', 'a bird'],
                  'score': [0.5, 0.25, 0.125]}


    def pages(folder, table=None, **more):
        "A gallery, and all the text in it."
        found = seen_by(noise, out=folder / 'results/e')
        given = {name: pd.Series(values, dtype=object if name == 'description' else None) # half letters, too
                 for name, values in {**good_table, **(table or {})}.items()}
        page = milan.gallery.write(found, pd.DataFrame(given), folder / 'results/g', **more)
        return {
            str(path.relative_to(folder / 'results/g')): path.read_text() for path in page.parent.rglob('*.html')
        }


    def column(**changes):
        return lambda folder: pages(folder, changes)


    def option(**more):
        return lambda folder: pages(folder, **more)


    def tame(found):
        return len(found) == 3 and not any('<script>alert' in text or '<img src=x' in text or '" onload' in text
                                           for text in found.values())


    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    gallery_table = {
        'whole': (option(), 'x', tame),
        'units that are nan': (column(unit=[0, float('nan'), 1]), 'unit'),
        'units that are texts': (column(unit=['0', 'one', '1']), ('unit', 'one')),
        'units as texts': (column(unit=['0', '1', '1']), 'unit', tame),
        'units of fractions': (column(unit=[0, 1.5, 1]), ('unit', '1.5')),
        'units below 0': (column(unit=[0, -1, 1]), '-1'),
        'units of 10^30': (column(unit=[0, 10**30, 1]), ('unit', str(10**30))),
        'units that are not there': (column(unit=[0, 99, 1]), '99'),
        'units twice': (column(unit=[0, 0, 1]), ('unit', 'twice'), tame),
        'units that are null': (column(unit=[0, None, 1]), 'unit'),
        'units that are inf': (column(unit=[0, float('inf'), 1]), 'unit'),
        'units of lists': (column(unit=[0, [1], 1]), 'unit'),
        'layers unknown': (column(layer=['0', 'nosuch', '2']), 'nosuch'),
        'layers ..': (column(layer=['0', '../x', '2']), '../x'),
        'layers as numbers': (column(layer=[0, 0, 2]), 'layer', tame),
        'layers nan': (column(layer=['0', float('nan'), '2']), ('nan', 'layer')),
        'descriptions nan': (column(description=['a', float('nan'), 'b']), 'description', tame),
        'descriptions null': (column(description=['a', None, 'b']), 'description', tame),
        'descriptions of numbers': (column(description=[1, 2, 3]), 'description', tame),
        'descriptions with code': (column(description=[evil] * 3), 'x', tame),
        'descriptions of 10^6 letters': (column(description=['x' * 10**6] * 3), 'description', tame),
        'descriptions with half a letter': (
            column(description=['a', '\ud800', 'b']),
            'description',
            lambda found: True,
        ),
        'descriptions with zeros': (column(description=['a', 'a\0b', 'b']), 'description', tame),
        'scores nan': (column(score=[0.5, float('nan'), 1]), 'score', tame),
        'scores inf': (column(score=[0.5, float('inf'), -float('inf')]), 'score', tame),
        'scores of texts': (column(score=['a', 'b', evil]), 'score', tame),
        'scores null': (column(score=[None] * 3), 'score', tame),
        'scores complex': (column(score=[1j, 2j, 3j]), 'score', tame),
        'scores of 10^400': (column(score=[10**400] * 3), 'score', tame),
        'scores of true': (column(score=[True, False, True]), 'score', tame),
        'scores of dates': (column(score=pd.to_datetime(['2020-01-01'] * 3)), 'score', tame),
        'another column with code': (column(**{evil: [1, 2, 3]}), 'x', tame),
        'another column of lists': (column(more=[[1], [2], [3]]), 'more', tame),
        'a column of a number': (column(**{'5': [1, 2, 3]}), 'x', tame),
        'no rows': (lambda folder: pages(folder, {name: [] for name in good_table}), 'no rows'),
        'no description': (
            lambda folder: milan.gallery.write(
                seen_by(noise, out=folder / 'results/e'),
                pd.DataFrame({'layer': ['0'], 'unit': [0]}),
                folder / 'results/g',
            ),
            'description',
        ),
        'no table': (
            lambda folder: milan.gallery.write(
                seen_by(noise, out=folder / 'results/e'), None, folder / 'results/g'
            ),
            ('table', 'NoneType'),
        ),
        'columns twice': (
            lambda folder: milan.gallery.write(
                seen_by(noise, out=folder / 'results/e'),
                pd.DataFrame([['0', 0, 'a', 'b']], columns=['layer', 'unit', 'description', 'description']),
                folder / 'results/g',
            ),
            ('description', 'twice'),
        ),
        **{
            f'{name} {value!r}': (option(**{name: value}), (name, str(value)), tame if fine else None)
            for name, value, fine in (
                ('width', 0, 0),
                ('width', -1, 0),
                ('width', 10**7, 0),
                ('width', 1.5, 0),
                ('width', 'x', 0),
                ('width', float('nan'), 0),
                ('count', 0, 0),
                ('count', -1, 0),
                ('count', 'x', 0),
                ('count', 10**9, 1),
                ('megabytes', 0, 1),
                ('megabytes', -1, 0),
                ('megabytes', float('nan'), 0),
                ('megabytes', 'x', 0),
            )
        },
        'title with code': (option(title=evil), 'x', tame),
        'title that is nothing': (option(title=None), 'title', tame),
        'note with code': (option(note=evil), 'x', tame),
    }


    def long_names(folder):
        "Layers with names of 250 letters, that differ at their end."
        network = nn.ModuleDict()
        inner = nn.Sequential()
        for name in ('x' * 249 + 'a', 'x' * 249 + 'b', 'ä' * 120):
            inner.add_module(name, nn.Conv2d(3, 3, 1))
        found = seen_by(noise, inner, ['x' * 249 + 'a', 'x' * 249 + 'b', 'ä' * 120])
        page = milan.gallery.write(found, pd.DataFrame({'layer': found.layers, 'unit': 0, 'description': 'x'}),
                                   folder / 'results/g')
        return len(list((page.parent / 'layers').iterdir()))


    def like_names(folder):
        "Layers whose names differ in capitals only, as some disks cannot tell."
        inner = nn.Sequential()
        for name in ('a', 'A'):
            inner.add_module(name, nn.Conv2d(3, 3, 1))
        found = seen_by(noise, inner, ['a', 'A'])
        page = milan.gallery.write(found, pd.DataFrame({'layer': found.layers, 'unit': 0, 'description': 'x'}),
                                   folder / 'results/g')
        return len(list((page.parent / 'layers').iterdir()))


    def site(folder):
        (folder / 'results/g/sub').mkdir(parents=True)
        (folder / 'results/g/index.html').write_text('the index')
        (folder / 'results/g/sub/a.txt').write_text('inside')
        (folder / 'results/g/out').symlink_to(folder / 'mine')
        (folder / 'results/g/out.txt').symlink_to(folder / 'mine/notes.txt')
        (folder / 'results/g/sub/up').symlink_to('../../..')
        os.mkfifo(folder / 'results/g/pipe.txt')


    def asks(path, host=None, method='GET', raw=None):
        "What the browser's server answers to a request."

        def use(folder):
            with milan.gallery.browser.serving(folder / 'results/g') as address:
                port = int(address.rstrip('/').rpartition(':')[2])
                request = f'{method} {path} HTTP/1.0\r\nHost: {host or f"127.0.0.1:{port}"}\r\n\r\n'
                answer = b''
                with socket.create_connection(('127.0.0.1', port), timeout=SECONDS / 3) as line:
                    try:
                        line.sendall(request.encode('utf-8', 'surrogateescape') if raw is None else raw)
                        line.shutdown(socket.SHUT_WR)
                        while piece := line.recv(1 << 16):
                            answer += piece
                    except OSError as error: # the server may hang up before it has read everything
                        if error.errno not in (errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET):
                            raise
            return answer

        return use


    def refused(answer):
        return (b'years of work' not in answer and b'root:' not in answer and b'photo.jpg' not in answer
                and b' 200 ' not in answer[:20])


    def served(text):
        return lambda answer: b' 200 ' in answer[:20] and text in answer


    browse_cases = [
        Case(f'browse: {name}', site, use, ('x',), right)
        for name, use, right in (
            ('the index', asks('/'), served(b'the index')),
            ('a file', asks('/sub/a.txt'), served(b'inside')),
            ('localhost', asks('/', 'localhost:8000'), served(b'the index')),
            ('another host', asks('/', 'evil.example'), refused),
            ('another host, with a port', asks('/', 'evil.example:8000'), refused),
            ('a host that begins like ours', asks('/', '127.0.0.1.evil.example'), refused),
            ('a host that holds ours', asks('/', 'evil.example#127.0.0.1'), refused),
            ('no host', asks('/', raw=b'GET / HTTP/1.1\r\n\r\n'), refused),
            (
                'two hosts',
                asks('/', raw=b'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n'),
                lambda answer: True,
            ),
            ('an empty host', asks('/', raw=b'GET / HTTP/1.1\r\nHost: \r\n\r\n'), refused),
            ('..', asks('/../../mine/notes.txt'), refused),
            ('.. in escapes', asks('/%2e%2e/%2e%2e/mine/notes.txt'), refused),
            ('.. in double escapes', asks('/%252e%252e/%252e%252e/mine/notes.txt'), refused),
            ('backslashes', asks('/..\\..\\mine\\notes.txt'), refused),
            ('an absolute path', asks('//etc/passwd'), refused),
            ('a link to a file outside', asks('/out.txt'), refused),
            ('a link to a folder outside', asks('/out/notes.txt'), refused),
            ('a listing through a link', asks('/out/'), refused),
            ('a link upwards', asks('/sub/up/mine/notes.txt'), refused),
            ('a zero', asks('/a%00b'), refused),
            ('half a letter', asks('/%ff%fe'), refused),
            ('a path of 60,000 letters', asks('/' + 'a' * 60_000), refused),
            ('a path of 100,000 letters', asks('/' + 'a' * 100_000), refused),
            ('a whole address', asks('http://evil.example/'), lambda answer: b'years of work' not in answer),
            ('a pipe', asks('/pipe.txt'), refused),
            ('nothing', asks('/', raw=b''), lambda answer: answer == b''),
            ('garbage', asks('/', raw=b'\xff\xfe\x00\r\n\r\n'), refused),
            ('POST', asks('/', method='POST'), refused),
            ('HEAD', asks('/', method='HEAD'), lambda answer: b'the index' not in answer),
            (
                'a range beyond',
                asks('/', raw=b'GET / HTTP/1.0\r\nHost: localhost\r\nRange: bytes=99999-\r\n\r\n'),
                lambda answer: b'HTTP' in answer,
            ),
            ('10,000 headers', asks('/', raw=b'GET / HTTP/1.0\r\n' + b'A: b\r\n' * 10_000 + b'\r\n'), refused),
        )
    ]

    check(
        'Gallery and browse',
        [
            *[
                Case(name, nothing, use, (named,) if isinstance(named, str) else named, *right)
                for name, (use, named, *right) in gallery_table.items()
            ],
            Case('names of 250 letters', nothing, long_names, ('xxx',), lambda count: count == 3),
            Case('names alike', nothing, like_names, ('a',), lambda count: count == 2),
            *browse_cases,
        ],
    )


# 06_hostile.ipynb, section "Resuming"
def test_resuming():
    global aside
    class Stops(Items):
        "A data set that fails once, while it is passed through."

        name, fingerprint = 'noise', 'noise'

        def __getitem__(self, index):
            if index == 6 and self.length:
                raise KeyboardInterrupt
            return self.items[index]


    def stopped(folder):
        "Exemplars that were interrupted, with a saved state."
        with contextlib.suppress(BaseException):
            seen_by(Stops(noise, 8), out=folder / 'results/e', k=3, batch_size=2, save_every=0)
        assert list((folder / 'results/.e.progress').rglob('state.pt')), list((folder / 'results').rglob('*'))


    def continued(folder):
        return content(seen_by(Stops(noise), out=folder / 'results/e', k=3, batch_size=2, save_every=0))


    with tempfile.TemporaryDirectory() as aside:
        undisturbed = content(seen_by(noise, out=Path(aside) / 'e', k=3, batch_size=2))


    def is_undisturbed(found):
        return same_content_lists(found, undisturbed)


    def in_part(name, change):
        return lambda folder: change(folder / 'results/.e.progress/part-0' / name)


    def cut(path):
        path.write_bytes(path.read_bytes()[:-5])


    def halved(path):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


    def blank(path):
        path.write_bytes(b'')


    def garbage(path):
        path.write_bytes(b'garbage' * 99)


    def zeros(path):
        path.write_bytes(bytes(path.stat().st_size))


    def gone(path):
        path.unlink()


    def a_folder(path):
        path.unlink(), path.mkdir()


    def a_pipe(path):
        path.unlink(), os.mkfifo(path)


    def code(path):
        torch.save(Runs(path.parents[3] / 'canary'), path)


    def state_with(**changes):
        return lambda path: torch.save({**torch.load(path, weights_only=True), **changes}, path)


    def state_without(key):
        return lambda path: torch.save(
            {name: value for name, value in torch.load(path, weights_only=True).items() if name != key}, path
        )


    ways = {'cut': cut, 'halved': halved, 'empty': blank, 'garbage': garbage, 'zeros': zeros, 'missing': gone,
            'a folder': a_folder, 'a pipe': a_pipe, 'code': code}
    with tempfile.TemporaryDirectory() as aside:
        (Path(aside) / 'results').mkdir()
        stopped(Path(aside))
        parts = sorted(str(path.relative_to(Path(aside) / 'results/.e.progress/part-0'))
                       for path in (Path(aside) / 'results/.e.progress/part-0').rglob('*') if path.is_file())
        keys = list(torch.load(Path(aside) / 'results/.e.progress/part-0/state.pt', weights_only=True))
    resume_table = {
        'whole': (lambda folder: None, 'x', is_undisturbed),
        **{
            f'{name}: {way}': (in_part(name, change), (name, '.e.progress'), is_undisturbed)
            for name in parts
            for way, change in ways.items()
            if not (way == 'code' and not name.endswith('.pt'))
        },
        **{
            f'state.pt: without {key}': (
                in_part('state.pt', state_without(key)),
                ('state.pt', '.e.progress'),
                is_undisturbed,
            )
            for key in keys
        },
        **{
            f'state.pt: {key} is {value!r}': (
                in_part('state.pt', state_with(**{key: value})),
                ('state.pt', '.e.progress'),
                is_undisturbed,
            )
            for key in keys
            for value in (None, 5, [], {})
        },
        'state.pt: batches twice': (
            in_part('state.pt', state_with(batches=[0, 0, 1])),
            ('state.pt', '.e.progress'),
            is_undisturbed,
        ),
        'state.pt: a list': (
            in_part('state.pt', lambda path: torch.save([1], path)),
            ('state.pt', '.e.progress'),
            is_undisturbed,
        ),
        'the lock is a folder': (
            lambda folder: [(path.unlink(), path.mkdir()) for path in (folder / 'results').glob('.*lock')],
            'lock',
            is_undisturbed,
        ),
        'a file among the parts': (
            lambda folder: (folder / 'results/.e.progress/part-7').write_text('x'),
            'part-7',
            is_undisturbed,
        ),
        'the result is there, and damaged': (
            lambda folder: (
                (folder / 'results/e').mkdir(),
                (folder / 'results/e/exemplars.json').write_text('{'),
            ),
            ('exemplars.json', '/e'),
            is_undisturbed,
        ),
    }
    resume_cases = [case._replace(may=('results',)) for case in table_of(stopped, continued, resume_table)]


    def learnt(folder, epochs=3):
        from milan.captioner.training import train_lm

        said = [['a red dog'], ['a blue cat'], ['a dog'], ['a cat'], ['a red cat'], ['blue']]
        trained = train_lm(said, validation=[4, 5], embedding_size=4, hidden_size=6, epochs=epochs, patience=9,
                           checkpoint=folder / 'results/lm.checkpoint', progress=False, device='cpu')
        return len(trained.log)


    def half_learnt(folder):
        learnt(folder, epochs=1)


    def checkpointed(change):
        return lambda folder: change(folder / 'results/lm.checkpoint')


    with tempfile.TemporaryDirectory() as aside:
        (Path(aside) / 'results').mkdir()
        half_learnt(Path(aside))
        trained_keys = list(torch.load(Path(aside) / 'results/lm.checkpoint', weights_only=True))
    training_table = {
        'whole': (lambda folder: None, 'x', lambda count: count == 3),
        **{
            way: (checkpointed(change), 'lm.checkpoint', lambda count: count == 3)
            for way, change in {
                **ways,
                'code': lambda path: torch.save(Runs(path.parents[1] / 'canary'), path),
            }.items()
        },
        **{
            f'without {key}': (checkpointed(state_without(key)), 'lm.checkpoint', lambda count: count == 3)
            for key in trained_keys
        },
        **{
            f'{key} is {value!r}': (
                checkpointed(state_with(**{key: value})),
                'lm.checkpoint',
                lambda count: count == 3,
            )
            for key in trained_keys
            for value in (None, 5, [])
        },
        'a list': (checkpointed(lambda path: torch.save([1], path)), 'lm.checkpoint', lambda count: count == 3),
        'contains itself': (
            checkpointed(
                lambda path: torch.save(
                    (told := torch.load(path, weights_only=True), told.__setitem__('model', told))[0], path
                )
            ),
            'lm.checkpoint',
            lambda count: count == 3,
        ),
    }
    resume_cases += [case._replace(name=f'training: {case.name}', may=('results',))
                     for case in table_of(half_learnt, learnt, training_table)]


    class OnDisk(list):
        "Units that features are kept for."


    def features_of(folder):
        from milan.captioner.encoder import PyramidEncoder
        from milan.captioner.features import encode_exemplars

        found = (
            Exemplars.open(folder / 'results/e')
            if (folder / 'results/e').exists()
            else seen_by(noise, out=folder / 'results/e')
        )
        return encode_exemplars(PyramidEncoder('tiny/shapes', ['0', '2']), found, 4, False,
                                folder / 'results/features')


    kept_features = []
    with tempfile.TemporaryDirectory() as aside:
        kept_features.append(features_of(Path(aside)))
        feature_files = sorted(path.name for path in (Path(aside) / 'results/features').rglob('*')
                               if path.is_file() and path.parent != Path(aside) / 'results/features')
    feature_table = {
        'whole': (lambda folder: None, 'x', lambda found: torch.equal(found, kept_features[0])),
        **{
            f'{name}: {way}': (
                lambda folder, name=name, change=change: change(
                    next((folder / 'results/features').glob(f'*/{name}'))
                ),
                (name, 'features'),
                lambda found: torch.equal(found, kept_features[0]),
            )
            for name in feature_files
            for way, change in ways.items()
            if way != 'code'
        },
    }
    resume_cases += [case._replace(name=f'features: {case.name}', may=('results',))
                     for case in table_of(features_of, features_of, feature_table)]

    check('Resuming', resume_cases)


# 06_hostile.ipynb, section "All together"
def test_all_together():
    counts = pd.crosstab(pd.Series([row['section'] for row in SEEN], name='section', dtype=str),
                         pd.Series([row['outcome'] for row in SEEN], name='outcome', dtype=str))
    counts = counts.reindex(index=dict.fromkeys(row['section'] for row in SEEN), columns=[*GOOD, *BAD],
                            fill_value=0)
    pd.concat([counts, counts.sum().to_frame('all').T])
