# Generated from nbs/07_captioner/11_tokenizer.ipynb by `make export`. Edit the notebook, not this file.

from milan.captioner.text import Vocabulary
from milan.captioner.text import tokenize
from milan.config import MilanError
import gc
import warnings
from milan.captioner.tokenizer import (
    _our_bytes,
    check_rules,
    tokenizer_rules,
)

from fastcore.test import expect_fail, test_eq


# 11_tokenizer.ipynb, section "The rules that split words"
def test_the_rules_that_split_words():
    rules = tokenizer_rules(_our_bytes())
    test_eq(set(rules), {'exceptions', 'infix_finditer', 'prefix_search', 'suffix_search', 'token_match',
                         'url_match'})
    [(text, rules['exceptions'][text]) for text in ("don't", 'a.m.', ':)')], len(rules['exceptions'])

    for text in ("don't", 'a.m.', ':)'): test_eq(tokenize(text), rules['exceptions'][text])
    for odd, said in ((b'\x93nonsense', 'no msgpack'), (b'\x01', 'int'), (b'\x80', 'no tokenizer')):
        with expect_fail(MilanError, contains=said): tokenizer_rules(odd)
    assert gc.isenabled()

    import spacy
    import srsly

    older = spacy.blank('en')
    older.tokenizer.add_special_case('redthing', [{65: 'red'}, {65: 'thing'}])

    def indexer_of(packed): return {'properties': {'tokenize': {'properties': {'nlp': ({}, packed)}}}}

    vocabulary = Vocabulary(['redthing', 'blue'])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        test_eq(check_rules('a.pth', indexer_of(_our_bytes()), vocabulary), [])
        test_eq(len(caught), 0)
        test_eq(check_rules('older.pth', indexer_of(older.to_bytes(exclude=['vocab'])), vocabulary),
                ['exceptions'])
    print(caught[0].message)

    broken = srsly.msgpack_dumps({'tokenizer': srsly.msgpack_dumps({'exceptions': {'red': [{65: 3}]}})})
    for odd, said in ((None, 'does not hold its rules'), (b'\x80', 'no tokenizer'), (broken, 'cannot be used')):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            test_eq(check_rules('odd.pth', indexer_of(odd), vocabulary), [])
        assert said in str(caught[0].message)
