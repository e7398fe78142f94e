# Generated from nbs/07_captioner/03_features.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.features import (
    _packed,
    _planned,
    _unpacked,
    encode_regions,
    encoder_key,
)
import pytest

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.captioner.encoder import Projection, PyramidEncoder, SpatialEncoder, normalize
from milan.captioner.features import encode_exemplars, exemplars_key
from milan.config import MilanError
from milan.exemplars.store import Exemplars
from milan.testing import counted, some_units

def tiny(seed=0, size=None):
    "Two layers of a small seeded network."
    torch.manual_seed(seed)
    return PyramidEncoder(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                                        nn.Conv2d(4, 6, 3, padding=1)), ['0', '3'], size=size)


# 03_features.ipynb, section "Each image once"
def test_each_image_once():
    encoder = tiny()
    passes = counted(encoder)
    photos = (torch.rand(4, 3, 16, 16) * 255).to(torch.uint8)
    regions = [(i % 4, torch.rand(16, 16) > .5) for i in range(10)]
    features = encode_regions(encoder, photos, regions, batch_size=3)
    features.shape, f'{sum(passes)} images passed the network for {len(regions)} regions'

    test_eq(sum(passes), 4)

    naive = [encoder.encode(photos[i][None], mask[None, None].float())[0] for i, mask in regions]
    test_close(features, torch.stack(naive), 1e-5)
    test_close(encode_regions(encoder, [(photo, 'label') for photo in photos], regions), features, 1e-5)

    mixed = [photos[0], photos[1][:, :12], photos[2], photos[3]]
    test_close(encode_regions(encoder, mixed, regions, batch_size=3)[[0, 2, 3]], features[[0, 2, 3]], 1e-5)
    with expect_fail(MilanError, contains='at least one region'): encode_regions(encoder, photos, [])

    encoder.network[3].bias[0] = torch.inf
    with expect_fail(MilanError, contains='region 0 (image 0)'): encode_regions(encoder, photos, regions)


# 03_features.ipynb, section "What a set holds"
def test_what_a_set_holds():
    plan = _planned(some_units(), progress=False)
    plan.k, f'{len(plan.first)} images for {sum(map(len, plan.regions))} regions', plan.first

    soft = torch.rand(1, 5, 7)
    for mask in (soft, (soft > .5).float(), torch.zeros(1, 5, 7)): test_eq(_unpacked(_packed(mask)).float(), mask)
    test_eq(_planned(some_units(), False).key, plan.key)
    for change in ('images', 'masks'):
        other = some_units()
        getattr(other[2], change)[1, 0, 3, 4] = .25
        assert _planned(other, False).key != plan.key

    assert _planned(some_units()[::-1], False).key != plan.key


# 03_features.ipynb, section "A whole set in one call"
def test_a_whole_set_in_one_call():
    names = {
        'the same': tiny(),
        'other weights': tiny(1),
        'other size': tiny(size=8),
        'another layer': PyramidEncoder(tiny().network, ['0']),
        'places': SpatialEncoder(tiny().network, ['3']),
        'transform': PyramidEncoder(tiny().network, ['0', '3'], transform=normalize),
        'projected': PyramidEncoder(
            tiny().network, ['0', '3'], projection=Projection(torch.zeros(10), torch.eye(10))
        ),
    }
    keys = {name: encoder_key(one) for name, one in names.items()}
    test_eq(len(set(keys.values())), len(keys))
    test_eq(keys['the same'], encoder_key(tiny()))
    test_eq(exemplars_key(some_units()), None)
    test_eq(exemplars_key(SimpleNamespace(fingerprint='stamps-7')), 'stamps-7')
    f'{len(keys)} encoders, {len(set(keys.values()))} keys'

    encoder, exemplars = tiny(), some_units()
    passes = counted(encoder)
    features = encode_exemplars(encoder, exemplars)
    features.shape, f'{sum(passes)} images passed the network'

    assert sum(passes) <= 6

    images, masks = torch.stack([e.images for e in exemplars]), torch.stack([e.masks for e in exemplars])
    test_close(features, encoder.encode(images, masks), 1e-5)

    places = SpatialEncoder(tiny().network, ['3'])
    test_close(encode_exemplars(places, exemplars, batch_size=2), places.encode(images, masks), 1e-5)

    exemplars[1].masks = torch.rand(3, 1, 16, 16) # soft masks keep their values
    exemplars[2].masks = torch.zeros(3, 1, 16, 16) # a dead unit's features are zero
    masks = torch.stack([e.masks for e in exemplars])
    test_close(encode_exemplars(encoder, exemplars), encoder.encode(images, masks), 1e-5)
    assert not encode_exemplars(encoder, exemplars)[2].any()

    exemplars = some_units()
    exemplars[3].images, exemplars[3].masks = exemplars[3].images[..., :12], exemplars[3].masks[..., :12]
    test_close(encode_exemplars(encoder, exemplars)[3], encoder.encode(exemplars[3].images, exemplars[3].masks),
               1e-5)
    exemplars[3].masks = exemplars[3].masks[..., :8]
    with expect_fail(MilanError, contains="unit 3 of layer 'conv' has masks of (3, 1, 16, 8)"):
        encode_exemplars(encoder, exemplars)
    exemplars[3] = SimpleNamespace(images=exemplars[3].images[:2], masks=exemplars[3].masks[:2])
    with expect_fail(MilanError, contains='unit 3 has 2 exemplars, and the first has 3'):
        encode_exemplars(encoder, exemplars)
    with expect_fail(MilanError, contains='no units'): encode_exemplars(encoder, [])
    broken = tiny()
    broken.network[0].weight[:] = torch.nan
    with expect_fail(MilanError, contains="of unit 0 of layer 'conv' are not finite"):
        encode_exemplars(broken, some_units())
    exemplars = some_units()
    exemplars[2].images[0, 0, 0, 0] = torch.nan
    with expect_fail(MilanError, contains='[0, 1]'): encode_exemplars(encoder, exemplars)

    folder = Path(tempfile.mkdtemp())
    encoder = tiny()
    passes = counted(encoder)
    features = [encode_exemplars(encoder, some_units(), cache=folder) for _ in range(2)]
    assert torch.equal(*features) and torch.equal(features[0], encode_exemplars(tiny(), some_units()))
    test_eq((sum(passes), len(list(folder.iterdir()))), (6, 1))
    shutil.rmtree(folder)
    sum(passes)


# 03_features.ipynb, section "Known again"
def test_known_again():
    folder = Path(tempfile.mkdtemp())
    encoder = tiny()
    passes = counted(encoder)
    first = encode_exemplars(encoder, some_units(), cache=folder)
    once = sum(passes)
    again = encode_exemplars(encoder, some_units(), cache=folder)
    assert torch.equal(again, first)
    test_eq(sum(passes), once)
    assert torch.equal(again, encode_exemplars(tiny(), some_units()))
    for change in ('images', 'masks'):
        other = some_units()
        getattr(other[2], change)[1, 0, 3, 4] = .25
        assert not torch.equal(encode_exemplars(encoder, other, cache=folder), first)
    assert not torch.equal(encode_exemplars(tiny(1), some_units(), cache=folder), first)
    test_close(encode_exemplars(encoder, some_units()[:2], cache=folder), first[:2], 1e-5)
    test_eq(len(list(folder.iterdir())), 5)
    about = json.loads((min(folder.iterdir(), key=lambda path: path.stat().st_mtime)/'about.json').read_text())
    {name: value for name, value in about.items() if name != 'versions'}

    expected = first.tolist()
    first += 1
    test_eq(encode_exemplars(encoder, some_units(), cache=folder).tolist(), expected)
    for place in folder.iterdir(): os.truncate(place/'features.npy', 200)
    test_eq(encode_exemplars(encoder, some_units(), cache=folder).tolist(), expected)
    shutil.rmtree(folder)
    broken = tiny()
    broken.network[3].bias[0] = torch.nan
    with expect_fail(MilanError, contains='not finite'): encode_exemplars(broken, some_units(), cache=folder)
    test_eq(list(folder.iterdir()), [])
    shutil.rmtree(folder)


# 03_features.ipynb, section "Sets on disk"
def test_sets_on_disk():
    folder = Path(tempfile.mkdtemp())
    (folder/'set'/'conv').mkdir(parents=True)
    images, masks = (torch.stack([getattr(e, name) for e in some_units()]) for name in ('images', 'masks'))
    np.save(folder/'set'/'conv'/'images.npy', (images * 255).round().byte())
    np.save(folder/'set'/'conv'/'masks.npy', masks.byte())
    for name in ('ids', 'activations'):
        np.savetxt(folder / 'set' / 'conv' / f'{name}.csv', np.arange(12).reshape(4, 3), fmt='%d', delimiter=',')
    on_disk = Exemplars.open(folder/'set')
    encoder = tiny()
    passes = counted(encoder)
    features = encode_exemplars(encoder, on_disk, cache=folder/'kept')
    test_close(features, encoder.encode(images, masks), 1e-5)
    passes.clear()
    test_eq(encode_exemplars(encoder, Exemplars.open(folder / 'set'), cache=folder / 'kept').tolist(),
            features.tolist())
    test_eq(passes, [])
    keys = [exemplars_key(one) for one in (on_disk, on_disk.view(size=8), on_disk.select(k=2))]
    np.save(folder/'set'/'conv'/'masks.npy', 1 - masks.byte())
    changed = Exemplars.open(folder/'set')
    test_eq(len({*keys, exemplars_key(changed)}), 4)
    test_close(encode_exemplars(encoder, changed, cache=folder/'kept'), encoder.encode(images, 1 - masks), 1e-5)
    (folder/'set'/'annotations.csv').write_text('layer,unit,summary\n') # what people said doesn't matter here
    test_eq(exemplars_key(changed), exemplars_key(Exemplars.open(folder/'set')))
    shutil.rmtree(folder)


# 03_features.ipynb, section "Killed"
@pytest.mark.slow
def test_killed_slow():
    KILLING = '''
import os, random, signal, sys, time
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from milan.captioner.encoder import PyramidEncoder
from milan.captioner.features import encode_exemplars

torch.set_num_threads(1)
torch.manual_seed(0)
encoder = PyramidEncoder(nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3)), ["0", "2"])
album = torch.rand(80, 3, 32, 32)
units = [SimpleNamespace(images=album[torch.randperm(80)[:5]], masks=(torch.rand(5, 1, 32, 32) > .5).float())
         for _ in range(40)]


def start(folder): # forked, so that nothing has to be imported again
    process = os.fork()
    if not process:
        seen = []
        read = encoder.read
        encoder.read = lambda images, masks, owner: seen.append(len(images)) or read(images, masks, owner)
        encode_exemplars(encoder, units, batch_size=4, cache=folder, save_every=0)
        (folder/"seen.txt").write_text(str(sum(seen)))
        os._exit(0)
    return process


def ended(process): # killed, or finished?
    status = os.waitpid(process, 0)[1]
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, status
    return os.WIFSIGNALED(status)


def files(folder): # name → bytes
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != "seen.txt"}


home, draw, killed, resumed, attempt = Path(sys.argv[1]), random.Random(0), 0, 0, 0
for name in ("whole", "timed"):
    started = time.perf_counter()
    ended(start(home/name))
    duration = time.perf_counter() - started
whole, images = files(home/"whole"), int((home/"whole"/"seen.txt").read_text())
assert files(home/"timed") == whole
while killed < 20:
    folder, attempt = home/f"killed-{attempt}", attempt + 1
    for _ in range(1 + (killed % 3 > 0)):
        process = start(folder)
        time.sleep(draw.uniform(0, duration))
        os.kill(process, signal.SIGKILL)
        was_killed = ended(process)
    if was_killed:
        killed += 1
        assert not ended(start(folder))
        assert files(folder) == whole, sorted(files(folder))
        resumed += int((folder/"seen.txt").read_text()) < images
assert resumed > 5
print(f"{killed} runs killed, the same bytes each time; {resumed} of them had saved something to resume from")
'''

    folder = Path(tempfile.mkdtemp())
    run = subprocess.run([sys.executable, '-c', KILLING, str(folder)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shutil.rmtree(folder)
    run.stdout.strip().split(';')[0]


# 03_features.ipynb, section "At the same time"
@pytest.mark.slow
def test_at_the_same_time_slow():
    TOGETHER = '''
import os, sys
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from milan.captioner.encoder import PyramidEncoder
from milan.captioner.features import encode_exemplars

torch.set_num_threads(1)
torch.manual_seed(0)
encoder = PyramidEncoder(nn.Sequential(nn.Conv2d(3, 16, 3)), ["0"])
units = [SimpleNamespace(images=torch.rand(5, 3, 48, 48), masks=torch.ones(5, 1, 48, 48)) for _ in range(40)]
folder, children = Path(sys.argv[1]), []
for number in range(3):
    children.append(os.fork())
    if not children[-1]:
        seen = []
        read = encoder.read
        encoder.read = lambda images, masks, owner: seen.append(len(images)) or read(images, masks, owner)
        features = encode_exemplars(encoder, units, batch_size=2, cache=folder, save_every=0)
        # in one piece, so that lines of three processes do not mix
        os.write(1, f'{sum(seen)} {features.sum().item()}\\n'.encode())
        os._exit(0)
for child in children: assert os.waitpid(child, 0)[1] == 0
assert len(list(folder.iterdir())) == 1, list(folder.iterdir())
'''
    folder = Path(tempfile.mkdtemp())
    run = subprocess.run([sys.executable, '-c', TOGETHER, str(folder)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    seen, sums = zip(*(line.split() for line in run.stdout.splitlines()), strict=True)
    test_eq((sorted(map(int, seen)), len(set(sums))), ([0, 0, 200], 1))
    shutil.rmtree(folder)
