# Generated from nbs/07_captioner/13_parity.ipynb by `make export`. Edit the notebook, not this file.

import pytest

import gzip
import json
import shutil
import tempfile
import warnings
from pathlib import Path
import numpy as np
import torch
from fastcore.test import test_close, test_eq
from milan.captioner.checkpoints import load, load_lm, read, save
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


# 13_parity.ipynb, section "What the encoder sees"
@pytest.mark.oracle
def test_what_the_encoder_sees_oracle():
    captioner, arrays, texts = golden()
    root = oracle_dir()/'data/tinynet/tinyset'
    images, masks = (torch.from_numpy(np.concatenate([np.load(root / layer / f'{name}.npy')
                                                      for layer in ('conv1', 'layer2')]))
                     for name in ('images', 'masks'))
    features = captioner.encode(images, masks)
    scale = arrays['features'].abs().max()
    assert (features - arrays['features']).abs().max() < 1e-4 * scale
    assert (captioner.encode(images) - arrays['features_nomask']).abs().max() < 1e-4 * scale
    test_eq(captioner.decode(features, original_scores=True).captions, texts['default']['captions'])
    large = np.load(oracle_dir()/'encoder_224.npz')
    ours = captioner.encode(torch.from_numpy(large['images']), torch.from_numpy(large['masks']))
    assert (ours - torch.from_numpy(large['pyramid_masked'])).abs().max() < 1e-4 * np.abs(
        large['pyramid_masked']
    ).max()


# 13_parity.ipynb, section "What the models say"
@pytest.mark.oracle
def test_what_the_models_say_oracle():
    captioner, arrays, texts = golden()
    with torch.inference_mode():
        log_probs, attention = captioner.decoder(arrays['features'], arrays['force.targets'])
    assert (log_probs - arrays['force.predictions']).abs().max() < 1e-4
    assert (attention - arrays['force.attentions']).abs().max() < 1e-5
    test_close(captioner.score(texts['force']['captions'], arrays['features']), arrays['score.nomi'], 1e-4)
    test_close(captioner.score(texts['force']['captions'], arrays['features'], mi=True), arrays['score.mi'], 1e-4)
    lm = captioner.lm
    with torch.inference_mode(): assert (lm(arrays['lm.ids']) - arrays['lm.lps']).abs().max() < 1e-4
    test_close(lm.log_prob(texts['lm_sentences']), arrays['lm.logp_fixed'].float(), 1e-4)
    test_close(load_lm(oracle_dir() / 'lm.pth', 'cpu').log_prob(texts['lm_sentences']),
               arrays['lm.logp_fixed'].float(), 1e-4)

    ids = arrays['lm.ids']
    padded = ids[:, -1] == captioner.vocabulary.pad
    with torch.inference_mode(): log_p = lm(ids)
    stop = (ids == captioner.vocabulary.stop).int().argmax(1)
    extra = log_p[torch.arange(len(ids)), stop, captioner.vocabulary.pad]
    test_close(
        arrays['lm.logp_batch'].float(), lm.log_prob(texts['lm_sentences']) + torch.where(padded, extra, 0.0),
        1e-3
    )


# 13_parity.ipynb, section "What the search finds"
@pytest.mark.oracle
def test_what_the_search_finds_oracle():
    captioner, arrays, texts = golden()
    runs = {
        'greedy': {'strategy': 'greedy'},
        'greedy_mi': {'strategy': 'greedy', 'mi': True},
        'greedy_len6': {'strategy': 'greedy', 'length': 6},
        'beam10': {'strategy': 'beam', 'beam_size': 10},
        'beam10_mi': {'strategy': 'beam', 'beam_size': 10, 'mi': True},
        'rerank50': {'strategy': 'rerank', 'original_scores': True},
        'rerank50_t0.5': {'temperature': 0.5, 'original_scores': True},
        'default': {'original_scores': True},
    }
    found = {name: captioner.decode(arrays['features'], **settings) for name, settings in runs.items()}
    for name, output in found.items():
        expected = arrays[f'{name}.tokens']
        test_eq(output.tokens[:, :expected.shape[1]].tolist(), expected.tolist())
        test_eq(output.captions, texts[name]['captions'])
        if 'greedy' not in name: test_close(output.scores, arrays[f'{name}.scores'], 1e-4)
    for name in ('beam10', 'beam10_mi'):
        test_eq(found[name].beam_tokens.tolist(), arrays[f'{name}.beam_tokens'].tolist())
        test_close(found[name].beam_scores, arrays[f'{name}.beam_scores'], 1e-4)
    test_close(found['greedy'].attentions.sum((1, 2)), (found['greedy'].attentions.sum(2) > 0).sum(1).float(),
               1e-4)

    output = found['rerank50']
    order = output.beam_likelihood.sort(dim=1, descending=True, stable=True).indices
    test_close(output.beam_likelihood.gather(1, order), arrays['rerank50.beam_scores'], 1e-4)
    test_close(output.beam_lm.gather(1, order), arrays['rerank50.lm_scores'], 1e-4)
    test_eq(output.beam_tokens.gather(1, order[:, :, None].expand_as(output.beam_tokens)).tolist(),
            arrays['rerank50.beam_tokens'].tolist())

    exact = captioner.decode(arrays['features'])
    test_close(exact.scores, exact.likelihood - .2 * captioner.lm.log_prob(exact.tokens), 1e-4)
    changed = [(a, b) for a, b in zip(exact.captions, texts['default']['captions']) if a != b]
    test_eq(len(changed), 1)

    steps = arrays['greedy.predictions'].max(2).values
    stopped = (found['greedy'].tokens == captioner.vocabulary.stop).cumsum(1) > 1
    test_close(found['greedy'].scores, steps.masked_fill(stopped, 0).sum(1), 1e-4)
    test_close(arrays['greedy.scores'], steps.sum(1), 1e-4)
    for unit in range(0, 24, 5):
        test_eq(captioner.decode(arrays['features'][unit : unit + 1]).captions,
                [captioner.decode(arrays['features']).captions[unit]])


# 13_parity.ipynb, section "The file itself"
@pytest.mark.oracle
def test_the_file_itself_oracle():
    def tree(value):
        """The keys and plain values of nested settings; the original leaves the attention's size open, as it is
    the state's."""
        return (
            {
                name: '…' if name in ('nlp', 'attention_hidden_size') else tree(inner)
                for name, inner in value.items()
            }
            if isinstance(value, dict)
            else value
        )

    folder = Path(tempfile.mkdtemp())
    (folder/'decoder.pth').write_bytes(gzip.decompress((oracle_dir()/'decoder.pth.gz').read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        captioner = load(folder/'decoder.pth', 'cpu')
        load_lm(oracle_dir()/'lm.pth', 'cpu')
        again = load(save(captioner, folder/'ours.pth'), 'cpu')
    theirs, ours = read(folder/'decoder.pth'), read(folder/'ours.pth')
    test_eq(tree(ours['properties']), tree(theirs['properties']))
    test_eq((ours['children'], list(ours['state_dict'])), (theirs['children'], list(theirs['state_dict'])))
    for name, value in theirs['state_dict'].items(): test_eq(ours['state_dict'][name], value)
    features = torch.from_numpy(np.load(oracle_dir()/'milan_arrays.npz')['features'])
    texts = json.loads((oracle_dir()/'milan.json').read_text())
    test_eq(again.decode(features, original_scores=True).captions, texts['default']['captions'])
    images = torch.from_numpy(np.load(oracle_dir()/'data/tinynet/tinyset/conv1/images.npy')[:2])
    test_eq(again.encode(images), captioner.encode(images))
    shutil.rmtree(folder)


# 13_parity.ipynb, section "One step of training"
@pytest.mark.oracle
def test_one_step_of_training_oracle():
    global read
    from milan.captioner.training import attention_loss, collect, word_loss

    captioner, arrays, texts = golden()
    decoder, lm, vocabulary = captioner.decoder, captioner.lm, captioner.vocabulary
    kept = [unit for unit in range(24) if unit not in texts['hold_out']]
    ids, unit, _ = collect(vocabulary, texts['annotations'], kept).batch(list(range(3 * len(kept))))
    with torch.no_grad(): log_probs, attention = decoder(arrays['features'], arrays['force.targets'])
    test_close(word_loss(log_probs, arrays['force.targets'], vocabulary.pad), torch.tensor(texts['force']['nll']),
               1e-5)
    test_close(attention_loss(attention, arrays['force.targets'], vocabulary.pad, padding_too=True),
               torch.tensor(texts['force']['regularizer']), 1e-5)

    def compare(module, golden_step):
        off = torch.cat([(value - arrays[f'{golden_step}.{name}']).abs().flatten()
                         for name, value in module.state_dict().items()])
        assert (off < 1e-5).float().mean() > .999 and off.max() < 2.1e-3, (off.max(), (off < 1e-5).float().mean())
        return off

    optimizer = torch.optim.AdamW(decoder.parameters(), fused=True)
    log_probs, attention = decoder(arrays['features'][unit], ids) # in evaluation mode: no dropout
    loss = word_loss(log_probs, ids, vocabulary.pad) + attention_loss(
        attention, ids, vocabulary.pad, padding_too=True
    )
    loss.backward(); optimizer.step()
    off = compare(decoder, 'step_decoder')

    everyone = collect(vocabulary, texts['annotations'], range(24))
    ids, _, _ = everyone.batch([i for i in range(72) if i not in texts['hold_out']])
    read = torch.nn.functional.pad(ids[:, :-1], (1, 0), value=vocabulary.start)
    optimizer = torch.optim.AdamW(lm.parameters(), fused=True)
    word_loss(lm(read), ids, vocabulary.pad).backward(); optimizer.step()
    off = compare(lm, 'step_lm')
