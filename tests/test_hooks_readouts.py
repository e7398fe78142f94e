# Generated from nbs/03_hooks/05_readouts.ipynb by `make export`. Edit the notebook, not this file.

from milan.hooks.readouts import (
    _normalisation,
    _require_size,
    _Saved,
    _sparsify,
    _tensor,
    _top_k,
    load,
)

import json
import os
import tempfile
from pathlib import Path

import torch
from fastcore.test import expect_fail, test_eq
from safetensors.torch import save_file
from torch.nn.functional import layer_norm

from milan.config import MilanError
from milan.hooks.layers import Layer


def numbers(*shape, seed=0):
    "Normal random numbers."
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def saved(settings, tensors, names=('cfg.json', 'sae_weights.safetensors')):
    "A new folder with a file of settings and one of tensors, as a library would write them."
    folder = Path(tempfile.mkdtemp())
    (folder/names[0]).write_text(json.dumps(settings))
    write = save_file if names[1].endswith('safetensors') else torch.save
    write(tensors, folder/names[1])
    return folder


def saved_saev(header, tensors):
    "A file of saev: a line of JSON, then a torch state."
    path = Path(tempfile.mkdtemp())/'sae.pt'
    with path.open('wb') as file:
        file.write(json.dumps(header).encode() + b'\n')
        torch.save(tensors, file)
    return path


def bare(channels=6, features=24):
    "The weights that most libraries have, under SAELens' names."
    return {'W_enc': numbers(channels, features), 'b_enc': numbers(features, seed=1),
            'W_dec': numbers(features, channels, seed=2), 'b_dec': numbers(channels, seed=3)}


x = numbers(50, 6, seed=4) * 2


# 05_readouts.ipynb, section "The files"
def test_the_files():
    some = _Saved(Path('cfg.json'), {'k': 8, 'architecture': 'topk'}, Path('sae.pt'), {})
    test_eq([some.setting('k', int), some.setting('d_in', int, 5), some.choice('architecture', ['topk'])],
            [8, 5, 'topk'])
    with expect_fail(MilanError, contains='cfg.json: d_in is None, not int'): some.setting('d_in', int)
    with expect_fail(MilanError, contains="cfg.json: architecture is 'topk', and only relu can be read"):
        some.choice('architecture', ['relu'])

    some = _Saved(Path('cfg.json'), {'d_in': 7}, Path('sae.pt'), {'b': torch.ones(3).bfloat16()})
    test_eq(_tensor(some, 'b', 3).dtype, torch.float32)
    with expect_fail(MilanError, contains="sae.pt lacks the tensor 'c', and holds b"): _tensor(some, 'c', 3)
    with expect_fail(MilanError, contains='b has the shape (3,), not (any, 3)'): _tensor(some, 'b', None, 3)
    with expect_fail(MilanError, contains='d_in is 7, and the weights in sae.pt say 6'):
        _require_size(some, {'d_in': 6})

    test_eq([_top_k(some, 3, 24), _normalisation(some, 'none')], [3, 'none'])
    for k in (0, 25, '3', None):
        with expect_fail(MilanError, contains='an integer from 1 to 24'): _top_k(some, k, 24)


# 05_readouts.ipynb, section "sparsify"
def test_sparsify():
    linear = {'encoder.weight': numbers(24, 6), 'encoder.bias': numbers(24, seed=1), 'b_dec': numbers(6, seed=3)}
    files = Path('cfg.json'), Path('sae.safetensors')
    read = _sparsify(_Saved(files[0], {'k': 4, 'd_in': 6}, files[1], linear))(x)
    inner = ((x - linear['b_dec']) @ linear['encoder.weight'].T + linear['encoder.bias']).relu()
    kept = inner.topk(4)
    torch.testing.assert_close(read, torch.zeros_like(inner).scatter(1, kept.indices, kept.values))
    transcoder = _sparsify(_Saved(files[0], {'k': 24, 'transcode': True}, files[1], linear))
    torch.testing.assert_close(transcoder(x), (x @ linear['encoder.weight'].T + linear['encoder.bias']).relu())
    test_eq((read > 0).sum(1).max(), 4)


# 05_readouts.ipynb, section "Load"
def test_load():
    parts = bare()
    inner = (x - parts['b_dec']) @ parts['W_enc'] + parts['b_enc']
    plain = {'encoder.weight': parts['W_enc'].T.contiguous(), 'encoder.bias': parts['b_enc'],
             'b_dec': parts['b_dec']}
    kept = inner.topk(4)
    expected = torch.zeros_like(inner).scatter(1, kept.indices, kept.values.relu())
    trainer = {'dict_class': 'AutoEncoderTopK', 'k': 4, 'activation_dim': 6, 'dict_size': 24}
    folders = {
        'SAELens': saved({'architecture': 'topk', 'k': 4, 'd_in': 6, 'd_sae': 24}, parts),
        'SAELens before 6': saved({'activation_fn_str': 'topk', 'activation_fn_kwargs': {'k': 4}}, parts),
        'sparsify': saved({'k': 4, 'd_in': 6}, plain, ('cfg.json', 'sae.safetensors')),
        'dictionary_learning': saved({'trainer': trainer}, plain, ('config.json', 'ae.pt')),
        'ViT-Prisma': saved({'activation_fn_str': 'topk', 'activation_fn_kwargs': {'k': 4}, 'd_in': 6,
                             'normalize_activations': 'none'}, parts, ('config.json', 'weights.pt'))}
    for name, folder in folders.items():
        torch.testing.assert_close(load(folder)(x), expected, msg=name)
    load(folders['SAELens'])

    test_eq(load(folders['ViT-Prisma']/'weights.pt').k, 4)                     # the file instead of its folder
    half = saved({'architecture': 'topk', 'k': 4}, {name: part.bfloat16() for name, part in parts.items()})
    test_eq((load(half).weight.dtype, load(half)(x).dtype), (torch.float32, torch.float32))

    later = x @ parts['W_enc'] + parts['b_enc']
    first = saved_saev({'d_vit': 6, 'exp_factor': 4}, parts)
    torch.testing.assert_close(load(first)(x), inner.relu())


    def schema(number, kind, **params):
        "A header of saev."
        activation = {'cls': kind, 'params': params}
        return {'schema': number, 'cfg': {'d_model': 6, 'd_sae': 24, 'activation': activation}}


    torch.testing.assert_close(load(saved_saev(schema(5, 'Relu'), parts).parent)(x), later.relu())
    kept = later.topk(20)
    signed = load(saved_saev(schema(3, 'TopK', top_k=20), parts))(x)
    torch.testing.assert_close(signed, torch.zeros_like(later).scatter(1, kept.indices, kept.values))
    assert (signed < 0).any()
    batch = load(saved_saev(schema(2, 'BatchTopK', top_k=4), parts | {'activation.threshold': torch.tensor(1.5)}))
    torch.testing.assert_close(batch(x), later * (later > 1.5))

    dictionary, maps = load(folders['SAELens']), numbers(2, 6, 3, 5, seed=5)
    features = Layer('layer3', readout=dictionary, label='sae').maps(maps)
    torch.testing.assert_close(features[1, :, 2, 4], dictionary(maps[1, :, 2, 4]))
    tokens = Layer('blocks.9', readout=dictionary, grid=(3, 5)).maps(maps.flatten(2).transpose(1, 2))
    torch.testing.assert_close(tokens, features)
    features.shape


# 05_readouts.ipynb, section "Every kind"
def test_every_kind():
    def codes(settings, tensors, *names): return load(saved(settings, tensors, *names))(x)


    parts = bare()
    centred = (x - parts['b_dec']) @ parts['W_enc']
    inner, bias = centred + parts['b_enc'], x @ parts['W_enc'] + parts['b_enc']
    threshold = numbers(24, seed=6)
    jump = lambda h: torch.where(h > threshold.clamp(min=0), h, 0)
    agree = torch.testing.assert_close
    agree(codes({}, parts), inner.relu())
    agree(codes({'apply_b_dec_to_input': False}, parts), bias.relu())
    agree(codes({'architecture': 'jumprelu'}, parts | {'threshold': threshold}), jump(inner))
    agree(codes({'architecture': 'batchtopk', 'k': 4.5}, parts | {'topk_threshold': torch.tensor(2.).double()}),
          inner * (inner > 2))
    norms = parts['W_dec'].norm(dim=1)
    scaled = codes({'architecture': 'topk', 'k': 3, 'rescale_acts_by_decoder_norm': True}, parts)
    agree(scaled.sum(1), (inner * norms).topk(3).values.relu().sum(1))
    normed = layer_norm(x, (6,), eps=0) * (5 / 6)**.5                       # the unbiased standard deviation
    agree(codes({'normalize_activations': 'layer_norm'}, parts),
          ((normed - parts['b_dec']) @ parts['W_enc'] + parts['b_enc']).relu(), atol=1e-3, rtol=1e-3)

    gate = {'r_mag': numbers(24, seed=7), 'b_gate': numbers(24, seed=8), 'b_mag': numbers(24, seed=9)}
    gated = (centred + gate['b_gate'] > 0) * (centred * gate['r_mag'].exp() + gate['b_mag']).relu()
    agree(codes({'architecture': 'gated'}, parts | gate), gated)
    prisma = ('config.json', 'n_images_100.pt')
    agree(codes({'architecture': 'gated', 'normalize_activations': 'none'}, parts | gate, prisma), gated)
    unit = x * 6**.5 / x.norm(dim=1, keepdim=True)
    agree(codes({'activation_fn_str': 'relu', 'normalize_activations': 'constant_norm_rescale'},
                {'state_dict': parts}, prisma),
          ((unit - parts['b_dec']) @ parts['W_enc'] + parts['b_enc']).relu())

    def of_class(name, tensors, **more):
        "Codes of a class of dictionary_learning."
        return codes({'trainer': {'dict_class': name, **more}}, tensors, ('config.json', 'ae.pt'))


    linear = {'encoder.weight': parts['W_enc'].T.contiguous(), 'encoder.bias': parts['b_enc'],
              'decoder.weight': parts['W_dec'].T.contiguous()}
    cut = {'threshold': torch.tensor(1.), 'b_dec': parts['b_dec'], 'k': torch.tensor(4)}
    agree(of_class('AutoEncoder', linear | {'bias': parts['b_dec']}), inner.relu() * norms)
    agree(of_class('AutoEncoderNew', linear | {'decoder.bias': parts['b_dec']}), bias.relu())
    agree(of_class('BatchTopKSAE', linear | cut, k=4), inner * (inner > 1))
    agree(of_class('MatryoshkaBatchTopKSAE', parts | cut, k=4), inner * (inner > 1))
    agree(of_class('JumpReluAutoEncoder', parts | {'threshold': threshold}), jump(bias))
    names = {'r_mag': gate['r_mag'], 'gate_bias': gate['b_gate'], 'mag_bias': gate['b_mag'],
             'decoder_bias': parts['b_dec']}
    agree(of_class('GatedAutoEncoder', {'encoder.weight': linear['encoder.weight']} | names), gated)


# 05_readouts.ipynb, section "Nothing is run"
def test_nothing_is_run():
    class Malicious:
        "Pickled, it is a call of `os.mkdir`."
        def __init__(self, folder): self.folder = str(folder)
        def __reduce__(self): return os.mkdir, (self.folder,)


    harm = Path(tempfile.mkdtemp())/'harm'
    bad = bare() | {'extra': Malicious(harm)}
    places = [saved({'trainer': {'dict_class': 'AutoEncoderNew'}}, bad, ('config.json', 'ae.pt')),
              saved({}, bad, ('config.json', 'weights.pt')), saved_saev({'d_vit': 6}, bad)]
    for place in places:
        with expect_fail(MilanError, contains='it was not run'): load(place)
    assert not harm.exists()


# 05_readouts.ipynb, section "Errors"
def test_errors():
    parts = bare()


    def refused(place, *said):
        "The error has all of these words."
        for words in said:
            with expect_fail(MilanError, contains=words): load(place)


    refused(Path(tempfile.mkdtemp())/'nowhere', 'nowhere is no saved dictionary (does not exist)',
            'one .pt of saev')
    refused(tempfile.mkdtemp(), 'it is empty')
    other = Path(tempfile.mkdtemp())
    (other/'model.pth').touch()
    refused(other, '(model.pth)', 'cfg.json with sae.safetensors')
    without = saved({}, parts)
    (without/'cfg.json').unlink()
    refused(without, '(sae_weights.safetensors)')

    parts = bare()


    def refused(settings, tensors, names, *said):
        "The error has all of these words."
        place = saved(settings, tensors, names)
        for words in said:
            with expect_fail(MilanError, contains=words): load(place)


    lens = ('cfg.json', 'sae_weights.safetensors')
    for kind in ('transcoder', 'temporal', 'matching_pursuit', 7):
        refused({'architecture': kind}, parts, lens, 'cfg.json: architecture is')
    refused({'activation_fn': 'tanh-relu'}, parts, lens, "activation_fn is 'tanh-relu'", 'a module or a function')
    for wrong in (0, 25, None, '4', 2.5, True):
        refused({'architecture': 'topk', 'k': wrong}, parts, lens, 'from 1 to 24')
    for wrong in ('expected_average_only_in', 'covariance_whitening', True, ['none']):
        refused({'normalize_activations': wrong}, parts, lens, 'cfg.json: normalize_activations is', 'fold them')
    refused({'d_in': 768}, parts, lens, 'cfg.json: d_in is 768', 'say 6')
    refused({'apply_b_dec_to_input': 'yes'}, parts, lens, "apply_b_dec_to_input is 'yes', not bool")
    refused({}, {'W_enc': parts['W_enc']}, lens, "weights.safetensors lacks the tensor 'b_dec', and holds W_enc")
    refused({}, parts | {'b_enc': numbers(23)}, lens, 'b_enc has the shape (23,), not (24)')
    refused({}, parts | {'W_enc': numbers(6)}, lens, 'W_enc has the shape (6,), not (any, any)')
    refused({}, parts | {'b_enc': torch.full((24,), torch.nan)}, lens, 'b_enc is not made of finite')
    refused({}, parts | {'W_enc': torch.ones(6, 24, dtype=torch.int8)}, lens, 'W_enc is not made of finite')
    refused({'architecture': 'gated'}, parts, lens, "lacks the tensor 'r_mag'")
    refused({'architecture': 'jumprelu'}, parts, lens, "lacks the tensor 'threshold'")
    refused([], parts, lens, 'cfg.json holds list')

    parts = bare()
    sparsify, prisma, learning = (('cfg.json', 'sae.safetensors'), ('config.json', 'weights.pt'),
                                  ('config.json', 'ae.pt'))


    def refused(settings, tensors, names, *said):
        "The error has all of these words."
        place = saved(settings, tensors, names)
        for words in said:
            with expect_fail(MilanError, contains=words): load(place)


    refused({'activation': 'groupmax'}, parts, sparsify, "activation is 'groupmax', and only topk")
    refused({'signed': True}, parts, sparsify, 'signed is true')
    refused({'trainer': {'dict_class': 'IdentityDict'}}, parts, learning, "dict_class is 'IdentityDict'")
    refused({'trainer': {}}, parts, learning, 'dict_class is None')
    refused({'trainer': {'dict_class': 'JumpReluAutoEncoder', 'dict_size': 9}},
            parts | {'threshold': numbers(24)}, learning, 'dict_size is 9')
    refused({'architecture': 'jumprelu'}, parts, prisma, "architecture is 'jumprelu', and only standard, gated")
    refused({'is_transcoder': True}, parts, prisma, 'is_transcoder is set')
    refused({}, [1, 2], prisma, 'weights.pt holds list')
    several = saved({}, parts, prisma)
    (several/'second.pt').write_bytes((several/'weights.pt').read_bytes())
    with expect_fail(MilanError, contains='several autoencoders (second.pt, weights.pt)'): load(several)
    damaged = saved({}, parts, prisma)
    (damaged/'config.json').write_text('{"d_in": ')
    with expect_fail(MilanError, contains='config.json holds no settings as JSON'): load(damaged)
    (damaged/'config.json').write_text('{}')
    (damaged/'weights.pt').write_bytes((damaged/'weights.pt').read_bytes()[:300])
    with expect_fail(MilanError, contains='weights.pt cannot be read'): load(damaged)
    for header, said in (({'schema': 1, 'cfg': {}}, 'file of schema 1'), ({'schema': 6}, 'schema is 6'),
                         ({'schema': 4, 'cfg': {'activation': {'cls': 'Relu6'}}}, "cls is 'Relu6'"),
                         ({'schema': 4}, 'cfg is None, not dict'), ({'d_vit': 7}, 'd_vit is 7')):
        with expect_fail(MilanError, contains=said): load(saved_saev(header, parts))
    with expect_fail(MilanError, contains="lacks the tensor 'W_enc'"): load(saved_saev({'d_vit': 6}, {}))
