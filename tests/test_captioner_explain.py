# Generated from nbs/07_captioner/19_explain.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.exemplars.show import Exemplar
from milan.exemplars.show import strip
import numpy as np
import pandas as pd
import torch
from milan.captioner.explain import (
    _places,
    alternatives,
    choices,
    END,
    figure,
    plot_tree,
    read,
    table,
    verdict,
    words,
)
import pytest

import functools

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan.captioner.model import train
from milan.captioner.encoder import PyramidEncoder, SpatialEncoder

plt.close(plt.figure()) # wakes the notebook's display of figures

THINGS = {'red ball': (.9, .1, .1), 'green box': (.1, .7, .2), 'blue kite': (.15, .3, .95)} # → colour
GROUNDS = {'sand': (.85, .7, .45), 'stones': (.5, .5, .52)}

def painted(thing, ground, draw, side=64):
    "One picture and its region: a thing on a ground, or (thing=None) the ground alone."
    y, x = np.mgrid[:side, :side] / side - .5 + draw.uniform(-.12, .12, (2, 1, 1))
    shape = {'red ball': x**2 + y**2 < 0.06, 'green box': np.maximum(abs(x), abs(y)) < 0.2,
             'blue kite': abs(x) * 1.6 + abs(y) < 0.34}.get(thing, x**2 + y**2 < 0.09)
    speckle = draw.normal(0, .07, (side // 4, side // 4)).repeat(4, 0).repeat(4, 1)
    picture = np.array(GROUNDS[ground])[:, None, None] + speckle
    if thing:
        picture = np.where(shape, np.array(THINGS[thing])[:, None, None] * (1 + .4 * (x + y)), picture)
    return torch.from_numpy(picture).clamp(0, 1).float(), torch.from_numpy(shape)[None].float()

@functools.cache
def trained():
    "A captioner that has learnt this world except its last twelve units."
    found, said, place = small_world()
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU())
    network[0].weight.data[:, :, 0, 0] = torch.tensor([[2., -1, -1], [-1, 2, -1], [-1, -1, 2], [1, 1, -2]])
    network[0].bias.data = torch.tensor([-.4, -.4, -.4, 0])
    encoder = PyramidEncoder(network, ['1'])
    features = encoder.encode(torch.stack([one.images for one in found]),
                              torch.stack([one.masks for one in found]))
    quick = {'embedding_size': 8, 'hidden_size': 32, 'learning_rate': .025, 'batch_size': 32, 'epochs': 20}
    captioner = train(features, said, validation=range(48, 60), encoder=encoder, device='cpu', progress=False,
                      decoder_settings={**quick, 'attention_penalty': 0.0, 'dropout': 0.0,
                                        'feature_noise': 0.5, 'patience': 20},
                      lm_settings={**quick, 'dropout': 0.1, 'epochs': 6})
    return captioner, features, found, place

def small_world(units=60, k=5):
    "Exemplars, what people wrote about them, and in which picture the thing is."
    draw, found, said, place = np.random.default_rng(0), [], [], []
    for unit in range(units):
        thing, ground, where = list(THINGS)[unit % 3], list(GROUNDS)[unit // 3 % 2], int(draw.integers(k))
        pictures = [painted(thing if i == where else None, ground, draw) for i in range(k)]
        images, masks = (torch.stack(part) for part in zip(*pictures))
        found.append(Exemplar('conv', unit, images, masks, np.arange(k), np.ones(k)))
        said.append([f'{thing} on {ground}', f'{thing} on {ground}', thing])
        place.append(where)
    return found, said, place


# 19_explain.ipynb, section "An example"
@pytest.mark.training
def test_an_example():
    captioner, features, found, place = trained()
    captioner.decode(features[48:54]).captions

    strip(found[48])

    things, grounds = list(THINGS), list(GROUNDS)
    said = captioner.decode(features[48:]).captions
    assert all(things[unit % 3] in text.lower() for unit, text in enumerate(said, 48)), said
    assert sum(grounds[unit // 3 % 2] in text.lower() for unit, text in enumerate(said, 48)) >= 9, said


# 19_explain.ipynb, section "A caption, read again"
@pytest.mark.training
def test_a_caption_read_again():
    captioner, features, found, place = trained()
    reading = read(captioner, features, 48)
    reading.words, reading.attention.round(decimals=2)

    output = captioner.decode(features[48:])
    for unit in range(48, 60):
        reading, row = read(captioner, features, unit), unit - 48
        test_eq((reading.caption, reading.words[-1]), (output.captions[row], END))
        spoken = reading.gain.gather(1, reading.ids[:, None])[:, 0]
        test_close(spoken.sum(), output.scores[row], 1e-4)
        test_close(reading.attention, output.attentions[row, :len(reading.words)], 1e-5)
    right = [read(captioner, features, unit).attention[0].argmax().item() == place[unit]
             for unit in range(48, 60)]
    assert sum(right) >= 10, 'chance is one in five'
    f'{sum(right)} of 12 first words look at the picture with the thing'

    again = read(captioner, found[48])
    test_close(again.attention, read(captioner, features[48]).attention, 1e-5)
    test_close(read(captioner, found, 48).likelihood, again.likelihood, 1e-5)
    other = read(captioner, features, 48, caption='green box on sand')
    test_eq(other.words, ['green', 'box', 'on', 'sand', END])
    assert other.gain[0, other.ids[0]] < again.gain[0, again.ids[0]]
    # longer than the captioner would speak
    test_eq(read(captioner, features, 48, caption='red ' * 20).words, ['red'] * 20 + [END])
    alone = type(captioner)(captioner.decoder)
    test_eq((read(alone, features, 48).lm, read(alone, features, 48).gain.tolist()),
            (None, read(alone, features, 48).likelihood.tolist()))
    cut = type(captioner)(captioner.decoder, captioner.lm, defaults={'length': 2})
    test_eq(len(read(cut, features, 48).words), 2)
    with expect_fail(MilanError, contains="'grene'; near it are green"):
        read(captioner, features, 48, caption='grene box')
    with expect_fail(MilanError, contains='unit 60 is not a row'): read(captioner, features, 60)
    with expect_fail(MilanError, contains='no encoder'): read(alone, found[48])


# 19_explain.ipynb, section "Word by word"
@pytest.mark.training
def test_word_by_word():
    captioner, features, found, place = trained()
    explained = words(captioner, features, 48)
    explained.round(2)

    test_close(explained.gain, explained.likelihood - .2 * explained.lm, 1e-5)
    test_close(explained.gain.sum(), captioner.decode(features[48:49]).scores[0], 1e-4)
    test_close(explained.filter(like='attention_').sum(axis=1), np.ones(len(explained)), 1e-5)
    assert (explained.runner_up != explained.word).all() and not set(explained.runner_up) - {
        *captioner.vocabulary.words, END
    }

    assert words(type(captioner)(captioner.decoder), features, 48).lm.isna().all()
    test_close(words(captioner, features, 48, caption=captioner.decode(features[48:49]).captions[0],
                     temperature=0.0).gain, explained.likelihood, 1e-5)

    choices(read(captioner, features, 48), place=0).round(2)

    reading = read(captioner, features, 48)
    explained = table(reading)
    for number in range(len(reading.words)):
        listed = choices(reading, number, count=100)
        assert (listed.gain.is_monotonic_decreasing and listed.chosen.sum() == 1
                and len(listed) == len(captioner.vocabulary.words) + 1)
        test_eq(listed[~listed.chosen].word.iloc[0], explained.runner_up[number])

    with expect_fail(MilanError, contains='place 9'): choices(reading, 9)


# 19_explain.ipynb, section "Caption against caption"
@pytest.mark.training
def test_caption_against_caption():
    captioner, features, found, place = trained()
    output = captioner.decode(features[48:])
    considered = alternatives(output)
    considered.round(2)

    verdict(considered)

    test_eq(considered.caption[0], output.captions[0])
    test_close(considered.score, considered.likelihood - .2 * considered.lm, 1e-4)
    test_close(considered.behind, considered.by_likelihood + considered.by_lm, 1e-5)
    test_eq(considered.iloc[0][['behind', 'by_likelihood', 'by_lm']].tolist(), [0, 0, 0])
    assert considered.score.is_monotonic_decreasing and considered.caption.is_unique
    odd = considered[considered.by_lm < -1]
    assert len(odd) and (odd.by_likelihood > 1).all()
    plain = alternatives(captioner.decode(features[48:], strategy='beam'), 3)
    assert plain.lm.isna().all() and (plain.likelihood == plain.score).all() and (plain.by_lm == 0).all()
    assert alternatives(captioner.decode(features[48:], strategy='beam', mi=True)).likelihood.isna().all()
    greedy = alternatives(captioner.decode(features[48:], strategy='greedy'))
    test_eq((len(greedy), verdict(greedy).endswith('only caption considered.')), (1, True))
    with expect_fail(MilanError, contains='unit 12'): alternatives(output, 12)
    verdict(plain)


# 19_explain.ipynb, section "A picture of it"
@pytest.mark.training
def test_a_picture_of_it():
    captioner, features, found, place = trained()
    figure(captioner, found[51])

    figure(captioner, found[51], caption='green box on sand')

    drawn = figure(captioner, found[51], features=features[51])
    pictures, heat, bars, legend = drawn.axes
    test_eq([label.get_text() for label in heat.get_yticklabels()], read(captioner, features, 51).words)
    test_close(heat.collections[0].get_array(), read(captioner, features, 51).attention.numpy(), 1e-6)
    explained = words(captioner, features, 51)
    test_close([bar.get_width() for bar in bars.containers[0]], explained.likelihood, 1e-6)
    test_close([bar.get_width() for bar in bars.containers[1]], -.2 * explained.lm, 1e-5)
    test_eq(drawn.texts[0].get_text(), captioner.decode(features[51:52]).captions[0])
    spans = [axes.get_position() for axes in (pictures, heat, bars)]
    test_close(
        [spans[0].x0, spans[0].x1, spans[1].y0, spans[1].y1],
        [spans[1].x0, spans[1].x1, spans[2].y0, spans[2].y1],
        1e-9,
    ) # all aligned
    # no language model, no second term
    drawn = figure(type(captioner)(captioner.decoder), found[51], features=features[51], caption='red ball')
    test_eq(len(drawn.axes[2].containers), 1)


# 19_explain.ipynb, section "The candidates as a tree"
def test_the_candidates_as_a_tree():
    candidates = pd.DataFrame({'caption': ['red ball on sand', 'red ball on grass', 'red box', 'ball'],
                               'likelihood': [-1.2, -1.9, -3.1, -2.4], 'lm': [-9., -8.5, -6., -3.]})
    plot_tree(candidates.assign(score=candidates.likelihood - .2 * candidates.lm));

    test_eq(_places([('a',), ('a', 'dog')]), {(): (0, .5), ('a',): (1, .5), ('a', 'dog'): (2, 1.)})


# 19_explain.ipynb, section "Fifteen exemplars, and places"
@pytest.mark.training
def test_fifteen_exemplars_and_places():
    draw = np.random.default_rng(1)
    images, masks = (torch.stack(part)
                     for part in zip(*[painted('blue kite' if i in (3, 8) else None, 'stones', draw)
                                       for i in range(15)]))
    many = Exemplar('layer4', 7, images, masks, np.arange(15), np.ones(15))
    captioner, *_ = trained()
    figure(captioner, many)

    reading = read(captioner, many)
    assert set(reading.attention[0].topk(2).indices.tolist()) == {3, 8}
    places = type(captioner)(captioner.decoder, captioner.lm, SpatialEncoder(captioner.encoder.network, ['1']))
    coarse = Exemplar('layer4', 7, images[..., ::8, ::8], masks[..., ::8, ::8], np.arange(15), np.ones(15))
    spatial_reading = read(places, coarse)
    test_eq(spatial_reading.attention.shape[1], 15)
    test_close(spatial_reading.attention.sum(1), torch.ones(len(spatial_reading.words)), 1e-5)
    test_eq(figure(places, coarse).axes[1].collections[0].get_array().shape[1], 15)
