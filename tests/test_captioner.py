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
from safetensors.torch import save_file
from torch import nn
import io
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
    global io
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

    import io
    import pickle


    images, masks, annotations, encoder = small_world()
    kept = Captioner(Decoder(Vocabulary(['red', 'things']), features=3, embedding_size=4, hidden_size=4), None, encoder)
    exemplars = [SimpleNamespace(layer='conv<1>', unit=u, images=images[u], masks=masks[u]) for u in range(12)]
    table = kept.describe(exemplars, progress=False)
    shown = table._repr_html_()
    assert shown.count('<img') == 30 and 'conv&lt;1&gt;' in shown and '12 rows, the first 10 shown' in shown
    test_eq(table[table.unit < 2]._repr_html_().count('<img'), 6)
    assert '<img' not in table[['description']]._repr_html_() and '<img' not in str(table)
    again = pickle.loads(pickle.dumps(table))
    pd.testing.assert_frame_equal(again, pd.DataFrame(table))
    assert again.exemplars is None and table.exemplars is exemplars and '<img' not in again._repr_html_()
    for derived in (table.merge(table, on=['layer', 'unit']), table.groupby('layer').size(), pd.concat([table, table]), table.copy(), table.round(2), table.sort_values('unit')): repr(derived)
    test_eq(pd.read_csv(io.StringIO(table.to_csv(index=False))).columns.tolist(), ['layer', 'unit', 'description', 'score'])


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

    from safetensors.torch import load_file


    def tiny(folder):
        "A saved captioner with every part, and what its files hold."
        torch.manual_seed(0)
        words = Vocabulary(['red', 'things'])
        log = [{'epoch': 0, 'validation_loss': 1., 'best': True}]
        network = nn.Sequential(nn.Conv2d(3, 4, 3))
        for part in network.parameters(): nn.init.ones_(part)
        networks.register('tiny/ones', lambda pretrained: network, ['0'], size=16)
        encoder = PyramidEncoder('tiny/ones', ['0'], projection=Projection(torch.zeros(4), torch.ones(4, 2)))
        card = {'training': {'annotations': 3, 'units': 2, 'held_out': 1, 'decoder_log': log, 'lm_log': log}, 'measures': [{'row': 'ours', 'value': 1.}], 'limits': ['It is tiny.']}
        made = Captioner(Decoder(words, features=2, embedding_size=4, hidden_size=4), LanguageModel(words, 4, 4), encoder, card)
        made.save(folder)
        return json.loads((folder/'captioner.json').read_text()), load_file(folder/'weights.safetensors')


    def outcome(folder, about=None, tensors=None):
        "'read' or what is said; anything but a MilanError is a fault."
        if about is not None: (folder/'captioner.json').write_text(about if isinstance(about, str) else json.dumps(about))
        if tensors is not None: save_file(tensors, folder/'weights.safetensors')
        try: model_card(Captioner.load(folder, 'cpu'))
        except MilanError as error: return str(error)
        return 'read'


    def paths(value, here=()):
        "The path of every entry in nested tables and lists."
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
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
    about, tensors = tiny(folder)
    test_eq(outcome(folder), 'read')
    told = {(path, repr(new)): outcome(folder, changed(about, path, new)) for path in paths(about) if path[0] != 'versions'
            for new in (..., None, [], {}, -1, True, 10**30, float('inf'), float('nan'), 'x', ['x', 'x'], {'x': [1]})}
    refused = {key: text for key, text in told.items() if text != 'read'}
    assert len(told) > 400 and len(refused) > 250, (len(told), len(refused))
    for key, text in refused.items(): assert 'tiny' in text and len(text) < 2000, (key, text)
    for path, new in ((('words',), ['red', 'red']), (('words', 0), 3), (('decoder', 'hidden_size'), 10**9), (('lm', 'layers'), 10**9), (('lm', 'layers'), 2.5), (('decoder', 'features'), 3),
                      (('encoder', 'name'), 'planted/../x.yaml'), (('encoder', 'layers'), ['nowhere']), (('encoder', 'size'), 10**9), (('encoder', 'stored'), True), (('encoder', 'kind'), 'eye'),
                      (('encoder', 'hash'), '0'), (('defaults', 'strategy'), 'best'), (('defaults', 'beam_size'), 10**9), (('more',), 1), (('encoder', 'name'), 'hf:' + str(folder)),
                      (('words',), [f'w{number}' for number in range(100)]), (('card', 'training', 'decoder_log'), []), (('lm',), None), (('encoder', 'projection'), False)):
        said = outcome(folder, changed(about, path, new))
        assert said != 'read', (path, new)
    for text in ('', '[]', '3', 'null', '{', '[' * 100_000, '{"format": 1}', '{"format": ' + '9' * 5000 + '}', '\ud800'.encode('utf-8', 'surrogatepass').decode('latin-1')): assert 'tiny' in outcome(folder, text), text[:9]
    (folder/'captioner.json').write_bytes(b'\xff\xfe{}')
    assert 'captioner.json cannot be read' in outcome(folder)
    shutil.rmtree(folder.parent)

    folder = Path(tempfile.mkdtemp())/'tiny'
    about, tensors = tiny(folder)
    for name, value in tensors.items():
        others = {'absent': None, 'long': torch.zeros(*value.shape, 2), 'none': torch.zeros(0), 'whole': value.long(), 'nan': value * float('nan'), 'inf': value + float('inf'), 'bool': value.bool()}
        for kind, new in others.items():
            said = outcome(folder, None, {key: part for key, part in {**tensors, name: new}.items() if part is not None})
            assert 'tiny' in said and len(said) < 2000, (name, kind, said)
    for name in ('more', 'decoder.more', 'lm.more', 'x.y'): assert name.rpartition('.')[2] in outcome(folder, None, {**tensors, name: torch.zeros(1)}), name
    save_file(tensors, folder/'weights.safetensors')
    whole, refusals = (folder/'weights.safetensors').read_bytes(), 0
    for seed in range(60): # a flipped byte in the header, or a file that ends early
        place = np.random.default_rng(seed).integers(2000)
        torn = whole[:place] if seed % 2 else whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1:]
        (folder/'weights.safetensors').write_bytes(torn)
        refusals += outcome(folder) != 'read'
    assert refusals > 40, refusals
    for wanted in ('captioner.json', 'weights.safetensors'):
        (folder/wanted).unlink()
        (folder/wanted).mkdir()
        assert 'holds no captioner' in outcome(folder)
    shutil.rmtree(folder.parent)

    home = Path(tempfile.mkdtemp())
    about, tensors = tiny(home/'tiny')
    (home/'evil.yaml').write_text(f"name: evil/none\nbuild: os:system\narguments: {{command: 'touch {home}/ran'}}\n")
    for name in (home/'evil.yaml', 'evil.yaml', home/'tiny'/'..'/'evil.yaml', f'hf:{home}', f'timm:local-dir:{home}'):
        with expect_fail(MilanError, contains='not opened'):
            (home/'tiny'/'captioner.json').write_text(json.dumps(changed(about, ('encoder', 'name'), str(name))))
            Captioner.load(home/'tiny', 'cpu')
    assert not (home/'ran').exists()
    kept = Captioner(Decoder(Vocabulary(['red']), features=8, embedding_size=4, hidden_size=4), defaults={'beam_size': 0})
    with expect_fail(MilanError, contains='beam_size'): kept.save(home/'kept')
    shutil.rmtree(home)
