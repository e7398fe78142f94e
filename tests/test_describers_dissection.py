# Generated from nbs/10_describers/01_dissection.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.observations import ConceptMasks
from milan.concepts.observations import Observed
from milan.config import MilanError
from pathlib import Path
import json
import numpy as np
import pandas as pd
from milan.describers.dissection import (
    _as_text,
    compexp,
    ious,
    netdissect,
    read_compexp,
    read_netdissect,
)
import pytest

import functools
import itertools
import shutil
import tempfile
import warnings

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.concepts.formulas import parse
from milan.concepts.observations import Masks, observe, pack_concepts, unpack
from milan.concepts.segmentations import Concept, Scenes
from milan.hooks.layers import Unit
from milan.images.sets import ShapeScenes

warnings.filterwarnings('ignore', message='IProgress') # of libraries' progress bars


@functools.cache
def colours():
    "The planted colour units, which need no training, observed on scenes, and the scenes' concepts."
    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(100))
    return network.planted['colours'], observe(network, scenes, 'colours'), pack_concepts(scenes)


def simulated(units, full):
    "Units 0, 1 … and concepts a, b … with these masks, (rows, images, height, width)."
    summary, number = units.mean((2, 3)).T, len(units)
    watched = Observed([Unit('layer', unit) for unit in range(number)], Masks.of(units), summary, summary,
                       np.zeros(number))
    concepts = [Concept(name) for name in 'abcdefgh'[:len(full)]]
    return watched, ConceptMasks(concepts, Masks.of(full), np.ones((full.shape[1], len(full)), bool))


# 01_dissection.ipynb, section "Network Dissection"
def test_network_dissection():
    planted, watched, concepts = colours()
    table = netdissect(watched, concepts)
    table.round(3).head(4)

    unit, concept = 0, concepts.names.index(table.label[0])
    mask, region = (unpack(masks.dense(row), (56, 56)) for masks, row in
                    ((watched.masks, unit), (concepts.masks, concept)))
    shown = np.argsort(-(mask & region).sum((1, 2)))[:3]
    figure, axes = plt.subplots(1, 3, figsize=(5.6, 2.2), layout='constrained')
    palette = np.array([[255, 255, 255], [86, 180, 233], [230, 159, 0], [0, 0, 0]], np.uint8)
    for axis, image in zip(axes, shown, strict=True):
        axis.imshow(palette[mask[image] + 2 * region[image].astype(int)])
        axis.set(title=f'image {image}', xticks=[], yticks=[])
    title = f'{table.label[0]}: unit only (blue), region only (orange), both (black); IoU {table.score[0]:.2f}'
    figure.suptitle(title, size=9)
    plt.show()

    test_eq(table.description[:9].tolist(), planted[:9])
    naive = np.zeros((12, 26))
    for unit, concept in itertools.product(range(12), range(26)):
        one, other = (unpack(masks.dense(row), (56, 56)) for masks, row in
                      ((watched.masks, unit), (concepts.masks, concept)))
        naive[unit, concept] = (one & other).sum() / (one | other).sum()
    test_close(ious(watched, concepts), naive, eps=1e-12)
    test_eq(set(netdissect(watched, concepts, .99).description), {''})

    units, full = np.random.default_rng(0).random((2, 3, 12, 9, 9)) < .3
    full[0, 5:] = False
    watched, concepts = simulated(units, full)
    concepts.annotated[5:, 0] = False
    one, other = units[0, :5], full[0, :5]
    test_close(ious(watched, concepts)[0, 0], (one & other).sum() / (one | other).sum())
    test_close(ious(watched, concepts)[0, 1], (units[0] & full[1]).sum() / (units[0] | full[1]).sum())


# 01_dissection.ipynb, section "Compositional Explanations"
def test_compositional_explanations():
    full = np.random.default_rng(0).random((4, 12, 9, 9)) < .3
    a, b, c, d = full
    units = np.stack([a, a | b, (a | b) & ~c, c & d, d & False])
    table = compexp(*simulated(units, full))
    table.round(2)

    test_eq(table.description[:1].tolist() + table.description[4:].tolist(), ['a', ''])
    test_close(table.score, [1, 1, 1, 1, 0])
    for row, unit in zip(table[:4].itertuples(), units):
        test_eq(parse(row.description).apply(dict(zip('abcd', full)).__getitem__), unit)
    assert (compexp(*simulated(units, full), length=2).score >= netdissect(*simulated(units, full)).score).all()


# 01_dissection.ipynb, section "On planted units"
@pytest.mark.slow
@pytest.mark.training
def test_on_planted_units_slow():
    network, scenes = networks.load('planted/shapes'), Scenes(ShapeScenes(600, seed=3))
    watched, concepts = observe(network, scenes, quantile=.99), pack_concepts(scenes)
    planted = [network.planted[layer][unit] for layer, unit in watched.units]
    dissected, composed = netdissect(watched, concepts), compexp(watched, concepts)
    table = dissected.assign(planted=planted, formula=composed.description, formula_score=composed.score)
    table = table[[bool(name) for name in planted]]
    named = [[part for part in parse(text).names if f'NOT {part}' not in text] for text in table.formula]
    contained = [concept in names for concept, names in zip(table.planted, named)]
    right = pd.Series({'Network Dissection': (table.description == table.planted).mean(),
                       'Compositional Explanations': np.mean(contained)})
    assert (right >= .9).all() and (composed.score >= dissected.score - 1e-12).all()
    right

    table[['layer', 'unit', 'planted', 'description', 'score', 'formula', 'formula_score']].round(2)


# 01_dissection.ipynb, section "Result files of the original tools"
def test_result_files_of_the_original_tools():
    folder = Path(tempfile.mkdtemp())
    reports = {'layer3': [{'unit': 0, 'label': 'sky-object', 'iou': .2}, {'unit': 1, 'label': 'street-s-scene'}],
               'layer4': [{'unit': 0, 'label': 'red-c-color'}]}
    for name, units in reports.items():
        (folder/name).mkdir()
        (folder/name/'report.json').write_text(json.dumps({'units': units}))
    test_eq(read_netdissect(folder/'layer3/report.json', 'conv5').layer.tolist(), ['conv5'] * 2)
    test_eq(read_netdissect(folder).description.tolist(), ['sky', 'street', 'red'])
    (folder/'hyphen').mkdir()
    (folder/'hyphen'/'report.json').write_text(json.dumps({'units': [{'unit': 0, 'label': 't-shirt-object'}]}))
    test_eq([read_netdissect(folder/'hyphen', as_original=choice).description[0] for choice in (False, True)],
            ['t-shirt', 't'])
    shutil.rmtree(folder/'hyphen')
    read_netdissect(folder)

    test_eq(_as_text('(street-s OR red-c)'), 'street or red')
    _as_text('((water OR sky) AND (NOT dining_table))')

    rows = 'unit,category,label,score\n1,x,((water OR sky) AND (NOT blue)),.25\n0,x,sky,.1\n'
    for name in ('layer3', 'layer4'): (folder/f'tally_{name}.csv').write_text(rows)
    (folder/'tally_layer5.csv').write_text('unit,label\n' + ''.join(f'{unit},sky\n' for unit in range(1, 9)))
    test_eq(read_compexp(folder/'tally_layer5.csv').unit.tolist(), list(range(8))) # counted from 1 in the file
    test_eq(str(parse(read_compexp(folder).description[1])), '((water OR sky) AND NOT blue)')
    read_compexp(folder/'tally_layer4.csv')

    test_eq(read_compexp(folder/'tally_layer4.csv', as_original=True).description.tolist(),
            ['sky', 'water or sky and not blue'])
    test_eq(read_compexp(folder/'tally_layer4.csv').values.tolist(),
            [['layer4', 0, 'sky', .1], ['layer4', 1, '((water OR sky) AND (NOT blue))', .25]])
    shutil.rmtree(folder)


# 01_dissection.ipynb, section "Errors"
def test_errors():
    folder = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='no report.json'): read_netdissect(folder)
    with expect_fail(MilanError, contains='no tally_'): read_compexp(folder)
    (folder/'report.json').write_text('{"units": [{"unit": 3}]}')
    with expect_fail(MilanError, contains='needs units with unit and label'): read_netdissect(folder)
    (folder/'tally_layer3.csv').write_text('unit,name\n0,sky\n')
    with expect_fail(MilanError, contains='no column label'): read_compexp(folder)
    shutil.rmtree(folder)
