# Generated from nbs/08_concepts/12_clip_teacher.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.concepts.clip_teacher import (
    load_clip_teacher,
    patch_vectors,
    read_words,
)

import tempfile
from pathlib import Path

import torch
from fastcore.test import test_close, test_eq
from matplotlib import pyplot
from torch.nn import functional

from milan.captioner.clip import Clip, prepare
from milan.testing import COLOUR_PHRASES, plain_pictures, small_clip


# 12_clip_teacher.ipynb, section "What a patch shows"
def test_what_a_patch_shows():
    untrained, noise = Clip(*small_clip()), torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    patch_vectors(untrained, noise).shape

    @torch.no_grad()
    def without_attention(clip, pictures):
        "The same vectors, from the values alone."
        vision = clip.model.vision_model
        hidden = vision(prepare(clip, pictures), output_hidden_states=True).hidden_states[-2]
        last = vision.encoder.layers[-1]
        hidden = hidden + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(hidden)))
        hidden = hidden + last.mlp(last.layer_norm2(hidden))
        vectors = clip.model.visual_projection(vision.post_layernorm(hidden[:, 1:]))
        return functional.normalize(vectors, dim=-1).mT.unflatten(2, (clip.grid, clip.grid))

    found = patch_vectors(untrained, noise)
    test_close(found, without_attention(untrained, noise), eps=1e-5)
    test_close(found[1:2], patch_vectors(untrained, noise[1:2]), eps=1e-5)
    test_close(found.norm(dim=1), torch.ones(3, 4, 4), eps=1e-5)


# 12_clip_teacher.ipynb, section "The teacher"
def test_the_teacher():
    def taught_clip():
        "A small CLIP whose patches know three colours."
        clip = Clip(*small_clip())
        words = clip.tokenizer(COLOUR_PHRASES, padding=True, return_tensors='pt')
        optimizer = torch.optim.AdamW(clip.model.requires_grad_(True).parameters(), lr=3e-3)
        for _ in range(60):
            label = torch.randint(3, (24,))
            pictures = plain_pictures([COLOUR_PHRASES[i].split()[0] for i in label])
            patches = patch_vectors.__wrapped__(clip, pictures) # without inference_mode
            texts = functional.normalize(clip.model.get_text_features(**words).pooler_output, dim=-1)
            fits = torch.einsum('ndhw,cd->nc', patches, texts) / clip.grid**2 * clip.model.logit_scale.exp()
            functional.cross_entropy(fits, label).backward()
            optimizer.step(), optimizer.zero_grad()
        return Clip(clip.model, clip.tokenizer)

    torch.manual_seed(0)
    clip = taught_clip()
    picture = torch.cat([plain_pictures(['red'])[..., :16], plain_pictures(['green'])[..., 16:]], 3)

    teacher = load_clip_teacher(clip, COLOUR_PHRASES, prompt='{}')
    reading = teacher.read(picture)
    [tuple(reading.classes.shape), tuple(reading.features.shape), reading.layers]

    figure, axes = pyplot.subplots(1, 4, figsize=(6, 1.8), layout='constrained')
    axes[0].imshow(picture[0].permute(1, 2, 0)), axes[0].set_title('picture', fontsize=9)
    for axis, name, maps in zip(axes[1:], teacher.names, reading.classes[0]):
        axis.imshow(maps, cmap='cividis', vmin=0, vmax=1), axis.set_title(name, fontsize=9)
    for axis in axes: axis.set(xticks=[], yticks=[])

    test_close(reading.classes.sum(1), torch.ones(1, 4, 4), eps=1e-5)
    left, right = reading.classes[0, :, :, :2].mean((1, 2)), reading.classes[0, :, :, 2:].mean((1, 2))
    test_eq([teacher.names[left.argmax()], teacher.names[right.argmax()]], ['red things', 'green things'])
    test_eq(load_clip_teacher(clip, COLOUR_PHRASES, prompt='{}').identity(), teacher.identity())
    assert load_clip_teacher(clip, COLOUR_PHRASES[::-1], prompt='{}').identity() != teacher.identity()
    assert load_clip_teacher(clip, COLOUR_PHRASES, prompt='a {}').identity() != teacher.identity()


# 12_clip_teacher.ipynb, section "A list of words"
def test_a_list_of_words():
    path = Path(tempfile.mkdtemp())/'words.txt'
    path.write_text('red\n\nfire engine \nred\n')
    read_words(path)

    test_eq(read_words(path), ['red', 'fire engine'])
    test_eq(read_words(['sea', 'sky', 'sea']), ['sea', 'sky'])


# 12_clip_teacher.ipynb, section "Errors"
def test_errors():
    global MilanError
    import pytest

    from milan.config import MilanError

    untrained = Clip(*small_clip())
    for names, prompt, said in ((['red', 'red'], '{}', "'red' is on the list of names twice"),
                                (['red'], '{}', '1 names: give at least two'),
                                (['red', 'blue'], 'a photo', "'a photo' has no {}")):
        with pytest.raises(MilanError, match=said): load_clip_teacher(untrained, names, prompt)

    folder = Path(tempfile.mkdtemp())
    (folder/'picture.txt').write_bytes(b'\xff\xd8\xff\xe0')
    (folder/'one.txt').write_text('red\nred\n')
    for words, said in ((folder/'none.txt', 'cannot be read: give a text file'), (folder, 'cannot be read'),
                        (folder/'picture.txt', 'is not UTF-8 text'), (folder/'one.txt', 'one.txt has 1 words'),
                        ([], 'the list of words has 0 words')):
        with pytest.raises(MilanError, match=said): read_words(words)
