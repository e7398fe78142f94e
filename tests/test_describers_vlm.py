# Generated from nbs/10_describers/13_vlm.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.describers.answers import Answer
from milan.describers.answers import Unanswered
from milan.exemplars.store import Exemplars
from milan.describers.vlm import (
    answers_table,
    candidates_table,
    Estimate,
    estimate,
    tokens_of,
    VLMDescriber,
)
import pytest

import json
import tempfile
import warnings
from pathlib import Path

import pandas as pd
import pytest
from fastcore.test import test_eq

from milan import images as pictures
from milan import networks
from milan.describers.answers import ModelReply
from milan.describers.concepts import ConceptsDescriber
from milan.describers.verified import Verified
from milan.exemplars import compute
from milan.files import remove
from milan.testing import made_up_exemplars

def toy_set():
    "Two layers of four units each."
    folder = made_up_exemplars(k=5)
    return Exemplars.open(folder), folder

class Toy:
    "Says the numbers of questions that it was asked, 'none' to the third, and nonsense to the fourth unit."
    name, address, workers, batch = 'toy', '', 1, 1
    def __init__(self): self.asked = 0
    def identity(self): return {'name': self.name}
    def reply(self, questions):
        self.asked += 1
        replies = {3: '{"descriptions": ["none"]}', 4: 'Hm.', 5: 'Hm.'}
        usual = json.dumps({'descriptions': [f'thing {self.asked}', f'object {self.asked}']})
        return [ModelReply(replies.get(self.asked, usual), (1000, 10)) for _ in questions]


# 13_vlm.ipynb, section "The table"
def test_the_table():
    answers = [Answer(('{"descriptions": ["red balls", "tomatoes"]}',)), Answer(('{"descriptions": "none"}',)),
               Answer(unanswered='the server does not answer')]
    answers_table([('conv', 0), ('conv', 1), ('conv', 7)], answers)

    table = answers_table([('conv', 0), ('conv', 1), ('conv', 7)], answers)
    test_eq(table.silent.tolist(), ['', 'none', 'failed'])
    test_eq(table.description.tolist(), ['red balls', '', ''])
    test_eq(candidates_table([('conv', 0), ('conv', 1), ('conv', 7)], answers).description.tolist(),
            ['red balls', 'tomatoes'])


# 13_vlm.ipynb, section "What it would cost"
def test_what_it_would_cost():
    print(Estimate(1000, 200, 960_000, 32_000, .45))


# 13_vlm.ipynb, section "The describer"
def test_the_describer():
    found, folder = toy_set()
    describer = VLMDescriber(Toy(), folder=folder/'answers')
    table = describer.describe(found, progress=False)
    table

    test_eq(table.description.tolist(),
            ['thing 1', 'thing 2', '', '', 'thing 6', 'thing 7', 'thing 8', 'thing 9'])
    test_eq(table.silent.tolist(), ['', '', 'none', 'failed', '', '', '', ''])
    assert "last: 'Hm.'" in table.failed[3] and table.score.isna().all()
    test_eq(describer.model.asked, 9) # one was asked for twice
    again = VLMDescriber(Toy(), folder=folder/'answers', limit=3)
    test_eq(again.describe(found, progress=False).description.tolist(), ['thing 1', 'thing 2', ''])
    some = again.describe(found, units={'blocks.10': [1, 2]}, progress=False)
    test_eq([some.layer.tolist(), some.unit.tolist()], [['blocks.10'] * 2, [1, 2]])
    test_eq(again.candidates(found, units={'blocks.10': [0]}, progress=False).description.tolist(),
            ['thing 6', 'object 6'])
    test_eq(again.model.asked, 0) # all were kept
    remove(folder)

    found, folder = toy_set()
    describer = VLMDescriber(Toy(), folder=folder/'answers')
    before = estimate(describer, found, prices=(.4, 1.6))
    describer.describe(found, units={'blocks.2': [0, 1]}, progress=False)
    print(before, estimate(describer, found), sep='\n')

    test_eq([before.units, before.kept, estimate(describer, found).kept], [8, 0, 2])
    question = describer.question(found, 'blocks.2', 0)
    width, height = question.opened[0].size
    test_eq(tokens_of(question), -(-width * height // 750) + len(question.text) // 4)
    test_eq(before.read, 8 * tokens_of(question))
    test_eq(before.cost, (before.read * .4 + before.written * 1.6) / 1e6)
    test_eq(describer.model.asked, 2)
    remove(folder)


# 13_vlm.ipynb, section "Chosen by evidence"
@pytest.mark.training
def test_chosen_by_evidence():
    class Guesses(Toy):
        "Round shapes first, and each colour further down."
        def reply(self, questions):
            texts = ['round shapes', *sorted(pictures.scenes.COLOURS), 'circles']
            return [ModelReply(json.dumps({'descriptions': texts}))] * len(questions)

    folder = tempfile.mkdtemp()
    scenes, planted = pictures.ShapeScenes(300, seed=1), networks.load('planted/shapes')
    found = compute(planted, scenes, ['colours'], k=45, size=64, batch_size=50, quiet=True, keep_maxima=True,
                    out=Path(folder)/'found')
    describer = VLMDescriber(Guesses(), several=11, folder=Path(folder)/'answers')
    verified = Verified(describer, ConceptsDescriber(scenes)).describe(found, progress=False)
    verified.assign(planted=planted.planted['colours'])[['planted', 'description', 'evidence', 'silent']].round(2)

    names = verified.assign(planted=planted.planted['colours'])
    colours = names[names.planted.isin(pictures.scenes.COLOURS)]
    assert (colours.description == colours.planted).mean() > .7
    assert (names.description[names.planted == ''] == '').mean() > .7


# 13_vlm.ipynb, section "Errors"
def test_errors():
    class Gone(Toy):
        def reply(self, questions): raise Unanswered('the server does not answer')

    found, folder = toy_set()
    for make, said in ((lambda: VLMDescriber(Toy(), limit=0), 'limit is 0'),
                       (lambda: VLMDescriber(Toy(), several=0), 'several is 0'),
                       (lambda: VLMDescriber(Toy(), prompt=folder/'no.txt'), 'cannot be read'),
                       (lambda: VLMDescriber(Gone(), folder=folder/'answers').describe(found, progress=False),
                        'toy answered none of 8 questions: the server does not answer')):
        with pytest.raises(MilanError, match=said): make()
    first, second = (VLMDescriber(Toy(), folder=folder/'answers', limit=2) for _ in range(2))
    first.model.address, second.model.address = 'http://here', 'http://there'
    first.describe(found, progress=False)
    with pytest.warns(UserWarning, match='kept from http://here'): second.describe(found, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        first.describe(found, progress=False)
    remove(folder)
