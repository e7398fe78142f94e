# Generated from nbs/07_captioner/06_search.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.decoder import Decoder
from milan.captioner.lm import LanguageModel
from milan.config import MilanError
from torch.nn import functional as F
import math
import torch
from milan.captioner.search import (
    _next_word,
    _survivors,
    beam,
    likelihood,
    sample,
    search,
)

from itertools import product
import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq
from milan.captioner.text import Vocabulary

def small_world(seed=0):
    torch.manual_seed(seed)
    texts = ['objects', 'red circles', 'green squares on a wall', 'the top of blue letters']
    label = torch.tensor([0] * 7 + [1, 2, 3] * 3)
    features = .5 * torch.randn(16, 5, 8)
    features[:, :, :4] += F.one_hot(label, 4)[:, None]
    vocabulary = Vocabulary.build(texts)
    decoder = Decoder(vocabulary, features=8, embedding_size=8, hidden_size=24)
    lm = LanguageModel(vocabulary, embedding_size=8, hidden_size=24, dropout=0.)
    ids = vocabulary.batch([texts[i] for i in label], start=False)
    read = F.pad(ids, (1, 0), value=vocabulary.start)
    optimizer = torch.optim.AdamW([*decoder.parameters(), *lm.parameters()], lr=.02)
    for _ in range(40):
        loss = F.nll_loss(decoder(features, ids)[0].flatten(0, 1), ids.flatten(), ignore_index=vocabulary.pad)
        loss = loss + F.cross_entropy(lm(read)[:, :-1].flatten(0, 1), ids.flatten(),
                                      ignore_index=vocabulary.pad, label_smoothing=0.3)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    return decoder.eval(), lm.eval(), features


# 06_search.ipynb, section "Next words"
def test_next_words():
    decoder, lm, features = small_world()
    with torch.inference_mode():
        models = _next_word(decoder, features)
        scores, _ = models.score(torch.full((16,), decoder.vocabulary.start), models.begin(), None)
    [decoder.vocabulary.words[i] for i in scores.argmax(1)]


# 06_search.ipynb, section "Beam search"
def test_beam_search():
    def one_round():
        "Two sentences of one unit, the first of which is finished; the second has three next words."
        unit, place = torch.tensor([0]), torch.tensor([1])
        return _survivors(torch.tensor([[.5, .25, .25]]).log(), torch.tensor([[-1., -2.]]), unit, place, stop=2)


    one_round()

    origin, word, kept = one_round()
    test_eq((origin.tolist(), word.tolist()), ([[0, 1]], [[2, 0]]))
    test_close(kept, torch.tensor([[-1., -2 + math.log(.5)]]), eps=1e-6)

    decoder, lm, features = small_world()
    ids, total = beam(_next_word(decoder, features[-1:]), size=5, length=8)
    [(decoder.vocabulary.caption(i), round(s, 2)) for i, s in zip(ids[0].tolist(), total[0].tolist())]

    numbers = range(len(decoder.vocabulary.words))
    stop = decoder.vocabulary.stop
    everything = [list(w) + [stop] * (3 - n) for n in range(4) for w in product(numbers, repeat=n)]
    with torch.no_grad():
        log_probs = decoder(features[-1:].expand(len(everything), -1, -1), torch.tensor(everything))[0]
    terms = log_probs.gather(2, torch.tensor(everything)[:, :, None])[:, :, 0]
    stopped = (torch.tensor(everything) == stop).cumsum(1) - (torch.tensor(everything) == stop).int() > 0
    true = terms.masked_fill(stopped, 0).sum(1).sort(descending=True)
    ids, total = beam(_next_word(decoder, features[-1:]), size=200, length=3)
    test_close(total[0, :30], true.values[:30], 1e-4)
    test_eq(ids[0, :5].tolist(), [everything[i] for i in true.indices[:5]])

    together, total = beam(_next_word(decoder, features), size=5, length=8)
    for i in (0, 8, 15):
        alone, score = beam(_next_word(decoder, features[i:i + 1]), size=5, length=8)
        test_eq(alone[0].tolist(), together[i].tolist())
        test_close(score[0], total[i], 1e-5)

    ids, total = beam(_next_word(decoder, features[:2]), size=50, length=1)
    test_eq(total.isfinite().sum(1).tolist(), [len(decoder.vocabulary.words) + 1] * 2)


# 06_search.ipynb, section "Sampling"
def test_sampling():
    decoder, lm, features = small_world()
    [[decoder.vocabulary.caption(i[0]) for i in sample(_next_word(decoder, features[6:9]), 8, seed)[0]]
     for seed in range(3)]

    firsts = torch.stack([sample(_next_word(decoder, features[6:7]), 1, seed)[0][0, 0, 0] for seed in range(400)])
    with torch.inference_mode():
        models = _next_word(decoder, features[6:7])
        expected = models.score(torch.tensor([decoder.vocabulary.start]), models.begin(), None)[0].softmax(1)[0]
    test_close(torch.bincount(firsts, minlength=len(expected)) / 400, expected, .1)
    test_eq(
        sample(_next_word(decoder, features), 8)[0][6].tolist(),
        sample(_next_word(decoder, features[6:7]), 8)[0][0].tolist(),
    )


# 06_search.ipynb, section "Scoring given words"
def test_scoring_given_words():
    decoder, lm, features = small_world()
    ids, total = beam(_next_word(decoder, features), size=1, length=8)
    terms, attention = likelihood(decoder, features, ids[:, 0])
    test_close(terms.sum(1), total[:, 0], 1e-5)
    terms[8].exp()

    test_eq((terms.shape, attention.shape), ((16, 8), (16, 8, 5)))
    for i in (0, 8): test_close(likelihood(decoder, features[i:i + 1], ids[i:i + 1, 0])[0], terms[i:i + 1], 1e-5)


# 06_search.ipynb, section "The whole search"
def test_the_whole_search():
    decoder, lm, features = small_world()
    found = search(decoder, features, lm, length=8, beam_size=20)
    [decoder.vocabulary.caption(i) for i in found.tokens]

    test_close(found.scores, found.likelihood - .2 * found.lm, 1e-4)
    assert (found.beam_scores.diff(dim=1) <= 0).all()
    test_close(lm.log_prob(found.beam_tokens[3]), found.beam_lm[3], 1e-5)
    test_close(found.attentions[0, 0].sum(), torch.tensor(1.), 1e-5)
    ordinary = [search(decoder, features, lm, length=8, beam_size=20, temperature=weight).lm.mean().item()
                for weight in (0.0, 0.2, 0.9)]
    assert ordinary[0] >= ordinary[1] > ordinary[2]
    ordinary

    unit, weight = 8, .2
    terms = [(found.beam_lm[unit, row].item(), found.beam_likelihood[unit, row].item(),
              decoder.vocabulary.caption(found.beam_tokens[unit, row])) for row in range(6)]
    figure, axis = plt.subplots(figsize=(7, 3), layout='constrained')
    for rank, (common, likely, text) in enumerate(terms, 1):
        axis.text(common, likely, str(rank), color='#0072b2' if rank == 1 else '#222222')
        axis.plot(common, likely, ' ', label=f'{rank}  {text}')
    across = torch.tensor([min(one[0] for one in terms) - 1, max(one[0] for one in terms) + 1])
    axis.plot(across, terms[0][1] + weight * (across - terms[0][0]), '--', color='#0072b2', linewidth=1)
    axis.set(
        xlabel='log p(d)',
        ylabel='log p(d | E)',
        title=f'Candidates of unit {unit}, and the line of the best score',
    )
    figure.legend(loc='outside right center', frameon=False, fontsize=8, handlelength=0);

    greedy, first = search(decoder, features, strategy='greedy', length=8), search(
        decoder, features, strategy='beam', beam_size=1, length=8
    )
    test_eq(greedy.tokens.tolist(), first.tokens.tolist())
    plain, zero = search(decoder, features, strategy='beam', beam_size=9, length=8), search(
        decoder, features, lm, beam_size=9, length=8, temperature=0.0
    )
    test_eq(plain.beam_tokens.tolist(), zero.beam_tokens.tolist())
    small = search(decoder, features, lm, length=8, beam_size=20, rows=20)
    test_eq(small.beam_tokens.tolist(), found.beam_tokens.tolist())
    word = search(decoder, features, lm, strategy='greedy', mi=True, length=8)
    test_close(word.scores, word.likelihood - .2 * word.lm, 1e-4)
    beams = search(decoder, features, lm, strategy='beam', mi=True, length=8, beam_size=20)
    test_close(beams.scores, beams.likelihood - .2 * beams.lm, 1e-4)
    test_eq(search(decoder, features[:0], lm).tokens.shape, (0, 15))

    slip = search(decoder, features, lm, length=8, beam_size=20, original_scores=True)
    early = (found.beam_tokens[:, :, -2] == decoder.vocabulary.stop) & found.beam_scores.isfinite()
    assert early.any() and (slip.beam_lm.sum() < found.beam_lm.sum())

    with expect_fail(MilanError, contains="'best'"): search(decoder, features, lm, strategy='best')
    with expect_fail(MilanError, contains='language model'): search(decoder, features)
    with expect_fail(MilanError, contains='not both'): search(decoder, features, lm, mi=True)
    with expect_fail(MilanError, contains='from 1 to'): search(decoder, features, lm, beam_size=0)
