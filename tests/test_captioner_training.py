# Generated from nbs/35_training.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.lm import LanguageModel
from milan.captioner.search import search
from milan.captioner.text import Vocabulary
from milan.config import MilanError
from pathlib import Path
from torch import nn
from torch.nn import functional as F
import torch
from milan.captioner.training import (
    _lm_loss,
    _resume,
    attention_loss,
    collect,
    fit,
    split_units,
    train_decoder,
    train_lm,
    word_loss,
)
import pytest

import os
import shutil
import tempfile
from fastcore.test import expect_fail, test_close, test_eq

def small_world(units=60, seed=0):
    torch.manual_seed(seed)
    things = ['red circles', 'green squares', 'blue letters', 'dog faces', 'text on a wall']
    label = torch.arange(units) % len(things)
    features = .7 * torch.randn(units, 5, 12)
    features[:, :, :len(things)] += F.one_hot(label, len(things))[:, None]
    annotations = [[things[i], f'the {things[i]}', f'{things[i]} mostly'] for i in label]
    return features, annotations

import tempfile


# 35_training.ipynb, section "One split, by unit"
def test_one_split_by_unit():
    split_units(20, .2), split_units(6, .5, groups='aabbcc')

    test_eq(split_units(20, .2), split_units(20, .2))
    assert split_units(20, .2) != split_units(20, .2, seed=1)
    held = split_units(6, .34, groups='abcabc')
    test_eq([unit % 3 for unit in held], [held[0]] * 2)
    with expect_fail(MilanError, contains='5 groups for 6'): split_units(6, groups='aabbc')
    with expect_fail(MilanError, contains='cannot be split'): split_units(1)


# 35_training.ipynb, section "Batches of equal length"
def test_batches_of_equal_length():
    features, annotations = small_world()
    vocabulary = Vocabulary.build(text for texts in annotations for text in texts)
    samples = collect(vocabulary, annotations, range(60))
    [tuple(ids.shape) for ids, _, _ in samples.batches(32, torch.Generator().manual_seed(0))]

    seen = [row for ids, _, _ in samples.batches(32, torch.Generator().manual_seed(0)) for row in ids]
    test_eq(sorted(vocabulary.caption(row) for row in seen), sorted(vocabulary.caption(vocabulary.index(t)) for u in annotations for t in u))
    padding = [sum((ids == vocabulary.pad).sum().item() for ids, _, _ in batches)
               for batches in (samples.batches(32, torch.Generator().manual_seed(0)), samples.batches(32, torch.Generator().manual_seed(0), window=1))]
    assert padding[0] < padding[1], 'sorting within a window saves padding'
    padding


# 35_training.ipynb, section "What is minimised"
def test_what_is_minimised():
    ids = torch.tensor([[0, 1, 3], [2, 3, 3]])
    log_probs = torch.full((2, 3, 4), .25).log()
    test_close(word_loss(log_probs, ids, pad=3), torch.tensor(4.).log(), 1e-6)
    test_close(word_loss(log_probs, ids, pad=3, smoothing=.3), torch.tensor(4.).log(), 1e-6)
    log_probs[1, 0] = torch.tensor([.1, .1, .7, .1]).log()
    test_close(word_loss(log_probs, ids, pad=3, weight=torch.tensor([0., 5.])), -torch.tensor(.7).log(), 1e-6)
    word_loss(log_probs, ids, pad=3)

    attention = torch.tensor([[[1., 0.], [0., 1.], [.5, .5]], [[1., 0.], [0., 1.], [0., 1.]]])
    test_close(attention_loss(attention, ids, pad=3), torch.tensor(.25), 1e-6)
    test_close(attention_loss(attention, ids, pad=3, padding_too=True), torch.tensor(.375), 1e-6)


# 35_training.ipynb, section "The loop"
@pytest.mark.training
def test_the_loop():
    class Number(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.zeros(()))

    number = Number()
    log, best = fit(number, lambda epoch, generator: iter([-number.value]), lambda: {'validation_loss': abs(3 - number.value.item())},
                    learning_rate=1., weight_decay=0., epochs=20, patience=4, progress=False)
    test_close(number.value, torch.tensor(3.), 1e-3)
    test_eq(len(log), best + 1 + 4)
    log.round(2)

    with expect_fail(MilanError, contains='not a number'):
        fit(number, lambda epoch, generator: iter([number.value * torch.nan]), lambda: {'validation_loss': 0.}, progress=False)
    with expect_fail(MilanError, contains='at least 1'): fit(number, lambda epoch, generator: iter([]), dict, epochs=0, progress=False)


# 35_training.ipynb, section "The language model"
@pytest.mark.training
def test_the_language_model():
    features, annotations = small_world()
    held = split_units(60, .2)
    trained = train_lm(annotations, validation=held, embedding_size=16, hidden_size=32, learning_rate=.01, epochs=12, progress=False)
    trained.log.tail(3).round(3)

    known, never = trained.model.log_prob(['the dog faces', 'faces the dog wall'])
    assert known > never + 3
    test_eq(trained.validation, held)
    assert trained.log.validation_loss.iloc[-1] < trained.log.validation_loss.iloc[0]
    known, never

    vocabulary = Vocabulary.build(['red circles', 'the blue letters mostly'])
    torch.manual_seed(0)
    model = LanguageModel(vocabulary, 8, 16)
    ids, weight = vocabulary.batch(['red circles', 'the blue letters mostly'], start=False), torch.rand(2)
    test_close(_lm_loss(model.eval(), ids, weight), word_loss(model(F.pad(ids[:, :-1], (1, 0), value=vocabulary.start)), ids, vocabulary.pad, weight), 1e-5)


# 35_training.ipynb, section "The decoder"
@pytest.mark.training
def test_the_decoder():
    features, annotations = small_world()
    held = split_units(60, .2)
    small = {'embedding_size': 16, 'hidden_size': 48, 'learning_rate': .01, 'epochs': 10, 'validation': held, 'progress': False}
    trained = train_decoder(features, annotations, **small)
    trained.log.tail(3).round(3)

    found = search(trained.model, features[held], strategy='greedy')
    right = [any(trained.model.vocabulary.caption(ids).lower() == text for text in annotations[unit]) for ids, unit in zip(found.tokens, held)]
    test_eq(trained.log.best.sum(), 1)
    assert sum(right) >= .75 * len(right)
    [trained.model.vocabulary.caption(ids) for ids in found.tokens[:4]], f'{sum(right)} of {len(right)} right'

    def draw(epoch, generator):
        order = torch.stack([torch.randperm(5, generator=generator)[:3] for _ in range(60)])
        return features.gather(1, order[:, :, None].expand(-1, -1, 12))

    weights = [[1., .5, 0.] for _ in annotations]
    trained = train_decoder(draw, annotations, weights=weights, smoothing=.05, feature_noise=.1, feature_dropout=.05, criterion='bleu', **small)
    said = [trained.model.vocabulary.caption(ids) for ids in search(trained.model, features[held], strategy='greedy').tokens]
    assert not any('mostly' in text for text in said), 'annotations of weight 0 are not learnt'
    test_eq(trained.best_epoch, trained.log.bleu.idxmax())
    trained.log.bleu.round(1).tolist()

    with expect_fail(MilanError, contains='60 units are annotated'): train_decoder(features[:5], annotations, **small)
    with expect_fail(MilanError, contains='held out of 60'): train_decoder(features, annotations, **{**small, 'validation': [60]})
    with expect_fail(MilanError, contains='positive weight'): train_decoder(features, annotations, weights=[[0.] * 3] * 60, **small)


# 35_training.ipynb, section "Killed, and going on"
@pytest.mark.training
def test_killed_and_going_on():
    features, annotations = small_world()
    small = {'embedding_size': 8, 'hidden_size': 16, 'progress': False}
    folder = tempfile.mkdtemp()
    through = train_decoder(features, annotations, epochs=5, **small)
    train_decoder(features, annotations, epochs=3, checkpoint=f'{folder}/run.pt', **small)
    resumed = train_decoder(features, annotations, epochs=5, checkpoint=f'{folder}/run.pt', **small)
    test_eq(len(resumed.log), 5)
    for name, value in through.model.state_dict().items(): test_close(resumed.model.state_dict()[name], value, 1e-6)
    test_eq(os.listdir(folder), ['run.pt'])
    with expect_fail(MilanError, contains='other data or settings'):
        train_decoder(features, annotations, epochs=5, checkpoint=f'{folder}/run.pt', seed=1, **small)
    shutil.rmtree(folder)


# 35_training.ipynb, section "Errors"
def test_errors():
    global Path
    from pathlib import Path


    place = Path(tempfile.mkdtemp())/'decoder.checkpoint'
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    good = {'key': 'k', 'log': [], 'best': -1, 'weights': {}, 'model': model.state_dict(), 'optimizer': optimizer.state_dict()}
    for odd in ({**good, 'key': 'other'}, {**good, 'model': {}}, {**good, 'model': 3}, {**good, 'optimizer': {}}, {**good, 'optimizer': 3}, {'key': 'k'}, [1], 3):
        torch.save(odd, place)
        with expect_fail(MilanError, contains='decoder.checkpoint'): _resume(place, 'k', model, optimizer)
    for odd in (b'', b'my thesis'):
        place.write_bytes(odd)
        with expect_fail(MilanError, contains='decoder.checkpoint'): _resume(place, 'k', model, optimizer)
        test_eq(place.read_bytes(), odd)
