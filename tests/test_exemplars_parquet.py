# Generated from nbs/05_exemplars/23_parquet.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from pathlib import Path
import io
from milan.exemplars.parquet import (
    _encoded,
    _TYPES,
    _write_layers,
)

import os
import tempfile
import warnings

import pytest
import torch
from fastcore.test import expect_fail, test_eq

from milan.exemplars.store import Exemplars
from milan.files import remove
from milan.images.sets import ShapeScenes
from milan.testing import made_up_set, published_by_hand
from milan.testing.hub import HubServer

parquet = pytest.importorskip('pyarrow.parquet') # the extra `parquet`
os.environ['MILAN_RESULTS_DIR'] = tempfile.mkdtemp()


# 23_parquet.ipynb, section "Rows"
def test_rows():
    folder = made_up_set()
    found = Exemplars.open(folder)
    out = Path(tempfile.mkdtemp())
    _write_layers(found, out, True, None)
    table = parquet.read_table(out/'data')
    table.drop_columns(['image', 'mask']).to_pandas().head(4)

    test_eq((len(table), table.column_names), (2 * 3 * 3, [*_TYPES, 'image', 'mask']))
    test_eq(Image.open(io.BytesIO(table['mask'][0]['bytes'].as_py())).mode, '1')
    test_eq(Image.open(io.BytesIO(table['image'][0]['bytes'].as_py())).format, 'WEBP')
    remove(folder.parent); remove(out)


# 23_parquet.ipynb, section "Opening"
def test_opening():
    folder = made_up_set()
    found = Exemplars.open(folder)
    with HubServer() as hub:
        pushed = found.push('user/scenes', images=ShapeScenes(40), private=False, quality=90)
        back = Exemplars.open('hf:user/scenes')
        sizes = {name: len(body) for name, body in hub.files('datasets/user/scenes').items()}
        assert Exemplars.open(pushed).folder == back.folder and 'datasets/user/scenes' not in hub.private
    sizes, back

    test_eq(back.units, found.units)
    for layer in found.layers:
        for name in ('ids', 'activations', 'thresholds'):
            test_eq(getattr(back, name)(layer), getattr(found, name)(layer))
    for one, other in zip(back, found, strict=True): test_eq(one.masks, other.masks)
    worst = max(float((one.images - other.images).abs().mean()) for one, other in zip(back, found, strict=True))
    assert worst < .06, worst # of coloured noise, which WebP likes least
    f'mean error of the worst unit, in grey levels: {255 * worst:.1f}'

    home = Path(tempfile.mkdtemp())
    exact = Exemplars.open(found.push(home/'exact', images=ShapeScenes(40), quality=None))
    for one, other in zip(exact, found, strict=True): test_eq(one.images, other.images)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        bare = found.push(home/'bare')
    assert not Exemplars.open(bare).has_images('conv1')
    sourced = Exemplars.open(bare, source=[torch.zeros(3, 8, 8)] * 40)
    test_eq((sourced[0].images.max(), sourced[0].masks), (0, found[0].masks))
    assert "open('bare', source=images)" in (home/'bare'/'README.md').read_text()
    str(told[0].message)

    print((home/'exact'/'README.md').read_text())

    by_hand = Exemplars.open(published_by_hand(Path(tempfile.mkdtemp())))
    same = Exemplars.open(by_hand.push(home/'by_hand', pictures=True, quality=None))
    test_eq((same.units, same.ids('layer1')), (by_hand.units, by_hand.ids('layer1')))
    test_eq(same[0].images, by_hand[0].images)
    with expect_fail(MilanError, contains='no thresholds'): same.thresholds('layer1')
    found.select(k=2).push(home/'exact', pictures=True) # ours, so it is replaced
    test_eq(Exemplars.open(home/'exact').k, 2)


# 23_parquet.ipynb, section "Errors"
def test_errors():
    folder, home = made_up_set(['conv1']), Path(tempfile.mkdtemp())
    found = Exemplars.open(folder)
    found.push(home/'set', pictures=True)
    file = home/'set'/'data'/'00000.parquet'
    whole, table = file.read_bytes(), parquet.read_table(file)


    def refused(changed, said):
        "Opening a set with another table is a `MilanError` that says so, and leaves nothing behind."
        if isinstance(changed, bytes): file.write_bytes(changed)
        else: parquet.write_table(changed, file)
        before = sorted(Path(os.environ['MILAN_RESULTS_DIR']).rglob('*.npy'))
        with expect_fail(MilanError, contains=said): Exemplars.open(home/'set')
        test_eq(sorted(Path(os.environ['MILAN_RESULTS_DIR']).rglob('*.npy')), before)


    refused(whole[:-100], '00000.parquet is no Parquet file')
    refused(b'', 'is damaged')
    refused(table.drop_columns(['mask']), 'its columns are layer')
    refused(table.slice(0, 5), 'ranks 0, 1, 2')
    refused(table.slice(0, 0), 'ranks 0, 1, 2')
    rows = table.to_pylist()
    for name, value, said in (('layer', '../x', 'must be a path'), ('layer', 'a/b', 'cannot be a folder'),
                              ('unit', -1, 'ranks 0, 1, 2'), ('mask', {'bytes': b'x', 'path': None}, 'damaged'),
                              ('mask', None, 'damaged'), ('image', rows[0]['mask'], 'damaged')):
        changed = [{**row, name: value} if name != 'unit' or row['unit'] == 1 else row for row in rows]
        refused(table.from_pylist(changed, table.schema), said)
    large = _encoded(Image.new('1', (9000, 9000)), 'PNG')
    refused(table.from_pylist([{**row, 'mask': large} for row in rows], table.schema), '9000 x 9000')
    remove(folder.parent); remove(home)

    with HubServer({'datasets/user/other': {'README.md': b''}}) as hub:
        with expect_fail(MilanError, contains='no exemplars'): Exemplars.open('hf:user/other')
        with expect_fail(MilanError, contains='no such repository'): Exemplars.open('hf:user/nobody')
    with expect_fail(MilanError, contains='holds no exemplars'): Exemplars.open(tempfile.mkdtemp())
    home = Path(tempfile.mkdtemp())
    (home/'thesis.txt').write_text('three years')
    with expect_fail(MilanError, contains='thesis.txt'): Exemplars.open(made_up_set()).push(home, pictures=True)
    test_eq([path.name for path in home.iterdir()], ['thesis.txt'])
    remove(home); remove(os.environ['MILAN_RESULTS_DIR'])
