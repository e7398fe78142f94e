# Generated from nbs/37_checkpoints.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner import Captioner
from milan.captioner.decoder import Decoder
from milan.captioner.encoder import original_encoder
from milan.captioner.lm import LanguageModel
from milan.captioner.text import Vocabulary
from milan.config import MilanError
from pathlib import Path
import torch
import warnings
from milan.captioner.checkpoints import (
    _settings,
    _vocabulary,
    load,
    load_lm,
    read,
)
import pytest

import gzip
import json
import shutil
import tempfile
import numpy as np
from fastcore.test import expect_fail, test_close, test_eq
from milan.config import oracle_dir

def golden():
    "The original's model, arrays and texts."
    source = oracle_dir()
    folder = Path(tempfile.mkdtemp())
    (folder/'decoder.pth').write_bytes(gzip.decompress((source/'decoder.pth.gz').read_bytes()))
    captioner = load(folder/'decoder.pth', 'cpu')
    shutil.rmtree(folder)
    arrays = {name: torch.from_numpy(value) for name, value in np.load(source/'milan_arrays.npz').items()}
    return captioner, arrays, json.loads((source/'milan.json').read_text())


# 37_checkpoints.ipynb, section "Reading without trusting"
def test_reading_without_trusting():
    class Evil:
        def __reduce__(self): return (eval, ("__import__('pathlib').Path('i_ran').write_text('!')",))

    folder = Path(tempfile.mkdtemp())
    torch.save({'properties': Evil(), 'state_dict': {}}, folder/'evil.pth')
    with expect_fail(MilanError, contains='is refused'): read(folder/'evil.pth')
    assert not Path('i_ran').exists()

    torch.save({'weights': torch.zeros(2)}, folder/'other.pth')
    (folder/'half.pth').write_bytes((folder/'other.pth').read_bytes()[:300])
    with expect_fail(MilanError, contains='not one of the original'): read(folder/'other.pth')
    with expect_fail(MilanError, contains='cannot be read'): read(folder/'half.pth')
    with expect_fail(MilanError, contains='does not exist'): read(folder/'none.pth')
    shutil.rmtree(folder)


# 37_checkpoints.ipynb, section "From its settings to ours"
def test_from_its_settings_to_ours():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        settings = _settings('old.pth', {'embedding_size': 32}, ['embedding_size', 'hidden_size'])
    test_eq(settings, {'embedding_size': 32, 'hidden_size': 512})
    str(caught[0].message)

    plain = {'properties': {'vocab': {'properties': {'tokens': ('red', 'things')}}, 'start': True}}
    test_eq(_vocabulary('x.pth', plain).words, ('red', 'things'))
    with expect_fail(MilanError, contains='no vocabulary'): _vocabulary('x.pth', {})
    plain['properties']['tokenize'] = {'properties': {'lemmatize': True}}
    with expect_fail(MilanError, contains="'lemmatize': True"): _vocabulary('x.pth', plain)


# 37_checkpoints.ipynb, section "A language model, a captioner"
def test_a_language_model_a_captioner():
    torch.manual_seed(0)
    vocabulary = Vocabulary(['things', 'red'])
    decoder, lm = Decoder(vocabulary, 1024, 4, 6), LanguageModel(vocabulary, 4, 5)
    network = original_encoder('resnet18', pretrained=False).network
    tensors = {**decoder.state_dict(), **{f'lm.{n}': v for n, v in lm.state_dict().items()},
               **{f'encoder.encoder.model.{n}': v for n, v in network.state_dict().items()}}
    indexer = {'properties': {'vocab': {'properties': {'tokens': vocabulary.words}}}}
    published = {'properties': {'indexer': indexer, 'encoder': {'properties': {'config': 'resnet18'}}, 'embedding_size': 4, 'hidden_size': 6,
                                'lm': {'properties': {'indexer': indexer, 'embedding_size': 4, 'hidden_size': 5, 'layers': 2, 'dropout': .5}},
                                'dropout': .5, 'length': 9, 'strategy': 'rerank', 'temperature': .2, 'beam_size': 7},
                 'children': {'encoder': 'PyramidConvEncoder'}, 'state_dict': tensors}
    folder = Path(tempfile.mkdtemp())
    torch.save(published, folder/'milan-tiny.pth')
    captioner = load(folder/'milan-tiny.pth', 'cpu')
    captioner, captioner.defaults

    for name, value in captioner.decoder.state_dict().items(): test_eq(value, decoder.state_dict()[name])
    for name, value in captioner.encoder.network.state_dict().items(): test_eq(value, network.state_dict()[name])
    assert not any(part.training for part in (captioner.decoder, captioner.lm, captioner.encoder))
    test_eq(captioner(torch.rand(1, 2, 3, 64, 64)).beam_tokens.shape, (1, 7, 9))
    captioner.save(folder/'ours')
    test_eq(Captioner.load(folder/'ours', 'cpu').defaults, captioner.defaults)

    del published['state_dict']['init_c.0.bias']
    torch.save(published, folder/'broken.pth')
    with expect_fail(MilanError, contains='init_c.0.bias'): load(folder/'broken.pth')
    published['children'] = {'encoder': 'SpatialConvEncoder'}
    published['state_dict']['init_c.0.bias'] = torch.zeros(6)
    torch.save(published, folder/'spatial.pth')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert load(folder/'spatial.pth', 'cpu').encoder is None
    assert 'SpatialConvEncoder' in str(caught[-1].message)
    torch.save({'properties': published['properties']['lm']['properties'], 'children': {}, 'state_dict': lm.state_dict()}, folder/'lm.pth')
    test_close(load_lm(folder/'lm.pth', 'cpu').log_prob(['red things']), lm.eval().log_prob(['red things']), 1e-6)
    with expect_fail(MilanError, contains='load_lm'): load(folder/'lm.pth')
    shutil.rmtree(folder)


# 37_checkpoints.ipynb, section "Parity: what the encoder sees"
@pytest.mark.oracle
def test_parity_what_the_encoder_sees_oracle():
    captioner, arrays, texts = golden()
    root = oracle_dir()/'data/tinynet/tinyset'
    images, masks = (torch.from_numpy(np.concatenate([np.load(root/layer/f'{name}.npy') for layer in ('conv1', 'layer2')])) for name in ('images', 'masks'))
    features = captioner.encode(images, masks)
    scale = arrays['features'].abs().max()
    assert (features - arrays['features']).abs().max() < 1e-4 * scale
    assert (captioner.encode(images) - arrays['features_nomask']).abs().max() < 1e-4 * scale
    test_eq(captioner.decode(features, original_scores=True).captions, texts['default']['captions'])
    large = np.load(oracle_dir()/'encoder_224.npz')
    ours = captioner.encode(torch.from_numpy(large['images']), torch.from_numpy(large['masks']))
    assert (ours - torch.from_numpy(large['pyramid_masked'])).abs().max() < 1e-4 * np.abs(large['pyramid_masked']).max()


# 37_checkpoints.ipynb, section "Parity: what the models say"
@pytest.mark.oracle
def test_parity_what_the_models_say_oracle():
    captioner, arrays, texts = golden()
    with torch.inference_mode(): log_probs, attention = captioner.decoder(arrays['features'], arrays['force.targets'])
    assert (log_probs - arrays['force.predictions']).abs().max() < 1e-4
    assert (attention - arrays['force.attentions']).abs().max() < 1e-5
    test_close(captioner.score(texts['force']['captions'], arrays['features']), arrays['score.nomi'], 1e-4)
    test_close(captioner.score(texts['force']['captions'], arrays['features'], mi=True), arrays['score.mi'], 1e-4)
    lm = captioner.lm
    with torch.inference_mode(): assert (lm(arrays['lm.ids']) - arrays['lm.lps']).abs().max() < 1e-4
    test_close(lm.log_prob(texts['lm_sentences']), arrays['lm.logp_fixed'].float(), 1e-4)
    test_close(load_lm(oracle_dir()/'lm.pth', 'cpu').log_prob(texts['lm_sentences']), arrays['lm.logp_fixed'].float(), 1e-4)

    ids = arrays['lm.ids']
    padded = ids[:, -1] == captioner.vocabulary.pad
    with torch.inference_mode(): log_p = lm(ids)
    stop = (ids == captioner.vocabulary.stop).int().argmax(1)
    extra = log_p[torch.arange(len(ids)), stop, captioner.vocabulary.pad]
    test_close(arrays['lm.logp_batch'].float(), lm.log_prob(texts['lm_sentences']) + torch.where(padded, extra, 0.), 1e-3)


# 37_checkpoints.ipynb, section "Parity: what the search finds"
@pytest.mark.oracle
def test_parity_what_the_search_finds_oracle():
    captioner, arrays, texts = golden()
    runs = {'greedy': {'strategy': 'greedy'}, 'greedy_mi': {'strategy': 'greedy', 'mi': True}, 'greedy_len6': {'strategy': 'greedy', 'length': 6},
            'beam10': {'strategy': 'beam', 'beam_size': 10}, 'beam10_mi': {'strategy': 'beam', 'beam_size': 10, 'mi': True},
            'rerank50': {'strategy': 'rerank', 'original_scores': True}, 'rerank50_t0.5': {'temperature': .5, 'original_scores': True},
            'default': {'original_scores': True}}
    found = {name: captioner.decode(arrays['features'], **settings) for name, settings in runs.items()}
    for name, output in found.items():
        expected = arrays[f'{name}.tokens']
        test_eq(output.tokens[:, :expected.shape[1]].tolist(), expected.tolist())
        test_eq(output.captions, texts[name]['captions'])
        if 'greedy' not in name: test_close(output.scores, arrays[f'{name}.scores'], 1e-4)
    for name in ('beam10', 'beam10_mi'):
        test_eq(found[name].beam_tokens.tolist(), arrays[f'{name}.beam_tokens'].tolist())
        test_close(found[name].beam_scores, arrays[f'{name}.beam_scores'], 1e-4)
    test_close(found['greedy'].attentions.sum((1, 2)), (found['greedy'].attentions.sum(2) > 0).sum(1).float(), 1e-4)

    output = found['rerank50']
    order = output.beam_likelihood.sort(dim=1, descending=True, stable=True).indices
    test_close(output.beam_likelihood.gather(1, order), arrays['rerank50.beam_scores'], 1e-4)
    test_close(output.beam_lm.gather(1, order), arrays['rerank50.lm_scores'], 1e-4)
    test_eq(output.beam_tokens.gather(1, order[:, :, None].expand_as(output.beam_tokens)).tolist(), arrays['rerank50.beam_tokens'].tolist())

    exact = captioner.decode(arrays['features'])
    test_close(exact.scores, exact.likelihood - .2 * captioner.lm.log_prob(exact.tokens), 1e-4)
    changed = [(a, b) for a, b in zip(exact.captions, texts['default']['captions']) if a != b]
    test_eq(len(changed), 1)

    steps = arrays['greedy.predictions'].max(2).values
    stopped = (found['greedy'].tokens == captioner.vocabulary.stop).cumsum(1) > 1
    test_close(found['greedy'].scores, steps.masked_fill(stopped, 0).sum(1), 1e-4)
    test_close(arrays['greedy.scores'], steps.sum(1), 1e-4)
    for unit in range(0, 24, 5): test_eq(captioner.decode(arrays['features'][unit:unit + 1]).captions, [captioner.decode(arrays['features']).captions[unit]])


# 37_checkpoints.ipynb, section "Parity: one step of training"
@pytest.mark.oracle
def test_parity_one_step_of_training_oracle():
    global read
    from milan.captioner.training import attention_loss, collect, word_loss

    captioner, arrays, texts = golden()
    decoder, lm, vocabulary = captioner.decoder, captioner.lm, captioner.vocabulary
    kept = [unit for unit in range(24) if unit not in texts['hold_out']]
    ids, unit, _ = collect(vocabulary, texts['annotations'], kept).batch(list(range(3 * len(kept))))
    with torch.no_grad(): log_probs, attention = decoder(arrays['features'], arrays['force.targets'])
    test_close(word_loss(log_probs, arrays['force.targets'], vocabulary.pad), torch.tensor(texts['force']['nll']), 1e-5)
    test_close(attention_loss(attention, arrays['force.targets'], vocabulary.pad, padding_too=True), torch.tensor(texts['force']['regularizer']), 1e-5)

    def compare(module, golden_step):
        off = torch.cat([(value - arrays[f'{golden_step}.{name}']).abs().flatten() for name, value in module.state_dict().items()])
        assert (off < 1e-5).float().mean() > .999 and off.max() < 2.1e-3, (off.max(), (off < 1e-5).float().mean())
        return off

    optimizer = torch.optim.AdamW(decoder.parameters(), fused=True)
    log_probs, attention = decoder(arrays['features'][unit], ids) # in evaluation mode: no dropout
    loss = word_loss(log_probs, ids, vocabulary.pad) + attention_loss(attention, ids, vocabulary.pad, padding_too=True)
    loss.backward(); optimizer.step()
    off = compare(decoder, 'step_decoder')

    everyone = collect(vocabulary, texts['annotations'], range(24))
    ids, _, _ = everyone.batch([i for i in range(72) if i not in texts['hold_out']])
    read = torch.nn.functional.pad(ids[:, :-1], (1, 0), value=vocabulary.start)
    optimizer = torch.optim.AdamW(lm.parameters(), fused=True)
    word_loss(lm(read), ids, vocabulary.pad).backward(); optimizer.step()
    off = compare(lm, 'step_lm')
