# Generated from nbs/15_clip.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.lm import LanguageModel
from milan.captioner.model import Captioner
from milan.config import MilanError
from pathlib import Path
from torch.nn import functional as F
import torch
from milan.captioner.clip import (
    _transformers,
    Clip,
    DEVIATION,
    image_vectors,
    load,
    MEAN,
    patch_weights,
    prepare,
    rerank,
    Reranked,
    text_vectors,
    unit_vectors,
)

import functools
import string
import tempfile
import warnings
from types import SimpleNamespace
from unittest.mock import patch
import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn
from milan.files import remove
from milan.captioner.encoder import PyramidEncoder
from milan.captioner.decoder import Decoder
from milan.captioner.text import Vocabulary

# transformers asks for a widget that nothing here shows
warnings.filterwarnings('ignore', message='IProgress not found')

SAID = ['red things', 'green things', 'gray things']


def pictures(colours, side=32):
    "Plain colours with some noise, (n, 3, side, side)."
    shade = {'red': [.8, .2, .2], 'green': [.2, .8, .2], 'gray': [.5, .5, .5]}
    return (
        torch.tensor([shade[c] for c in colours])[:, :, None, None]
        + 0.2 * torch.rand(len(colours), 3, side, side)
        - 0.1
    ).clamp(0, 1)


def small_clip():
    "A random CLIP and a tokenizer of letters, of which two pairs make up 'red'."
    transformers = _transformers()
    transformers.logging.disable_progress_bar()
    letters = [*string.ascii_lowercase, *"0123456789.,'-"]
    tokens = [*letters, *(f'{letter}</w>' for letter in letters), 're', 'red</w>', '<|startoftext|>',
              '<|endoftext|>']
    vocab = {token: number for number, token in enumerate(tokens)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocab, merges=[('r', 'e'), ('re', 'd</w>')])
    ends = {'bos_token_id': len(vocab) - 2, 'eos_token_id': len(vocab) - 1, 'pad_token_id': len(vocab) - 1}
    both = {'hidden_size': 16, 'intermediate_size': 32, 'num_hidden_layers': 2, 'num_attention_heads': 2}
    config = transformers.CLIPConfig(
        text_config={'vocab_size': len(vocab), 'max_position_embeddings': 24, **both, **ends},
        vision_config={'image_size': 32, 'patch_size': 8, **both}, projection_dim=8
    )
    torch.manual_seed(0)
    return transformers.CLIPModel(config), tokenizer


@functools.cache
def colour_clip():
    "It has seen 60 batches of plain colours, each with its name."
    model, tokenizer = small_clip()
    # eyes only prepare images
    eyes, optimizer = Clip(*small_clip()), torch.optim.AdamW(model.parameters(), lr=3e-3)
    words = tokenizer(SAID, padding=True, return_tensors='pt')
    for _ in range(60):
        label = torch.randint(3, (24,))
        pixels = prepare(eyes, pictures([SAID[i].split()[0] for i in label]))
        logits = model(input_ids=words.input_ids, attention_mask=words.attention_mask,
                       pixel_values=pixels).logits_per_image
        loss = F.cross_entropy(logits, label)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    folder = Path(tempfile.mkdtemp())
    for part in (model, tokenizer): part.save_pretrained(folder)
    clip = load(folder, 'cpu')
    remove(folder)
    return clip


@functools.cache
def blind_captioner():
    "It says each of the three phrases a third of the time."
    torch.manual_seed(0)
    vocabulary = Vocabulary.build(SAID)
    decoder, lm, ids = (Decoder(vocabulary, 3, 8, 24), LanguageModel(vocabulary, 8, 24),
                        vocabulary.batch(SAID, start=False))
    optimizer = torch.optim.AdamW([*decoder.parameters(), *lm.parameters()], lr=.02)
    for _ in range(40):
        loss = F.nll_loss(decoder(torch.rand(3, 2, 3), ids)[0].flatten(0, 1), ids.flatten())
        loss = loss + F.nll_loss(lm(F.pad(ids, (1, 0), value=vocabulary.start))[:, :-1].flatten(0, 1),
                                 ids.flatten())
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    return Captioner(decoder, lm, PyramidEncoder(nn.Sequential(nn.Conv2d(3, 3, 1)), ['0']),
                     defaults={'beam_size': 3, 'length': 4})


# 15_clip.ipynb, section "A CLIP from the cache"
def test_a_clip_from_the_cache():
    folder = Path(tempfile.mkdtemp())
    for part in small_clip(): part.save_pretrained(folder)
    clip = load(folder, 'cpu')
    remove(folder)
    clip.size, clip.grid, clip.device, clip.model.training

    folder = Path(tempfile.mkdtemp())
    with patch('socket.socket.connect') as connect:
        with expect_fail(MilanError, contains="download=True), or give the folder"): load('nobody/no-such-clip')
    assert not connect.called
    with expect_fail(MilanError, contains='cannot be read'): load(folder)
    model, tokenizer = small_clip()
    model.save_pretrained(folder)
    with expect_fail(MilanError, contains='files of the tokenizer are missing'): load(folder, 'cpu')
    (folder / 'config.json').write_text(
        (folder / 'config.json').read_text().replace('"model_type": "clip"', '"model_type": "siglip"')
    )
    with expect_fail(MilanError, contains="of type 'siglip'"): load(folder, 'cpu')
    remove(folder)


# 15_clip.ipynb, section "Images of any size"
def test_images_of_any_size():
    clip, big = colour_clip(), pictures(['red', 'green'], side=64)
    prepare(clip, big).shape

    small = torch.stack([image.unflatten(1, (32, 2)).unflatten(3, (32, 2)).mean((2, 4)) for image in big])
    assert (prepare(clip, big) - prepare(clip, small)).abs().mean() < .1
    test_close(prepare(clip, small)[:, 0], (small[:, 0] - MEAN[0]) / DEVIATION[0], 1e-5)
    test_close(prepare(clip, (small * 255).to(torch.uint8)), prepare(clip, small), .05)
    with expect_fail(ValueError, contains='64*64'): clip.model.get_image_features(pixel_values=big)


# 15_clip.ipynb, section "Looking at a region"
def test_looking_at_a_region():
    masks = torch.zeros(2, 1, 32, 32)
    masks[0, :, :, :16], masks[1, :, 8:11, 24:27] = 1, 1
    patch_weights(masks, 4).view(2, 4, 4)

    sampled = F.interpolate(masks, size=(4, 4), mode='bilinear', align_corners=False)
    test_eq(sampled[1].sum().item(), 0)
    test_close(patch_weights(masks, 4)[1].sum(), torch.tensor(1.), 1e-6)
    test_eq(patch_weights(torch.zeros(1, 1, 32, 32), 4), torch.ones(1, 16))

    @torch.no_grad()
    def naive_vector(clip, image, inside):
        "(3, 32, 32) and (patches,) bool → (dimension,)"
        vision, kept = clip.model.vision_model, torch.cat([torch.tensor([True]), inside])
        x = vision.pre_layrnorm(vision.embeddings(prepare(clip, image[None])))[0]
        for layer in vision.encoder.layers:
            attention, y = layer.self_attn, layer.layer_norm1(x)
            query, key, value = (
                part(y).unflatten(1, (attention.num_heads, -1))
                for part in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            mixed = torch.zeros_like(query)
            for token in range(len(x)):
                seen = kept if token == 0 else torch.ones_like(kept)
                for head in range(attention.num_heads):
                    scores = key[seen, head] @ query[token, head] / query.shape[2] ** .5
                    mixed[token, head] = scores.softmax(0) @ value[seen, head]
            x = x + attention.out_proj(mixed.flatten(1))
            x = x + layer.mlp(layer.layer_norm2(x))
        vector = clip.model.visual_projection(vision.post_layernorm(x[0]))
        return vector / vector.norm()

    torch.manual_seed(0)
    model, tokenizer = small_clip()
    clip, images = Clip(model, tokenizer), torch.rand(4, 3, 32, 32)
    inside = torch.rand(4, 16) > .6
    masks = inside.view(4, 1, 4, 4).float().repeat_interleave(8, 2).repeat_interleave(8, 3)
    vectors = image_vectors(clip, images, masks)
    test_close(vectors, torch.stack([naive_vector(clip, *both) for both in zip(images, inside)]), 1e-5)
    plain = F.normalize(model.get_image_features(pixel_values=prepare(clip, images)).pooler_output, dim=-1)
    for mask in (None, torch.ones(4, 1, 32, 32), torch.zeros(4, 1, 32, 32)):
        test_close(image_vectors(clip, images, mask), plain, 1e-5)
    assert (vectors - plain).abs().max() > .01
    test_close(torch.cat([image_vectors(clip, images[i:i + 1], masks[i:i + 1]) for i in range(4)]), vectors, 1e-5)
    with expect_fail(MilanError, contains='one mask per image'): image_vectors(clip, images, masks[:2])

    clip = colour_clip()
    image = torch.cat([pictures(['red'])[..., :16], pictures(['green'])[..., 16:]], 3)
    left = torch.zeros(1, 1, 32, 32); left[..., :16] = 1
    with torch.no_grad():
        words = F.normalize(
            clip.model.get_text_features(**clip.tokenizer(SAID, padding=True, return_tensors='pt')).pooler_output,
            dim=-1,
        )
    seen = {
        name: image_vectors(clip, image, mask)[0] @ words.T
        for name, mask in (('left', left), ('right', 1 - left), ('whole', None))
    }
    pd.DataFrame(torch.stack(list(seen.values())).numpy(), index=list(seen), columns=SAID).round(1)

    test_eq([SAID[seen[name].argmax()] for name in ('left', 'right')], ['red things', 'green things'])


# 15_clip.ipynb, section "Captions"
def test_captions():
    clip = colour_clip()
    captions = ['Gray things', 'Red', '', 'Red things on a very long green wall with no end']
    vectors = text_vectors(clip, captions, batch_size=2)
    test_close(vectors, torch.cat([text_vectors(clip, [caption]) for caption in captions]), 1e-5)
    test_eq(text_vectors(clip, []).shape, (0, 8))
    (vectors @ vectors.T).round(decimals=1)


# 15_clip.ipynb, section "A unit"
def test_a_unit():
    torch.manual_seed(0)
    clip, photos = colour_clip(), torch.rand(6, 3, 32, 32)
    units = [(photos[torch.randperm(6)[:3]], (torch.rand(3, 1, 32, 32) > .5).float()) for _ in range(5)]
    vectors = unit_vectors(clip, units)
    vectors.shape

    naive = [torch.stack([0.5 * image_vectors(clip, i[None], m[None])[0] + 0.5 * image_vectors(clip, i[None])[0]
                          for i, m in zip(*unit)]).mean(0) for unit in units]
    test_close(vectors, torch.stack(naive), 1e-5)
    test_close(torch.cat([unit_vectors(clip, [unit], batch_size=2) for unit in units]), vectors, 1e-5)
    test_close(unit_vectors(clip, units, region_weight=1.0),
               torch.stack([image_vectors(clip, *unit).mean(0) for unit in units]), 1e-5)
    test_close(unit_vectors(clip, units, region_weight=0.0),
               unit_vectors(clip, [(images, None) for images, _ in units]), 1e-5)
    test_eq(unit_vectors(clip, []).shape, (0, 8))

    looked = []
    hook = clip.model.vision_model.embeddings.register_forward_hook(
        lambda module, inputs, output: looked.append(len(output))
    )
    test_close(unit_vectors(clip, units, batch_size=4), vectors, 1e-5)
    hook.remove()
    assert sum(looked) <= 15 + 6 and max(looked) == 4
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        without = unit_vectors(clip, [(photos[:2], torch.zeros(2, 1, 32, 32))])
    test_close(without, unit_vectors(clip, [(photos[:2], None)]), 1e-6)
    str(caught[-1].message)


# 15_clip.ipynb, section "The order"
def test_the_order():
    torch.manual_seed(0)
    captioner, clip = blind_captioner(), colour_clip()
    images = torch.stack([pictures([colour] * 2) for colour in ('red', 'green', 'gray')])
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


# 15_clip.ipynb, section "The captioner"
def test_the_captioner():
    torch.manual_seed(0)
    speaker = Reranked(blind_captioner(), colour_clip())
    halves = torch.cat([pictures(['red'] * 3)[..., :16], pictures(['green'] * 3)[..., 16:]], 3)
    images, masks = torch.stack([halves, halves]), torch.zeros(2, 3, 1, 32, 32)
    masks[0, ..., :16], masks[1, ..., 16:] = 1, 1
    exemplars = [SimpleNamespace(layer='conv1', unit=u, images=images[u], masks=masks[u]) for u in range(2)]
    table = speaker.describe(exemplars, details=True, progress=False)
    table[['layer', 'unit', 'description', 'before', 'runner_up']]

    test_eq(table.description.tolist(), ['Red things', 'Green things'])
    test_eq(list(table.columns), ['layer', 'unit', 'description', 'score', 'clip_score', 'likelihood', 'lm',
                                  'runner_up', 'before'])
    output = speaker(images, masks)
    test_eq(output.captions, table.description.tolist())
    test_close(output.clip, torch.tensor(table.clip_score.tolist()), 1e-5)
    test_eq(speaker.describe(exemplars, features=speaker.encode(images, masks),
                             progress=False).description.tolist(), output.captions)
    for unit in range(2):
        alone = speaker(images[unit:unit + 1], masks[unit:unit + 1])
        test_eq(alone.beam, output.beam[unit:unit + 1])
        test_close(alone.beam_scores, output.beam_scores[unit:unit + 1], 1e-4)
    speaker

    blindly = speaker(images, masks, region_weight=0.)
    test_close(blindly.beam_clip[0].sort().values, blindly.beam_clip[1].sort().values, 1e-4)
    larger, smaller = (F.interpolate(x.flatten(0, 1), scale_factor=2).unflatten(0, (2, 3))
                       for x in (images, masks))
    test_eq(speaker(larger, smaller).captions, output.captions)
    test_close(speaker(larger, smaller).clip, output.clip, .05)
    test_eq(speaker((images * 255).to(torch.uint8), masks).captions, output.captions)
    own = blind_captioner()(images, masks)
    test_eq(speaker(images, masks, clip_weight=0.).captions, own.captions)
    without = Reranked(Captioner(blind_captioner().decoder, None, blind_captioner().encoder),
                       colour_clip())(images, masks, beam_size=3, length=4)
    test_eq((without.captions, without.lm), (output.captions, None))

    with expect_fail(MilanError, contains='looks at the images'): speaker.decode(speaker.encode(images))
    with expect_fail(MilanError, contains='nothing to re-rank'): speaker(images, strategy='greedy')
    with expect_fail(MilanError, contains='clip_weight=2'): speaker(images, clip_weight=2)
    with expect_fail(MilanError, contains='region_weight=-1'):
        Reranked(blind_captioner(), colour_clip(), region_weight=-1)
    with expect_fail(MilanError, contains='one mask per image'): speaker(images, masks[:1])
    with expect_fail(MilanError, contains='CLIP looked at 2 units'):
        speaker.describe(exemplars, features=speaker.encode(images[:1]), progress=False)
    test_eq(len(speaker.describe([], progress=False)), 0)

    folder = Path(tempfile.mkdtemp())
    speaker.save(folder/'captioner')
    again = Captioner.load(folder/'captioner', 'cpu', network=speaker.encoder.network)
    test_eq(Reranked(again, speaker.clip)(images, masks).beam, output.beam)
    remove(folder)
