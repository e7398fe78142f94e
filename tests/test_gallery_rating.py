# Generated from nbs/12_gallery/03_rating.ipynb by `make export`. Edit the notebook, not this file.

from milan.evaluation.intervals import proportion
from milan.hooks.layers import Unit
from milan.gallery.rating import (
    _decoy,
    _kappa,
    _uniform,
    answers_file,
    cards,
    COLUMNS,
    first_unanswered,
    paired_difference,
    picture,
    rated,
    rater_agreement,
    raters,
    read_about,
    read_answers,
    read_cards,
    read_key,
    save_answer,
    start_session,
    summary,
)

import shutil

import threading

import numpy as np

import pandas as pd

from fastcore.test import expect_fail, test_eq

from sklearn.metrics import cohen_kappa_score

from milan.config import MilanError

def two_describers(units=20):
    "Exemplars of twice as many units, and two describers of them."
    found = Exemplars.open(made_up_exemplars(units=units))
    return found, {'ours': described(found, 'a red disc', 'green discs', 'a blue disc.'),
                   'theirs': described(found, 'round things', 'ROUND things', 'grey slopes', silent=[0, 7])}

from milan.exemplars.store import Exemplars

from milan.testing import made_up_exemplars

def described(found, *words, silent=()):
    "A describer that says these words in turn."
    rows = [(layer, unit, '' if number in silent else words[number % len(words)])
            for number, (layer, unit) in enumerate(found.units)]
    return pd.DataFrame(rows, columns=['layer', 'unit', 'description'])

def small_session(**settings):
    "A session in a new folder."
    folder = Path(tempfile.mkdtemp())/'session'
    return start_session(folder, *two_describers(), **{'units': 40, 'width': 32, 'count': 3} | settings)

import tempfile

from pathlib import Path

def answer_all(session, rater, rate):
    "Answer every card; `rate` maps a row of cards and key to the two answers."
    rows = [(row.card, *rate(row), 3., 'then') for row in
            read_cards(session).merge(read_key(session), on='card').itertuples()]
    write_table(pd.DataFrame(rows, columns=COLUMNS), session/f'ratings-{rater}.csv')

from milan.files import write_table


# 03_rating.ipynb, section "Cards"
def test_cards():
    test_eq([_uniform(text) for text in ('dogs  and cats.', 'Dogs', ' . ')], ['Dogs and cats', 'Dogs', ''])

    words = {Unit('a', 0): 'Dogs', Unit('a', 1): 'dogs', Unit('a', 2): 'Cats', Unit('b', 0): 'Birds',
             Unit('b', 1): ''}
    draw = np.random.default_rng(0)
    {unit: _decoy(words, unit, 'ours', draw) for unit in words if words[unit]}

    test_eq({_decoy(words, Unit('a', 0), 'ours', draw) for _ in range(20)}, {'Cats'})
    test_eq({_decoy(words, Unit('b', 0), 'ours', draw) for _ in range(40)}, {'Dogs', 'dogs', 'Cats'})
    with expect_fail(MilanError, contains='of every unit'):
        _decoy({Unit('a', 0): 'Dogs', Unit('a', 1): 'DOGS'}, Unit('a', 0), 'ours', draw)

    found, tables = two_describers()
    made = cards(tables, found, units=30)
    made.head(3)

    ours = made[made.describer == 'ours']
    test_eq((len(ours), ours.decoy.sum(), len(made) + made.attrs['silent']['theirs']), (30, 15, 60))
    test_eq(made.card.tolist(), list(range(1, len(made) + 1)))
    test_eq(made.groupby(['layer', 'unit']).decoy.nunique().max(), 1)
    own = {name: table.set_index(['layer', 'unit']).description.map(_uniform) for name, table in tables.items()}
    for row in made.itertuples():
        test_eq(row.description.lower() == own[row.describer][row.layer, row.unit].lower(), not row.decoy)
        assert row.description in own[row.describer][row.layer].tolist()
    pd.testing.assert_frame_equal(made, cards(tables, found, units=30))
    assert not made.equals(cards(tables, found, units=30, seed=1))
    made.attrs['silent']

    test_eq((len(cards(tables, found, units=999, decoys=0)), cards(tables, found, decoys=0).decoy.sum()), (78, 0))
    assert cards(tables, found, decoys=1).decoy.all()
    one = {'ours': tables['ours']}
    for told, given, named in (('at least one', {}, {}), ('share of decoys', one, {'decoys': 2}),
                               ('at least one unit', one, {'units': 0}), ('non-negative', one, {'seed': -1}),
                               ('ours: the table has no column', {'ours': one['ours'][['layer', 'unit']]}, {}),
                               ('nothing to rate', {'ours': one['ours'].assign(description='')}, {}),
                               ('of every unit', {'ours': one['ours'].assign(description='a')}, {})):
        with expect_fail(MilanError, contains=told): cards(given, found, **named)
    with expect_fail(MilanError, contains='in all of the tables'):
        cards({'a': tables['ours'].query('unit < 2'), 'b': tables['theirs'].query('unit > 5')}, found)


# 03_rating.ipynb, section "A session"
def test_a_session():
    session = small_session()
    print((session/'cards.csv').read_text()[:120], (session/'silent.csv').read_text(), sep='\n')

    test_eq(sorted(path.name for path in session.iterdir()),
            ['cards.csv', 'key.csv', 'pictures', 'session.json', 'silent.csv'])
    test_eq(len(list((session/'pictures').iterdir())), 40) # one per unit, not per card
    assert not {'ours', 'theirs', 'True'} & set((session/'cards.csv').read_text().replace('\n', ',').split(','))
    test_eq(start_session(session, *two_describers(), units=40, count=3), session) # the same cards: kept
    with expect_fail(MilanError, contains='other cards'): start_session(session, *two_describers(), units=5)
    (session.parent/'letters').mkdir()
    (session.parent/'letters'/'to_anna.txt').touch()
    with expect_fail(MilanError, contains='width is 0'): small_session(width=0)
    with expect_fail(MilanError, contains='to_anna.txt'):
        start_session(session.parent/'letters', *two_describers(), units=2)

    test_eq(read_cards(session).columns.tolist(), ['card', 'layer', 'unit', 'description'])
    test_eq(read_key(session).groupby('describer').decoy.sum()['ours'], 20)
    assert all(picture(session, card).is_file() for card in read_cards(session).card)
    read_about(session)

    with expect_fail(MilanError, contains='no cards.csv'): read_cards(session.parent)
    broken = small_session(units=3)
    for name, read in (('cards.csv', read_cards), ('key.csv', read_key), ('session.json', read_about)):
        before = (broken/name).read_text()
        cut = before[:-9] if name == 'session.json' else before.replace('\n2,', '\n7,')
        for damage in ('', 'card\n1\n', cut):
            (broken/name).write_text(damage)
            with expect_fail(MilanError, contains=name): read(broken)
        (broken/name).write_text(before)
        read(broken)
    for one in (broken, session): shutil.rmtree(one.parent)


# 03_rating.ipynb, section "Answers"
def test_answers():
    session = small_session()
    test_eq(first_unanswered(session, 'anna'), 1)
    save_answer(session, 'anna', 1, nameable='yes', seconds=4.2)
    test_eq(first_unanswered(session, 'anna'), 1) # its second question is open
    save_answer(session, 'anna', 1, rating='partly', seconds=2)
    save_answer(session, 'anna', 2, nameable='no')
    save_answer(session, 'anna', 1, rating='fully', seconds=1) # a correction
    test_eq(first_unanswered(session, 'anna'), 2)
    read_answers(session, 'anna').drop(columns='time')

    answers = read_answers(session, 'anna')
    test_eq(answers.rating.tolist(), ['fully', ''])
    test_eq(answers.seconds.tolist(), [7.2, 0])
    test_eq(read_answers(session, 'ben').columns.tolist(), COLUMNS) # nothing yet
    for told, card, given in (('no card 0', 0, {'nameable': 'yes'}), ('no card 79', 79, {'nameable': 'yes'}),
                              ('nameable', 3, {'rating': 'no'}),
                              ('rating', 3, {'nameable': 'no', 'rating': 'so'}),
                              ('seconds', 3, {'nameable': 'no', 'seconds': np.nan})):
        with expect_fail(MilanError, contains=told): save_answer(session, 'anna', card, **given)
    for name in ('', '../anna', 'a' * 41, 'a.b'):
        with expect_fail(MilanError, contains='letters'): read_answers(session, name)
    pd.testing.assert_frame_equal(read_answers(session, 'anna'), answers) # nothing of that was written

    work = [threading.Thread(target=save_answer, args=(session, 'all', card), kwargs={'nameable': 'yes'})
            for card in range(1, 17)]
    for one in work: one.start()
    for one in work: one.join()
    test_eq(len(read_answers(session, 'all')), 16) # no one's answer was lost
    path = answers_file(session, 'all')
    good = path.read_text()
    for told, text in (('card 99 is not among the 78', good + '99,yes,no,1,then\n'),
                       ('twice', good + '3,yes,no,1,then\n'), ('row 16.rating', good + '17,yes,maybe,1,then\n'),
                       ('damaged', 'card,rating\n1,no\n'),
                       ('damaged', good + '17,yes\n'), ('cannot be read', ''),
                       ('row 16.seconds', good + '17,yes,no,-1,then\n'),
                       ('damaged', good.replace('card', 'cart')),
                       ('cannot be read', good + 'a,b,c,d,e,f,g\n')):
        path.write_text(text)
        with expect_fail(MilanError, contains=told): read_answers(session, 'all')
        with expect_fail(MilanError, contains='ratings-all.csv'): save_answer(session, 'all', 1, nameable='no')
        test_eq(path.read_text(), text) # left as it was
    shutil.rmtree(session.parent)


# 03_rating.ipynb, section "What the answers add up to"
def test_what_the_answers_add_up_to():
    def strict(row):
        "nameable and rating of a card"
        if row.decoy: return 'yes', ('partly' if row.unit % 5 == 0 else 'no')
        return ('no' if row.unit % 4 == 3 else 'yes'), ('no' if row.unit % 2 else
                                                        'fully' if row.describer == 'ours' else 'partly')


    session = small_session()
    answer_all(session, 'anna', strict)
    result = summary(session)
    result.round(2)

    joint = rated(session, 'anna')
    own = joint[~joint.decoy & (joint.describer == 'ours')]
    first = result.iloc[0]
    test_eq((first.n, first.right, first.fully), (20, (own.unit % 2 == 0).mean(), first.right))
    test_eq((first.right_low, first.right_high), proportion(own.unit % 2 == 0)[1])
    test_eq(result.fully[result.describer == 'theirs'].tolist(), [0, 0, 0])
    test_eq(result.silent.tolist(), [0, 0, 0, 2, 2, 2])
    test_eq(result.n[result.cards == 'own, nameable'].iloc[0], (own.unit % 4 != 3).sum())

    paired_difference(session, 'anna', 'ours', 'theirs', 'fully')

    found = paired_difference(session, 'anna', 'ours', 'theirs', 'fully')
    test_eq(len(found), len(joint[~joint.decoy & (joint.describer == 'theirs')])) # theirs is silent on two units
    test_eq(found.value, float((joint[~joint.decoy & (joint.describer == 'theirs')].unit % 2 == 0).mean()))
    test_eq(paired_difference(session, 'anna', 'ours', 'theirs').value, 0) # equally often right
    with expect_fail(MilanError, contains="'others' has no"): paired_difference(session, 'anna', 'ours', 'others')

    def milder(row):
        "As `strict`, but about half of what is not right is partly right."
        nameable, rating = strict(row)
        return nameable, ('partly' if rating == 'no' and row.unit % 3 else rating)


    answer_all(session, 'ben', milder)
    result = rater_agreement(session, 'anna', 'ben')
    result.round(2)

    pair = [rated(session, rater).rating for rater in ('anna', 'ben')]
    np.testing.assert_allclose(result.kappa, [1, cohen_kappa_score(*pair)])
    assert np.isnan(_kappa(pd.Series(['no']), pd.Series(['no'])))
    test_eq(_kappa(pd.Series(['yes', 'no']), pd.Series(['no', 'yes'])), -1)
    test_eq((raters(session), summary(session).rater.nunique()), (['anna', 'ben'], 2))
    with expect_fail(MilanError, contains='answers by anna, ben'): rated(session, 'carl')
    (session/'key.csv').unlink()
    with expect_fail(MilanError, contains='no key.csv'): summary(session)
    for name in raters(session): answers_file(session, name).unlink()
    with expect_fail(MilanError, contains='no answers yet'): summary(session)
    shutil.rmtree(session.parent)
    with expect_fail(MilanError, contains='silent.csv'): summary(session)
