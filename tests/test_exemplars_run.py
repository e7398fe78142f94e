# Generated from nbs/05_exemplars/11_run.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.masks import MaskRule
from milan.exemplars.run import (
    batch_loader,
    forward,
    layer_arrays,
    merge_states,
    one_pass,
    progress_bar,
    require_ours,
    Run,
    work,
    write_result,
)

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from fastcore.test import expect_fail, test_eq
from torch import nn

from milan.config import MilanError
from milan.exemplars.state import ProcessState
from milan.exemplars.store import Exemplars
from milan.hooks.layers import layers_of
from milan.hooks.recording import record
from milan.networks.registry import as_network
from milan.testing import same_files, small_network, Squares


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def small_run(network=None, layers=('conv1', 'conv2'), **settings):
    "A run over 40 small images."
    entry = as_network((network or small_network()).eval())
    usual = dict(network=entry, images=Squares(), layers=layers_of(entry.module, list(layers)), k=5,
                 masks=MaskRule(), units={}, batch_size=8, workers=0, device=torch.device('cpu'), seed=0,
                 transform=entry.transform, to_image=None, truncate=False, channels_last=False, autocast=None,
                 save_every=60.0, quiet=True)
    return Run(**usual | settings)


ABOUT = {'layers': ['conv1', 'conv2'], 'size': None, 'quantile': .99, 'borders': 'zeros'}


def new_state(run, folder):
    "The state of a process that has seen nothing."
    return ProcessState(folder, 'key', run.layer_states(), run.device, keep_maxima=run.keep_maxima)


# 11_run.ipynb, section "What a run is"
def test_what_a_run_is():
    run = small_run(units={'conv2': [1]})
    run.batches(), list(run.layer_states()), run.units_of(run.layers[1])

    test_eq((run.batches(), run.units_of(run.layers[0])), (5, None))


# 11_run.ipynb, section "The pass"
def test_the_pass():
    run, folder = small_run(), temporary()
    with torch.inference_mode(), new_state(run, folder) as state:
        output, won = forward(run, state, torch.arange(4), torch.stack([Squares()[i][0] for i in range(4)]))
    output.shape, won

    test_eq(won.tolist(), [True] * 4)  # the first images all are among the top 5
    test_eq(state.layers['conv1'].top.ids[0, :4].sort().values, torch.arange(4))
    shutil.rmtree(folder)

    run = small_run()
    [(number, ids.tolist()) for number, (ids, images) in batch_loader(run, [1, 4])]

    folder = temporary()
    with torch.inference_mode(), new_state(run, folder) as state, progress_bar(run, state, [0, 2]) as bar:
        one_pass(run, state, batch_loader(run, [0, 2]), bar)
    test_eq((state.batches, bar.total), ([0, 2], 16))
    test_eq(len(list(batch_loader(run, []))), 0)
    shutil.rmtree(folder)


# 11_run.ipynb, section "Writing the result"
def test_writing_the_result():
    folder = temporary()
    (folder/'thesis.txt').write_text('It was a dark and stormy night.')
    with expect_fail(MilanError, contains='thesis.txt, which is not part'): require_ours(folder)

    run = small_run()
    with (torch.inference_mode(), new_state(run, folder/'.set.progress'/'part-0') as state,
          progress_bar(run, state, [0, 1]) as bar):
        one_pass(run, state, batch_loader(run, range(run.batches())), bar)
        write_result(folder/'set', state, [], ABOUT)
    Exemplars.open(folder/'set')

    test_eq(sorted(path.name for path in folder.iterdir()), ['set', 'thesis.txt'])
    test_eq(layer_arrays(state.layers['conv1'])['maps'].shape, (6, 5, 24, 24))
    shutil.rmtree(folder)


# 11_run.ipynb, section "Sharing a run"
def test_sharing_a_run():
    def begun_by_three(run, progress):
        "As if three processes had divided five batches, and been killed when two of them had saved something."
        for rank, numbers in ((0, [0, 3]), (2, [2])):
            state = new_state(run, progress/f'part-{rank}')
            with torch.inference_mode(), state, progress_bar(run, state, numbers) as bar:
                one_pass(run, state, batch_loader(run, numbers), bar)
                state.save()


    run, folder = small_run(), temporary()
    begun_by_three(run, folder/'.again.progress')
    work(run, folder/'again', folder/'.again.progress', 'key', ABOUT, True)
    found = Exemplars.open(folder/'again')
    found

    work(run, folder/'set', folder/'.set.progress', 'key', ABOUT, True)
    assert same_files(folder/'again', folder/'set')
    begun_by_three(run, folder/'.third.progress')
    # a state that lost its images is not used
    (folder/'.third.progress'/'part-2'/'images.bytes').write_bytes(b'')
    work(run, folder/'third', folder/'.third.progress', 'key', ABOUT, True)
    assert same_files(folder/'third', folder/'set')
    test_eq(sorted(path.name for path in folder.iterdir()), ['again', 'set', 'third'])
    shutil.rmtree(folder)

    folder, run = temporary(), small_run(keep_maxima=True, batch_size=9, units={'conv2': [5, 1]})
    begun_by_three(run, folder/'.again.progress')
    turned = replace(run, layers=run.layers[::-1])
    work(turned, folder/'again', folder/'.again.progress', 'key', ABOUT, True)
    maxima = Exemplars.open(folder/'again').maxima('conv2')
    maxima.shape, maxima.dtype

    images = torch.stack([image for image, _ in Squares()]).float() / 255
    with torch.inference_mode(), record(run.network.module, 'conv2') as recording: run.network.module(images)
    expected = recording['conv2'].amax((2, 3))[:, [1, 5]]                  # every activation, in memory at once
    np.testing.assert_allclose(maxima, expected.half(), rtol=1e-3)
    work(run, folder/'set', folder/'.set.progress', 'key', ABOUT, True)
    assert same_files(folder/'again', folder/'set')
    begun_by_three(run, folder/'.third.progress')
    (folder/'.third.progress'/'part-2'/'maxima.bytes').write_bytes(bytes(20))
    work(run, folder/'third', folder/'.third.progress', 'key', ABOUT, True)
    assert same_files(folder/'third', folder/'set')
    test_eq(sorted(path.name for path in folder.iterdir()), ['again', 'set', 'third'])
    require_ours(folder/'set')
    shutil.rmtree(folder)


# 11_run.ipynb, section "Errors"
def test_errors():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.never = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.twice(self.twice(x))


    folder, images = temporary(), torch.rand(2, 3, 8, 8)
    for layer, said in (('twice', "'twice' runs more than once"), ('never', "['never'] did not run")):
        run = small_run(Odd(), [layer])
        with torch.inference_mode(), new_state(run, folder) as state, expect_fail(MilanError, contains=said):
            forward(run, state, torch.arange(2), images)
    run = small_run()
    with new_state(run, folder) as state, expect_fail(MilanError, contains='0 of 5 batches'):
        merge_states(run, state, None)
    shutil.rmtree(folder)
