# Generated from nbs/40_metrics.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.config import models_dir
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from milan.metrics import (
    _bert_score,
    _crossed,
    _exchanged,
    _f1,
    _one_scale,
    _spoken,
    agreement,
    align,
    bert_score,
    best_constant,
    between_annotators,
    bleu,
    bootstrap,
    clean,
    content_words,
    difference,
    exact,
    head_noun,
    head_word,
    label,
    leave_one_out,
    measure,
    MEASURES,
    missing_text_model,
    most_frequent,
    PAPER_MODEL,
    purity,
    rouge,
    shuffled,
    singular,
    summarise,
    text_model,
    text_model_folder,
    word_f1,
    words,
)
import pytest

import json
import os
import shutil
import tempfile
import warnings

from fastcore.test import expect_fail, test_close, test_eq

from milan.config import oracle_dir

warnings.filterwarnings('ignore', message='IProgress not found') # transformers asks for a widget that nothing here shows


def tiny_text_model(folder):
    "A random BERT of two layers that knows ten words, written as transformers does. The very same on every machine."
    transformers = _bert_score()[1]
    vocabulary = '[PAD] [UNK] [CLS] [SEP] [MASK] a the red dog dogs sky blue grass'.split()
    folder.mkdir(parents=True)
    (folder/'vocab.txt').write_text('\n'.join(vocabulary))
    transformers.BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}, model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                                                   intermediate_size=32)).save_pretrained(folder)
    return folder


# 40_metrics.ipynb, section "From text to words"
def test_from_text_to_words():
    test_eq(clean(' A Dog. '), 'a dog')
    words("Dogs' heads; black-and-white")

    plurals = 'apples boxes glasses houses berries tomatoes watches people shoes leaves cookies'.split()
    test_eq([singular(w) for w in plurals],
            'apple box glass house berry tomato watch person shoe leaf cookie'.split())
    test_eq([singular(w) for w in 'glass iris cactus bus apple cookie'.split()], 'glass iris cactus bus apple cookie'.split())

    test_eq(content_words('A red apple'), content_words('the red apples.'))
    test_eq(content_words('the'), ['the'])
    content_words('The tops of two houses')

    test_eq([head_word(t) for t in ('the green apples', 'tops of houses', 'dogs, cats and birds', '', 'in the sky')],
            ['apple', 'top', 'dog', '', 'sky'])
    head_word('a small bird on a branch')


# 40_metrics.ipynb, section "Intervals: bootstrap over units"
def test_intervals_bootstrap_over_units():
    sample = np.random.default_rng(1).normal(size=400)
    error = 1.96 * sample.std() / 20
    test_close(bootstrap(sample, seed=2), (sample.mean() - error, sample.mean() + error), eps=.02)
    test_eq(bootstrap(np.ones(5)), (1, 1))
    bootstrap(sample, seed=2)

    with expect_fail(MilanError, contains='no units'): bootstrap(np.empty(0))

    test_eq(summarise([0, 1, 1, 0]).value, .5)
    summarise([0, 1, 1, 0])

    good, bad = summarise(np.linspace(.4, .9, 50)), summarise(np.linspace(.3, .8, 50))
    test_close(difference(good, bad).interval, (.1, .1))
    with expect_fail(MilanError, contains='50 scores against 2'): difference(good, summarise([0, 1]))
    difference(good, bad)


# 40_metrics.ipynb, section "Word by word"
def test_word_by_word():
    said = ['red apples', 'the sky']
    people = [['a green apple', 'red round fruit'], ['sky']]
    test_close(word_f1(said, people).values, [.5, 1])
    test_close(word_f1(said, people, over='mean').values, [(.5 + .4) / 2, 1])
    word_f1(said, people)

    said, people = ['red apples', 'apple', ''], [['A red apple.'], ['green apples in a bowl'], ['bowl']]
    test_eq(exact(said, people).values, [1, 0, 0])
    test_eq(head_noun(said, people).values, [1, 1, 0])
    exact(said, people).value, head_noun(said, people).value

    with expect_fail(MilanError, contains='2 descriptions for 1'): exact(['a', 'b'], [['a']])
    with expect_fail(MilanError, contains='row 1'): exact(['a', 'b'], [['a'], ['']])
    with expect_fail(MilanError, contains='list of references'): exact(['a'], ['a'])
    with expect_fail(MilanError, contains="'worst'"): exact(['a'], [['a']], over='worst')


# 40_metrics.ipynb, section "BLEU and ROUGE"
def test_bleu_and_rouge():
    said = ['a dog on the green grass', 'tall white buildings']
    people = [['a dog on the green grass', 'dogs'], ['tall white buildings', 'houses', 'a city']]
    test_close(bleu(said, people).value, 1)
    assert bleu(['cats', 'cats'], people).value < .05
    test_eq(bleu(['red dogs'], [['red dogs']]).value, 0)
    bleu(said[::-1], people)

    test_close(rouge(['The red dog.'], [['the dog']]).value, .8)
    test_eq(rouge(['the red dog'], [['the dog']], kind='rouge2').value, 0)
    with expect_fail(MilanError, contains="'rouge9'"): rouge(['a'], [['a']], kind='rouge9')
    rouge(['the red dog', 'a cat'], [['the dog', 'red'], ['cats']], kind='rouge1')


# 40_metrics.ipynb, section "BLEU and ROUGE"
@pytest.mark.oracle
def test_bleu_and_rouge_oracle():
    golden = json.loads((oracle_dir()/'milan.json').read_text())
    for run in ('greedy', 'rerank'):
        captions = golden['greedy' if run == 'greedy' else 'rerank50']['captions']
        test_close(100 * bleu(captions, golden['annotations']).value, golden['metrics'][f'{run}_bleu']['score'], eps=1e-4)
    bleu(captions, golden['annotations'])


# 40_metrics.ipynb, section "BERTScore"
def test_bertscore():
    os.environ['MILAN_MODELS_DIR'] = tempfile.mkdtemp()
    with expect_fail(MilanError, contains='nobody/nothing, which is not here'): text_model_folder('nobody/nothing')
    tiny = tiny_text_model(models_dir()/'tiny')
    test_eq((text_model_folder('tiny'), text_model_folder(tiny), missing_text_model('tiny')), (tiny, tiny, ''))
    shutil.rmtree(os.environ.pop('MILAN_MODELS_DIR'))
    missing_text_model('nobody/nothing')

    folder = Path(tempfile.mkdtemp())
    tiny = tiny_text_model(folder/'tiny')
    said, people = ['A red dog.', 'the sky', 'grass'], [['dogs', 'the dog'], ['a blue sky'], ['the red grass', 'sky']]
    from bert_score import BERTScorer

    for idf in (True, False):
        scorer = BERTScorer(str(tiny), num_layers=1, idf=idf, idf_sents=[text for unit in people for text in unit], nthreads=0, device='cpu')
        test_close(bert_score(said, people, model=tiny, layers=1, idf=idf).values, scorer.score([clean(text) for text in said], people)[2].numpy(), eps=1e-5)
    bert_score(said, people, model=tiny)

    one_by_one = [bert_score(said[:1], [[text]], model=tiny, idf=False).value for text in people[0]]
    test_close(bert_score(said[:1], people[:1], 'mean', model=tiny, idf=False).value, np.mean(one_by_one), eps=1e-5)
    test_eq(bert_score(['', ' . '], [['dog'], ['sky']], model=tiny).values, [0, 0])
    test_close(bert_score(['the dog'], [['the dog', 'sky']], model=tiny).value, 1, eps=1e-5) # although idf gives no word any weight
    with expect_fail(MilanError, contains='no baseline for tiny'): bert_score(said, people, model=tiny, rescale=True)
    with expect_fail(MilanError, contains='layers=3 is not between 1 and 2'): bert_score(said, people, model=tiny, layers=3)
    with expect_fail(MilanError, contains='holds no language model'): text_model(shutil.copytree(tiny, folder/'broken', ignore=shutil.ignore_patterns('*.safetensors')))

    twin = shutil.copytree(tiny, folder/PAPER_MODEL)
    raw, rescaled = (bert_score(said, people, model=twin, layers=2, rescale=rescale).values for rescale in (False, None))
    baseline = text_model(twin, 2).baseline
    test_close(rescaled, (raw - baseline) / (1 - baseline), eps=1e-6)
    test_eq(bert_score(['', 'sky'], people[:2], model=twin, layers=2).values[0], 0)
    shutil.rmtree(folder)
    text_model.cache_clear()
    baseline

    scores = None
    if not missing_text_model():
        said, people = ['a puppy', 'an automobile', 'a puppy'], [['some dogs', 'grass'], ['cars'], ['cars', 'the sky']]
        scores = bert_score(said, people)
        assert min(scores.values[:2]) > scores.values[2] + .05 and word_f1(said, people).value == 0
    scores

    test_eq(measure('exact'), exact)
    test_eq(label('bert_score:FacebookAI/roberta-large'), 'bert_score (roberta-large)')
    for name in ('meteor', 'bleu:roberta-large'):
        with expect_fail(MilanError, contains='word_f1'): measure(name)
    with expect_fail(MilanError, contains='different scales'): _one_scale(['word_f1', 'bert_score', 'bert_score:roberta-large'])
    {label(name): measure(name)(['red dogs'], [['a red dog']]).value for name in MEASURES if name != 'bert_score' or not missing_text_model()}


# 40_metrics.ipynb, section "Rows that keep a table honest"
def test_rows_that_keep_a_table_honest():
    training = [['a dog', 'brown dog'], ['dogs'], ['the sky'], ['grass and dogs']]
    test_eq(best_constant(training), 'dog')
    best_constant(training, 'exact')

    test_eq(most_frequent([['Dogs.', 'a dog'], ['dogs'], ['sky']]), 'dogs')

    test_close(shuffled(['dog', 'sky'], [['dog'], ['sky']], permutations=400).value, .5, eps=.1)
    shuffled(['dog', 'sky', 'grass'], [['dog'], ['sky'], ['grass']], 'bleu')

    test_close(leave_one_out([['dog', 'dogs', 'grass']]).value, 2 / 3)
    test_close(leave_one_out([['dog', 'dogs', 'grass']], ['dog']).value, 1)
    with expect_fail(MilanError, contains='two reference texts'): leave_one_out([['dog']])

    things = ['dog', 'sky', 'grass', 'car', 'face', 'wheel', 'text', 'flower'] * 5
    colours = ['red', 'blue', 'green', 'white', 'black'] * 8
    people = [[f'a {c} {t}', f'{t}s', f'something {c}'] for c, t in zip(colours, things, strict=True)]
    table = agreement([f'{c} {t}s' for c, t in zip(colours, things, strict=True)], people, human=True)
    test_eq(list(table.row[:3]), ['ours', 'constant', 'shuffled'])
    gaps = agreement([f'{c} {t}s' for c, t in zip(colours, things, strict=True)], people, measures=['exact'], paired=True).set_index('row')
    test_close(gaps.value['ours - constant'], gaps.value['ours'] - gaps.value['constant'])
    assert table.value.between(0, 1).all() and (table.low <= table.high).all()
    table.round(3)

    ours = table[table.row == 'ours'].set_index('measure')
    others = table[table.row.isin(['constant', 'shuffled'])]
    assert all(row.value < ours.low[row.measure] for row in others.itertuples())
    crossed = agreement(['dogs'] * 40, people, measures=['word_f1'], crossed=True)
    assert crossed.value[1] >= crossed.value[0] and 'other half' in crossed.note[1]
    with expect_fail(MilanError, contains='make two'): agreement(['dogs'] * 40, people, measures=['bert_score:roberta-large', 'bert_score'])
    others[['measure', 'row', 'note']]


# 40_metrics.ipynb, section "Are the rows honest?"
def test_are_the_rows_honest():
    generator = np.random.default_rng(0)
    things, colours = ['dog', 'sky', 'grass', 'car', 'face', 'wheel'], ['red', 'blue', 'green', 'white']
    truth = [f'{generator.choice(colours)} {generator.choice(things)}' for _ in range(200)]
    people = [[text, text.split()[1]] for text in truth]
    guessed = [truth[i] for i in generator.integers(200, size=200)]
    gap = difference(word_f1(guessed, people), shuffled(guessed, people, permutations=10))
    low, high = gap.interval
    assert low < 0 < high
    gap

    word = most_frequent(people)
    table = agreement([word] * 200, people, measures=['word_f1']).set_index('row')
    test_eq(table.value['ours'], table.value['constant'])
    test_close(table.value['ours'], table.value['shuffled'])
    table.value.round(3)

    half = [text if i % 2 else guess for i, (text, guess) in enumerate(zip(truth, guessed, strict=True))]
    table = agreement(half, people, measures=['word_f1']).set_index('row')
    assert table.low['ours'] > max(table.high['constant'], table.high['shuffled'])
    full = agreement(truth, people, measures=['word_f1']).set_index('row')
    test_close(table.value['shuffled'], full.value['shuffled'], eps=.05)
    table.round(3)


# 40_metrics.ipynb, section "How well people agree with each other"
def test_how_well_people_agree_with_each_other():
    told = [['a dog', 'dogs'], ['the sky', 'sky'], ['grass', 'green grass'], ['cars', 'a car']]
    test_eq(_exchanged(told, 'word_f1', 'best', 2, seed=0).value, 0)
    test_eq(len(set(_crossed(told, 'word_f1', 'best', seed=0))), 2)
    for over in ('best', 'mean'): test_close(_spoken([*told, ['dogs', 'dog', 'sky']], ['dogs'] * 5, 'rougeL', over), leave_one_out([*told, ['dogs', 'dog', 'sky']], ['dogs'] * 5, 'rougeL', over).values)
    _crossed(told, 'word_f1', 'best', seed=0)

    generator = np.random.default_rng(0)
    things, colours = ['dog', 'cloud', 'tree', 'car', 'face', 'wheel'], ['red', 'blue', 'green', 'white']
    people = [[f'a {thing}', f'some {thing}', str(generator.choice(colours))] for thing in generator.choice(things, size=60)]
    table = between_annotators([*people, ['alone'], ['alone', ' '], []])
    rows = table.set_index(['measure', 'row'])
    test_close(rows.score['head_noun', 'people'], 2 / 3)
    test_eq((rows.n.unique().tolist(), rows.left_out.unique().tolist()), ([60], [3]))
    assert all(rows.low[name, 'people'] > rows.high[name, row] for name in ('word_f1', 'head_noun') for row in ('constant', 'shuffled'))
    table.drop(columns='note').round(3)

    naive = [np.mean([max(_f1(text, other) for j, other in enumerate(unit) if j != i) for i, text in enumerate(unit)]) for unit in people]
    test_close(rows.score['word_f1', 'people'], np.mean(naive))
    human = agreement([unit[0] for unit in people], people, measures=['word_f1'], human=True).set_index('row')
    test_eq(rows.score['word_f1', 'people'], human.value['human'])
    same = between_annotators([['objects', 'an object']] * 8, ['exact']).set_index('row')
    test_eq(same.score.tolist(), [1, 1, 1])
    test_eq(between_annotators(people, seed=3).score.tolist(), between_annotators(people, seed=3).score.tolist())
    with expect_fail(MilanError, contains='of 2 units 1'): between_annotators([['a', 'b'], ['a']])
    with expect_fail(MilanError, contains='single text'): between_annotators(['a dog', 'dogs'])
    with expect_fail(MilanError, contains="'meteor'"): between_annotators(people, ['meteor'])
    same


# 40_metrics.ipynb, section "How well people agree with each other"
@pytest.mark.oracle
def test_how_well_people_agree_with_each_other_oracle():
    published = oracle_dir().parent/'data/milannotations_resnet152_imagenet.csv'
    table = pd.DataFrame()
    if published.exists():
        real = pd.read_csv(published, keep_default_na=False)
        table = between_annotators([list(unit) for _, unit in real.groupby(['layer', 'unit']).summary]).drop(columns='note')
        rows = table.set_index(['measure', 'row'])
        assert (table.n == 3904).all()
        assert all(rows.high[name, 'shuffled'] < rows.low[name, 'people'] < rows.low[name, 'constant'] for name in table.measure)
    table.round(3)


# 40_metrics.ipynb, section "From tables to lists"
def test_from_tables_to_lists():
    ours = pd.DataFrame({'layer': [3, 3, 4], 'unit': [0, 1, 0], 'description': ['dogs', 'sky', 'grass']})
    theirs = pd.DataFrame({'layer': ['3', '3', '3'], 'unit': [1, 0, 0], 'summary': ['blue sky', 'dog', 'a dog']})
    test_eq(align(ours, theirs).references, [['dog', 'a dog'], ['blue sky']])
    with expect_fail(MilanError, contains='layer names'): align(ours[2:], theirs)
    with expect_fail(MilanError, contains='no column summary'): align(ours, ours)
    align(ours, theirs).units


# 40_metrics.ipynb, section "How pure are a unit's exemplars?"
def test_how_pure_are_a_unit_s_exemplars():
    test_eq(purity(['dog', 'dog', 'cat', None]), ('dog', .5))
    test_eq(purity([{'dog', 'animal'}, {'cat', 'animal'}, set()]), ('animal', 2 / 3))
    test_eq(purity([None, '']), ('', 0))
    with expect_fail(MilanError, contains='no exemplars'): purity([])
    purity(['red', 'red', 'blue'])
