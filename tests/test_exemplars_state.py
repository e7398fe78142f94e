# Generated from nbs/05_exemplars/09_state.ipynb by `make export`. Edit the notebook, not this file.

import zlib
from milan.exemplars.state import (
    _plausible,
    _same_bytes,
    _same_files,
    ImageFile,
    layer_state,
    LayerState,
    merge_layer,
    ProcessState,
    restore_layer,
    saved_state,
    STATES,
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
from milan.files import disk_full_explained
from milan.hooks.layers import Layer
from milan.testing import killed, started


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def six(rows=8, units=(4, 1)):
    "The state of a layer of six units."
    return LayerState(Layer('conv1'), 2, .9, rows, 0, units, None)


def warned(work):
    "The result, and the text of all warnings."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        return work(), ' '.join(str(one.message) for one in caught)


# 09_state.ipynb, section "A layer's statistics"
def test_a_layer_s_statistics():
    one = six()
    (one.add(torch.rand(8, 6, 5, 5, generator=torch.Generator().manual_seed(0)), torch.arange(8), None).sum(),
     one.units, one.top.ids)

    whole = six()
    whole.add(torch.rand(8, 6, 5, 5) > .5, torch.arange(8), None) # a readout may give yes or no
    test_eq((whole.top.payload.dtype, whole.quantile.estimate().tolist()), (torch.float32, [1., 1.]))
    test_eq(six(units=torch.tensor([4, 1, 4])).units.tolist(), [1, 4])
    for bad in (torch.nan, torch.inf, -torch.inf):
        maps = torch.rand(3, 6, 5, 5)
        maps[2, 4, 0, 1] = bad
        with expect_fail(MilanError, contains="'conv1', unit 4 is not finite on image 12"):
            six(3).add(maps, torch.tensor([10, 11, 12]), None)

    maps, ids = torch.rand(12, 6, 5, 5, generator=torch.Generator().manual_seed(0)), torch.arange(12)
    whole, first, second, again = (six(12) for _ in range(4))
    whole.add(maps, ids, None)
    first.add(maps[1::2], ids[1::2], None)
    second.add(maps[::2], ids[::2], None)
    restore_layer(again, layer_state(first), torch.device('cpu'))
    merge_layer(again, second)
    again.top.ids, again.quantile.estimate()

    for name in ('ids', 'values', 'payload'):
        assert torch.equal(getattr(again.top, name), getattr(whole.top, name))
    assert torch.equal(again.quantile.estimate(), whole.quantile.estimate())


# 09_state.ipynb, section "Candidate images"
def test_candidate_images():
    folder = temporary()
    candidates, other = ImageFile(folder/'images.bytes'), ImageFile(folder/'more.bytes')
    images = torch.randint(0, 256, (6, 3, 4, 6), dtype=torch.uint8)
    candidates.add(images[:3], torch.tensor([10, 11, 12]))
    saved = candidates.state()
    candidates.add(images[:2].float() / 255, torch.tensor([13, 14]))
    candidates.restore(saved)                       # as after an interruption: the last two are dropped
    candidates.add(images[3:5], torch.tensor([13, 14]))
    other.add(images[5:].float() / 255, torch.tensor([9]))
    candidates.ids

    test_eq(candidates.ids, [10, 11, 12, 13, 14])
    with expect_fail(MilanError, contains='image 20 is (5, 5) pixels'):
        candidates.add(torch.zeros(1, 3, 5, 5), torch.tensor([20]))

    cut = ImageFile(folder/'cut.bytes', truncate=True)
    cut.add(torch.full((1, 1, 2, 2), 99.9 / 255), torch.tensor([0]))
    cut.file.seek(0)
    test_eq(set(cut.file.read()), {99})

    write_images([candidates, other], np.array([9, 11, 14]), folder/'images.npy')
    np.load(folder/'images.npy').shape

    assert np.array_equal(np.load(folder/'images.npy'), images[[5, 1, 4]])
    for one in (candidates, other, cut): one.file.close()
    shutil.rmtree(folder)


# 09_state.ipynb, section "The state of a process"
def test_the_state_of_a_process():
    (_plausible({'key': 'k', 'batches': [], 'spool': {'ids': [], 'shape': [], 'sum': 0}, 'layers': {}}),
     _plausible({'key': 3}))

    folder = temporary()
    (folder/'images.bytes').write_bytes(b'abcd')
    assert not _same_files(folder, {'spool': {'ids': [0], 'shape': [1, 2, 2], 'sum': 1}})
    assert _same_bytes(folder/'images.bytes', 3, zlib.crc32(b'abc')) and not _same_bytes(folder/'no', 0, 0)
    test_eq(_plausible({'key': 'k', 'batches': [0], 'spool': {'ids': [], 'shape': [], 'sum': 0}, 'layers': {}}),
            False)
    shutil.rmtree(folder)

    saved_state(temporary(), 'key') is None

    test_eq(saved_state(temporary(), 'key'), None)

    def worked(folder, numbers, key='key', **settings):
        "A state that has seen these batches of three images since the last one, and is saved."
        with ProcessState(folder, key, {'conv1': six(12)}, torch.device('cpu'), **settings) as state:
            for number in numbers:
                state.layers['conv1'].add(torch.rand(3, 6, 5, 5), torch.arange(3) + 3 * number, None)
                if state.maxima is not None: state.maxima.add(number, {'conv1': state.layers['conv1'].peaks})
                state.batches.append(number)
            if numbers: state.save()
        return state


    folder = temporary()
    state, again = worked(folder, [0, 2]), worked(folder, [])
    again.batches, again.layers['conv1'].top.ids

    assert torch.equal(again.layers['conv1'].top.payload, state.layers['conv1'].top.payload)
    test_eq(worked(folder, [], key='other inputs').batches, [])
    shutil.rmtree(folder)

    folder = temporary()
    state = worked(folder, [0, 2], keep_maxima=True)
    again = worked(folder, [3], keep_maxima=True)
    again.maxima.rows, (folder/'maxima.bytes').stat().st_size

    test_eq((again.maxima.rows, (folder/'maxima.bytes').stat().st_size), ({0: 3, 2: 3, 3: 3}, 9 * 2 * 2))
    numbers = np.fromfile(folder/'maxima.bytes', '<f2').reshape(9, 2)
    test_eq(numbers[6:], again.layers['conv1'].peaks.half().numpy())
    with open(folder/'maxima.bytes', 'r+b') as file: file.truncate(24)     # the last batch is lost
    test_eq(saved_state(folder, 'key')['batches'], [0, 2])                 # and so is the last state
    (folder/'maxima.bytes').unlink()
    test_eq(saved_state(folder, 'key'), None)
    shutil.rmtree(folder)

    folder, batches = temporary(), []
    worked(folder, [0, 2])
    worked(folder, [3])
    test_eq(saved_state(folder, 'key')['batches'], [0, 2, 3])
    for name in STATES:
        content = bytearray((folder/name).read_bytes())
        content[len(content) // 2] ^= 255
        (folder/name).write_bytes(content)
        state, warning = warned(lambda: saved_state(folder, 'key'))
        assert 'damaged' in warning
        batches.append(state and state['batches'])
    batches

    test_eq(batches, [[0, 2], None])
    (folder/'state.pt').write_bytes(b'')
    test_eq(warned(lambda: worked(folder, []))[0].batches, [])
    shutil.rmtree(folder)


# 09_state.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='units 0 to 5'):
        six(units=[6]).add(torch.rand(8, 6, 5, 5), torch.arange(8), None)
    with expect_fail(MilanError, contains='keeps images apart'):
        six().add(torch.rand(9, 6, 5, 5), torch.arange(8), None)
    with expect_fail(MilanError, contains='gives numbers'):
        six().add(torch.rand(8, 6, 5, 5, dtype=torch.complex64), torch.arange(8), None)
    one = six()
    one.add(torch.rand(4, 6, 5, 5), torch.arange(4), None)
    with expect_fail(MilanError, contains='maps of (7, 7) for images 4 to 7'):
        one.add(torch.rand(4, 6, 7, 7), torch.arange(4, 8), None)

    import resource


    folder = temporary()


    def small_files(write):
        "Run `write` in a process whose files may have 4 kB, and see whether it is killed."
        def work():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            with expect_fail(MilanError, contains='disk is full'), disk_full_explained(folder): write()
        return killed(started(work))


    def python(): (folder/'python').write_bytes(bytes(10_000))
    def numpy(): np.save(folder/'numpy.npy', np.zeros(10_000))
    def pytorch(): torch.save(torch.zeros(10_000), folder/'torch.pt')


    if sys.platform == 'linux':
        test_eq([small_files(write) for write in (python, numpy, pytorch)], [False] * 3)
    shutil.rmtree(folder)
