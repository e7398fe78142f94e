# Generated from nbs/07_captioner/04_lm.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.text import Vocabulary
from milan.config import MilanError
from torch.nn import functional as F
import torch
from milan.captioner.lm import (
    LanguageModel,
    prefix_log_prob,
)

import math
from itertools import product
from fastcore.test import expect_fail, test_close, test_eq


# 04_lm.ipynb, section "Sentences share their beginnings"
def test_sentences_share_their_beginnings():
    torch.manual_seed(0)
    vocabulary = Vocabulary.build(['red circles', 'red squares', 'green circles on a red background'])
    model = LanguageModel(vocabulary, embedding_size=8, hidden_size=16)
    sentences = ['red circles', 'red squares', 'green circles on a red background', 'blue']
    model.log_prob(sentences)

    def naive(sentence):
        ids = torch.tensor([vocabulary.index(sentence)])
        with torch.no_grad(): return model.eval()(ids)[0, :-1].gather(1, ids[0, 1:, None]).sum()

    test_close(model.log_prob(sentences), torch.stack([naive(sentence) for sentence in sentences]), 1e-5)
    test_close(model.log_prob(sentences)[:1], model.log_prob(sentences[:1]), 1e-6)
    ids = vocabulary.batch(sentences)
    test_close(model.read(ids[:, :1]), model.read(ids)[:, :1], 1e-6)
    test_close(prefix_log_prob(model, vocabulary.batch(sentences, start=False), chunk=1),
               model.log_prob(sentences), 1e-6)
    with expect_fail(MilanError, contains='several'): model.log_prob('red circles')

    words = 2 + 1 # and the stop
    test_close(model.perplexity(['red circles']), math.exp(-naive('red circles').item() / words), 1e-4)
    with torch.no_grad(): model.output[0].weight.zero_(), model.output[0].bias.zero_()
    test_close(model.perplexity(sentences), len(vocabulary), 1e-4)
    with expect_fail(MilanError, contains='at least one'): model.perplexity([])
    model.perplexity(sentences)

    numbers = [i for i in range(len(vocabulary)) if i not in (vocabulary.stop, vocabulary.pad)]
    whole = [list(words) + [vocabulary.stop] for length in range(3) for words in product(numbers, repeat=length)]
    begun = [list(words) for words in product(numbers, repeat=3)]
    ids = torch.full((len(whole) + len(begun), 4), vocabulary.pad)
    for i, row in enumerate(whole + begun): ids[i, :len(row)] = torch.tensor(row)
    # the model may put a little on `pad`, which no sentence holds: ban it
    with torch.no_grad(): model.output[0].bias[vocabulary.pad] = -1e9
    total = prefix_log_prob(model, ids).exp().sum()
    test_close(total, 1., 1e-4)
    total


# 04_lm.ipynb, section "It learns"
def test_it_learns():
    torch.manual_seed(0)
    vocabulary = Vocabulary.build(['red circles', 'red squares', 'green circles'])
    model = LanguageModel(vocabulary, embedding_size=8, hidden_size=16)
    ids = vocabulary.batch(['red circles', 'red squares', 'green circles'])
    optimizer = torch.optim.AdamW(model.parameters(), lr=.02)
    before = model.log_prob(['red circles', 'circles red'])
    for _ in range(60):
        loss = F.nll_loss(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=vocabulary.pad)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    after = model.log_prob(['red circles', 'circles red'])
    assert after[0] > -2 and after[0] > after[1] + 2 and after[0] > before[0]
    before.tolist(), after.tolist()
