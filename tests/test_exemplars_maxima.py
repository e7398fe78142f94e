# Generated from nbs/05_exemplars/16_maxima.ipynb by `make export`. Edit the notebook, not this file.

import zlib
from milan.exemplars.maxima import (
    MaximaFile,
    size_of_maxima,
    write_maxima,
)

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from fastcore.test import test_eq


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def four_batches():
    "Of two layers with 2 and 5 units: three images each, and one image in the last."
    draw = torch.Generator().manual_seed(0)
    return [{'conv2': torch.randn(rows, 2, generator=draw), 'conv1': torch.randn(rows, 5, generator=draw)}
            for rows in (3, 3, 3, 1)]


# 16_maxima.ipynb, section "The file of a process"
def test_the_file_of_a_process():
    folder, batches = temporary(), four_batches()
    file = MaximaFile(folder/'maxima.bytes')
    file.add(0, batches[0])
    saved = file.state()
    file.add(2, batches[2])
    file.restore(saved)                                     # as after an interruption: batch 2 is dropped
    file.add(3, dict(reversed(batches[3].items())))         # with its layers in another order
    file.state()

    written = (folder/'maxima.bytes').read_bytes()
    test_eq((file.rows, len(written)), ({0: 3, 3: 1}, size_of_maxima(file.rows, file.widths)))
    test_eq(zlib.crc32(written), file.sum)
    last = torch.cat([batches[3]['conv1'], batches[3]['conv2']], 1)[0]
    test_eq(np.frombuffer(written, '<f2')[-7:], last.half().numpy())
    file.file.close()
    shutil.rmtree(folder)


# 16_maxima.ipynb, section "The file of the result"
def test_the_file_of_the_result():
    folder, batches = temporary(), four_batches()
    first, second, idle = (MaximaFile(folder/f'{name}.bytes') for name in ('first', 'second', 'idle'))
    for number in (0, 3): first.add(number, batches[number])
    for number in (2, 1): second.add(number, batches[number])
    for name in ('conv1', 'conv2'): write_maxima([first, second, idle], name, folder/f'{name}.npy')
    np.load(folder/'conv1.npy', mmap_mode='r').shape

    for name in ('conv1', 'conv2'):
        test_eq(np.load(folder/f'{name}.npy'), torch.cat([batch[name] for batch in batches]).half().numpy())
    for one in (first, second, idle): one.file.close()

    file, values = MaximaFile(folder/'large.bytes'), torch.tensor([[1e6, -1e6, 65504., 65519., 1 / 3, 1e-9]])
    file.add(0, {'conv1': values})
    write_maxima([file], 'conv1', folder/'large.npy')
    file.file.close()
    np.load(folder/'large.npy')[0]

    test_eq(np.load(folder/'large.npy')[0, :4].tolist(), [65504, -65504, 65504, 65504])
    drawn = torch.rand(1000, generator=torch.Generator().manual_seed(0)) + 1e-3
    assert ((drawn.half().float() - drawn) / drawn).abs().max() <= 1 / 2048
    shutil.rmtree(folder)
