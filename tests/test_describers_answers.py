# Generated from nbs/10_describers/12_answers.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.describers.prompts import PictureQuestion
from milan.describers.answers import (
    Answer,
    ask_all,
    keep,
    kept,
    ModelReply,
    read_answer,
    Unanswered,
)

import json
import tempfile
import threading
import time
from pathlib import Path

from fastcore.test import expect_fail, test_eq

from milan.files import remove


# 12_answers.ipynb, section "Reading an answer"
def test_reading_an_answer():
    read_answer('Balls? Yes:\n```json\n{"descriptions": ["Red balls.", "red  balls", "tomatoes", "none"]}\n```')

    test_eq(read_answer('{"descriptions": ["Red balls.", "red  balls", "tomatoes", "none"]}'),
            ['Red balls', 'tomatoes'])
    test_eq(read_answer('<think>{"descriptions": ["a"]} is too short</think> {"descriptions": "b"}'), ['b'])
    for nothing in ('{"descriptions": ["None."]}', '{"descriptions": []}', '{"descriptions": ["none", "cats"]}'):
        test_eq(read_answer(nothing), [])
    for garbled in ('', 'cats', '{"descriptions": ["ca', '["cats"]', '{"descriptions": [1]}', '{"a": 1}',
                    '{' * 20_000, '{"descriptions": {"best": "cats"}}', '{"descriptions": null}', '{"a":' * 900):
        test_eq(read_answer(garbled), None)
    test_eq(len(read_answer(json.dumps({'descriptions': ['long ' * 999]}))[0]), 199)


# 12_answers.ipynb, section "An answer, and where it is kept"
def test_an_answer_and_where_it_is_kept():
    folder = Path(tempfile.mkdtemp())
    answer = Answer(('{"descriptions": ["red balls"]}',), 'http://127.0.0.1:8000/v1', (1200, 9))
    keep(folder/'a'/'1.json', answer, PictureQuestion('What is it?', ()), {'model': 'any'})
    print((folder/'a'/'1.json').read_text())

    test_eq(kept(folder/'a'/'1.json'), answer)
    (folder/'2.json').write_text((folder/'a'/'1.json').read_text()[:50])
    test_eq([kept(folder/name) for name in ('2.json', '3.json')], [Answer()] * 2)
    test_eq([one.complete for one in (answer, Answer(), Answer(('cats',)), Answer(('cats', 'cats')))],
            [True, False, False, True])
    remove(folder)


# 12_answers.ipynb, section "Asking"
def test_asking():
    class Toy:
        "Replies with what a function makes of each question and its number."
        name, address, batch = 'toy', '', 1

        def __init__(self, function, workers=4):
            self.function, self.workers, self.asked, self.guard = function, workers, [], threading.Lock()

        def identity(self): return {'name': self.name}

        def reply(self, questions):
            with self.guard:
                self.asked += questions
                number = len(self.asked)
            return [ModelReply(self.function(question, number)) for question in questions]

    def about(unit): return PictureQuestion(f'unit {unit}', ())
    def says(*descriptions): return json.dumps({'descriptions': descriptions})

    folder = Path(tempfile.mkdtemp())
    model = Toy(lambda question, number: says(question.text))
    found = ask_all(model, range(20), about, folder, progress=False)
    found[3].descriptions, len(model.asked), len(list(folder.glob('*.json')))

    test_eq([one.descriptions for one in found], [[f'unit {unit}'] for unit in range(20)])
    again = ask_all(model, range(25), about, folder, progress=False) # a second run asks only what is new
    test_eq((again[:20], len(model.asked)), (found, 25))
    next(folder.glob('*.json')).write_text('damaged')
    test_eq(ask_all(model, range(25), about, folder, progress=False), again)
    test_eq(len(model.asked), 26)
    slow = Toy(lambda question, number: time.sleep(.02) or says('x'), workers=8)
    ask_all(slow, [1] * 8 + [2] * 8, about, Path(tempfile.mkdtemp()), progress=False)
    test_eq(len(slow.asked), 2) # eight units with the same pictures, twice
    now, most = [0], []
    def counted(question, number):
        now[0] += 1
        most.append(now[0])
        time.sleep(.01)
        now[0] -= 1
        return says('x')

    ask_all(Toy(counted, workers=2), range(12), about, Path(tempfile.mkdtemp()), progress=False)
    test_eq(max(most), 2) # calls at the same time
    remove(folder)

    folder = Path(tempfile.mkdtemp())
    once = Toy(lambda question, number: says('x') if 'last answer' in question.text else 'Hm.')
    never = Toy(lambda question, number: 'Hm.')
    found = [ask_all(model, ['a'], about, folder/str(place), progress=False)[0]
             for place, model in enumerate((once, never))]
    [(one.descriptions, one.failed) for one in found]

    test_eq([len(once.asked), len(never.asked)], [2, 2])
    test_eq(found[1].replies, ('Hm.', 'Hm.'))
    test_eq(ask_all(never, ['a'], about, folder/'1', progress=False), found[1:])
    test_eq(len(never.asked), 2)
    test_eq(ask_all(once, ['a'], about, folder/'1', again=True, progress=False)[0].descriptions, ['x'])
    remove(folder)

    def gone(question, number):
        if number > 10: raise Unanswered('the server does not answer')
        return says('x')

    folder = Path(tempfile.mkdtemp())
    dying = Toy(gone)
    found = ask_all(dying, range(100), about, folder, progress=False)
    sorted({one.failed for one in found})

    test_eq(sum(one.descriptions == ['x'] for one in found), 10)
    assert 18 <= len(dying.asked) <= 18 + dying.workers and len(found) == 100
    well = Toy(lambda question, number: says('x'))
    found = ask_all(well, range(100), about, folder, progress=False)
    test_eq({tuple(one.descriptions) for one in found}, {('x',)})
    test_eq(len(well.asked), 90)
    remove(folder)

    def refuses(question, number):
        if number > 3: raise MilanError('the key is wrong')
        return says('x')

    folder = Path(tempfile.mkdtemp())
    refusing = Toy(refuses, workers=2)
    with expect_fail(MilanError, contains='the key is wrong'):
        ask_all(refusing, range(100), about, folder, progress=False)
    assert len(refusing.asked) <= 5 # two were being asked
    test_eq(len(list(folder.glob('*.json'))), 3)
    remove(folder)
