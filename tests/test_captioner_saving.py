# Generated from nbs/07_captioner/10_saving.ipynb by `make export`. Edit the notebook, not this file.

from milan import networks
from milan.captioner.card import file_content
from milan.captioner.decoder import Decoder
from milan.captioner.encoder import Projection
from milan.captioner.encoder import PyramidEncoder
from milan.captioner.encoder import original_encoder
from milan.captioner.encoder import original_spatial_encoder
from milan.captioner.lm import LanguageModel
from milan.captioner.text import Vocabulary
from milan.config import MilanError
from milan.files import read_tensors
from pathlib import Path
from safetensors.torch import save_file
import json
import tempfile
import torch
from milan.captioner.saving import (
    fetch_captioner,
)

import os
import shutil
from unittest.mock import patch
import numpy as np
import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq
from milan.captioner.card import model_card
from milan.captioner.encoder import normalize
from milan.captioner.model import Captioner
from milan.testing.hub import HubServer


# 10_saving.ipynb, section "Saving"
def test_saving():
    torch.manual_seed(0)
    words = Vocabulary(['red', 'things'])
    encoder = PyramidEncoder(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), ['0'])
    encoder.projection = Projection(torch.zeros(4), torch.rand(4, 2))
    decoder, lm = Decoder(words, features=2, embedding_size=4, hidden_size=4), LanguageModel(words, 4, 4)
    captioner = Captioner(decoder, lm, encoder, {'measures': pd.DataFrame({'row': ['ours'], 'value': [1.]})})
    folder = Path(tempfile.mkdtemp())/'tiny'
    captioner.save(folder)
    sorted(path.name for path in folder.iterdir())

    test_eq((folder/'README.md').read_text(), model_card(captioner))
    test_eq(sorted(json.loads((folder/'captioner.json').read_text())), sorted(file_content(captioner)))

    again = Captioner.load(folder, 'cpu', network=encoder.network)
    images, masks = torch.rand(3, 2, 3, 8, 8), torch.ones(3, 2, 1, 8, 8)
    test_eq(again(images, masks).captions, captioner(images, masks).captions)
    test_close(again(images, masks).scores, captioner(images, masks).scores, 1e-6)
    test_eq(again.card['measures'], [{'row': 'ours', 'value': 1.}])
    test_eq(model_card(again), model_card(captioner)) # a loaded captioner has the same card
    without = Captioner.load(folder, 'cpu')
    test_eq(without.decode(encoder.encode(images, masks)).captions, captioner(images, masks).captions)
    again, without

    with expect_fail(MilanError, contains='no encoder'): without(images, masks)
    with expect_fail(MilanError, contains='weights differ'):
        Captioner.load(folder, 'cpu', network=torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)))
    with expect_fail(MilanError, contains='another transform'):
        Captioner.load(folder, 'cpu', network=PyramidEncoder(encoder.network, ['0'], normalize))
    by_encoder = Captioner.load(folder, 'cpu', network=encoder)
    test_eq(by_encoder(images, masks).captions, captioner(images, masks).captions)
    with expect_fail(MilanError, contains='no captioner'): Captioner.load(folder.parent)
    shutil.rmtree(folder.parent)

    def tiny_network(pretrained):
        torch.manual_seed(int(pretrained))
        return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())

    networks.register('tiny/noise', tiny_network, ['0'], size=16)
    by_name = PyramidEncoder('tiny/noise', ['0', '1'])
    named = Captioner(Decoder(words, features=8, embedding_size=4, hidden_size=4), encoder=by_name)
    folder = Path(tempfile.mkdtemp())/'named'
    named.save(folder)
    images = torch.rand(1, 2, 3, 20, 20)
    test_close(Captioner.load(folder, 'cpu').encode(images), named.encode(images), 1e-6)
    networks.register('tiny/noise', lambda pretrained: tiny_network(not pretrained), ['0'], size=16)
    with expect_fail(MilanError, contains='weights differ'): Captioner.load(folder, 'cpu')
    shutil.rmtree(folder.parent)

    torch.manual_seed(0)
    images, folder = torch.rand(1, 2, 3, 64, 64), Path(tempfile.mkdtemp())/'whole'
    both = {1024: original_encoder('resnet18', pretrained=False), 512: original_spatial_encoder(pretrained=False)}
    for features, encoder in both.items():
        whole = Captioner(Decoder(words, features=features, embedding_size=4, hidden_size=4), encoder=encoder)
        whole.save(folder)
        test_close(Captioner.load(folder, 'cpu').encode(images), whole.encode(images), 1e-6)
        test_eq(type(Captioner.load(folder, 'cpu').encoder), type(encoder))
    shutil.rmtree(folder.parent)


# 10_saving.ipynb, section "On a hub"
def test_on_a_hub():
    words = Vocabulary(['red', 'things'])
    tiny_one = Captioner(Decoder(words, features=2, embedding_size=4, hidden_size=4), card={'licence': 'CC0-1.0'})
    with HubServer() as hub:
        pushed = tiny_one.push('user/tiny')
        folder = fetch_captioner('hf:user/tiny')
        back, sent = Captioner.load(folder, 'cpu'), hub.files('user/tiny')
        test_eq(fetch_captioner(pushed), folder)
    sorted(sent), back

    test_eq((back.card, back.vocabulary.words), (tiny_one.card, words.words))
    for name, value in tiny_one.decoder.state_dict().items(): test_eq(back.decoder.state_dict()[name], value)
    test_eq(sent['README.md'].decode(), model_card(tiny_one, 'user/tiny'))

    home = Path(tempfile.mkdtemp())
    test_eq(tiny_one.push(home/'ours'), str(home/'ours')) # a folder, as by `save`
    test_eq((home/'ours'/'README.md').read_text(), model_card(tiny_one))
    shutil.rmtree(home)
    with HubServer({'user/other': {'README.md': b'', 'captioner.pkl': b''}}) as hub:
        with expect_fail(MilanError, contains='weights.safetensors missing'): fetch_captioner('hf:user/other')
        assert not any('pkl' in path for path in hub.asked)
        for licence, private in (('CC-BY-NC-ND-4.0', True), ('of ImageNet, for research', True), ('', False)):
            tiny_one.card['licence'] = licence
            with expect_fail(MilanError, contains="card['licence']"): tiny_one.push('user/tiny', private=private)
        test_eq(list(hub.commits), ['user/other'])
        tiny_one.card = {}
        tiny_one.push('hf:user/tiny') # private, and nothing is known
        hub.sent['captioner.json'] = b'{"format": 1}'
        with expect_fail(MilanError, contains='captioner.json'): fetch_captioner('hf:user/tiny')


# 10_saving.ipynb, section "Errors"
def test_errors():
    words = Vocabulary(['red', 'things'])


    def tiny(folder):
        "A saved captioner with every part, and what its files hold."
        torch.manual_seed(0)
        log = [{'epoch': 0, 'validation_loss': 1., 'best': True}]
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
        for part in network.parameters(): torch.nn.init.ones_(part)
        networks.register('tiny/ones', lambda pretrained: network, ['0'], size=16)
        encoder = PyramidEncoder('tiny/ones', ['0'], projection=Projection(torch.zeros(4), torch.ones(4, 2)))
        training = {'annotations': 3, 'units': 2, 'held_out': 1, 'decoder_log': log, 'lm_log': log}
        card = {'training': training, 'measures': [{'row': 'ours', 'value': 1.}], 'limits': ['It is tiny.']}
        decoder = Decoder(words, features=2, embedding_size=4, hidden_size=4)
        Captioner(decoder, LanguageModel(words, 4, 4), encoder, card).save(folder)
        return json.loads((folder/'captioner.json').read_text()), read_tensors(folder/'weights.safetensors')


    def outcome(folder, content=None, tensors=None):
        "'read', or the message of the error; anything but a MilanError is a fault."
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder/'captioner.json').write_text(text)
        if tensors is not None: save_file(tensors, folder/'weights.safetensors')
        try: model_card(Captioner.load(folder, 'cpu'))
        except MilanError as error: return str(error)
        return 'read'


    def paths(value, here=()):
        "The path of every entry in nested tables and lists."
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            yield (*here, key)
            yield from paths(inner, (*here, key))


    def changed(value, path, new):
        "A copy with one entry replaced, or left out where `new` is `...`."
        copy = dict(value) if isinstance(value, dict) else list(value)
        if len(path) > 1: copy[path[0]] = changed(value[path[0]], path[1:], new)
        elif new is ...: del copy[path[0]]
        else: copy[path[0]] = new
        return copy

    folder = Path(tempfile.mkdtemp())/'tiny'
    content, tensors = tiny(folder)
    test_eq(outcome(folder), 'read')
    values = (..., None, [], {}, -1, True, 10**30, float('inf'), float('nan'), 'x', ['x', 'x'], {'x': [1]})
    found = {(path, repr(new)): outcome(folder, changed(content, path, new))
             for path in paths(content) if path[0] != 'versions' for new in values}
    refused = {key: text for key, text in found.items() if text != 'read'}
    assert len(found) > 400 and len(refused) > 250, (len(found), len(refused))
    for key, text in refused.items(): assert 'tiny' in text and len(text) < 2000, (key, text)

    odd = ((('words',), ['red', 'red']), (('words', 0), 3), (('decoder', 'hidden_size'), 10**9),
           (('lm', 'layers'), 10**9), (('lm', 'layers'), 2.5),
           (('decoder', 'features'), 3), (('encoder', 'name'), 'planted/../x.yaml'),
           (('encoder', 'layers'), ['nowhere']), (('encoder', 'size'), 10**9), (('encoder', 'stored'), True),
           (('encoder', 'kind'), 'eye'), (('encoder', 'hash'), '0'), (('defaults', 'strategy'), 'best'),
           (('defaults', 'beam_size'), 10**9), (('more',), 1), (('encoder', 'name'), 'hf:' + str(folder)),
           (('words',), [f'w{number}' for number in range(100)]), (('card', 'training', 'decoder_log'), []),
           (('lm',), None), (('encoder', 'projection'), False))
    for path, new in odd: assert outcome(folder, changed(content, path, new)) != 'read', (path, new)
    surrogate = '\ud800'.encode('utf-8', 'surrogatepass').decode('latin-1')
    long = '{"format": ' + '9' * 5000 + '}'
    for text in ('', '[]', '3', 'null', '{', '[' * 100_000, '{"format": 1}', long, surrogate):
        assert 'tiny' in outcome(folder, text), text[:9]
    assert 'format 99' in outcome(folder, {**content, 'format': 99})
    (folder/'captioner.json').write_bytes(b'\xff\xfe{}')
    assert 'captioner.json cannot be read' in outcome(folder)
    shutil.rmtree(folder.parent)

    folder = Path(tempfile.mkdtemp())/'tiny'
    content, tensors = tiny(folder)
    for name, value in tensors.items():
        others = {'absent': None, 'long': torch.zeros(*value.shape, 2), 'none': torch.zeros(0),
                  'whole': value.long(),
                  'nan': value * float('nan'), 'inf': value + float('inf'), 'bool': value.bool()}
        for kind, new in others.items():
            given = {key: part for key, part in {**tensors, name: new}.items() if part is not None}
            text = outcome(folder, None, given)
            assert 'tiny' in text and len(text) < 2000, (name, kind, text)
    for name in ('more', 'decoder.more', 'lm.more', 'x.y'):
        assert name.rpartition('.')[2] in outcome(folder, None, {**tensors, name: torch.zeros(1)}), name

    save_file(tensors, folder/'weights.safetensors')
    whole, refusals = (folder/'weights.safetensors').read_bytes(), 0
    for seed in range(60): # a flipped byte in the header, or a file that ends early
        place = np.random.default_rng(seed).integers(2000)
        flipped = whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1:]
        (folder/'weights.safetensors').write_bytes(whole[:place] if seed % 2 else flipped)
        refusals += outcome(folder) != 'read'
    assert refusals > 40, refusals
    for wanted in ('captioner.json', 'weights.safetensors'):
        (folder/wanted).unlink()
        (folder/wanted).mkdir()
        assert 'holds no captioner' in outcome(folder)
    shutil.rmtree(folder.parent)

    home = Path(tempfile.mkdtemp())
    content, tensors = tiny(home/'tiny')
    command = f"{{command: 'touch {home}/ran'}}"
    (home/'evil.yaml').write_text(f'name: evil/none\nbuild: os:system\narguments: {command}\n')
    evil = (home/'evil.yaml', 'evil.yaml', home/'tiny'/'..'/'evil.yaml')
    for name in (*evil, f'hf:{home}', f'timm:local-dir:{home}'):
        text = json.dumps(changed(content, ('encoder', 'name'), str(name)))
        (home/'tiny'/'captioner.json').write_text(text)
        with expect_fail(MilanError, contains='not opened'): Captioner.load(home/'tiny', 'cpu')
    assert not (home/'ran').exists()
    odd = Captioner(Decoder(words, features=8, embedding_size=4, hidden_size=4), defaults={'beam_size': 0})
    with expect_fail(MilanError, contains='beam_size'): odd.save(home/'kept')
    shutil.rmtree(home)

    kept, home = Captioner(Decoder(words, features=8, embedding_size=4, hidden_size=4)), Path(tempfile.mkdtemp())
    theirs = home/'theirs'
    theirs.mkdir()
    for name in ('thesis.txt', 'README.md', 'weights.safetensors'): (theirs/name).write_text('three years')
    (home/'link').symlink_to(theirs)
    thesis = theirs/'thesis.txt'
    for place in (theirs, home/'link', thesis, thesis/'below', theirs/'..', '.', Path.home()):
        with expect_fail(MilanError): kept.save(place)
    test_eq([path.read_text() for path in theirs.iterdir()], ['three years'] * 3)
    for _ in range(2): kept.save(home/'ours')
    (home/'ours'/'README.md').write_text('my notes')
    with expect_fail(MilanError, contains='README.md'): kept.save(home/'ours')
    test_eq((home/'ours'/'README.md').read_text(), 'my notes')
    shutil.rmtree(home)
