# Generated from nbs/41_baselines.ipynb by `make export`. Edit the notebook, not this file.

from milan.baselines import (
    clip_dissect,
    clip_similarity,
    compexp,
    constant,
    ious,
    netdissect,
    read_compexp,
    read_netdissect,
    shuffled,
    softwpmi,
)
import pytest

import functools
import itertools
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_close, test_eq

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

from milan import networks
from milan.config import MilanError, import_torchvision
from milan.formulas import parse
from milan.hooks import Unit
from milan.images import ShapeScenes
from milan.observations import ConceptMasks, Masks, Observed, observe, packed, unpack
from milan.segmentations import Concept, Scenes


@functools.cache
def colours():
    "The planted colour units, which need no fitting, what they do on scenes, and the scenes' concepts."
    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(100))
    return network.planted['colours'], observe(network, scenes, 'colours'), packed(scenes)


def made_up(units, full):
    "Units u0, u1 … and concepts a, b … with these masks, (rows, images, height, width)."
    summary = units.mean((2, 3)).T
    watched = Observed([Unit('layer', number) for number in range(len(units))], Masks.of(units), summary, summary, np.zeros(len(units)))
    return watched, ConceptMasks([Concept(name) for name in 'abcdefgh'[:len(full)]], Masks.of(full), np.ones((full.shape[1], len(full)), bool))


# 41_baselines.ipynb, section "Network Dissection"
def test_network_dissection():
    planted, watched, concepts = colours()
    table = netdissect(watched, concepts)
    table.round(3).head(4)

    test_eq(table.description[:9].tolist(), planted[:9])
    naive = np.zeros((12, 26))
    for unit, concept in itertools.product(range(12), range(26)):
        one, other = (unpack(masks.dense(row), (56, 56)) for masks, row in ((watched.masks, unit), (concepts.masks, concept)))
        naive[unit, concept] = (one & other).sum() / (one | other).sum()
    test_close(ious(watched, concepts), naive, eps=1e-12)
    test_eq(set(netdissect(watched, concepts, .99).description), {''})

    units, full = np.random.default_rng(0).random((2, 3, 12, 9, 9)) < .3
    full[0, 5:] = False
    watched, concepts = made_up(units, full)
    concepts.annotated[5:, 0] = False
    test_close(ious(watched, concepts)[0, 0], (units[0, :5] & full[0, :5]).sum() / (units[0, :5] | full[0, :5]).sum())
    test_close(ious(watched, concepts)[0, 1], (units[0] & full[1]).sum() / (units[0] | full[1]).sum())


# 41_baselines.ipynb, section "Compositional Explanations"
def test_compositional_explanations():
    full = np.random.default_rng(0).random((4, 12, 9, 9)) < .3
    a, b, c, d = full
    units = np.stack([a, a | b, (a | b) & ~c, c & d, d & False])
    table = compexp(*made_up(units, full))
    table.round(2)

    test_eq(table.description[:1].tolist() + table.description[4:].tolist(), ['a', ''])
    test_close(table.score, [1, 1, 1, 1, 0])
    for row, unit in zip(table[:4].itertuples(), units): test_eq(parse(row.description).apply(dict(zip('abcd', full)).__getitem__), unit)
    assert (compexp(*made_up(units, full), length=2).score >= netdissect(*made_up(units, full)).score).all()


# 41_baselines.ipynb, section "On planted units"
@pytest.mark.slow
@pytest.mark.training
def test_on_planted_units_slow():
    network, scenes = networks.load('planted/shapes'), Scenes(ShapeScenes(600, seed=3))
    watched, concepts = observe(network, scenes, quantile=.99), packed(scenes)
    planted = [network.planted[layer][unit] for layer, unit in watched.units]
    dissected, composed = netdissect(watched, concepts), compexp(watched, concepts)
    table = dissected.assign(planted=planted, formula=composed.description, formula_score=composed.score)[[bool(name) for name in planted]]
    named = [[part for part in parse(text).names if f'NOT {part}' not in text] for text in table.formula]
    right = pd.Series({'Network Dissection': (table.description == table.planted).mean(),
                       'Compositional Explanations': np.mean([concept in names for concept, names in zip(table.planted, named)])})
    assert (right >= .9).all() and (composed.score >= dissected.score - 1e-12).all()
    right

    table[['layer', 'unit', 'planted', 'description', 'score', 'formula', 'formula_score']].round(2)


# 41_baselines.ipynb, section "CLIP-Dissect"
def test_clip_dissect():
    similarity = torch.tensor([[.9, .1], [.8, .2], [.1, .9], [.2, .7]])
    activations = torch.tensor([[5., 0.], [4., 1.], [0., 6.], [1., 7.]])
    softwpmi(similarity, activations, images=2)

    def naive_softwpmi(similarity, activations, k):
        "As the formula says, in double precision."
        given = np.zeros((activations.shape[1], similarity.shape[1]))
        for unit in range(activations.shape[1]):
            for rank, image in enumerate(np.argsort(-activations[:, unit])[:k]):
                p = np.exp(10 * similarity[image]) / np.exp(10 * similarity[image]).sum()
                given[unit] += np.log(1 + (.998 - rank / k * .028) * (p - 1) + 1e-7)
        return given - np.log(np.exp(given).mean(0))


    generator = np.random.default_rng(0)
    similarity, activations = generator.normal(.2, .05, (30, 6)), generator.normal(size=(30, 4))
    test_close(softwpmi(similarity, activations, 5).numpy(), naive_softwpmi(similarity, activations, 5), eps=1e-4)
    test_eq(softwpmi(similarity, activations).shape, (4, 6))
    with expect_fail(MilanError, contains='same images'): softwpmi(similarity[:5], activations)

    planted, watched, concepts = colours()
    table = clip_dissect(watched, 4 * concepts.masks.shares(), concepts.names, images=10).assign(planted=planted)
    table.head(9).round(2)

    assert (table.description == table.planted)[:9].mean() > .8
    with expect_fail(MilanError, contains='one column per text'): clip_dissect(watched, concepts.masks.shares(), ['a'])


# 41_baselines.ipynb, section "CLIP-Dissect"
@pytest.mark.slow
def test_clip_dissect_slow():
    import string

    import_torchvision() # where torchvision is a CPU build, CLIP wants it mended first
    import transformers

    from milan.captioner import rerank

    tokens = [*string.ascii_lowercase, *(f'{letter}</w>' for letter in string.ascii_lowercase), '<|startoftext|>', '<|endoftext|>']
    vocabulary = {token: number for number, token in enumerate(tokens)}
    ends = {'bos_token_id': len(vocabulary) - 2, 'eos_token_id': len(vocabulary) - 1, 'pad_token_id': len(vocabulary) - 1}
    both = {'hidden_size': 16, 'intermediate_size': 32, 'num_hidden_layers': 1, 'num_attention_heads': 2}
    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config={'vocab_size': len(vocabulary), 'max_position_embeddings': 24, **both, **ends},
                                                           vision_config={'image_size': 32, 'patch_size': 8, **both}, projection_dim=8))
    clip = rerank.Clip(model, transformers.CLIPTokenizer(vocab=vocabulary, merges=[]))
    scenes = Scenes(ShapeScenes(10))
    similarity = clip_similarity(clip, scenes, ['red', 'a ring', 'stripes'], batch_size=4)
    test_close(similarity, clip_similarity(clip, scenes, ['red', 'a ring', 'stripes'], batch_size=10), eps=1e-5)
    assert similarity.shape == (10, 3) and (abs(similarity) <= 1).all()


# 41_baselines.ipynb, section "Two that know nothing"
def test_two_that_know_nothing():
    table = pd.DataFrame({'layer': 'a', 'unit': range(4), 'description': ['dogs', 'cats', 'sky', 'sea'], 'score': [.1, .2, .3, .4]})
    constant(table, [['dogs', 'Sky.'], ['sky'], ['a cat']]), shuffled(table)

    test_eq(constant(table, [['dogs', 'Sky.'], ['sky'], ['a cat']]).description.tolist(), ['sky'] * 4)
    test_close(constant(table, [['dogs', 'Sky.'], ['sky'], ['a cat']]).score[0], 2 / 3)
    for seed in range(5):
        moved = shuffled(table, seed)
        test_eq(sorted(moved.description), sorted(table.description))
        assert (moved.description != table.description).all() and (moved.unit == table.unit).all()
    test_eq(moved.set_index('description').score['sky'], .3)
    with expect_fail(MilanError, contains='one description'): shuffled(table[:1])


# 41_baselines.ipynb, section "Result files of the original tools"
def test_result_files_of_the_original_tools():
    folder = Path(tempfile.mkdtemp())
    for name, units in {'layer3': [{'unit': 0, 'label': 'sky-object', 'iou': .2}, {'unit': 1, 'label': 'street-s-scene'}], 'layer4': [{'unit': 0, 'label': 'red-c-color'}]}.items():
        (folder/name).mkdir()
        (folder/name/'report.json').write_text(json.dumps({'units': units}))
        (folder/f'tally_{name}.csv').write_text('unit,category,label,score\n1,x,((water OR sky) AND (NOT blue)),.25\n0,x,sky,.1\n')
    read_netdissect(folder), read_compexp(folder)

    test_eq(read_netdissect(folder).description.tolist(), ['sky', 'street', 'red'])
    test_eq(read_netdissect(folder/'layer3/report.json', 'conv5').layer.tolist(), ['conv5'] * 2)
    test_eq(read_compexp(folder/'tally_layer4.csv').values.tolist(), [['layer4', 0, 'sky', .1], ['layer4', 1, '((water OR sky) AND (NOT blue))', .25]])
    test_eq(str(parse(read_compexp(folder).description[1])), '((water OR sky) AND NOT blue)')
    (folder/'layer3/report.json').write_text('{"units": [{"unit": 3}]}')
    with expect_fail(MilanError, contains='needs units with unit and label'): read_netdissect(folder)
    (folder/'tally_layer5.csv').write_text('unit,label\n' + ''.join(f'{unit},sky\n' for unit in range(1, 9))) # counted from 1
    test_eq(read_compexp(folder/'tally_layer5.csv').unit.tolist(), list(range(8)))
    (folder/'tally_layer3.csv').write_text('unit,name\n0,sky\n')
    with expect_fail(MilanError, contains='no column label'): read_compexp(folder)
    (folder/'empty').mkdir()
    with expect_fail(MilanError, contains='no report.json'): read_netdissect(folder/'empty')
    with expect_fail(MilanError, contains='no tally_'): read_compexp(folder/'empty')
    shutil.rmtree(folder)
