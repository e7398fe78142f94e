# Generated from nbs/00_base/00_config.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
import os
import torch
from milan.config import (
    data_dir,
    device,
    extra,
    import_torchvision,
    MilanError,
    oracle_dir,
    package_folder,
    seed_everything,
    versions,
    why_not,
)

import tempfile
import threading

from fastcore.test import expect_fail, test_eq


# 00_config.ipynb, section "Memory of large tensors"
def test_memory_of_large_tensors():
    assert os.environ['THP_MEM_ALLOC_ENABLE']


# 00_config.ipynb, section "Errors that a user can fix"
def test_errors_that_a_user_can_fix():
    with expect_fail(MilanError, contains='photos/'):
        raise MilanError('no images in photos/: give a folder with .png or .jpg files')


# 00_config.ipynb, section "Folders"
def test_folders():
    os.environ['MILAN_DATA_DIR'] = '/somewhere/else'
    test_eq(data_dir(), Path('/somewhere/else'))
    del os.environ['MILAN_DATA_DIR']
    data_dir()

    test_eq(package_folder().name, 'milan')

    assert oracle_dir() is None or oracle_dir().is_dir()


# 00_config.ipynb, section "Device and seeds"
def test_device_and_seeds():
    test_eq(device('cpu').type, 'cpu')
    with expect_fail(MilanError, contains="'gpu0'"): device('gpu0')

    seed_everything(3)
    first = torch.rand(2)
    seed_everything(3)
    assert torch.equal(first, torch.rand(2))
    first


# 00_config.ipynb, section "Optional libraries"
def test_optional_libraries():
    with expect_fail(MilanError, contains="pip install 'milan-neurons[text]'"), extra('text'):
        import no_such_library
    try:
        with extra('text'): import no_such_library
    except MilanError as error: said = str(error)
    said

    test_eq(versions()['torch'], torch.__version__)
    versions()


# 00_config.ipynb, section "Checks before a long run"
def test_checks_before_a_long_run():
    def absent(): raise MilanError('no weights here')


    test_eq((why_not(absent, dict), why_not()), (['no weights here'], []))
    why_not(absent)


# 00_config.ipynb, section "torchvision with a CPU build of torch"
def test_torchvision_with_a_cpu_build_of_torch():
    import_torchvision().models.resnet18(num_classes=3).fc
