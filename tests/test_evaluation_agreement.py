# Generated from nbs/09_evaluation/04_agreement.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.evaluation.intervals import difference
from milan.evaluation.text import exact_match
from milan.evaluation.text import word_f1
import numpy as np
import pandas as pd
from milan.evaluation.agreement import (
    _crossed,
    _exchanged,
    agreement_table,
    align,
    bag_constant,
    best_constant,
    between_annotators,
    between_workers,
    label,
    leave_one_out,
    measure,
    MEASURES,
    most_frequent,
    purity,
    shuffled_scores,
    texts_by_unit,
)
import pytest

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan.config import oracle_dir
from milan.evaluation.bertscore import missing_text_model


# 04_agreement.ipynb, section "Measures by name"
def test_measures_by_name():
    test_eq(measure('exact'), exact_match)
    available = [name for name in MEASURES if name != 'bert_score' or not missing_text_model()]
    {name: measure(name)(['red dogs'], [['a red dog']]).value for name in available}

    test_eq(label('bert_score:FacebookAI/roberta-large'), 'bert_score (roberta-large)')
    label('word_f1'), label('bert_score')


# 04_agreement.ipynb, section "A constant description"
def test_a_constant_description():
    training = [['a dog', 'brown dog'], ['dogs'], ['the sky'], ['grass and dogs']]
    test_eq(best_constant(training), 'dog')
    best_constant(training, 'exact')

    test_eq(most_frequent([['Dogs.', 'a dog'], ['dogs'], ['sky']]), 'dogs')

    said = [['red dogs', 'animals'], ['a blue car', 'objects'], ['dogs', 'animals'],
            ['green objects', 'cars']] * 5
    bag = bag_constant(said)
    assert 1 < len(bag.split()) <= 4
    assert (word_f1([bag] * len(said), said).value
            >= word_f1([best_constant(said, candidates=10)] * len(said), said).value)
    test_eq(len(bag_constant(said, longest=1).split()), 1)
    bag

    annotated = [['a dog', 'dogs'], ['the sky', 'sky'], ['grass', 'green grass'], ['cars', 'a car']]
    test_eq(len(set(_crossed(annotated, 'word_f1', 'best', seed=0))), 2)
    _crossed(annotated, 'word_f1', 'best', seed=0)


# 04_agreement.ipynb, section "Shuffled descriptions"
def test_shuffled_descriptions():
    test_close(shuffled_scores(['dog', 'sky'], [['dog'], ['sky']], permutations=400).value, .5, eps=.1)
    shuffled_scores(['dog', 'sky', 'grass'], [['dog'], ['sky'], ['grass']], 'bleu')


# 04_agreement.ipynb, section "People against people"
def test_people_against_people():
    test_close(leave_one_out([['dog', 'dogs', 'grass']]).value, 2 / 3)
    test_close(leave_one_out([['dog', 'dogs', 'grass']], ['dog']).value, 1)
    leave_one_out([['dog', 'dogs', 'grass'], ['sky', 'a sky']])


# 04_agreement.ipynb, section "One table"
def test_one_table():
    things = ['dog', 'sky', 'grass', 'car', 'face', 'wheel', 'text', 'flower'] * 5
    colours = ['red', 'blue', 'green', 'white', 'black'] * 8
    people = [[f'a {c} {t}', f'{t}s', f'something {c}'] for c, t in zip(colours, things, strict=True)]
    descriptions = [f'{c} {t}s' for c, t in zip(colours, things, strict=True)]
    table = agreement_table(descriptions, people, human=True)
    table.round(3)

    figure, axis = plt.subplots(figsize=(5.2, 2.6), layout='constrained')
    for place, (name, part) in enumerate(table.groupby('measure', sort=False)):
        reach = np.abs(part[['low', 'high']].to_numpy().T - part.value.to_numpy())
        axis.barh(np.arange(6) + .27 * (place - 1), part.value, .25, xerr=reach, label=name,
                  color=['#0072B2', '#E69F00', '#999999'][place])
    axis.set_yticks(range(6), part.row)
    axis.invert_yaxis()
    axis.set(xlabel='agreement with annotators (0 … 1), 95 % intervals')
    figure.legend(loc='outside right upper', title='measure')
    plt.show()

    test_eq(list(table.row[:3]), ['ours', 'constant', 'shuffled'])
    assert table.value.between(0, 1).all() and (table.low <= table.high).all()
    gaps = agreement_table(descriptions, people, measures=['exact'], paired=True).set_index('row')
    test_close(gaps.value['ours - constant'], gaps.value['ours'] - gaps.value['constant'])
    ours = table[table.row == 'ours'].set_index('measure')
    others = table[table.row.isin(['constant', 'shuffled'])]
    assert all(row.value < ours.low[row.measure] for row in others.itertuples())
    crossed = agreement_table(['dogs'] * 40, people, measures=['word_f1'], crossed=True)
    assert crossed.value[1] >= crossed.value[0] and 'other half' in crossed.note[1]
    others[['measure', 'row', 'note']]


# 04_agreement.ipynb, section "Do these rows work?"
def test_do_these_rows_work():
    generator = np.random.default_rng(0)
    things, colours = ['dog', 'sky', 'grass', 'car', 'face', 'wheel'], ['red', 'blue', 'green', 'white']
    truth = [f'{generator.choice(colours)} {generator.choice(things)}' for _ in range(200)]
    people = [[text, text.split()[1]] for text in truth]
    guessed = [truth[i] for i in generator.integers(200, size=200)]
    gap = difference(word_f1(guessed, people), shuffled_scores(guessed, people, permutations=10))
    low, high = gap.interval
    assert low < 0 < high
    gap

    word = most_frequent(people)
    table = agreement_table([word] * 200, people, measures=['word_f1']).set_index('row')
    test_eq(table.value['ours'], table.value['constant'])
    test_close(table.value['ours'], table.value['shuffled'])
    table.value.round(3)

    half = [text if i % 2 else guess for i, (text, guess) in enumerate(zip(truth, guessed, strict=True))]
    table = agreement_table(half, people, measures=['word_f1']).set_index('row')
    assert table.low['ours'] > max(table.high['constant'], table.high['shuffled'])
    full = agreement_table(truth, people, measures=['word_f1']).set_index('row')
    test_close(table.value['shuffled'], full.value['shuffled'], eps=.05)
    table.round(3)


# 04_agreement.ipynb, section "Agreement between annotators"
def test_agreement_between_annotators():
    annotated = [['a dog', 'dogs'], ['the sky', 'sky'], ['grass', 'green grass'], ['cars', 'a car']]
    test_eq(_exchanged(annotated, 'word_f1', 'best', 2, seed=0).value, 0)

    generator = np.random.default_rng(0)
    things, colours = ['dog', 'cloud', 'tree', 'car', 'face', 'wheel'], ['red', 'blue', 'green', 'white']
    people = [[f'a {thing}', f'some {thing}', str(generator.choice(colours))]
              for thing in generator.choice(things, size=60)]
    table = between_annotators([*people, ['alone'], ['alone', ' '], []])
    table.drop(columns='note').round(3)

    rows = table.set_index(['measure', 'row'])
    test_close(rows.score['head_noun', 'people'], 2 / 3)
    test_eq((rows.n.unique().tolist(), rows.left_out.unique().tolist()), ([60], [3]))
    for name in ('word_f1', 'head_noun'):
        assert rows.low[name, 'people'] > max(rows.high[name, 'constant'], rows.high[name, 'shuffled'])

    def best_other(unit, i): return word_f1([unit[i]], [unit[:i] + unit[i + 1:]]).value


    naive = [np.mean([best_other(unit, i) for i in range(len(unit))]) for unit in people]
    test_close(rows.score['word_f1', 'people'], np.mean(naive))
    first = [unit[0] for unit in people]
    human = agreement_table(first, people, measures=['word_f1'], human=True).set_index('row')
    test_eq(rows.score['word_f1', 'people'], human.value['human'])
    test_eq(between_annotators(people, seed=3).score.tolist(), between_annotators(people, seed=3).score.tolist())
    same = between_annotators([['objects', 'an object']] * 8, ['exact']).set_index('row')
    test_eq(same.score.tolist(), [1, 1, 1])
    same


# 04_agreement.ipynb, section "Agreement between annotators"
@pytest.mark.oracle
def test_agreement_between_annotators_oracle():
    published = oracle_dir().parent/'data/milannotations_resnet152_imagenet.csv'
    table = pd.DataFrame()
    if published.exists():
        units = pd.read_csv(published, keep_default_na=False).groupby(['layer', 'unit']).summary
        table = between_annotators([list(unit) for _, unit in units]).drop(columns='note')
        rows = table.set_index(['measure', 'row'])
        assert (table.n == 3904).all()
        for name in table.measure:
            assert rows.high[name, 'shuffled'] < rows.low[name, 'people'] < rows.low[name, 'constant']
    table.round(3)


# 04_agreement.ipynb, section "Agreement of each worker"
def test_agreement_of_each_worker():
    draw = np.random.default_rng(0)
    things = ['objects'] * 3 + ['dogs', 'blue sky', 'green grass', 'faces', 'wheels', 'red flowers']
    answers = pd.DataFrame([
        {'layer': 'conv1', 'unit': unit, 'worker': worker, 'summary': str(text)}
        for unit, thing in enumerate(draw.choice(things, size=40)) for worker, text in
        (('ANNA', thing), ('BEN', f'some {thing}'), ('CARL', 'objects'), ('DORA', draw.choice(things)))])
    workers = between_workers(answers)
    workers.round(2)

    scores = workers.set_index('worker')
    test_eq(workers.worker.tolist()[2:], ['ANNA', 'BEN'])
    assert scores.low['ANNA'] > scores.shuffled['ANNA'] + .1 and scores.low['DORA'] < scores.shuffled['DORA']
    test_close(scores.score['CARL'], scores.shuffled['CARL']) # no better than on other units
    test_eq(scores.n.tolist(), [40] * 4)
    twice = pd.DataFrame({'layer': 'conv1', 'unit': [0, 0, 0, 1], 'worker': ['ANNA', 'ANNA', 'BEN', 'BEN'],
                          'summary': ['dogs', 'sky', 'dogs', 'sky']})
    test_eq(between_workers(twice).set_index('worker').score.to_dict(), {'ANNA': .5, 'BEN': .5})
    assert between_workers(twice.iloc[:0]).empty
    between_annotators(texts_by_unit(answers), ['word_f1']).drop(columns='note').round(2)


# 04_agreement.ipynb, section "From tables to lists"
def test_from_tables_to_lists():
    ours = pd.DataFrame({'layer': [3, 3, 4], 'unit': [0, 1, 0], 'description': ['dogs', 'sky', 'grass']})
    theirs = pd.DataFrame({'layer': ['3', '3', '3'], 'unit': [1, 0, 0], 'summary': ['blue sky', 'dog', 'a dog']})
    test_eq(align(ours, theirs).references, [['dog', 'a dog'], ['blue sky']])
    align(ours, theirs).units


# 04_agreement.ipynb, section "Purity of exemplars"
def test_purity_of_exemplars():
    test_eq(purity(['dog', 'dog', 'cat', None]), ('dog', .5))
    test_eq(purity([{'dog', 'animal'}, {'cat', 'animal'}, set()]), ('animal', 2 / 3))
    test_eq(purity([None, '']), ('', 0))
    purity(['red', 'red', 'blue'])


# 04_agreement.ipynb, section "Errors"
def test_errors():
    people = [['a', 'b'], ['a']]
    ours = pd.DataFrame({'layer': [3], 'unit': [0], 'description': ['dogs']})
    with expect_fail(MilanError, contains='word_f1'): measure('meteor')
    with expect_fail(MilanError, contains='word_f1'): measure('bleu:roberta-large')
    two = ['bert_score', 'bert_score:roberta-large']
    with expect_fail(MilanError, contains='separate'): agreement_table(['a'], [['a']], measures=two)
    with expect_fail(MilanError, contains='two reference texts'): leave_one_out([['dog']])
    with expect_fail(MilanError, contains='of 2 units 1'): between_annotators(people)
    with expect_fail(MilanError, contains='single text'): between_annotators(['a dog', 'dogs'])
    with expect_fail(MilanError, contains="'meteor'"): between_annotators([['a', 'b']] * 2, ['meteor'])
    with expect_fail(MilanError, contains='layer names'): align(ours, ours.assign(layer='x', summary='dog'))
    with expect_fail(MilanError, contains='no column summary'): align(ours, ours)
    with expect_fail(MilanError, contains='at least one exemplar'): purity([])
