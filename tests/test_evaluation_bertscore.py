# Generated from nbs/09_evaluation/03_bertscore.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.config import models_dir
from milan.evaluation.text import clean
from pathlib import Path
import math
import torch
from milan.evaluation.bertscore import (
    _embed,
    _idf,
    _libraries,
    _weights,
    bert_score,
    missing_text_model,
    PAPER_MODEL,
    text_model,
    text_model_folder,
)

import os
import shutil
import tempfile
import warnings

import matplotlib.pyplot as plt
import numpy as np
from fastcore.test import expect_fail, test_close, test_eq

from milan.evaluation.text import word_f1

warnings.filterwarnings('ignore', message='IProgress not found') # transformers asks for a widget

VOCABULARY = '[PAD] [UNK] [CLS] [SEP] [MASK] a the red dog dogs sky blue grass'.split()


def tiny_text_model(folder):
    "Write a random BERT of two layers that knows ten words; the same on every machine."
    transformers = _libraries()[1]
    folder.mkdir(parents=True)
    vocabulary = {word: i for i, word in enumerate(VOCABULARY)}
    (folder/'vocab.txt').write_text('\n'.join(VOCABULARY))
    transformers.BertTokenizer(vocab=vocabulary, model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32)).save_pretrained(folder)
    return folder


# 03_bertscore.ipynb, section "Finding a model"
def test_finding_a_model():
    os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    tiny = tiny_text_model(models_dir()/'tiny')
    test_eq((text_model_folder('tiny'), text_model_folder(tiny), missing_text_model('tiny')), (tiny, tiny, ''))

    message = missing_text_model('nobody/nothing')
    assert 'nobody/nothing is not on this machine: `hf download nobody/nothing' in message
    shutil.rmtree(os.environ.pop('MILAN_MODELS_DIR'))

    folder = Path(tempfile.mkdtemp())
    tiny = text_model(tiny_text_model(folder/'tiny'))
    test_eq((tiny.name, tiny.layers, tiny.baseline), ('tiny', 2, None))
    shutil.rmtree(folder)
    tiny.model.config.hidden_size


# 03_bertscore.ipynb, section "Embedding and matching"
def test_embedding_and_matching():
    folder = Path(tempfile.mkdtemp())
    tiny = text_model(tiny_text_model(folder/'tiny'))
    shutil.rmtree(folder)
    _embed(tiny, ['the dog', 'the dog', 'sky'])
    shapes = {text: vectors.shape for text, (_, vectors) in tiny.vectors.items()}
    test_eq(shapes, {'the dog': (4, 16), 'sky': (3, 16)})

    idf = _idf(tiny, ['the dog', 'the sky'])
    ids = tiny.vectors['the dog'][0]
    test_close(_weights(tiny, ids, idf).numpy(), [0, 0, math.log(1.5), 0]) # 'the' is in both references
    test_eq(_weights(tiny, ids, None).tolist(), [0, 1, 1, 0])
    _weights(tiny, ids, idf)

    _embed(tiny, ['a red dog', 'the dogs'])
    (first, a), (second, b) = tiny.vectors['a red dog'], tiny.vectors['the dogs']
    cosines = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)[1:-1, 1:-1]
    figure, axis = plt.subplots(figsize=(3.4, 2.2), layout='constrained')
    shades = axis.imshow(cosines, cmap='cividis')
    best = {*enumerate(cosines.argmax(1).tolist()), *((r, c) for c, r in enumerate(cosines.argmax(0).tolist()))}
    for row, column in best:
        axis.add_patch(plt.Rectangle((column - .48, row - .48), .96, .96, fill=False, edgecolor='#D55E00', lw=2))
    axis.set_xticks(range(2), [VOCABULARY[i] for i in second[1:-1]])
    axis.set_yticks(range(3), [VOCABULARY[i] for i in first[1:-1]])
    axis.set(xlabel='reference', ylabel='description')
    figure.colorbar(shades, label='cosine')
    plt.show()

    from bert_score import BERTScorer

    folder = Path(tempfile.mkdtemp())
    tiny = tiny_text_model(folder/'tiny')
    texts = ['A red dog.', 'the sky', 'grass']
    people = [['dogs', 'the dog'], ['a blue sky'], ['the red grass', 'sky']]
    every = [text for unit in people for text in unit]
    for idf in (True, False):
        scorer = BERTScorer(str(tiny), num_layers=1, idf=idf, idf_sents=every, nthreads=0, device='cpu')
        expected = scorer.score([clean(text) for text in texts], people)[2].numpy()
        test_close(bert_score(texts, people, model=tiny, layers=1, idf=idf).values, expected, eps=1e-5)
    bert_score(texts, people, model=tiny)

    one_by_one = [bert_score(texts[:1], [[text]], model=tiny, idf=False).value for text in people[0]]
    mean = bert_score(texts[:1], people[:1], 'mean', model=tiny, idf=False).value
    test_close(mean, np.mean(one_by_one), eps=1e-5)
    test_eq(bert_score(['', ' . '], [['dog'], ['sky']], model=tiny).values, [0, 0])
    test_close(bert_score(['the dog'], [['the dog', 'sky']], model=tiny).value, 1, eps=1e-5) # all idf are 0

    twin = shutil.copytree(tiny, folder/PAPER_MODEL)
    raw = bert_score(texts, people, model=twin, layers=2, rescale=False).values
    rescaled = bert_score(texts, people, model=twin, layers=2).values
    baseline = text_model(twin, 2).baseline
    test_close(rescaled, (raw - baseline) / (1 - baseline), eps=1e-6)
    test_eq(bert_score(['', 'sky'], people[:2], model=twin, layers=2).values[0], 0)
    shutil.rmtree(folder)
    text_model.cache_clear()
    baseline

    scores = None
    if not missing_text_model():
        texts = ['a puppy', 'an automobile', 'a puppy']
        people = [['some dogs', 'grass'], ['cars'], ['cars', 'the sky']]
        scores = bert_score(texts, people)
        assert min(scores.values[:2]) > scores.values[2] + .05 and word_f1(texts, people).value == 0
    scores


# 03_bertscore.ipynb, section "Errors"
def test_errors():
    folder = Path(tempfile.mkdtemp())
    tiny = tiny_text_model(folder/'tiny')
    broken = shutil.copytree(tiny, folder/'broken', ignore=shutil.ignore_patterns('*.safetensors'))
    with expect_fail(MilanError, contains='nothing is not on this machine'): text_model_folder('nobody/nothing')
    with expect_fail(MilanError, contains='no baseline'): bert_score(['a'], [['a']], model=tiny, rescale=True)
    with expect_fail(MilanError, contains='layers=3 is not between 1 and 2'): text_model(tiny, 3)
    with expect_fail(MilanError, contains='no readable language model'): text_model(broken)
    shutil.rmtree(folder)
