# Generated from nbs/07_captioner/18_reranking.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.clip import text_vectors
from milan.captioner.clip import unit_vectors
from milan.captioner.lm import LanguageModel
from milan.captioner.model import Captioner
from milan.config import MilanError
from pathlib import Path
import torch
from milan.captioner.reranking import (
    rerank,
    Reranked,
)

import functools
import tempfile
import warnings
from types import SimpleNamespace

import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn
from torch.nn import functional as F

from milan.captioner.clip import image_vectors
from milan.captioner.decoder import Decoder
from milan.captioner.encoder import PyramidEncoder
from milan.captioner.text import Vocabulary
from milan.files import remove
from milan.testing import COLOUR_PHRASES, colour_clip, plain_pictures

# transformers asks for a widget that nothing here shows
warnings.filterwarnings('ignore', message='IProgress not found')

@functools.cache
def blind_captioner():
    "It says each of the three phrases a third of the time."
    torch.manual_seed(0)
    vocabulary = Vocabulary.build(COLOUR_PHRASES)
    decoder, lm, ids = (Decoder(vocabulary, 3, 8, 24), LanguageModel(vocabulary, 8, 24),
                        vocabulary.batch(COLOUR_PHRASES, start=False))
    optimizer = torch.optim.AdamW([*decoder.parameters(), *lm.parameters()], lr=.02)
    for _ in range(40):
        loss = F.nll_loss(decoder(torch.rand(3, 2, 3), ids)[0].flatten(0, 1), ids.flatten())
        loss = loss + F.nll_loss(lm(F.pad(ids, (1, 0), value=vocabulary.start))[:, :-1].flatten(0, 1),
                                 ids.flatten())
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    return Captioner(decoder, lm, PyramidEncoder(nn.Sequential(nn.Conv2d(3, 3, 1)), ['0']),
                     defaults={'beam_size': 3, 'length': 4})


# 18_reranking.ipynb, section "The order"
def test_the_order():
    torch.manual_seed(0)
    captioner, clip = blind_captioner(), colour_clip()
    images = torch.stack([plain_pictures([colour] * 2) for colour in ('red', 'green', 'gray')])
    features = captioner.encode(images)
    before = captioner.decode(features)
    after = rerank(captioner, features, before, clip, unit_vectors(clip, [(i, None) for i in images]))
    before.captions, after.captions

    test_eq(after.captions, ['Red things', 'Green things', 'Gray things'])
    for unit in range(3):
        test_eq(sorted(after.beam[unit]), sorted(before.beam[unit]))
        cosines = [(text_vectors(clip, [text])[0] @ image_vectors(clip, images[unit]).mean(0)).item()
                   for text in before.beam[unit]]
        test_eq(
            after.beam[unit],
            [before.beam[unit][i] for i in sorted(range(len(cosines)), key=lambda i: -cosines[i])],
        )
        test_close(after.clip[unit], torch.tensor(max(cosines)), 1e-5)

    test_close(captioner.score(after.captions, features), after.likelihood, 1e-4)
    test_close(after.beam_captioner[:, 0], after.likelihood - .2 * after.lm, 1e-4)

    vectors, scale = unit_vectors(clip, [(i, None) for i in images]), clip.model.logit_scale.exp().item()
    test_eq(rerank(captioner, features, before, clip, vectors, clip_weight=0.).beam_tokens, before.beam_tokens)
    test_close(rerank(captioner, features, before, clip, vectors, clip_weight=0.).scores, before.scores, 1e-5)
    mixed = rerank(captioner, features, before, clip, vectors, clip_weight=.3)
    test_close(mixed.beam_scores, .7 * mixed.beam_captioner + .3 * scale * mixed.beam_clip, 1e-4)
    few = captioner.decode(features, beam_size=200, length=1)
    test_eq(rerank(captioner, features, few, clip, vectors).beam_scores.isfinite().sum(1),
            few.beam_scores.isfinite().sum(1))
    with expect_fail(MilanError, contains='CLIP looked at 2 units'):
        rerank(captioner, features, before, clip, vectors[:2])


# 18_reranking.ipynb, section "The captioner"
def test_the_captioner():
    torch.manual_seed(0)
    describer = Reranked(blind_captioner(), colour_clip())
    halves = torch.cat([plain_pictures(['red'] * 3)[..., :16], plain_pictures(['green'] * 3)[..., 16:]], 3)
    images, masks = torch.stack([halves, halves]), torch.zeros(2, 3, 1, 32, 32)
    masks[0, ..., :16], masks[1, ..., 16:] = 1, 1
    exemplars = [SimpleNamespace(layer='conv1', unit=u, images=images[u], masks=masks[u]) for u in range(2)]
    table = describer.describe(exemplars, details=True, progress=False)
    table[['layer', 'unit', 'description', 'before', 'runner_up']]

    test_eq(table.description.tolist(), ['Red things', 'Green things'])
    test_eq(list(table.columns), ['layer', 'unit', 'description', 'score', 'clip_score', 'likelihood', 'lm',
                                  'runner_up', 'before'])
    output = describer(images, masks)
    test_eq(output.captions, table.description.tolist())
    test_close(output.clip, torch.tensor(table.clip_score.tolist()), 1e-5)
    test_eq(describer.describe(exemplars, features=describer.encode(images, masks),
                             progress=False).description.tolist(), output.captions)
    for unit in range(2):
        alone = describer(images[unit:unit + 1], masks[unit:unit + 1])
        test_eq(alone.beam, output.beam[unit:unit + 1])
        test_close(alone.beam_scores, output.beam_scores[unit:unit + 1], 1e-4)
    describer

    blindly = describer(images, masks, region_weight=0.)
    test_close(blindly.beam_clip[0].sort().values, blindly.beam_clip[1].sort().values, 1e-4)
    larger, smaller = (F.interpolate(x.flatten(0, 1), scale_factor=2).unflatten(0, (2, 3))
                       for x in (images, masks))
    test_eq(describer(larger, smaller).captions, output.captions)
    test_close(describer(larger, smaller).clip, output.clip, .05)
    test_eq(describer((images * 255).to(torch.uint8), masks).captions, output.captions)
    own = blind_captioner()(images, masks)
    test_eq(describer(images, masks, clip_weight=0.).captions, own.captions)
    without = Reranked(Captioner(blind_captioner().decoder, None, blind_captioner().encoder),
                       colour_clip())(images, masks, beam_size=3, length=4)
    test_eq((without.captions, without.lm), (output.captions, None))

    with expect_fail(MilanError, contains='needs the images'): describer.decode(describer.encode(images))
    with expect_fail(MilanError, contains='nothing to re-rank'): describer(images, strategy='greedy')
    with expect_fail(MilanError, contains='clip_weight=2'): describer(images, clip_weight=2)
    with expect_fail(MilanError, contains='region_weight=-1'):
        Reranked(blind_captioner(), colour_clip(), region_weight=-1)
    with expect_fail(MilanError, contains='one mask per image'): describer(images, masks[:1])
    with expect_fail(MilanError, contains='CLIP looked at 2 units'):
        describer.describe(exemplars, features=describer.encode(images[:1]), progress=False)
    test_eq(len(describer.describe([], progress=False)), 0)

    folder = Path(tempfile.mkdtemp())
    describer.save(folder/'captioner')
    again = Captioner.load(folder/'captioner', 'cpu', network=describer.encoder.network)
    test_eq(Reranked(again, describer.clip)(images, masks).beam, output.beam)
    remove(folder)
