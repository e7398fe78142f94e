# Generated from nbs/36_captioner.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.decoder import Decoder
from milan.captioner.encoder import Projection
from milan.captioner.encoder import PyramidEncoder
from milan.captioner.encoder import SpatialEncoder
from milan.captioner.encoder import original_encoder
from milan.captioner.encoder import original_spatial_encoder
from milan.captioner.lm import LanguageModel
from milan.captioner.text import Vocabulary
from milan.config import MilanError
from torch import nn
import torch
from milan.captioner import (
    Captioner,
    model_card,
    train,
    train_on,
)
import pytest

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq
from milan import networks
from milan.captioner.encoder import normalize
from milan.exemplars import Exemplars

QUICK = {'embedding_size': 8, 'hidden_size': 24, 'dropout': .1, 'learning_rate': .02, 'epochs': 12, 'batch_size': 8}

def small_world():
    torch.manual_seed(0)
    images = .2 * torch.rand(20, 3, 3, 8, 8)
    for unit in range(20): images[unit, :, unit % 2] += .7
    masks = torch.ones(20, 3, 1, 8, 8)
    colour = [('red', 'green')[unit % 2] for unit in range(20)]
    annotations = [3 * [f'{c} things'] + 2 * ['things'] for c in colour]
    network = nn.Sequential(nn.Conv2d(3, 3, 1))
    nn.init.eye_(network[0].weight.data[:, :, 0, 0])
    return images, masks, annotations, PyramidEncoder(network, ['0'])


# 36_captioner.ipynb, section "Training one"
@pytest.mark.training
def test_training_one():
    images, masks, annotations, encoder = small_world()
    features = encoder.encode(images, masks)
    captioner = train(features, annotations, validation=range(16, 20), encoder=encoder, decoder_settings=QUICK, lm_settings=QUICK,
                      card={'data': 'red and green pictures'}, device='cpu', progress=False)
    captioner

    output = captioner(images[16:], masks[16:])
    output.captions

    pd.DataFrame({'caption': output.beam[0][:3], 'log p(d | E)': output.beam_likelihood[0, :3], 'log p(d)': output.beam_lm[0, :3],
                  'score': output.beam_scores[0, :3]}).round(2)

    assert all(colour in text.lower() for colour, text in zip(['red', 'green'] * 2, output.captions))
    assert captioner.lm.log_prob(['things']) > captioner.lm.log_prob(['red things'])
    test_close(output.scores, output.likelihood - .2 * output.lm, 1e-4)
    test_close(captioner.score(output.captions, features[16:]), output.likelihood, 1e-4)
    test_close(captioner.score(output.captions, features[16:], mi=True), output.scores, 1e-4)
    test_eq([texts[0] for texts in output.beam], output.captions)
    captioner(images[16:18], masks[16:18], strategy='greedy').captions, captioner.decode(features[16:18], mi=True).captions

    with expect_fail(MilanError, contains='1 captions for 4'): captioner.score(['red things'], features[16:])
    with expect_fail(MilanError, contains='(units, k, 3)'): captioner.decode(features[..., :2])
    with expect_fail(MilanError, contains='no encoder'): Captioner(captioner.decoder).encode(images)
    with expect_fail(MilanError, contains='different vocabularies'):
        Captioner(captioner.decoder, LanguageModel(Vocabulary(['blue'])))
    with expect_fail(MilanError, contains='language model'): Captioner(captioner.decoder).score(output.captions, features[16:], mi=True)


# 36_captioner.ipynb, section "Any number of exemplars, any length"
@pytest.mark.training
def test_any_number_of_exemplars_any_length():
    images, masks, annotations, encoder = small_world()
    features = encoder.encode(images, masks)
    captioner = train(features, annotations, validation=range(16, 20), encoder=encoder, decoder_settings=QUICK, lm_settings=QUICK, device='cpu',
                      progress=False)
    said = {k: captioner.decode(features[16:18].repeat(1, 3, 1)[:, :k]).captions for k in (1, 3, 7)}
    said

    for k, captions in said.items(): assert 'red' in captions[0].lower() and 'green' in captions[1].lower(), (k, captions)
    test_eq(captioner.decode(features[16:18].repeat(1, 3, 1)[:, :7]).attentions.shape[2], 7)
    test_eq([len(captioner.vocabulary.index(text, start=False, stop=False)) for text in captioner.decode(features[16:], length=1).captions], [1] * 4)
    short, long = captioner.score(['red things', 'red ' * 30 + 'things'], features[[16, 16]]).tolist()
    assert np.isfinite(long) and long < short
    captioner.decode(features[16:18], length=1).captions, round(short, 2), round(long, 1)


# 36_captioner.ipynb, section "A table of descriptions"
@pytest.mark.training
def test_a_table_of_descriptions():
    images, masks, annotations, encoder = small_world()
    captioner = train(encoder.encode(images, masks), annotations, validation=range(16, 20), encoder=encoder, decoder_settings=QUICK, lm_settings=QUICK,
                      device='cpu', progress=False)
    exemplars = [SimpleNamespace(layer='conv1', unit=u, images=images[u], masks=masks[u]) for u in range(16, 20)]
    table = captioner.describe(exemplars, details=True, progress=False)
    table.round(2)

    test_eq(list(table.columns)[:4], ['layer', 'unit', 'description', 'score'])
    test_eq(table.description.tolist(), captioner(images[16:], masks[16:]).captions)
    test_eq(captioner.describe(exemplars, features=encoder.encode(images, masks)[16:], progress=False).description.tolist(), table.description.tolist())
    nothing = captioner.describe([], progress=False)
    test_eq((len(nothing), list(nothing.columns)), (0, ['layer', 'unit', 'description', 'score']))
    with expect_fail(MilanError, contains='2 rows of features for 4 units'): captioner.describe(exemplars, features=torch.zeros(2, 3, 3), progress=False)
    with expect_fail(MilanError, contains='features of unit 1'): captioner.decode(torch.tensor([1., torch.nan])[:, None, None].expand(2, 3, 3))
    with expect_fail(MilanError, contains='unit 17'):
        captioner.describe([*exemplars[:1], SimpleNamespace(**{**vars(exemplars[1]), 'masks': masks[17, :2]})], progress=False)

    home = Path(tempfile.mkdtemp())
    os.environ['MILAN_RESULTS_DIR'] = str(home/'results')
    (home/'set'/'conv1').mkdir(parents=True)
    for name, values in (('images', images[16:] * 255), ('masks', masks[16:])): np.save(home/'set'/'conv1'/f'{name}.npy', values.byte().numpy())
    for name in ('ids', 'activations'): np.savetxt(home/'set'/'conv1'/f'{name}.csv', np.zeros((4, 3)), fmt='%d', delimiter=',')
    passes, read = [], encoder.read
    encoder.read = lambda images, masks, owner=None: passes.append(len(images)) or read(images, masks, owner)
    tables = [captioner.describe(Exemplars.open(home/'set'), strategy=strategy, progress=False) for strategy in ('rerank', 'beam', 'greedy')]
    test_eq((tables[0].description.tolist(), sum(passes)), (table.description.tolist(), 12))
    kept = list((home/'results'/'features').iterdir())
    captioner.describe(Exemplars.open(home/'set'), cache=False, progress=False)
    captioner.describe(exemplars, cache=home/'mine', progress=False)
    test_eq((sum(passes), len(kept), len(list((home/'mine').iterdir()))), (36, 1, 1))
    del os.environ['MILAN_RESULTS_DIR']
    shutil.rmtree(home)
    tables[1].round(2)


# 36_captioner.ipynb, section "Any annotated set"
@pytest.mark.training
def test_any_annotated_set():
    images, masks, annotations, encoder = small_world()
    people = [SimpleNamespace(images=images[u], masks=masks[u], annotations=annotations[u] if u != 3 else []) for u in range(20)]
    home = Path(tempfile.mkdtemp())
    captioner = train_on(people, encoder, fraction=.2, decoder_settings=QUICK, lm_settings=QUICK, folder=home/'training', cache=home/'features',
                         card={'data': 'red and green pictures'}, device='cpu', progress=False)
    {name: value for name, value in captioner.card['training'].items() if not name.endswith(('log', 'settings'))}

    passes, read = [], encoder.read
    encoder.read = lambda images, masks, owner=None: passes.append(len(images)) or read(images, masks, owner)
    again = train_on(people, encoder, fraction=.2, decoder_settings=QUICK, lm_settings=QUICK, folder=home/'training', cache=home/'features',
                     device='cpu', progress=False)
    test_eq(passes, [])
    assert not (home/'training').exists()
    for name, value in captioner.decoder.state_dict().items(): test_eq(again.decoder.state_dict()[name].tolist(), value.tolist())
    held = captioner.card['training']['held_out_units']
    test_eq(len(held), 4)
    right = [row + (row >= 3) for row in held] # unit 3 has no row
    said = captioner(images[right], masks[right]).captions
    assert all(('red', 'green')[unit % 2] in text.lower() for unit, text in zip(right, said))
    with expect_fail(MilanError, contains='1 of 2 units have annotations'): train_on(people[2:4], encoder, cache=home/'features')
    shutil.rmtree(home)


# 36_captioner.ipynb, section "Attending to places"
@pytest.mark.training
def test_attending_to_places():
    images, masks, annotations, encoder = small_world()
    encoder = SpatialEncoder(encoder.network, ['0'])
    features = encoder.encode(images, masks)
    captioner = train(features, annotations, validation=range(16, 20), encoder=encoder, decoder_settings=QUICK, lm_settings=QUICK, device='cpu',
                      progress=False)
    output = captioner(images[16:], masks[16:])
    test_eq((features.shape, output.attentions.shape[2]), ((20, 3 * 64, 3), 192))
    assert all(colour in text.lower() for colour, text in zip(['red', 'green'] * 2, output.captions))
    output.captions, output.attentions[0, 0].view(3, 64).sum(1)


# 36_captioner.ipynb, section "The model card"
@pytest.mark.training
def test_the_model_card():
    images, masks, annotations, encoder = small_world()
    measures = pd.DataFrame({'measure': 'word_f1', 'row': ['ours', 'constant'], 'value': [1., .4], 'low': [1., .2], 'high': [1., .6], 'n': 4, 'note': ['', '"a|b"']})
    captioner = train(encoder.encode(images, masks), annotations, validation=range(16, 20), encoder=encoder, decoder_settings=QUICK, lm_settings=QUICK,
                      card={'data': 'red and green pictures', 'licence': 'CC0', 'measures': measures, 'limits': ['It knows two colours.']},
                      device='cpu', progress=False)
    text = model_card(captioner)
    print('\n'.join(line for line in text.splitlines() if 'versions' not in line))

    for line in ('* licence: CC0', '| word_f1 | ours | 1.000 | 1.000 to 1.000 | 4 |  |', r'"a\|b"', '* It knows two colours.', 'perplexity', f'torch {torch.__version__}'):
        assert line in text, line
    bare = model_card(Captioner(captioner.decoder)) # one of which nothing is known says so
    for line in ('* data: not stated', 'licence: not stated', 'Nothing is known of it.', 'Not measured.', 'language model: none'): assert line in bare, line


# 36_captioner.ipynb, section "Saving"
@pytest.mark.training
def test_saving():
    images, masks, annotations, encoder = small_world()
    features = encoder.encode(images, masks)
    encoder.projection = Projection.fit(features[:16], 2)
    captioner = train(encoder.encode(images, masks), annotations, validation=range(16, 20), encoder=encoder, decoder_settings=QUICK,
                      lm_settings=QUICK, card={'data': 'red and green pictures', 'measures': pd.DataFrame({'row': ['ours'], 'value': [1.]})}, device='cpu', progress=False)
    folder = Path(tempfile.mkdtemp())/'tiny'
    captioner.save(folder)
    again = Captioner.load(folder, 'cpu', network=encoder.network)
    test_eq(again(images, masks).captions, captioner(images, masks).captions)
    test_close(again(images, masks).scores, captioner(images, masks).scores, 1e-6)
    test_eq(sorted(path.name for path in folder.iterdir()), ['.milan-files.json', 'README.md', 'captioner.json', 'weights.safetensors'])
    test_eq((again.card['training']['held_out_units'], again.card['measures']), ([16, 17, 18, 19], [{'row': 'ours', 'value': 1.}]))
    test_eq((folder/'README.md').read_text(), model_card(captioner))
    test_eq(model_card(again), model_card(captioner)) # a loaded captioner has the same card
    without = Captioner.load(folder, 'cpu')
    test_eq(without.decode(encoder.encode(images, masks)).captions, captioner(images, masks).captions)
    again, without

    with expect_fail(MilanError, contains='no encoder'): without(images, masks)
    with expect_fail(MilanError, contains='weights differ'): Captioner.load(folder, 'cpu', network=nn.Sequential(nn.Conv2d(3, 3, 1)))
    with expect_fail(MilanError, contains='another transform'): Captioner.load(folder, 'cpu', network=PyramidEncoder(encoder.network, ['0'], normalize))
    test_eq(Captioner.load(folder, 'cpu', network=encoder)(images, masks).captions, captioner(images, masks).captions)
    with expect_fail(MilanError, contains='no captioner'): Captioner.load(folder.parent)
    about = json.loads((folder/'captioner.json').read_text())
    (folder/'captioner.json').write_text(json.dumps({**about, 'format': 99}))
    with expect_fail(MilanError, contains='format 99'): Captioner.load(folder)
    shutil.rmtree(folder.parent)

    def build(pretrained):
        torch.manual_seed(int(pretrained))
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    networks.register('tiny/noise', build, ['0'], size=16)
    by_name = PyramidEncoder('tiny/noise', ['0', '1'])
    named = Captioner(Decoder(Vocabulary(['red', 'things']), features=8, embedding_size=4, hidden_size=4), encoder=by_name)
    folder = Path(tempfile.mkdtemp())/'named'
    named.save(folder)
    images = torch.rand(1, 2, 3, 20, 20)
    test_close(Captioner.load(folder, 'cpu').encode(images), named.encode(images), 1e-6)
    networks.register('tiny/noise', lambda pretrained: build(not pretrained), ['0'], size=16)
    with expect_fail(MilanError, contains='weights differ'): Captioner.load(folder, 'cpu')
    shutil.rmtree(folder.parent)

    torch.manual_seed(0)
    images, folder = torch.rand(1, 2, 3, 64, 64), Path(tempfile.mkdtemp())/'whole'
    for features, encoder in ((1024, original_encoder('resnet18', pretrained=False)), (512, original_spatial_encoder(pretrained=False))):
        whole = Captioner(Decoder(Vocabulary(['red', 'things']), features=features, embedding_size=4, hidden_size=4), encoder=encoder)
        whole.save(folder)
        test_close(Captioner.load(folder, 'cpu').encode(images), whole.encode(images), 1e-6)
        test_eq(type(Captioner.load(folder, 'cpu').encoder), type(encoder))
    shutil.rmtree(folder.parent)


# 36_captioner.ipynb, section "Light to import"
def test_light_to_import():
    code = 'import sys, milan.captioner; print([m for m in ("spacy", "transformers", "matplotlib", "sacrebleu", "torchvision") if m in sys.modules])'
    test_eq(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip(), '[]')


# 36_captioner.ipynb, section "Errors"
def test_errors():
    torch.manual_seed(0)
    kept, home = Captioner(Decoder(Vocabulary(['red', 'things']), features=8, embedding_size=4, hidden_size=4)), Path(tempfile.mkdtemp())
    (home/'theirs').mkdir()
    for name in ('thesis.txt', 'README.md', 'weights.safetensors'): (home/'theirs'/name).write_text('three years')
    (home/'link').symlink_to(home/'theirs')
    for place in (home/'theirs', home/'link', home/'theirs'/'thesis.txt', home/'theirs'/'thesis.txt'/'below', home/'theirs'/'..', '.', Path.home()):
        with expect_fail(MilanError): kept.save(place)
    test_eq([path.read_text() for path in (home/'theirs').iterdir()], ['three years'] * 3)
    kept.save(home/'ours')
    kept.save(home/'ours')
    (home/'ours'/'README.md').write_text('my notes')
    with expect_fail(MilanError, contains='README.md'): kept.save(home/'ours')
    test_eq((home/'ours'/'README.md').read_text(), 'my notes')
    (home/'steps').mkdir()
    (home/'steps'/'notes.txt').write_text('mine')
    images, masks, annotations, encoder = small_world()
    quick = {**QUICK, 'epochs': 1}
    train(encoder.encode(images, masks), annotations, validation=range(16, 20), decoder_settings=quick, lm_settings=quick, folder=home/'steps', device='cpu', progress=False)
    test_eq(os.listdir(home/'steps'), ['notes.txt'])
    shutil.rmtree(home)
