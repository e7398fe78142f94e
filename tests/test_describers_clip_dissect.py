# Generated from nbs/02_clip_dissect.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner import clip as rerank
from milan.config import MilanError
import numpy as np
import torch
from milan.describers.clip_dissect import (
    clip_similarity,
    describe_by_clip,
    soft_wpmi,
)
import pytest

import string
import warnings

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.concepts.observations import observe, pack_concepts
from milan.concepts.segmentations import Scenes
from milan.config import import_torchvision
from milan.images.sets import ShapeScenes

warnings.filterwarnings('ignore', message='IProgress') # of libraries' progress bars


# 02_clip_dissect.ipynb, section "Soft WPMI"
def test_soft_wpmi():
    similarity = torch.tensor([[.9, .1], [.8, .2], [.1, .9], [.2, .7]])
    activations = torch.tensor([[5., 0.], [4., 1.], [0., 6.], [1., 7.]])
    soft_wpmi(similarity, activations, images=2)

    def naive_soft_wpmi(similarity, activations, k):
        "The formula in double precision."
        given = np.zeros((activations.shape[1], similarity.shape[1]))
        for unit in range(activations.shape[1]):
            for rank, image in enumerate(np.argsort(-activations[:, unit])[:k]):
                p = np.exp(10 * similarity[image]) / np.exp(10 * similarity[image]).sum()
                given[unit] += np.log(1 + (.998 - rank / k * .028) * (p - 1) + 1e-7)
        return given - np.log(np.exp(given).mean(0))


    generator = np.random.default_rng(0)
    similarity, activations = generator.normal(.2, .05, (30, 6)), generator.normal(size=(30, 4))
    expected = naive_soft_wpmi(similarity, activations, 5)
    test_close(soft_wpmi(similarity, activations, 5).numpy(), expected, eps=1e-4)
    test_eq(soft_wpmi(similarity, activations).shape, (4, 6))


# 02_clip_dissect.ipynb, section "Descriptions"
@pytest.mark.slow
def test_descriptions_slow():
    import_torchvision() # transformers imports it, which can fail where torchvision is a CPU build
    import transformers

    letters = string.ascii_lowercase
    tokens = [*letters, *(f'{letter}</w>' for letter in letters), '<|startoftext|>', '<|endoftext|>']
    vocabulary, size = {token: number for number, token in enumerate(tokens)}, len(tokens)
    ends = {'bos_token_id': size - 2, 'eos_token_id': size - 1, 'pad_token_id': size - 1}
    both = {'hidden_size': 16, 'intermediate_size': 32, 'num_hidden_layers': 1, 'num_attention_heads': 2}
    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig(
        text_config={'vocab_size': size, 'max_position_embeddings': 24, **both, **ends},
        vision_config={'image_size': 32, 'patch_size': 8, **both}, projection_dim=8))
    clip = rerank.Clip(model, transformers.CLIPTokenizer(vocab=vocabulary, merges=[]))
    scenes, texts = Scenes(ShapeScenes(10)), ['red', 'a ring', 'stripes']
    similarity = clip_similarity(clip, scenes, texts, batch_size=4)
    test_close(similarity, clip_similarity(clip, scenes, texts, batch_size=10), eps=1e-5)
    assert similarity.shape == (10, 3) and (abs(similarity) <= 1).all()


# 02_clip_dissect.ipynb, section "Descriptions"
def test_descriptions():
    network, scenes = networks.load('planted/shapes', pretrained=False), Scenes(ShapeScenes(100))
    watched, concepts = observe(network, scenes, 'colours'), pack_concepts(scenes)
    similarity, planted = 4 * concepts.masks.shares(), network.planted['colours']
    table = describe_by_clip(watched, similarity, concepts.names, images=10).assign(planted=planted)
    table.head(9).round(2)

    scores = soft_wpmi(similarity, watched.means, 10)[:9]
    figure, axis = plt.subplots(figsize=(5.4, 2.5), layout='constrained')
    shades = axis.imshow(scores, cmap='cividis', aspect='auto')
    axis.scatter(scores.argmax(1), range(9), marker='o', facecolor='none', edgecolor='#D55E00')
    axis.set_xticks(range(len(concepts.names)), concepts.names, rotation=90, size=7)
    axis.set_yticks(range(9), [f'{unit} ({planted[unit]})' for unit in range(9)], size=7)
    axis.set(xlabel='text', ylabel='unit (planted colour)')
    figure.colorbar(shades, label='soft WPMI (circle: best)')
    plt.show()

    assert (table.description == table.planted)[:9].mean() > .8


# 02_clip_dissect.ipynb, section "Errors"
def test_errors():
    ones = np.ones((4, 2))
    with expect_fail(MilanError, contains='same images'): soft_wpmi(ones, ones[:3])
    with expect_fail(MilanError, contains='one column per text'): describe_by_clip(None, ones, ['a'])
