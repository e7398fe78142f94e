# Generated from nbs/36_captioner.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.decoder import Decoder
from milan.captioner.encoder import Projection
from milan.captioner.encoder import PyramidEncoder
from milan.captioner.encoder import original_encoder
from milan.captioner.lm import LanguageModel
from milan.captioner.text import Vocabulary
from milan.config import MilanError
from torch import nn
import torch
from milan.captioner import (
    Captioner,
    train,
)

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq
from milan import networks

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
def test_training_one():
    images, masks, annotations, encoder = small_world()
    features = encoder.encode(images, masks)
    quick = {'embedding_size': 8, 'hidden_size': 24, 'dropout': .1, 'learning_rate': .02, 'epochs': 12, 'batch_size': 8}
    captioner = train(features, annotations, validation=range(16, 20), encoder=encoder, decoder_settings=quick, lm_settings=quick,
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


# 36_captioner.ipynb, section "A table of descriptions"
def test_a_table_of_descriptions():
    images, masks, annotations, encoder = small_world()
    quick = {'embedding_size': 8, 'hidden_size': 24, 'dropout': .1, 'learning_rate': .02, 'epochs': 12, 'batch_size': 8}
    captioner = train(encoder.encode(images, masks), annotations, validation=range(16, 20), encoder=encoder, decoder_settings=quick,
                      lm_settings=quick, device='cpu', progress=False)
    exemplars = [SimpleNamespace(layer='conv1', unit=u, images=images[u], masks=masks[u]) for u in range(16, 20)]
    table = captioner.describe(exemplars, details=True, progress=False)
    table.round(2)

    test_eq(list(table.columns)[:4], ['layer', 'unit', 'description', 'score'])
    test_eq(table.description.tolist(), captioner(images[16:], masks[16:]).captions)
    test_eq(captioner.describe(exemplars, features=encoder.encode(images, masks)[16:], progress=False).description.tolist(), table.description.tolist())


# 36_captioner.ipynb, section "Saving"
def test_saving():
    images, masks, annotations, encoder = small_world()
    features = encoder.encode(images, masks)
    encoder.projection = Projection.fit(features[:16], 2)
    quick = {'embedding_size': 8, 'hidden_size': 24, 'epochs': 3}
    captioner = train(encoder.encode(images, masks), annotations, validation=range(16, 20), encoder=encoder, decoder_settings=quick,
                      lm_settings=quick, card={'data': 'red and green pictures', 'licence': 'CC0'}, device='cpu', progress=False)
    folder = Path(tempfile.mkdtemp())/'tiny'
    captioner.save(folder)
    print((folder/'README.md').read_text())

    again = Captioner.load(folder, 'cpu', network=encoder.network)
    test_eq(again(images, masks).captions, captioner(images, masks).captions)
    test_close(again(images, masks).scores, captioner(images, masks).scores, 1e-6)
    test_eq(sorted(path.name for path in folder.iterdir()), ['README.md', 'captioner.json', 'weights.safetensors'])
    test_eq(again.card['training']['held_out_units'], [16, 17, 18, 19])
    without = Captioner.load(folder, 'cpu')
    test_eq(without.decode(encoder.encode(images, masks)).captions, captioner(images, masks).captions)

    with expect_fail(MilanError, contains='no encoder'): without(images, masks)
    with expect_fail(MilanError, contains='weights differ'): Captioner.load(folder, 'cpu', network=nn.Sequential(nn.Conv2d(3, 3, 1)))
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
    vocabulary = Vocabulary(['red', 'things'])
    whole = Captioner(Decoder(vocabulary, features=1024, embedding_size=4, hidden_size=4), encoder=original_encoder('resnet18', pretrained=False))
    folder = Path(tempfile.mkdtemp())/'whole'
    whole.save(folder)
    images = torch.rand(1, 2, 3, 64, 64)
    test_close(Captioner.load(folder, 'cpu').encode(images), whole.encode(images), 1e-6)
    shutil.rmtree(folder.parent)


# 36_captioner.ipynb, section "Light to import"
def test_light_to_import():
    code = 'import sys, milan.captioner; print([m for m in ("spacy", "transformers", "matplotlib", "sacrebleu", "torchvision") if m in sys.modules])'
    test_eq(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip(), '[]')
