# Generated from nbs/14_parts.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.parts import (
    agreed,
    alone,
    dealt,
    full_disk_told,
    Part,
    processes,
    rank_and_count,
    saved_state,
    Spool,
    STATES,
    Tally,
    write_images,
)

import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_eq

from milan.config import MilanError
from milan.hooks import Layer
from milan.trials import killed, started


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())

def tally(rows=8, units=(4, 1)):
    "Of a layer of six units."
    return Tally(Layer('conv1'), 2, .9, rows, 0, units, None)


# 14_parts.ipynb, section "A layer's statistics"
def test_a_layer_s_statistics():
    one = tally()
    one.add(torch.rand(8, 6, 5, 5), torch.arange(8), None).sum(), one.units, one.top.ids

    maps, ids = torch.rand(12, 6, 5, 5, generator=torch.Generator().manual_seed(0)), torch.arange(12)
    whole, first, second, again = (tally(12) for _ in range(4))
    whole.add(maps, ids, None)
    first.add(maps[1::2], ids[1::2], None)
    second.add(maps[::2], ids[::2], None)
    again.restore(first.state(), torch.device('cpu'))
    again.merge(second)
    for name in ('ids', 'values', 'payload'): assert torch.equal(getattr(again.top, name), getattr(whole.top, name))
    assert torch.equal(again.quantile.levels(), whole.quantile.levels())

    for bad in (torch.nan, torch.inf, -torch.inf):
        maps = torch.rand(3, 6, 5, 5)
        maps[2, 4, 0, 1] = bad
        with expect_fail(MilanError, contains="'conv1', unit 4 is not finite on image 12"): tally(3).add(maps, torch.tensor([10, 11, 12]), None)
    with expect_fail(MilanError, contains='units 0 to 5'): tally(units=[6]).add(torch.rand(8, 6, 5, 5), torch.arange(8), None)
    with expect_fail(MilanError, contains='keeps images apart'): tally().add(torch.rand(9, 6, 5, 5), torch.arange(8), None)
    one = tally()
    one.add(torch.rand(4, 6, 5, 5), torch.arange(4), None)
    with expect_fail(MilanError, contains='maps of (7, 7) for images 4 to 7'): one.add(torch.rand(4, 6, 7, 7), torch.arange(4, 8), None)
    whole = tally()
    whole.add(torch.rand(8, 6, 5, 5) > .5, torch.arange(8), None) # a readout may well give yes or no
    test_eq((whole.top.payload.dtype, whole.quantile.levels().tolist()), (torch.float32, [1., 1.]))
    test_eq(tally(units=torch.tensor([4, 1, 4])).units.tolist(), [1, 4])


# 14_parts.ipynb, section "Keeping the winners' images"
def test_keeping_the_winners_images():
    folder = temporary()
    spool, other = Spool(folder/'images.bytes'), Spool(folder/'more.bytes')
    images = torch.randint(0, 256, (6, 3, 4, 6), dtype=torch.uint8)
    spool.add(images[:3], torch.tensor([10, 11, 12]))
    saved = spool.state()
    spool.add(images[:2].float() / 255, torch.tensor([13, 14]))
    spool.restore(saved)                       # as after a kill: the last two are forgotten
    spool.add(images[3:5], torch.tensor([13, 14]))
    other.add(images[5:].float() / 255, torch.tensor([9]))
    write_images([spool, other], np.array([9, 11, 14]), folder/'images.npy')
    np.load(folder/'images.npy').shape

    assert np.array_equal(np.load(folder/'images.npy'), images[[5, 1, 4]])
    with expect_fail(MilanError, contains='image 20 is (5, 5) pixels'): spool.add(torch.zeros(1, 3, 5, 5), torch.tensor([20]))
    cut = Spool(folder/'cut.bytes', truncate=True)
    cut.add(torch.full((1, 1, 2, 2), 99.9 / 255), torch.tensor([0]))
    cut.file.seek(0)
    test_eq(set(cut.file.read()), {99})
    for one in (spool, other, cut): one.file.close()
    shutil.rmtree(folder)


# 14_parts.ipynb, section "What one process has seen"
def test_what_one_process_has_seen():
    folder = temporary()
    with Part(folder/'part-0', 'key', {'conv1': tally(12)}, torch.device('cpu')) as part:
        for number in (0, 2):
            part.tallies['conv1'].add(torch.rand(3, 6, 5, 5), torch.arange(3) + 3 * number, None)
            part.batches.append(number)
        part.save()
    with Part(folder/'part-0', 'key', {'conv1': tally(12)}, torch.device('cpu')) as again: pass
    again.batches, again.tallies['conv1'].top.ids

    assert torch.equal(again.tallies['conv1'].top.payload, part.tallies['conv1'].top.payload)
    with Part(folder/'part-0', 'other inputs', {'conv1': tally(12)}, torch.device('cpu')) as other: test_eq(other.batches, [])

    with Part(folder/'part-0', 'key', {'conv1': tally(12)}, torch.device('cpu')) as part:
        part.tallies['conv1'].add(torch.rand(3, 6, 5, 5), torch.arange(9, 12), None)
        part.batches.append(3)
        part.save()
    test_eq(saved_state(folder/'part-0', 'key')['batches'], [0, 2, 3])

    said = []
    for name in STATES:
        content = bytearray((folder/'part-0'/name).read_bytes())
        content[len(content) // 2] ^= 255
        (folder/'part-0'/name).write_bytes(content)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            said.append((saved_state(folder/'part-0', 'key') or {}).get('batches'))
        assert 'damaged' in str(caught[0].message)
    said

    test_eq(said, [[0, 2], None])
    (folder/'part-0'/'state.pt').write_bytes(b'')
    with warnings.catch_warnings(record=True), Part(folder/'part-0', 'key', {'conv1': tally(12)}, torch.device('cpu')) as part: test_eq(part.batches, [])

    import resource


    def small_files(write):
        "Run `write` in a process whose files may have 4 kB, and see whether the error is told."
        def work():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            with expect_fail(MilanError, contains='disk is full'), full_disk_told(folder): write()
        return killed(started(work))


    def python(): (folder/'python').write_bytes(bytes(10_000))
    def numpy(): np.save(folder/'numpy.npy', np.zeros(10_000))
    def pytorch(): torch.save(torch.zeros(10_000), folder/'torch.pt')


    if sys.platform == 'linux':
        test_eq([small_files(write) for write in (python, numpy, pytorch)], [False] * 3)
    shutil.rmtree(folder)


# 14_parts.ipynb, section "Sharing the work"
def test_sharing_the_work():
    folder = temporary()
    with Part(folder/'part-3', 'key', {'conv1': tally(12)}, torch.device('cpu')) as part:
        part.batches += [1, 2]
        part.save()
    dealt(folder, 'key', 6), dealt(folder, 'other inputs', 6), rank_and_count()

    test_eq(dealt(folder, 'key', 6), [0, 3, 4, 5])
    with alone(folder/'result'), expect_fail(MilanError, contains='another process'), alone(folder/'result'): pass
    with alone(folder/'result'): pass
    test_eq([path.name for path in folder.iterdir()], ['part-3'])
    with processes('cpu'): test_eq(rank_and_count(), (0, 1))
    agreed('key', 'inputs')
    shutil.rmtree(folder)
