# Generated from nbs/07_captioner/08_model.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.decoder import Decoder
from milan.captioner.lm import LanguageModel
from milan.captioner.text import Vocabulary
from milan.config import MilanError
from pathlib import Path
import pandas as pd
import torch
from milan.captioner.model import (
    Captioner,
    captions_of,
    Descriptions,
    train,
    train_on,
    unit_names,
    with_defaults,
)
import pytest

import io
import os
import shutil
import subprocess
import sys
import tempfile
from types import SimpleNamespace
import numpy as np
from fastcore.test import expect_fail, test_close, test_eq
from milan.exemplars.store import Exemplars

QUICK = {'embedding_size': 8, 'hidden_size': 24, 'dropout': .1, 'learning_rate': .02, 'epochs': 12,
         'batch_size': 8}

def small_world():
    torch.manual_seed(0)
    images = .2 * torch.rand(20, 3, 3, 8, 8)
    for unit in range(20): images[unit, :, unit % 2] += .7
    masks = torch.ones(20, 3, 1, 8, 8)
    colour = [('red', 'green')[unit % 2] for unit in range(20)]
    annotations = [3 * [f'{c} things'] + 2 * ['things'] for c in colour]
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1))
    torch.nn.init.eye_(network[0].weight.data[:, :, 0, 0])
    return images, masks, annotations, PyramidEncoder(network, ['0'])

from milan.captioner.encoder import PyramidEncoder


# 08_model.ipynb, section "What comes out"
def test_what_comes_out():
    pictures = [SimpleNamespace(layer='conv<1>', unit=unit, images=torch.rand(2, 3, 8, 8)) for unit in range(2)]
    table = Descriptions({'layer': 'conv<1>', 'unit': [0, 1], 'description': ['red things', 'green things']})
    table.exemplars = pictures

    test_eq((table._repr_html_().count('<img'), 'conv&lt;1&gt;' in table._repr_html_()), (4, True))
    test_eq(unit_names(pictures), [('conv<1>', 0), ('conv<1>', 1)])


# 08_model.ipynb, section "The captioner"
def test_the_captioner():
    test_eq(with_defaults({'mi': True, 'length': None}, {'strategy': 'rerank', 'length': 15}),
            {'mi': True, 'strategy': 'beam', 'length': 15})

    words = Vocabulary(['discs'])
    careful = SimpleNamespace(card={'threshold': .5}, vocabulary=words)
    discs = torch.full((2, 1), words.ids['discs'])
    captions_of(careful, discs, torch.tensor([.6, .4]).log())

    test_eq(captions_of(careful, discs, torch.tensor([.6, .4]).log()), ['Discs', 'No description'])


# 08_model.ipynb, section "Training one"
@pytest.mark.training
def test_training_one():
    images, masks, annotations, encoder = small_world()
    features = encoder.encode(images, masks)
    captioner = train(features, annotations, validation=range(16, 20), encoder=encoder, decoder_settings=QUICK,
                      lm_settings=QUICK, card={'data': 'red and green pictures'}, device='cpu', progress=False)
    captioner

    output = captioner(images[16:], masks[16:])
    output.captions

    terms = {'log p(d | E)': output.beam_likelihood[0, :3], 'log p(d)': output.beam_lm[0, :3]}
    beam = pd.DataFrame({'caption': output.beam[0][:3], **terms, 'score': output.beam_scores[0, :3]}).round(2)
    beam

    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(4.6, 1.9), layout='constrained')
    rows = np.arange(len(beam))
    axis.barh(rows - .2, beam['log p(d | E)'], .4, color='#0072B2', label='log p(d | E)')
    axis.barh(rows + .2, beam['score'], .4, color='#D55E00', label='log p(d | E) − 0.2 log p(d)')
    axis.set(yticks=rows, yticklabels=beam.caption, xlabel='nats; the longest orange bar to the right wins')
    axis.invert_yaxis()
    axis.legend(frameon=False, fontsize=8);

    assert all(colour in text.lower() for colour, text in zip(['red', 'green'] * 2, output.captions))
    assert captioner.lm.log_prob(['things']) > captioner.lm.log_prob(['red things'])
    test_close(output.scores, output.likelihood - .2 * output.lm, 1e-4)
    test_close(captioner.score(output.captions, features[16:]), output.likelihood, 1e-4)
    test_close(captioner.score(output.captions, features[16:], mi=True), output.scores, 1e-4)
    test_eq([texts[0] for texts in output.beam], output.captions)
    test_eq(len(captioner(images[16:18], masks[16:18], strategy='greedy').captions), 2)
    test_eq(len(captioner.decode(features[16:18], mi=True).captions), 2)

    seven = features[16:18].repeat(1, 3, 1)
    {k: captioner.decode(seven[:, :k]).captions for k in (1, 3, 7)}

    for k in (1, 3, 7):
        red, green = captioner.decode(seven[:, :k]).captions
        assert 'red' in red.lower() and 'green' in green.lower()
    test_eq(captioner.decode(seven[:, :7]).attentions.shape[2], 7)
    one_word = captioner.decode(features[16:], length=1).captions
    test_eq([len(captioner.vocabulary.index(text, start=False, stop=False)) for text in one_word], [1] * 4)
    short, long = captioner.score(['red things', 'red ' * 30 + 'things'], features[[16, 16]]).tolist()
    assert np.isfinite(long) and long < short

    exemplars = [SimpleNamespace(layer='conv1', unit=u, images=images[u], masks=masks[u]) for u in range(16, 20)]
    table = captioner.describe(exemplars, details=True, progress=False)
    pd.DataFrame(table).round(2)

    test_eq(list(table.columns)[:4], ['layer', 'unit', 'description', 'score'])
    test_eq(table.description.tolist(), captioner(images[16:], masks[16:]).captions)
    again = captioner.describe(exemplars, features=encoder.encode(images, masks)[16:], progress=False)
    test_eq(again.description.tolist(), table.description.tolist())
    nothing = captioner.describe([], progress=False)
    test_eq((len(nothing), list(nothing.columns)), (0, ['layer', 'unit', 'description', 'score']))

    home = Path(tempfile.mkdtemp())
    os.environ['MILAN_RESULTS_DIR'] = str(home/'results')
    (home/'set'/'conv1').mkdir(parents=True)
    for name, values in (('images', images[16:] * 255), ('masks', masks[16:])):
        np.save(home/'set'/'conv1'/f'{name}.npy', values.byte().numpy())
    for name in ('ids', 'activations'):
        np.savetxt(home/'set'/'conv1'/f'{name}.csv', np.zeros((4, 3)), fmt='%d', delimiter=',')
    passes, read = [], encoder.read
    encoder.read = lambda images, masks, owner=None: passes.append(len(images)) or read(images, masks, owner)
    tables = [captioner.describe(Exemplars.open(home/'set'), strategy=strategy, progress=False)
              for strategy in ('rerank', 'beam', 'greedy')]
    test_eq((tables[0].description.tolist(), sum(passes)), (table.description.tolist(), 12))
    kept = list((home/'results'/'features').iterdir())
    captioner.describe(Exemplars.open(home/'set'), cache=False, progress=False)
    captioner.describe(exemplars, cache=home/'mine', progress=False)
    test_eq((sum(passes), len(kept), len(list((home/'mine').iterdir()))), (36, 1, 1))
    del os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(home)
    pd.DataFrame(tables[1]).round(2)


# 08_model.ipynb, section "Any annotated set"
@pytest.mark.training
def test_any_annotated_set():
    images, masks, annotations, encoder = small_world()
    annotations[3] = []
    people = [SimpleNamespace(images=images[u], masks=masks[u], annotations=annotations[u]) for u in range(20)]
    home = Path(tempfile.mkdtemp())
    settings = {'fraction': .2, 'decoder_settings': QUICK, 'lm_settings': QUICK, 'device': 'cpu'}
    settings |= {'progress': False, 'folder': home/'training', 'cache': home/'features'}
    captioner = train_on(people, encoder, **settings, card={'data': 'red and green pictures'})
    {name: value for name, value in captioner.card['training'].items() if not name.endswith(('log', 'settings'))}

    passes, read = [], encoder.read
    encoder.read = lambda images, masks, owner=None: passes.append(len(images)) or read(images, masks, owner)
    again = train_on(people, encoder, **settings)
    test_eq(passes, [])
    assert not (home/'training').exists()
    for name, value in captioner.decoder.state_dict().items(): test_eq(again.decoder.state_dict()[name], value)
    held = captioner.card['training']['held_out_units']
    test_eq(len(held), 4)
    right = [row + (row >= 3) for row in held] # unit 3 has no row
    captions = captioner(images[right], masks[right]).captions
    assert all(('red', 'green')[unit % 2] in text.lower() for unit, text in zip(right, captions))
    with expect_fail(MilanError, contains='1 of 2 units have annotations'):
        train_on(people[2:4], encoder, cache=home/'features')
    shutil.rmtree(home)


# 08_model.ipynb, section "Attention to positions"
@pytest.mark.training
def test_attention_to_positions():
    from milan.captioner.encoder import SpatialEncoder

    images, masks, annotations, encoder = small_world()
    encoder = SpatialEncoder(encoder.network, ['0'])
    features = encoder.encode(images, masks)
    captioner = train(features, annotations, validation=range(16, 20), encoder=encoder, decoder_settings=QUICK,
                      lm_settings=QUICK, device='cpu', progress=False)
    output = captioner(images[16:], masks[16:])
    test_eq((features.shape, output.attentions.shape[2]), ((20, 3 * 64, 3), 192))
    assert all(colour in text.lower() for colour, text in zip(['red', 'green'] * 2, output.captions))
    output.captions, output.attentions[0, 0].view(3, 64).sum(1)


# 08_model.ipynb, section "Light to import"
def test_light_to_import():
    heavy = ('spacy', 'transformers', 'matplotlib', 'sacrebleu', 'torchvision')
    code = f'import sys, milan.captioner; print([name for name in {heavy} if name in sys.modules])'
    printed = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    test_eq(printed.strip(), '[]')


# 08_model.ipynb, section "Errors"
def test_errors():
    global PyramidEncoder
    from milan.captioner.encoder import PyramidEncoder

    images, masks, annotations, encoder = small_world()
    decoder = Decoder(Vocabulary(['red', 'things']), 3, embedding_size=4, hidden_size=4)
    captioner = Captioner(decoder, None, encoder)
    features = encoder.encode(images, masks)
    exemplars = [SimpleNamespace(layer='conv1', unit=u, images=images[u], masks=masks[u]) for u in range(16, 20)]
    with expect_fail(MilanError, contains='1 captions for 4'): captioner.score(['red things'], features[16:])
    with expect_fail(MilanError, contains='(units, k, 3)'): captioner.decode(features[..., :2])
    with expect_fail(MilanError, contains='no encoder'): Captioner(captioner.decoder).encode(images)
    with expect_fail(MilanError, contains='different vocabularies'):
        Captioner(captioner.decoder, LanguageModel(Vocabulary(['blue'])))
    with expect_fail(MilanError, contains='language model'): captioner.score(['red'] * 4, features[16:], mi=True)
    with expect_fail(MilanError, contains='2 rows of features for 4 units'):
        captioner.describe(exemplars, features=torch.zeros(2, 3, 3), progress=False)
    with expect_fail(MilanError, contains='features of unit 1'):
        captioner.decode(torch.tensor([1., torch.nan])[:, None, None].expand(2, 3, 3))
    odd = SimpleNamespace(**{**vars(exemplars[1]), 'masks': masks[17, :2]})
    with expect_fail(MilanError, contains='unit 17'): captioner.describe([exemplars[0], odd], progress=False)

    import pickle

    images, masks, annotations, encoder = small_world()
    exemplars = [SimpleNamespace(layer='conv<1>', unit=u, images=images[u], masks=masks[u]) for u in range(12)]
    table = captioner.describe(exemplars, progress=False)
    shown = table._repr_html_()
    assert shown.count('<img') == 30 and 'conv&lt;1&gt;' in shown and '12 rows, the first 10 shown' in shown
    test_eq(table[table.unit < 2]._repr_html_().count('<img'), 6)
    assert '<img' not in table[['description']]._repr_html_() and '<img' not in str(table)
    again = pickle.loads(pickle.dumps(table))
    pd.testing.assert_frame_equal(again, pd.DataFrame(table))
    assert again.exemplars is None and table.exemplars is exemplars and '<img' not in again._repr_html_()
    merged, stacked = table.merge(table, on=['layer', 'unit']), pd.concat([table, table])
    changed = (table.groupby('layer').size(), table.copy(), table.round(2), table.sort_values('unit'))
    for derived in (merged, stacked, *changed): repr(derived)
    columns = pd.read_csv(io.StringIO(table.to_csv(index=False))).columns.tolist()
    test_eq(columns, ['layer', 'unit', 'description', 'score'])
