# Generated from nbs/07_captioner/12_checkpoints.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.decoder import Decoder
from milan.captioner.encoder import ORIGINAL
from milan.captioner.encoder import original_encoder
from milan.captioner.encoder import original_spatial_encoder
from milan.captioner.lm import LanguageModel
from milan.captioner.model import Captioner
from milan.captioner.text import Vocabulary
from milan.captioner.tokenizer import _nested
from milan.captioner.tokenizer import _our_bytes
from milan.config import MilanError
from pathlib import Path
import torch
import warnings
from milan.captioner.checkpoints import (
    _COLOURS,
    _settings,
    _vocabulary,
    _which,
    load,
    load_lm,
    read,
    save,
)

import os
import shutil
import tempfile
from unittest.mock import patch

import numpy as np
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.captioner.encoder import PyramidEncoder, normalize

def small_file(folder, **settings):
    "A captioner of two words as the original would write it, and its parts."
    torch.manual_seed(0)
    vocabulary = Vocabulary(['things', 'red'])
    decoder, lm = Decoder(vocabulary, 1024, 4, 6, 5), LanguageModel(vocabulary, 4, 5)
    network = original_encoder('resnet18', pretrained=False).network
    tensors = {'encoder.mean': torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1),
               'encoder.std': torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1),
               **{f'encoder.encoder.model.{n}': v for n, v in network.state_dict().items()},
               **{f'lm.{n}': v for n, v in lm.state_dict().items()}, **decoder.state_dict()}
    indexer = {
        'properties': {'vocab': {'properties': {'tokens': vocabulary.words}},
                       'tokenize': {'properties': {'nlp': ({}, _our_bytes())}}}
    }
    content = {
        'properties': {
            'indexer': indexer,
            'encoder': {'properties': {'config': 'resnet18', 'pretrained': True}},
            'lm': {
                'properties': {
                    'indexer': indexer,
                    'embedding_size': 4,
                    'hidden_size': 5,
                    'layers': 2,
                    'dropout': 0.5,
                }
            },
            'embedding_size': 4,
            'hidden_size': 6,
            'attention_hidden_size': 5,
            'dropout': 0.5,
            'length': 9,
            'strategy': 'rerank',
            'temperature': 0.2,
            'beam_size': 7,
        },
        'children': {'encoder': 'PyramidConvEncoder'},
        'state_dict': tensors,
    }
    torch.save(content, folder/'milan-tiny.pth')
    return content, decoder, lm, network


# 12_checkpoints.ipynb, section "Reading without trusting"
def test_reading_without_trusting():
    class Evil:
        def __reduce__(self): return (eval, (f'open({str(folder/"i_ran")!r}, "w")',))

    class Worse:
        def __reduce__(self): return (os.system, (f'touch {folder/"i_ran"}',))

    folder = Path(tempfile.mkdtemp())
    for evil in (Evil(), {'indexer': {'properties': {'nlp': (Worse(), b'')}}}):
        torch.save({'properties': evil, 'state_dict': {}}, folder/'evil.pth')
        with expect_fail(MilanError, contains='is refused'): read(folder/'evil.pth')
    assert not (folder/'i_ran').exists()
    try: read(folder/'evil.pth')
    except MilanError as error: print(str(error).replace(str(folder), '…'))

    torch.save({'weights': torch.zeros(2)}, folder/'other.pth')
    (folder/'half.pth').write_bytes((folder/'other.pth').read_bytes()[:300])
    with expect_fail(MilanError, contains='not one of the original'): read(folder/'other.pth')
    with expect_fail(MilanError, contains='cannot be read'): read(folder/'half.pth')
    with expect_fail(MilanError, contains='does not exist'): read(folder/'none.pth')
    torch.save({'properties': {}, 'state_dict': {'weight': 'heavy'}}, folder/'other.pth')
    with expect_fail(MilanError, contains='no tensors (weight)'): read(folder/'other.pth')

    for place in ('thinc.config', 'confection', 'confection._config'):
        Config = type('Config', (dict,), {'__module__': place})
        with patch(f'{place}.Config', Config):
            torch.save({'properties': {'nlp': (Config(lang='en'), b'bytes')}, 'state_dict': {}},
                       folder / 'config.pth')
        test_eq(read(folder/'config.pth')['properties']['nlp'], ({'lang': 'en'}, b'bytes'))

    torch.save({'properties': {'length': 15}, 'state_dict': {'weight': torch.zeros(3)}}, folder/'whole.pth')
    whole, refused = (folder/'whole.pth').read_bytes(), 0
    for seed in range(40):
        place = np.random.default_rng(seed).integers(len(whole))
        (folder/'damaged.pth').write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1:])
        try: test_eq(set(read(folder/'damaged.pth')) >= {'properties', 'state_dict'}, True)
        except MilanError: refused += 1
    assert refused > 5
    shutil.rmtree(folder)


# 12_checkpoints.ipynb, section "From its settings to ours"
def test_from_its_settings_to_ours():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        settings = _settings('old.pth', {'embedding_size': 32}, ['embedding_size', 'hidden_size', 'dropout'],
                             {'hidden_size': 64})
    test_eq(settings, {'embedding_size': 32, 'hidden_size': 64, 'dropout': .5})
    str(caught[0].message)

    plain = {'properties': {'vocab': {'properties': {'tokens': ('red', 'things')}}, 'start': True}}
    test_eq(_vocabulary('x.pth', plain).words, ('red', 'things'))
    test_eq((_nested(plain, 'vocab'), _nested(plain, 'lm', 'vocab'), _nested(None)),
            ({'tokens': ('red', 'things')}, {}, {}))
    for odd in ({}, None, 'words', {'properties': {'vocab': 3}}):
        with expect_fail(MilanError, contains='no vocabulary'): _vocabulary('x.pth', odd)

    plain['properties']['tokenize'] = {'properties': {'lemmatize': True}}
    with expect_fail(MilanError, contains="'lemmatize': True"): _vocabulary('x.pth', plain)


# 12_checkpoints.ipynb, section "A language model, a captioner"
def test_a_language_model_a_captioner():
    folder = Path(tempfile.mkdtemp())
    published, decoder, lm, network = small_file(folder)
    with warnings.catch_warnings():
        warnings.simplefilter('error') # nothing is missing, so nothing is said
        captioner = load(folder/'milan-tiny.pth', 'cpu')
    captioner, captioner.defaults

    for name, value in captioner.decoder.state_dict().items(): test_eq(value, decoder.state_dict()[name])
    for name, value in captioner.encoder.network.state_dict().items(): test_eq(value, network.state_dict()[name])
    assert not any(part.training for part in (captioner.decoder, captioner.lm, captioner.encoder))
    test_eq(captioner(torch.rand(1, 2, 3, 64, 64)).beam_tokens.shape, (1, 7, 9))
    captioner.save(folder/'ours')
    test_eq(Captioner.load(folder/'ours', 'cpu').defaults, captioner.defaults)

    def without(content, *keys):
        "A copy that lacks one entry, a path of keys."
        content = dict(content)
        if len(keys) == 1: del content[keys[0]]
        else: content[keys[0]] = without(content[keys[0]], *keys[1:])
        return content

    def said(content):
        "The captioner read from this content, and the warnings."
        torch.save(content, folder/'tampered.pth')
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            found = load(folder/'tampered.pth', 'cpu')
        return found, [str(warning.message).replace(str(folder), '…') for warning in caught]

    torch.manual_seed(0)
    features = torch.rand(3, 2, 1024)
    expected = captioner.decode(features)
    absent = [('embedding_size',), ('hidden_size',), ('attention_hidden_size',), ('dropout',), ('temperature',),
              ('lm',), ('lm', 'properties', 'indexer'), ('lm', 'properties', 'layers'),
              ('indexer', 'properties', 'tokenize')]
    light = {
        **published,
        'state_dict': {n: v for n, v in published['state_dict'].items() if not n.startswith('encoder.')},
    }
    for keys in absent:
        found, messages = said(without(light, 'properties', *keys))
        test_eq(found.decode(features).captions, expected.captions)
        test_close(found.decode(features).scores, expected.scores, 1e-6)
        assert found.encoder is None and 'no weights of an encoder' in messages[-1] and len(messages) > 1
        print(*messages[:-1], sep='\n')

    for keys in (('properties', 'encoder'), ('children',), ('state_dict', 'encoder.mean')):
        found, messages = said(without(published, *keys))
        for name, value in found.encoder.network.state_dict().items(): test_eq(value, network.state_dict()[name])
        print(*messages, sep='\n')

    no_lm = {**light, 'state_dict': {n: v for n, v in light['state_dict'].items() if not n.startswith('lm.')}}
    found, messages = said(no_lm)
    test_eq((found.lm, found.defaults['strategy']), (None, 'beam'))
    assert 'holds no language model' in messages[0]
    # the original may well have none: only the encoder lacks
    test_eq(len(said({**no_lm, 'properties': {**published['properties'], 'lm': None}})[1]), 1)
    found, messages = said({**light, 'children': {'encoder': 'OtherEncoder'}})
    assert found.encoder is None and 'OtherEncoder' in messages[0]
    with expect_fail(MilanError, contains='init_c.0.bias'): said(without(light, 'state_dict', 'init_c.0.bias'))
    with expect_fail(MilanError, contains='other shapes'):
        said({**light, 'properties': {**published['properties'], 'hidden_size': 8}})
    with expect_fail(MilanError, contains='encoder.std'):
        said({**published, 'state_dict': {**published['state_dict'], 'encoder.std': torch.ones(3)}})
    with expect_fail(MilanError, contains='no vocabulary'): said(without(light, 'properties', 'indexer'))
    with expect_fail(MilanError, contains='not one of the original'): said({**light, 'properties': 'none'})

    torch.save({'properties': published['properties']['lm']['properties'], 'children': {},
                'state_dict': lm.state_dict()}, folder / 'lm.pth')
    test_close(load_lm(folder/'lm.pth', 'cpu').log_prob(['red things']), lm.eval().log_prob(['red things']), 1e-6)
    with expect_fail(MilanError, contains='load_lm'): load(folder/'lm.pth')
    with torch.device('meta'): networks = [original_encoder(name, pretrained=False).network for name in ORIGINAL]
    test_eq([_which(one.state_dict()) for one in networks], list(ORIGINAL))
    grey = torch.full((1, 3, 1, 1), .5)
    test_close((0.5 - torch.tensor(_COLOURS['encoder.mean'])) / torch.tensor(_COLOURS['encoder.std']),
               normalize(grey).view(3), 1e-6)
    shutil.rmtree(folder)


# 12_checkpoints.ipynb, section "Writing"
def test_writing():
    torch.manual_seed(0)
    vocabulary = Vocabulary(['things', 'red'])
    made = Captioner(
        Decoder(vocabulary, 1024, 4, 6),
        LanguageModel(vocabulary, 4, 5),
        original_encoder('resnet18', pretrained=False),
        defaults={'beam_size': 7, 'length': 9, 'temperature': 0.3},
    )
    folder = Path(tempfile.mkdtemp())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        again = load(save(made, folder/'made.pth'), 'cpu')
    again, again.defaults

    content = torch.load(folder/'made.pth', weights_only=True)
    test_eq(list(content), ['properties', 'children', 'state_dict'])
    for part in ('decoder', 'lm', 'encoder'):
        ours, theirs = getattr(made, part).state_dict(), getattr(again, part).state_dict()
        test_eq(list(ours), list(theirs))
        for name, value in ours.items(): test_eq(value, theirs[name])
    images = torch.rand(2, 3, 3, 48, 48)
    test_eq(again.encode(images), made.encode(images))
    test_eq(again(images).beam, made(images).beam)
    test_eq(again(images).scores, made(images).scores)
    test_eq({**again.defaults}, made.defaults)

    import spacy

    from milan.captioner.text import tokenize

    settings, packed = content['properties']['indexer']['properties']['tokenize']['properties']['nlp']
    theirs = spacy.util.get_lang_class(settings['nlp']['lang']).from_config(settings).from_bytes(packed)
    for text in ("A dog's left-hand side, mostly.", 'U.S. flags', "it isn't 5kg"):
        test_eq([word.text.lower() for word in theirs(text)], tokenize(text))
    len(packed)

    places = original_spatial_encoder('resnet18', pretrained=False)
    spread = Captioner(Decoder(vocabulary, 512, 4, 6), None, places)
    alone = load(save(spread, folder/'made.pth'), 'cpu')
    test_eq((alone.lm, alone.defaults['strategy'], read(folder / 'made.pth')['children']),
            (None, 'beam', {'encoder': 'SpatialConvEncoder'}))
    test_eq(alone(images).beam, spread(images).beam)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        blind = load(save(made, folder/'blind.pth', encoder=False), 'cpu')
    assert blind.encoder is None and 'no weights of an encoder' in str(caught[-1].message)
    test_eq(blind.decode(made.encode(images)).captions, made(images).captions)

    other = PyramidEncoder(nn.Sequential(nn.Conv2d(3, 8, 3)), ['0'], name='efficientnet_lite0/imagenet')
    fewer = PyramidEncoder(made.encoder.network, ['conv1', 'layer4'], transform=normalize,
                           name='original:resnet18')
    for eye, reason in ((other, 'no encoder efficientnet_lite0/imagenet'),
                        (fewer, 'the original reads resnet18 at conv1'), (None, 'has no encoder')):
        kept = Captioner(made.decoder, None, eye)
        with expect_fail(MilanError, contains=reason): save(kept, folder/'other.pth')
    assert not (folder/'other.pth').exists()
    shutil.rmtree(folder)


# 12_checkpoints.ipynb, section "Errors"
def test_errors():
    folder = Path(tempfile.mkdtemp())
    whole, *_ = small_file(folder)
    light = {
        **whole,
        'state_dict': {
            name: value for name, value in whole['state_dict'].items() if not name.startswith('encoder.')
        },
    }
    light['properties'] = {
        **light['properties'],
        'indexer': {'properties': {'vocab': whole['properties']['indexer']['properties']['vocab']}},
    } # with the rules each takes a while
    light['properties']['lm'] = {
        'properties': {**light['properties']['lm']['properties'], 'indexer': light['properties']['indexer']}
    }
    def outcome(content):
        "'read' or what is said; anything but a MilanError is a fault."
        torch.save(content, folder/'odd.pth')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try: load(folder/'odd.pth', 'cpu')
            except MilanError as error: return str(error)
        return 'read'


    def paths(value, here=()):
        "The path of every entry in nested tables."
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield (*here, key)
            yield from paths(inner, (*here, key))


    def changed(content, path, new):
        "A copy with one entry replaced."
        made = dict(content)
        made[path[0]] = changed(content[path[0]], path[1:], new) if len(path) > 1 else new
        return made


    around = {}
    around['around'] = around
    told = {
        (path, kind): outcome(changed(light, path, new))
        for path in paths({name: light[name] for name in ('properties', 'children')})
        for kind, new in {'none': None, 'list': [1], 'table': {'x': 1}, 'minus': -1, 'true': True, 'huge': 10**30,
                          'nan': float('nan'), 'text': 'x', 'bytes': b'x', 'around': around,
                          'tensor': torch.zeros(2), 'twice': ['red', 'red']}.items()
    }
    refused = {key: said for key, said in told.items() if said != 'read'}
    assert len(told) > 250 and len(refused) > 120, (len(told), len(refused))
    for key, said in refused.items(): assert 'odd.pth' in said and len(said) < 2000, (key, said)
    for name, value in light['state_dict'].items():
        for new in (value.double() * float('nan'), value.new_zeros(0), value[None], value.long(),
                    torch.zeros(1).expand(10**6, 10**6), torch.empty(10**6, 10**6, device='meta'), None, 'x',
                    around):
            said = outcome(changed(light, ('state_dict', name), new))
            assert 'odd.pth' in said and len(said) < 2000, (name, said)
    for size in ('embedding_size', 'hidden_size', 'attention_hidden_size', 'beam_size', 'length'):
        assert (outcome(changed(light, ('properties', size), 10**9)) != 'read'
                or size == 'attention_hidden_size'), size

    import srsly

    rules = {
        **{
            name: '(a|aa)+$'
            for name in ('prefix_search', 'suffix_search', 'infix_finditer', 'token_match', 'url_match')
        },
        'exceptions': {},
    }
    words = {'properties': {'tokens': ('a' * 40 + '!', 'red')}}
    for content in ({'tokenizer': srsly.msgpack_dumps(rules)},
                    {'tokenizer': srsly.msgpack_dumps({**rules, 'exceptions': {'a' * 40: [{65: 'b'}]}})},
                    {'tokenizer': b''}, {'tokenizer': 3}, [1], {},
                    {'tokenizer': srsly.msgpack_dumps({'exceptions': 3})},
                    {'tokenizer': srsly.msgpack_dumps({'exceptions': {'a': [3]}})},
                    {'tokenizer': srsly.msgpack_dumps({'exceptions': {'a': [{65: 3}]}})}):
        indexer = {
            'properties': {'vocab': words,
                           'tokenize': {'properties': {'nlp': ({}, srsly.msgpack_dumps(content))}}}
        }
        assert (
            outcome(
                changed(
                    changed(light, ('properties', 'indexer'), indexer),
                    ('properties', 'lm', 'properties', 'indexer'),
                    indexer,
                )
            )
            == 'read'
        ) # with a warning
    for packed in (b'', b'\xdf\xff\xff\xff\xff', b'\x91' * 100_000, b'\xc7\xff\xff'):
        indexer = {'properties': {'vocab': words, 'tokenize': {'properties': {'nlp': ({}, packed)}}}}
        outcome(changed(light, ('properties', 'indexer'), indexer)) # read, or a MilanError
    shutil.rmtree(folder)
