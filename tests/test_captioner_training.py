# Generated from nbs/07_captioner/07_training.ipynb by `make export`. Edit the notebook, not this file.

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
    average_loss,
    collect,
    DecoderConfig,
    fit,
    LanguageModelConfig,
    Samples,
    split_annotations,
    split_units,
    train_decoder,
    train_lm,
    TrainConfig,
    training_vocabulary,
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


# 07_training.ipynb, section "One split, by unit"
def test_one_split_by_unit():
    split_units(20, .2), split_units(6, .5, groups='aabbcc')

    test_eq(split_units(20, .2), split_units(20, .2))
    assert split_units(20, .2) != split_units(20, .2, seed=1)

    held = split_units(6, .34, groups='abcabc')
    test_eq([unit % 3 for unit in held], [held[0]] * 2)


# 07_training.ipynb, section "Batches of similar length"
def test_batches_of_similar_length():
    Samples([[4, 1], [5, 6, 1]], torch.tensor([0, 0]), torch.ones(2), pad=3).batch([0, 1])[0]

    three = Samples([[1] * n for n in (3, 1, 2)], torch.arange(3), torch.ones(3), pad=0)
    test_eq([len(ids[0]) for ids, _, _ in three.batches(1)], [1, 2, 3])

    features, annotations = small_world()
    vocabulary = Vocabulary.build(text for texts in annotations for text in texts)
    samples = collect(vocabulary, annotations, range(60))
    [tuple(ids.shape) for ids, _, _ in samples.batches(32, torch.Generator().manual_seed(0))]

    seen = [row for ids, _, _ in samples.batches(32, torch.Generator().manual_seed(0)) for row in ids]
    expected = [vocabulary.caption(vocabulary.index(text)) for texts in annotations for text in texts]
    test_eq(sorted(vocabulary.caption(row) for row in seen), sorted(expected))

    def padding(window):
        "Padding tokens in one epoch."
        batches = samples.batches(32, torch.Generator().manual_seed(0), window)
        return sum((ids == vocabulary.pad).sum().item() for ids, _, _ in batches)

    assert padding(100) < padding(1), 'sorting within a window saves padding'
    padding(100), padding(1)


# 07_training.ipynb, section "The losses"
def test_the_losses():
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


# 07_training.ipynb, section "Settings"
def test_settings():
    DecoderConfig(hidden_size=64, epochs=3)

    test_eq((LanguageModelConfig().batch_size, DecoderConfig().batch_size), (128, 64))
    with expect_fail(TypeError, contains='hiden_size'): DecoderConfig(hiden_size=3)


# 07_training.ipynb, section "The loop"
@pytest.mark.training
def test_the_loop():
    class Number(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.zeros(()))

    number = Number()
    config = TrainConfig(learning_rate=1., weight_decay=0., epochs=20, patience=4, progress=False)
    log, best = fit(number, lambda epoch, generator: iter([-number.value]),
                    lambda: {'validation_loss': abs(3 - number.value.item())}, config)
    test_close(number.value, torch.tensor(3.), 1e-3)
    test_eq(len(log), best + 1 + 4)
    log.drop(columns='seconds').round(2)


# 07_training.ipynb, section "Training and held-out samples"
def test_training_and_held_out_samples():
    training_vocabulary([['red circles'], ['blue letters']], validation=[1]).words

    test_eq(training_vocabulary([['red'], ['blue']], [1]).words, training_vocabulary([['red'], []], [1]).words)

    features, annotations = small_world()
    data = split_annotations(annotations, None, None, None, TrainConfig())
    len(data.held_out), len(data.training.ids), len(data.validation.ids)

    test_eq(data.held_out, split_units(60))
    test_eq(len(data.training.ids) + len(data.validation.ids), 180)

    constant = lambda ids, unit, weight: torch.tensor(2.)
    test_eq(average_loss(constant, data.validation, 7), {'validation_loss': 2.})


# 07_training.ipynb, section "The language model"
@pytest.mark.training
def test_the_language_model():
    features, annotations = small_world()
    held = split_units(60, .2)
    small = {'embedding_size': 16, 'hidden_size': 32, 'learning_rate': .01, 'epochs': 12}
    trained = train_lm(annotations, validation=held, **small, progress=False)
    trained.log.tail(3).drop(columns='seconds').round(3)

    known, never = trained.model.log_prob(['the dog faces', 'faces the dog wall'])
    assert known > never + 3
    test_eq(trained.validation, held)
    assert trained.log.validation_loss.iloc[-1] < trained.log.validation_loss.iloc[0]
    known, never

    vocabulary = Vocabulary.build(['red circles', 'the blue letters mostly'])
    torch.manual_seed(0)
    model = LanguageModel(vocabulary, 8, 16).eval()
    ids, weight = vocabulary.batch(['red circles', 'the blue letters mostly'], start=False), torch.rand(2)
    log_probs = model(F.pad(ids[:, :-1], (1, 0), value=vocabulary.start))
    test_close(_lm_loss(model, ids, weight), word_loss(log_probs, ids, vocabulary.pad, weight), 1e-5)


# 07_training.ipynb, section "The decoder"
@pytest.mark.training
def test_the_decoder():
    features, annotations = small_world()
    held = split_units(60, .2)
    small = {'embedding_size': 16, 'hidden_size': 48, 'learning_rate': .01, 'epochs': 10, 'validation': held}
    small['progress'] = False
    trained = train_decoder(features, annotations, **small)
    trained.log.tail(3).drop(columns='seconds').round(3)

    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(4.2, 2.4), layout='constrained')
    axis.plot(trained.log.epoch, trained.log.loss, color='#0072B2', label='training, with the attention penalty')
    axis.plot(trained.log.epoch, trained.log.validation_loss, '--', color='#D55E00', label='held-out units')
    axis.plot(trained.best_epoch, trained.log.validation_loss.min(), 'o', color='#D55E00', label='kept')
    axis.set(xlabel='epoch', ylabel='loss per word (nats)', ylim=0)
    axis.legend(frameon=False);

    found = search(trained.model, features[held], strategy='greedy')
    captions = [trained.model.vocabulary.caption(ids) for ids in found.tokens]
    right = [text.lower() in annotations[unit] for text, unit in zip(captions, held)]
    test_eq(trained.log.best.sum(), 1)
    assert sum(right) >= .75 * len(right)
    captions[:4], f'{sum(right)} of {len(right)} right'

    def draw(epoch, generator):
        order = torch.stack([torch.randperm(5, generator=generator)[:3] for _ in range(60)])
        return features.gather(1, order[:, :, None].expand(-1, -1, 12))

    weights = [[1., .5, 0.] for _ in annotations]
    more = {'smoothing': .05, 'feature_noise': .1, 'feature_dropout': .05, 'criterion': 'bleu'}
    trained = train_decoder(draw, annotations, weights=weights, **more, **small)
    tokens = search(trained.model, features[held], strategy='greedy').tokens
    assert not any('mostly' in trained.model.vocabulary.caption(ids) for ids in tokens), 'weight 0 is not learnt'
    test_eq(trained.best_epoch, trained.log.bleu.idxmax())
    trained.log.bleu.round(1).tolist()


# 07_training.ipynb, section "An interrupted run resumes"
@pytest.mark.training
def test_an_interrupted_run_resumes():
    features, annotations = small_world()
    small = {'embedding_size': 8, 'hidden_size': 16, 'progress': False}
    folder = tempfile.mkdtemp()
    through = train_decoder(features, annotations, epochs=5, **small)
    train_decoder(features, annotations, epochs=3, checkpoint=f'{folder}/run.pt', **small)
    resumed = train_decoder(features, annotations, epochs=5, checkpoint=f'{folder}/run.pt', **small)
    test_eq(len(resumed.log), 5)
    for name, value in through.model.state_dict().items():
        test_close(resumed.model.state_dict()[name], value, 1e-6)
    test_eq(os.listdir(folder), ['run.pt'])
    with expect_fail(MilanError, contains='other data or settings'):
        train_decoder(features, annotations, epochs=5, checkpoint=f'{folder}/run.pt', seed=1, **small)
    shutil.rmtree(folder)


# 07_training.ipynb, section "Errors"
def test_errors():
    global Path
    with expect_fail(MilanError, contains='5 groups for 6'): split_units(6, groups='aabbc')
    with expect_fail(MilanError, contains='cannot be split'): split_units(1)
    features, annotations = small_world()
    few = {'embedding_size': 8, 'hidden_size': 16, 'epochs': 1, 'progress': False}
    with expect_fail(MilanError, contains='60 units are annotated'):
        train_decoder(features[:5], annotations, **few)
    with expect_fail(MilanError, contains='held out of 60'):
        train_decoder(features, annotations, validation=[60], **few)
    with expect_fail(MilanError, contains='positive weight'):
        train_decoder(features, annotations, weights=[[0.] * 3] * 60, **few)
    model, quiet = nn.Linear(2, 2), TrainConfig(progress=False)
    nan = lambda epoch, generator: iter([model.weight.sum() * torch.nan])
    with expect_fail(MilanError, contains='not a number'): fit(model, nan, lambda: {'validation_loss': 0.}, quiet)
    with expect_fail(MilanError, contains='at least 1'):
        fit(model, lambda epoch, generator: iter([]), dict, TrainConfig(epochs=0, progress=False))

    from pathlib import Path

    place = Path(tempfile.mkdtemp())/'decoder.checkpoint'
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    good = {'key': 'k', 'log': [{}], 'best': 0, 'weights': {}}
    good |= {'model': model.state_dict(), 'optimizer': optimizer.state_dict()}
    changes = ({'key': 'other'}, {'log': []}, {'best': -1}, {'model': {}}, {'model': 3}, {'optimizer': {}},
               {'optimizer': 3})
    for odd in (*({**good, **change} for change in changes), {'key': 'k'}, [1], 3):
        torch.save(odd, place)
        with expect_fail(MilanError, contains='decoder.checkpoint'): _resume(place, 'k', model, optimizer)
    for odd in (b'', b'my thesis'):
        place.write_bytes(odd)
        with expect_fail(MilanError, contains='decoder.checkpoint'): _resume(place, 'k', model, optimizer)
        test_eq(place.read_bytes(), odd)
