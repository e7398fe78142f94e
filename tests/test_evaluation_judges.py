# Generated from nbs/09_evaluation/15_judges.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.evaluation.predictors import Predicted
from milan.evaluation.questions import SIDE
import numpy as np
import torch
from milan.evaluation.judges import (
    clip_judge,
    concept_judge,
    decisions,
    graded,
    label_judge,
    odd_one_out,
    OwnJudge,
    shown_regions,
)
import pytest

import functools
import tempfile
from pathlib import Path

from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.concepts.observations import Masks, pack_concepts
from milan.concepts.segmentations import Concept, Scenes
from milan.concepts.sweep import Family
from milan.concepts.vocabulary import look_family
from milan.evaluation.measured import Measured
from milan.evaluation.predictors import Labels
from milan.evaluation.questions import questions
from milan.exemplars.compute import compute
from milan.images.sets import ShapeScenes


@functools.cache
def asked(count=400):
    "Scenes, their labelled concepts, and questions about four planted colour units."
    network, scenes = networks.load('planted/shapes', pretrained=False), ShapeScenes(count)
    found = compute(network, scenes, ['colours'], k=5, size=64, batch_size=50, quiet=True, keep_maxima=True,
                    out=Path(tempfile.mkdtemp())/'found')
    return scenes, pack_concepts(Scenes(scenes)), questions(found, network, scenes,
                                                            units={'colours': [0, 3, 5, 6]})


TRUTH = {0: 'red things', 3: 'green things', 5: 'blue things', 6: 'purple things'}


def share_right(judge, kind, said=TRUTH):
    "The share of pictures of which a judge says rightly whether they belong."
    right = [decisions(kind, judge.answer(one, said[one.unit])) == [shown.belongs for shown in one.shown]
             for one in asked()[2] if one.kind == kind]
    return round(float(np.mean(np.concatenate(right))), 3)


# 15_judges.ipynb, section "One interface"
def test_one_interface():
    test_eq(decisions('detection', [.9, .2, float('nan')]), [True, False, False])
    test_eq(decisions('intruder', [.9, .7, .8]), [True, False, True])
    decisions('fuzzing', [.6, .5])


# 15_judges.ipynb, section "A function of your own"
def test_a_function_of_your_own():
    def reddest(pictures, description, kind):
        "Whether a picture has a pixel that is red."
        pixels = [np.asarray(picture.convert('HSV')).reshape(-1, 3).astype(int) for picture in pictures]
        return [bool(((abs(one[:, 0] - 128) > 122) & (one[:, 1:].min(1) > 200)).any()) for one in pixels]


    scenes, _, some = asked()
    mine = OwnJudge('reddest', reddest, scenes)
    share_right(mine, 'detection'), share_right(mine, 'detection', dict.fromkeys(TRUTH, ''))

    own = [question for question in some if question.unit == 0 and question.kind != 'intruder']
    right = [bool(answer) == one.belongs for question in own
             for answer, one in zip(mine.answer(question, ''), question.shown, strict=True)]
    assert np.mean(right) > .95
    test_eq(mine.settings(), {'name': 'reddest', 'images': scenes.fingerprint, 'dim': .75})


# 15_judges.ipynb, section "Judges that predict"
def test_judges_that_predict():
    values = np.array([[1, 1, .2], [.9, .8, .9], [.8, .3, .1], [.1, .9, .9], [1, .9, .2]])
    odd_one_out(values, np.ones(3)).round(2) # the fourth lacks the first, the third has some of the second

    test_eq(odd_one_out(values, np.ones(3)).argmin(), 3)
    test_eq(odd_one_out(values, np.array([.5, 1, 1])).argmin(), 2) # the first concept is common
    predicted = Predicted(np.array([[.2, 0], [.1, 0], [0, 0]]), np.array([[1, 0], [1, 0], [0, 0]], bool),
                          np.array([True, False]))
    test_close(graded(predicted)[:, 0], [1, .75 + .5 / 3, .25 / 3], eps=1e-6)
    assert np.isnan(graded(predicted)[:, 1]).all()

    found = shown_regions(asked()[2])
    found.regions.shape, found.rows(next(one for one in asked()[2] if one.kind == 'fuzzing'))

    test_eq(found.rows(asked()[2][-1]).shape, (5,))
    with expect_fail(MilanError, contains='was not made for these'): found.rows(asked()[2][0])


# 15_judges.ipynb, section "By labels"
def test_by_labels():
    scenes, concepts, some = asked()
    labels = label_judge(concepts, some)
    {kind: share_right(labels, kind) for kind in ('detection', 'fuzzing', 'intruder')}

    test_eq(share_right(labels, 'detection'), 1.)
    assert share_right(labels, 'fuzzing') > .95
    wrong = dict(zip(TRUTH, [*list(TRUTH.values())[1:], TRUTH[0]], strict=True))
    assert .4 < share_right(labels, 'detection', wrong) < .6
    assert np.isnan(labels.answer(some[0], 'nothing that is labelled')).all()
    test_eq(labels.settings(), label_judge(concepts, some).settings())
    at_once = label_judge(concepts, some)
    at_once.read_all(TRUTH.values())
    test_eq(at_once.answer(some[0], TRUTH[0]), labels.answer(some[0], TRUTH[0]))
    assert labels.settings() != label_judge(concepts, some[1:-9]).settings() # ranks are among other regions


# 15_judges.ipynb, section "By measured concepts"
def test_by_measured_concepts():
    def word_families(scenes):
        "What scenes show, where they do, as a family."
        names = sorted({word for i in range(len(scenes)) for word in scenes.concepts(i)})

        def maps(batch):
            found = torch.zeros(len(batch.rows), len(names), 64, 64)
            for place, row in enumerate(batch.rows):
                for word, mask in scenes.concepts(row).items():
                    found[place, names.index(word)] = torch.from_numpy(mask)
            return torch.nn.functional.adaptive_avg_pool2d(found, SIDE)

        return [look_family(), Family('word', names, maps)]


    scenes, _, some = asked()
    by_concepts = concept_judge(scenes, word_families(scenes), some)
    {kind: share_right(by_concepts, kind) for kind in ('detection', 'fuzzing', 'intruder')}

    test_eq(share_right(by_concepts, 'detection'), 1.)
    assert min(share_right(by_concepts, kind) for kind in ('fuzzing', 'intruder')) > .85
    only = concept_judge(scenes, [look_family()], [one for one in some if one.kind == 'detection'])
    test_eq(only.answer(some[0], 'red areas'), [float(x) for x in only.answer(some[0], 'red')])
    assert np.isnan(only.answer(some[0], 'democracy')).all()


# 15_judges.ipynb, section "By a CLIP"
@pytest.mark.training
def test_by_a_clip():
    from milan.testing import colour_clip

    scenes, _, some = asked()
    few = [question for question in some if question.unit in (0, 3)]
    seer = clip_judge(colour_clip(), scenes, few, share=.3)
    answers = [seer.answer(question, f'{TRUTH[question.unit].split()[0]} things') for question in few]
    round(np.mean([not question.shown[int(np.argmin(answer))].belongs for question, answer in zip(few, answers)
                   if question.kind == 'intruder']), 2) # share of intruders found; chance is .2

    assert all(0 <= value <= 1 for answer in answers for value in answer)
    test_eq([len(answer) for answer in answers], [len(question.shown) for question in few])


# 15_judges.ipynb, section "Errors"
def test_errors():
    scenes, concepts, some = asked()
    with expect_fail(MilanError, contains='pack them with size=56'):
        label_judge(pack_concepts(Scenes(ShapeScenes(3)), 28), some)
    with expect_fail(MilanError, contains='make it with them'):
        label_judge(concepts, some[:1]).answer(next(one for one in some if one.kind == 'fuzzing'), 'red')
