# Generated from nbs/09_evaluation/02_text.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.evaluation.text import (
    bleu,
    clean,
    content_words,
    exact_match,
    head_noun,
    head_word,
    rouge,
    singular,
    word_f1,
    words,
)
import pytest

import json

from fastcore.test import expect_fail, test_close, test_eq

from milan.config import oracle_dir


# 02_text.ipynb, section "From text to words"
def test_from_text_to_words():
    test_eq(clean(' A Dog. '), 'a dog')
    words("Dogs' heads; black-and-white")

    plurals = 'apples boxes glasses houses berries tomatoes watches people shoes leaves cookies'.split()
    singulars = 'apple box glass house berry tomato watch person shoe leaf cookie'.split()
    test_eq([singular(word) for word in plurals], singulars)

    unchanged = 'glass iris cactus bus apple'.split()
    test_eq([singular(word) for word in unchanged], unchanged)

    test_eq(content_words('A red apple'), content_words('the red apples.'))
    test_eq(content_words('the'), ['the'])
    content_words('The tops of two houses')

    phrases = 'the green apples', 'tops of houses', 'dogs, cats and birds', 'in the sky'
    test_eq([head_word(text) for text in phrases], ['apple', 'top', 'dog', 'sky'])
    test_eq(head_word(''), '')
    head_word('a small bird on a branch')


# 02_text.ipynb, section "Overlap of content words"
def test_overlap_of_content_words():
    texts = ['red apples', 'the sky']
    people = [['a green apple', 'red round fruit'], ['sky']]
    test_close(word_f1(texts, people).values, [.5, 1])
    test_close(word_f1(texts, people, over='mean').values, [(.5 + .4) / 2, 1])
    word_f1(texts, people)

    texts, people = ['red apples', 'apple', ''], [['A red apple.'], ['green apples in a bowl'], ['bowl']]
    test_eq(exact_match(texts, people).values, [1, 0, 0])
    exact_match(texts, people).value

    test_eq(head_noun(texts, people).values, [1, 1, 0])
    head_noun(texts, people).value


# 02_text.ipynb, section "BLEU"
def test_bleu():
    texts = ['a dog on the green grass', 'tall white buildings']
    people = [['a dog on the green grass', 'dogs'], ['tall white buildings', 'houses', 'a city']]
    test_close(bleu(texts, people).value, 1)
    assert bleu(['cats', 'cats'], people).value < .05
    test_eq(bleu(['red dogs'], [['red dogs']]).value, 0)
    bleu(texts[::-1], people)


# 02_text.ipynb, section "BLEU"
@pytest.mark.oracle
def test_bleu_oracle():
    golden = json.loads((oracle_dir()/'milan.json').read_text())
    for run in ('greedy', 'rerank'):
        captions = golden['greedy' if run == 'greedy' else 'rerank50']['captions']
        expected = golden['metrics'][f'{run}_bleu']['score']
        test_close(100 * bleu(captions, golden['annotations']).value, expected, eps=1e-4)
    bleu(captions, golden['annotations'])


# 02_text.ipynb, section "ROUGE"
def test_rouge():
    test_close(rouge(['The red dog.'], [['the dog']]).value, .8)
    test_eq(rouge(['the red dog'], [['the dog']], kind='rouge2').value, 0)
    rouge(['the red dog', 'a cat'], [['the dog', 'red'], ['cats']], kind='rouge1')


# 02_text.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='2 descriptions for 1'): exact_match(['a', 'b'], [['a']])
    with expect_fail(MilanError, contains='row 1'): exact_match(['a', 'b'], [['a'], ['']])
    with expect_fail(MilanError, contains='list of references'): exact_match(['a'], ['a'])
    with expect_fail(MilanError, contains='no descriptions'): exact_match([], [])
    with expect_fail(MilanError, contains="'worst'"): exact_match(['a'], [['a']], over='worst')
    with expect_fail(MilanError, contains="'rouge9'"): rouge(['a'], [['a']], kind='rouge9')
