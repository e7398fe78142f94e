# Generated from nbs/10_describers/16_vlm_judge.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.data.formats import manifests_dir
from milan.describers.prompts import read_prompt
from milan.describers.vlm_judge import (
    judge_text,
    read_numbers,
    vlm_judge,
)

import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from fastcore.test import expect_fail, test_eq

from milan import exemplars, networks
from milan import images as pictures
from milan.describers.endpoints import Endpoint
from milan.evaluation.judging import ask, exchanged, judge_scores
from milan.evaluation.questions import questions
from milan.files import remove
from milan.testing.chat import ChatServer


# 16_vlm_judge.ipynb, section "What is asked"
def test_what_is_asked():
    prompt = read_prompt(manifests_dir()/'prompts'/'judge.txt')
    print(judge_text(prompt, 'fuzzing', 'red things', 5))

    assert 'numbered 1 to 5' in judge_text(prompt, 'detection', 'red things', 5)
    assert '"red things"?' in judge_text(prompt, 'detection', 'red things', 5)
    assert '{' not in judge_text(prompt, 'intruder', '', 4).replace('{"pictures"', '')


# 16_vlm_judge.ipynb, section "What is understood"
def test_what_is_understood():
    replies = ['{"pictures": [1, 3]}', 'Sure: {"pictures": []}', '{"pictures": [6]}', 'the first',
               '{"pictures": 2}']
    [read_numbers(one, 5) for one in replies]

    test_eq([read_numbers(one, 5) for one in replies], [[0, 2], [], None, None, None])
    test_eq(read_numbers('{"pictures": ["2", 2]}', 5), [1])


# 16_vlm_judge.ipynb, section "The judge"
def test_the_judge():
    def colour_of(picture, hue):
        "Whether a picture has bright, saturated pixels of a hue, 0 … 255."
        pixels = np.asarray(picture.convert('HSV')).reshape(-1, 3).astype(int)
        near = np.abs((pixels[:, 0] - hue + 128) % 256 - 128) < 10
        return bool((near & (pixels[:, 1:].min(1) > 140)).sum() > 20)


    def sees_colours(asked):
        "Names the pictures that have the colour in the question; of intruders, the last one."
        count, hues = len(asked.pictures), {'red': 0, 'green': 85, 'blue': 170}
        if 'does not belong' in asked.text: return json.dumps({'pictures': [count]})
        hue = next(value for name, value in hues.items() if f'"{name} things"' in asked.text)
        return json.dumps({'pictures': [i + 1 for i, one in enumerate(asked.pictures) if colour_of(one, hue)]})


    folder, units = Path(tempfile.mkdtemp()), [0, 3, 5]
    scenes, planted = pictures.ShapeScenes(300, seed=1), networks.load('planted/shapes', pretrained=False)
    found = exemplars.compute(planted, scenes, ['colours'], units={'colours': units}, k=5, size=64, batch_size=50,
                              quiet=True, keep_maxima=True, out=folder/'found')
    some = questions(found, planted, scenes)
    said = pd.DataFrame({'layer': 'colours', 'unit': units,
                         'description': [f'{planted.planted["colours"][unit]} things' for unit in units]})
    with ChatServer(sees_colours) as server:
        judge = vlm_judge(Endpoint('toy', server.url), scenes)
        answers = {whose: ask(judge, some, table, folder/'answers', workers=4)
                   for whose, table in (('own', said), ('other', exchanged(said)))}
        before = len(server.asked)
        again = ask(judge, some, said, folder/'answers', workers=4)
    pd.concat({whose: judge_scores(one) for whose, one in answers.items()}).round(2)

    scores = {whose: judge_scores(one) for whose, one in answers.items()}
    assert scores['own'].detection.min() > .9 and scores['own'].fuzzing.min() > .8
    assert scores['other'].detection.max() < .7
    test_eq([len(server.asked), again.probability.tolist()], [before, answers['own'].probability.tolist()])
    remove(folder)


# 16_vlm_judge.ipynb, section "Errors"
def test_errors():
    folder = Path(tempfile.mkdtemp())
    scenes, planted = pictures.ShapeScenes(200, seed=1), networks.load('planted/shapes', pretrained=False)
    found = exemplars.compute(planted, scenes, ['colours'], units={'colours': [0]}, k=5, size=64, batch_size=50,
                              quiet=True, keep_maxima=True, out=folder/'found')
    some = questions(found, planted, scenes, kinds=['detection'])
    said = pd.DataFrame({'layer': ['colours'], 'unit': [0], 'description': ['red things']})
    with ChatServer(lambda asked: None) as server:
        gone = vlm_judge(Endpoint('toy', server.url, retries=0, concurrency=1), scenes)
        with expect_fail(MilanError, contains='did not reply 8 times in a row'):
            ask(gone, some, said, folder/'answers')
    with ChatServer(lambda asked: 'all of them!' if asked.number == 1 else '{"pictures": [1]}') as server:
        odd = vlm_judge(Endpoint('toy', server.url), scenes)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter('always')
            answers = ask(odd, some, said, folder/'answers')
        assert 'could not be read' in str(told[-1].message) and not answers.answered[:5].any()
        test_eq(ask(odd, some, said, folder/'answers').answered.all(), True)
        test_eq(len(server.asked), len(some) + 1)
    (folder/'mine.txt').write_text('Which ones? {question}')
    with expect_fail(MilanError, contains='has no {count}'):
        vlm_judge(Endpoint('toy', 'http://a'), scenes, folder/'mine.txt')
    remove(folder)
