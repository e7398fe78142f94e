# Generated from nbs/07_captioner/01_text.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.captioner.text import (
    padded,
    reconstruct,
    tokenize,
    Vocabulary,
)
import pytest

import json
import subprocess
import sys
from fastcore.test import expect_fail, test_eq
from milan.config import oracle_dir


# 01_text.ipynb, section "Words"
def test_words():
    tokenize("A dog's left-hand side, mostly.")

    test_eq(tokenize("it isn't"), ['it', 'is', "n't"])
    test_eq(tokenize('U.S.  flags'), ['u.s.', 'flags'])
    test_eq(tokenize(''), [])


# 01_text.ipynb, section "A sentence again"
def test_a_sentence_again():
    reconstruct(tokenize("a dog's left-hand side, mostly."))

    test_eq(reconstruct(['the', 'dog', "'s", 'face', '.']), "The dog 's face.")
    test_eq(reconstruct([]), '')


# 01_text.ipynb, section "The vocabulary"
def test_the_vocabulary():
    padded([[3, 1], [2]], pad=9)

    test_eq(padded([[3, 1], [2]], pad=9).tolist(), [[3, 1], [2, 9]])

    vocabulary = Vocabulary.build(['red circles', 'a red square', 'circles on a red background'])
    vocabulary.words

    ids = vocabulary.batch(['red circles', 'a blue square'])
    ids

    [vocabulary.caption(row) for row in ids]

    test_eq(len(vocabulary), len(vocabulary.words) + 4)
    test_eq(vocabulary.start, len(vocabulary.words))
    test_eq(vocabulary.index('red circles', start=False), [0, 1, vocabulary.stop])
    test_eq(vocabulary.index('circles on a red background', start=False, stop=False, length=2),
            vocabulary.index('circles on')[1:3])
    test_eq(vocabulary.unindex([0, vocabulary.stop, 1]), ['red'])
    test_eq(Vocabulary.build(['red red blue'], minimum=2).words, ('red',))
    with expect_fail(MilanError, contains="'red' appears twice"): Vocabulary(['red', 'blue', 'red'])

    test_eq(Vocabulary(json.loads(json.dumps(vocabulary.words))), vocabulary)


# 01_text.ipynb, section "As the original"
@pytest.mark.oracle
def test_as_the_original_oracle():
    folder = oracle_dir()
    golden, run = json.loads((folder/'tokens.json').read_text()), json.loads((folder/'milan.json').read_text())
    test_eq([tokenize(text) for text in golden['texts']], golden['milan'])
    published = Vocabulary(run['vocab'])
    test_eq(published.batch(golden['indexer_texts']).tolist(), golden['indexer_ids'])
    test_eq(published.batch(golden['indexer_texts'], length=4).tolist(), golden['indexer_ids_len4'])
    test_eq([published.unindex(ids) for ids in golden['indexer_ids']], golden['unindex_nospecials'])
    test_eq([published.caption(ids) for ids in golden['indexer_ids']], golden['reconstruct_ids'])
    test_eq([reconstruct(tokenize(text)) for text in golden['indexer_texts']], golden['reconstruct_tokens'])


# 01_text.ipynb, section "Light to import"
def test_light_to_import():
    code = ('import sys, milan.captioner.text; print([m for m in ("spacy", "transformers", "matplotlib") if m in'
            ' sys.modules])')
    test_eq(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                           check=True).stdout.strip(), '[]')
