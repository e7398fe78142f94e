# Generated from nbs/13_experiments/19_rehearsal.ipynb by `make export`. Edit the notebook, not this file.

from milan import annotations
from milan import images
from milan.captioner import checkpoints
from milan.config import MilanError
from milan.config import import_torchvision
from milan.config import results_dir
from milan.data import manifests
from milan.experiments.reports import REHEARSAL
from milan.files import remove
from milan.networks.zoo import ZOO
import torch
from milan.experiments.rehearsal import (
    lay_out,
    rehearse,
    rehearsed_notebooks,
    rehearsing,
    thin,
    thin_networks,
    write_annotated_set,
    write_broden,
    write_captioner,
    write_pictures,
)
import pytest

import os
import tempfile
import warnings
from pathlib import Path

from fastcore.test import expect_fail, test_eq

warnings.filterwarnings('ignore', message='IProgress') # a warning of a progress-bar library
warnings.filterwarnings('ignore', message='.*published image numbers')
home = Path(tempfile.mkdtemp())/'rehearsal' # laid out by what needs it


# 19_rehearsal.ipynb, section "Folders of its own"
def test_folders_of_its_own():
    with rehearsing(home): print(results_dir().relative_to(home), os.environ['MILAN_OFFLINE'])


# 19_rehearsal.ipynb, section "Thin networks"
def test_thin_networks():
    wide = import_torchvision().models.resnet18
    narrow = thin(wide, 1000)
    test_eq([*narrow.state_dict()], [*wide().state_dict()])
    narrow(torch.zeros(1, 3, 224, 224)).shape, sum(weight.numel() for weight in narrow.parameters())

    with thin_networks():
        counted = {entry.network: sum(weight.numel() for weight in entry.make().parameters())
                   for entry in ZOO.values() if entry.in_torchvision}
    assert max(counted.values()) < 200_000
    counted


# 19_rehearsal.ipynb, section "Pictures"
def test_pictures():
    write_pictures(home/'data')
    with rehearsing(home), warnings.catch_warnings():
        warnings.simplefilter('ignore') # of fewer images than ImageNet has
        shown = images.load('imagenet'), images.load('imagenet/train'), images.load('places365')
    shown


# 19_rehearsal.ipynb, section "Labelled regions"
def test_labelled_regions():
    from milan.concepts import segmentations

    write_broden(home/'data'/'broden1_224')
    broden = segmentations.load(home/'data'/'broden1_224')
    broden, {broden.concepts[i].name: int(mask.sum()) for i, mask in broden.regions(1).items()}


# 19_rehearsal.ipynb, section "Annotated units"
def test_annotated_units():
    with thin_networks(): write_annotated_set(home/'alexnet'/'places365', 'alexnet/places365')
    people = annotations.load(home/'alexnet'/'places365')
    people


# 19_rehearsal.ipynb, section "Weights"
def test_weights():
    with thin_networks():
        write_annotated_set(home/'resnet152'/'places365', 'resnet152/places365')
        people = annotations.load(home/'resnet152'/'places365')
        write_captioner(home/'milan-base.pth', home/'resnet152'/'places365')
        captioner = checkpoints.load(home/'milan-base.pth', 'cpu')
    captioner, captioner.describe(people, progress=False).description.tolist()[:3]


# 19_rehearsal.ipynb, section "Downloads and their checksums"
def test_downloads_and_their_checksums():
    remove(home)
    with warnings.catch_warnings(action='ignore'): lay_out(home)
    with rehearsing(home):
        states = manifests.table().set_index('name').state
        test_eq(set(states[states != 'absent']), {'ready'})
        test_eq(manifests.verify('milannotations-alexnet-imagenet') > 10, True)
        present = annotations.present()
    size = sum(path.stat().st_size for path in home.rglob('*') if path.is_file())
    print(f'{size / 1e6:.0f} MB, {(states == "ready").sum()} assets ready')
    present

    changed = home/'alexnet-places365.pth'
    changed.write_bytes((home/'downloads'/'alexnet-places365.pth').read_bytes() + b'.')
    with rehearsing(home):
        remove(home/'models'/'alexnet-places365.pth')
        with expect_fail(MilanError, contains='alexnet-places365.pth'): manifests.add([changed], quiet=True)
        manifests.add([home/'downloads'/'alexnet-places365.pth'], quiet=True)
    changed.unlink()


# 19_rehearsal.ipynb, section "Running the notebooks"
def test_running_the_notebooks():
    rehearsed_notebooks()


# 19_rehearsal.ipynb, section "Running the notebooks"
@pytest.mark.slow
def test_running_the_notebooks_slow():
    runs = rehearse(['summary'], home, progress=False)
    test_eq([one.state for one in runs], ['done'])
    assert runs[0].report.is_relative_to(home)
    for name in ('report.ipynb', 'metrics.json'): assert REHEARSAL in (runs[0].report.parent/name).read_text()

    runs = rehearse(folder=home, progress=False)
    failed = [f'{one.name}: {one.message}' for one in runs if one.state == 'failed']
    assert not failed, '\n'.join(failed)
    [one.name for one in runs]


# 19_rehearsal.ipynb, section "Adding a stand-in"
def test_adding_a_stand_in():
    (home/'mine').mkdir(exist_ok=True)
    with expect_fail(MilanError, contains='something else'):
        (home/'mine'/'file').touch()
        rehearse(['summary'], home/'mine')
    remove(home)
