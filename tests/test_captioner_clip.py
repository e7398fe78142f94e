# Generated from nbs/07_captioner/17_clip.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from torch.nn import functional as F
import torch
from milan.captioner.clip import (
    Clip,
    DEVIATION,
    image_vectors,
    load,
    MEAN,
    patch_weights,
    prepare,
    text_vectors,
    unit_vectors,
)

import tempfile
import warnings
from unittest.mock import patch

import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq

from milan.files import remove
from milan.testing import COLOUR_PHRASES, colour_clip, plain_pictures, small_clip

# transformers asks for a widget that nothing here shows
warnings.filterwarnings('ignore', message='IProgress not found')


# 17_clip.ipynb, section "A CLIP from the cache"
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


# 17_clip.ipynb, section "Images of any size"
def test_images_of_any_size():
    clip, big = colour_clip(), plain_pictures(['red', 'green'], side=64)
    prepare(clip, big).shape

    small = torch.stack([image.unflatten(1, (32, 2)).unflatten(3, (32, 2)).mean((2, 4)) for image in big])
    assert (prepare(clip, big) - prepare(clip, small)).abs().mean() < .1
    test_close(prepare(clip, small)[:, 0], (small[:, 0] - MEAN[0]) / DEVIATION[0], 1e-5)
    test_close(prepare(clip, (small * 255).to(torch.uint8)), prepare(clip, small), .05)
    with expect_fail(ValueError, contains='64*64'): clip.model.get_image_features(pixel_values=big)


# 17_clip.ipynb, section "Looking at a region"
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
    image = torch.cat([plain_pictures(['red'])[..., :16], plain_pictures(['green'])[..., 16:]], 3)
    left = torch.zeros(1, 1, 32, 32); left[..., :16] = 1
    with torch.no_grad():
        words = F.normalize(
            clip.model.get_text_features(**clip.tokenizer(COLOUR_PHRASES, padding=True,
                                                          return_tensors='pt')).pooler_output, dim=-1
        )
    seen = {
        name: image_vectors(clip, image, mask)[0] @ words.T
        for name, mask in (('left', left), ('right', 1 - left), ('whole', None))
    }
    pd.DataFrame(torch.stack(list(seen.values())).numpy(), index=list(seen), columns=COLOUR_PHRASES).round(1)

    test_eq([COLOUR_PHRASES[seen[name].argmax()] for name in ('left', 'right')], ['red things', 'green things'])


# 17_clip.ipynb, section "Captions"
def test_captions():
    clip = colour_clip()
    captions = ['Gray things', 'Red', '', 'Red things on a very long green wall with no end']
    vectors = text_vectors(clip, captions, batch_size=2)
    test_close(vectors, torch.cat([text_vectors(clip, [caption]) for caption in captions]), 1e-5)
    test_eq(text_vectors(clip, []).shape, (0, 8))
    (vectors @ vectors.T).round(decimals=1)


# 17_clip.ipynb, section "A unit"
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
