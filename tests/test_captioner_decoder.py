# Generated from nbs/07_captioner/05_decoder.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.text import Vocabulary
from milan.config import MilanError
from torch.nn import functional as F
import torch
from milan.captioner.decoder import (
    _Product,
    attend_rows,
    Attention,
    Decoder,
    mix,
)

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq


# 05_decoder.ipynb, section "Attention"
def test_attention():
    torch.manual_seed(0)
    attention = Attention(query_size=6, key_size=4, hidden_size=5)
    query, exemplars = torch.randn(2, 6), torch.randn(2, 3, 4)
    weights = attention(attention.query_to_hidden(query), attention.key_to_hidden(exemplars))
    weights

    test_close(weights.sum(1), torch.ones(2), 1e-6)
    test_eq(weights.shape, (2, 3))

    rows, unit = torch.randn(700, 5), torch.randint(2, (700,))
    keys = attention.key_to_hidden(exemplars)
    attend_rows(attention, rows, keys, unit)[:2]

    test_close(attend_rows(attention, rows, keys, unit), attention(rows, keys[unit]), 1e-6)
    test_close(attend_rows(attention, attention.query_to_hidden(query), keys, None), weights, 1e-6)

    torch.manual_seed(0)
    features, weights = torch.randn(3, 4, 5), torch.rand(6, 4)
    unit = torch.tensor([0, 0, 0, 2, 2, 2])
    test_close(mix(weights, features, unit), torch.einsum('rk,rkf->rf', weights, features[unit]), 1e-6)
    test_close(mix(weights[:3], features, None), torch.einsum('rk,rkf->rf', weights[:3], features), 1e-6)
    mix(weights, features, unit).shape


# 05_decoder.ipynb, section "The decoder"
def test_the_decoder():
    torch.manual_seed(0)
    weight, first, second = (torch.randn(3, 3, dtype=torch.double, requires_grad=True) for _ in range(3))
    tape = []
    once = _Product.apply(first, weight, tape, True)
    twice = _Product.apply(once.tanh() + second, weight, tape, False)
    torch.autograd.grad(twice.sum(), weight)[0]

    plainly = (torch.tanh(first @ weight.T) + second) @ weight.T
    for count in range(2): # a tape serves one pass after another
        again = _Product.apply(_Product.apply(first, weight, tape, True).tanh() + second, weight, tape, False)
        test_close(
            torch.autograd.grad(again.sum(), weight)[0],
            torch.autograd.grad(plainly.sum(), weight, retain_graph=True)[0],
            1e-12,
        )


# 05_decoder.ipynb, section "Against the formula"
def test_against_the_formula():
    torch.manual_seed(0)
    vocabulary = Vocabulary.build(['red circles', 'red squares', 'green circles'])
    decoder = Decoder(vocabulary, features=6, embedding_size=4, hidden_size=5, attention_hidden_size=3).eval()
    features, ids = torch.randn(2, 7, 6), vocabulary.batch(['red circles', 'red'], start=False)
    with torch.no_grad(): log_probs, attention = decoder(features, ids)
    log_probs.shape, attention.shape

    def naive(x, words):
        h, c, result, seen, last = decoder.init_h(x.mean(0)), decoder.init_c(x.mean(0)), [], [], vocabulary.start
        for word in words:
            scores = decoder.attend.output(torch.tanh(decoder.attend.query_to_hidden(h)
                                                      + decoder.attend.key_to_hidden(x)))
            weights = scores[:, 0].softmax(0)
            context = decoder.feature_gate(h) * (weights[:, None] * x).sum(0)
            h, c = (s[0] for s in decoder.lstm(torch.cat([decoder.embedding.weight[last], context])[None],
                                               (h[None], c[None])))
            result.append(decoder.output(h).log_softmax(0))
            seen.append(weights)
            last = word
        return torch.stack(result), torch.stack(seen)

    with torch.no_grad():
        for i in range(2):
            test_close(naive(features[i], ids[i])[0], log_probs[i], 1e-5)
            test_close(naive(features[i], ids[i])[1], attention[i], 1e-6)

    decoder, features = decoder.double(), features.double().requires_grad_()

    def gradients(said):
        for value in (features, *decoder.parameters()): value.grad = None
        log_probs, attention = said
        (log_probs.gather(2, ids[:, :, None]).sum() + ((1 - attention.sum(1))**2).sum()).backward()
        return {'features': features.grad, **{name: value.grad for name, value in decoder.named_parameters()}}

    ours, theirs = gradients(decoder(features, ids)), gradients(
        [torch.stack(both) for both in zip(*(naive(features[i], ids[i]) for i in range(2)))]
    )
    for name, value in theirs.items(): test_close(ours[name], value, 1e-10)
    {name: f'{value.abs().max().item():.3f}' for name, value in list(ours.items())[:4]}

    with expect_fail(MilanError, contains='(units, k, 6)'): decoder.check(torch.randn(2, 7, 5))
    with expect_fail(MilanError, contains='unit 1'):
        decoder.check(torch.stack([torch.zeros(7, 6), torch.full((7, 6), torch.nan)]))
    test_eq(decoder.check(features).shape, (2, 7, 6))


# 05_decoder.ipynb, section "It learns to look"
def test_it_learns_to_look():
    torch.manual_seed(0)
    texts = ['red circles', 'green squares', 'blue letters', 'white noise']
    vocabulary = Vocabulary.build(texts)
    decoder = Decoder(vocabulary, features=4, embedding_size=8, hidden_size=32, dropout=0.)
    label, place = torch.randint(4, (40,)), torch.randint(5, (40,))
    features = .1 * torch.randn(40, 5, 4)
    features[torch.arange(40), place] += 3 * F.one_hot(label, 4)
    ids = vocabulary.batch([texts[i] for i in label], start=False)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=.01)
    for _ in range(150):
        log_probs, attention = decoder(features, ids)
        loss = F.nll_loss(log_probs.flatten(0, 1), ids.flatten())
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    right = attention[:, 0].argmax(1) == place
    loss.item(), right.float().mean().item()

    assert loss < .05
    assert right.float().mean() > .5, 'chance is one in five'

    figure, axes = plt.subplots(figsize=(6, 2.2), layout='constrained')
    axes.imshow(attention[:12, 0].detach().T, cmap='Blues', vmin=0, vmax=1)
    axes.scatter(range(12), place[:12], marker='x', color='#d55e00', label='the exemplar that shows something')
    axes.set(xlabel='unit', ylabel='exemplar', title='Attention at the first word (dark: 1)')
    figure.legend(loc='outside lower center', frameon=False);
