# Generated from nbs/06_annotations/04_language.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
import pandas as pd
from milan.annotations.language import (
    _pieces,
    common,
    farthest,
    grammar,
    groups,
    growth,
    length_shares,
    lengths,
    MODELS,
    nearness,
    PARTS,
    parts_of_speech,
    PROPERTIES,
    properties,
    vocabulary,
    word_vectors,
    words,
)
import pytest

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from fastcore.test import expect_fail, test_close, test_eq
from safetensors.torch import save_file

from milan.annotations.sets import read_annotations
from milan.config import oracle_dir


def small_vectors(folder):
    "Vectors of two numbers for a few pieces of words, kept as a language model keeps them."
    pieces = {'dog': (1, 0), '##s': (0, 0), 'cat': (0.8, 0.6), 'a': (0, 0), 'red': (0, 2), 'on': (-1, 0),
              'grass': (-2, 0)}
    (Path(folder)/'vocab.txt').write_text('\n'.join(pieces))
    save_file({'embeddings.word_embeddings.weight': torch.tensor(list(pieces.values()))},
              Path(folder) / 'model.safetensors')
    return folder


def small_table():
    "Annotations of two made-up sets."
    return pd.DataFrame([('near', 'conv1', 0, 'red dogs'), ('near', 'conv1', 0, 'a red dog on grass'),
                         ('near', 'conv1', 0, 'Dogs.'), ('near', 'conv1', 1, 'the edge of a window'),
                         ('near', 'conv1', 1, 'edges'), ('near', 'conv1', 1, 'the edge of a door'),
                         ('far', '3', 4, 'people running, people walking'), ('far', '3', 4, 'a person'),
                         ('far', '3', 4, 'green grass')], columns=['set', 'layer', 'unit', 'summary'])


# 04_language.ipynb, section "Words"
def test_words():
    test_eq(words("It isn't a dog's, mostly."), ['it', 'is', "n't", 'a', 'dog', "'s", 'mostly'])
    test_eq(words(' -- '), [])
    words('black-and-white U.S. flags; 2 cars')


# 04_language.ipynb, section "A table of texts"
def test_a_table_of_texts():
    list(groups(small_table(), 'layer'))

    test_eq([len(texts) for _, texts in groups(small_table())], [9])
    test_eq([name for name, _ in groups(small_table(), 'set')], [{'set': 'near'}, {'set': 'far'}])
    with expect_fail(MilanError, contains="by='model'"): list(groups(small_table(), 'model'))
    with expect_fail(MilanError, contains='no column summary'):
        list(groups(small_table().drop(columns='summary')))
    with expect_fail(MilanError, contains='none of the 1 texts'): list(groups(pd.DataFrame({'summary': ['?']})))


# 04_language.ipynb, section "Lengths"
def test_lengths():
    lengths(small_table(), 'set')

    test_eq(lengths(small_table())[['texts', 'shortest', 'longest']].values.tolist(), [[9, 1, 5]])
    test_close(lengths(small_table())['mean'].tolist(), [(2 + 5 + 1 + 5 + 1 + 5 + 4 + 2 + 2) / 9])
    shares = length_shares(small_table(), 'set')
    test_close(shares.groupby('set').share.sum().tolist(), [1, 1])
    test_eq(shares[shares.set == 'far'].texts.tolist(), [0, 2, 0, 1])
    shares.head(3)


# 04_language.ipynb, section "Vocabulary, and how it grows"
def test_vocabulary_and_how_it_grows():
    vocabulary(small_table(), 'set')

    test_eq(vocabulary(small_table())[['texts', 'different_texts', 'words', 'vocabulary',
                                       'once']].values.tolist(), [[9, 9, 27, 17, 9]])
    test_eq(vocabulary(pd.DataFrame({'description': ['Dogs.', 'dogs']})).values.tolist(), [[2, 1, 2, 1, 0, 0.]])

    curve = growth(small_table(), points=5)
    curve.round(2)

    texts = small_table().summary.tolist()
    test_close(curve.vocabulary.iloc[0], np.mean([len(set(words(text))) for text in texts]))
    test_close(curve.vocabulary.iloc[-1], 17)
    random = np.random.default_rng(0)
    for drawn, expected in curve.iloc[1:-1].itertuples(index=False):
        tries = [len({word for i in random.permutation(9)[: int(drawn)] for word in words(texts[i])})
                 for _ in range(2000)]
        test_close(np.mean(tries), expected, eps=.15)
    test_eq(set(growth(small_table(), 'set').set), {'near', 'far'})


# 04_language.ipynb, section "Commonest words and phrases"
def test_commonest_words_and_phrases():
    common(small_table(), 'set', top=3)

    test_eq(common(small_table(), top=3).phrase.tolist(), ['dogs', 'edge', 'grass'])
    test_eq(common(small_table(), length=2, top=2).phrase.tolist(), ['green grass', 'people running'])
    assert 'edge of a window' in set(common(small_table(), length=4).phrase) and 'running people' not in set(
        common(small_table(), length=2, top=99).phrase
    )
    test_eq(common(small_table(), length=0, top=1).phrase.tolist(), ['a person'])

    test_eq(len(common(small_table(), length=9)), 0)
    with expect_fail(MilanError, contains='length=-1'): common(small_table(), length=-1)


# 04_language.ipynb, section "Parts of speech"
def test_parts_of_speech():
    sentences = ['A dog runs on the grass.', 'very red, round things', 'it']
    table = grammar(sentences)
    table.assign(text=sentences).set_index('text').T

    test_eq(table.words.tolist(), [len(words(text)) for text in sentences])
    test_eq(table[['nouns', 'verbs', 'adpositions', 'determiners']].iloc[0].tolist(), [2, 1, 1, 2])
    test_eq(table[['adjectives', 'adverbs', 'nouns']].iloc[1].tolist(), [2, 1, 1])
    test_eq((table[list(PARTS)].sum(axis=1) + table.others).tolist(), table.words.tolist())
    assert table.depth[0] > table.depth[1] > table.depth[2] == 1 # runs → on → grass → the
    test_eq(grammar(sentences[::-1], depth=False).words.tolist(), table.words.tolist()[::-1])

    twice = ['Dogs in Paris, red ones.', 'This is red. Grass.']
    original = grammar(twice, as_original=True)
    test_eq(original.words.tolist(), [7, 6])
    test_eq((original.words - grammar(twice).words).tolist(), [2, 2]) # a comma and a full stop; two full stops
    test_eq((original.depth[1], grammar(twice).depth[1] > 1), (1, True)) # a noun and its full stop
    assert (original[['nouns', 'verbs']] <= grammar(twice)[['nouns', 'verbs']]).all().all()
    test_eq(original.verbs[1], 0) # 'is' is an AUX
    original.assign(text=twice).set_index('text')[['words', 'nouns', 'verbs', 'depth']]

    test_eq(len(grammar([])), 0)

    parts = parts_of_speech(small_table(), 'set')
    parts.pivot(index='part', columns='set', values='share').loc[[*PARTS, 'others'], ['near', 'far']].round(2)

    test_close(parts.groupby('set').share.sum().tolist(), [1, 1])

    nouns = parts[parts.part == 'nouns'].set_index('set')
    assert .3 < nouns.share['near'] < .7 and nouns.texts_with['near'] > .7
    test_eq(parts_of_speech(small_table()).words.sum(), 27)

    code = '''
import sys
import milan.annotations.language
assert not {'spacy', 'thinc'} & set(sys.modules)
milan.annotations.language.MODELS = {'en_core_web_none': 'en-core-web-none'}
try:
    milan.annotations.language.grammar(['a dog'])
except ValueError as error:
    print(error)
'''
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip()
    said

    test_eq(said,
            'parts of speech need a model for spaCy that is not installed here: pip install en-core-web-none')


# 04_language.ipynb, section "Word vectors"
def test_word_vectors():
    [_pieces(word, {'dog': 0, '##s': 1, '##g': 2, 'do': 3}) for word in ('dog', 'dogs', 'dogsg', 'dox')]

    test_eq(
        [_pieces(word, {'dog': 0, '##s': 1, '##g': 2, 'do': 3}) for word in ('dog', 'dogs', 'dogsg', 'dox', '')],
        [[0], [0, 1], [0, 1, 2], [], []],
    )

    with tempfile.TemporaryDirectory() as folder: vectors = word_vectors(small_vectors(folder))
    vectors('Red dogs!')

    test_close(vectors('Red dogs!'), [[0, 2], [.5, 0]])
    test_eq(vectors('zebras').shape, (0, 1))
    test_close(vectors.of_tokens('Red dogs!'), [[0, 2], [.5, 0], [0, 0]])
    test_eq(vectors.of_tokens('').shape, (0, 1))
    with expect_fail(MilanError, contains="no word vectors 'glove'"): word_vectors('glove')
    with tempfile.TemporaryDirectory() as folder:
        with expect_fail(MilanError, contains='no vocab.txt'): word_vectors(folder)
        (Path(folder)/'vocab.txt').write_text('dog')
        with expect_fail(MilanError, contains='model.safetensors cannot be read'): word_vectors(folder)
        save_file({'other': torch.zeros(1, 2)}, Path(folder)/'model.safetensors')
        with expect_fail(MilanError, contains='has none of'): word_vectors(folder)
        small_vectors(folder)
        (Path(folder)/'vocab.txt').write_text('\n'.join('abcdefghij'))
        with expect_fail(MilanError, contains='different models'): word_vectors(folder)

    # the small model has none
    with expect_fail(MilanError, contains='no word vectors'): word_vectors(next(iter(MODELS)))

    code = '''
import milan.annotations.language
language = milan.annotations.language
language.SPACY_VECTORS, language.KEPT = ('en_core_web_none',), 'none'
language.PACKED = {'minilm_none': 'minilm-none==1'}
for source in (None, 'minilm_none'):
    try:
        milan.annotations.language.word_vectors(source)
    except ValueError as error:
        print(error)
'''
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          check=True).stdout.splitlines()
    [text.partition(', or put')[0] for text in said] # and which folder is looked into

    test_eq([text.split(':')[0] for text in said], ['no word vectors here', 'minilm_none is not installed'])


# 04_language.ipynb, section "Seven properties"
def test_seven_properties():
    with tempfile.TemporaryDirectory() as folder: vectors = word_vectors(small_vectors(folder))
    sentences = ['dog', 'a red dog', 'A dog on grass.', 'zebras']
    properties(sentences, vectors, like=['cat']).assign(text=sentences).set_index('text').T.round(2)

    found = properties(sentences, vectors, like=['cat'])
    test_eq(list(found), [*PROPERTIES, 'like cat'])
    test_close(found.distance.tolist(), [0, 5 ** .5, 3, 0])
    test_close(found['like cat'][:2].tolist(), [.8, (1 / 3 * .8 + 2 / 3 * .6) / (5 ** .5 / 3)])
    test_eq(found['like cat'].iloc[3], 0)
    test_eq(found.length.tolist(), [1, 3, 4, 1])

    test_eq(list(properties(sentences)), list(PROPERTIES[:-1]))
    test_eq(found.depth.tolist(), grammar(sentences).depth.tolist())
    with expect_fail(MilanError, contains='needs word vectors'): properties(sentences, like=['cat'])
    with expect_fail(MilanError, contains="no vector for 'ship'"): nearness('dog', 'ship', vectors)
    original = properties(sentences, vectors, like=['cat'], as_original=True)
    test_eq(original.length.tolist(), [1, 3, 5, 1])
    test_close(original.distance.tolist(), [0, 5 ** .5, 3, 0])
    test_close([farthest('grass.', vectors, as_original=choice) for choice in (False, True)], [0, 2])


# 04_language.ipynb, section "The language of a published set"
@pytest.mark.oracle
def test_the_language_of_a_published_set_oracle():
    people = read_annotations(oracle_dir().parent/'data'/'milannotations_resnet152_imagenet.csv')
    units = people.groupby(['layer', 'unit']).summary.count()
    (len(people), len(units), units.unique().tolist()), lengths(people, 'layer').sort_values('layer').round(2)

    test_eq((len(people), len(units)), (11712, 3904))
    assert (units == 3).all()
    vocabulary(people).round(3)

    curve = growth(people)
    test_close(curve.vocabulary.iloc[-1], vocabulary(people).vocabulary[0], eps=1e-3)
    assert curve.vocabulary.is_monotonic_increasing
    curve.iloc[::8].round(1)

    some = people.sample(1500, random_state=0)
    parts = parts_of_speech(some)
    assert parts.set_index('part').share.idxmax() == 'nouns'
    parts.round(3)
