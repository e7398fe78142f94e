# Generated from nbs/09_evaluation/16_judging.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import json
from milan.evaluation.judging import (
    ask,
    exchanged,
    judge_scores,
    NEURONPEDIA,
    score_details,
    with_scores,
    write_records,
)
import pytest

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.concepts.observations import pack_concepts
from milan.concepts.segmentations import Scenes
from milan.evaluation.judges import label_judge
from milan.evaluation.questions import QUESTION_KINDS, Question, Shown, questions
from milan.exemplars.compute import compute
from milan.images.sets import ShapeScenes


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def planted(count=800):
    "The fitted network, scenes, exemplars of its planted units, and what was planted."
    network, scenes = networks.load('planted/shapes'), ShapeScenes(count, seed=7)
    units = {layer: [unit for unit, name in enumerate(names) if name]
             for layer, names in network.module.planted.items()}
    found = compute(network, scenes, list(units), units=units, k=5, size=64, batch_size=50, quiet=True,
                    keep_maxima=True, out=temporary()/'found')
    rows = [(layer, unit, network.module.planted[layer][unit]) for layer in units for unit in units[layer]]
    return network, scenes, found, pd.DataFrame(rows, columns=['layer', 'unit', 'description'])


class Liar:
    "A judge that knows the right answers, and says the opposite of a share of them."
    name = 'liar'

    def __init__(self, share, seed=0):
        self.share, self.random, self.asked = share, np.random.default_rng(seed), 0

    def answer(self, question, description):
        self.asked += 1
        belongs = np.array([one.belongs for one in question.shown])
        if question.kind != 'intruder':
            return (belongs ^ (self.random.random(len(belongs)) < self.share)).astype(float).tolist()
        if self.random.random() < self.share:
            belongs = np.roll(belongs, 1 + self.random.integers(len(belongs) - 1))
        return belongs.astype(float).tolist()

    def settings(self):
        return {'name': self.name, 'share': self.share}


def toy_questions(units=20, count=40, kind='detection'):
    "Questions of five pictures each about units; on pictures with even numbers the unit is active."
    return [Question(kind, 'conv', unit, tuple(
        Shown(5 * number + place, 1., 0, place != 0 if kind == 'intruder' else (number + place) % 2 == 0)
        for place in range(5))) for unit in range(units) for number in range(count)]


toy_table = pd.DataFrame({'layer': 'conv', 'unit': range(20), 'description': 'things'})


# 16_judging.ipynb, section "Asking"
def test_asking():
    folder, judge = temporary(), Liar(.25)
    answers = ask(judge, toy_questions(2, 8), toy_table, folder)
    answers[['unit', 'question', 'picture', 'belongs', 'probability', 'prediction']].head(6)

    again = Liar(.25, seed=99) # would lie at other places
    pd.testing.assert_frame_equal(ask(again, toy_questions(2, 8), toy_table, folder), answers)
    test_eq((judge.asked, again.asked), (16, 0))
    changed = ask(again, toy_questions(2, 8), toy_table.assign(description='other things'), folder, workers=3)
    test_eq((again.asked, len(changed)), (16, 80))
    path = sorted(folder.glob('*/*.json'))[0]
    path.write_text('{"answer": [1')
    ask(judge, toy_questions(2, 8), toy_table, folder)
    test_eq(judge.asked, 16 + ('other' not in path.read_text()))

    class Fails(Liar):
        "Answers five questions."
        def answer(self, question, description):
            if self.asked == 5: raise KeyboardInterrupt
            return super().answer(question, description)


    folder = temporary()
    with expect_fail(KeyboardInterrupt): ask(Fails(.1), toy_questions(1, 8), toy_table, folder)
    judge = Liar(.1)
    test_eq(ask(judge, toy_questions(1, 8), toy_table, folder).answered.all(), True)
    judge.asked

    test_eq(judge.asked, 3)


# 16_judging.ipynb, section "Scores"
def test_scores():
    by_hand = pd.DataFrame({
        'layer': 'conv', 'unit': 0, 'kind': 'detection', 'question': 0,
        'belongs': [True, True, False, False, True],
        'prediction': [True, False, False, False, False], 'probability': [.9, .3, .4, .1, np.nan],
        'answered': [True] * 4 + [False]})
    judge_scores(by_hand)

    [row] = judge_scores(by_hand).to_dict('records')
    test_eq((row['detection'], row['detection_auc'], row['detection_answered']), (.75, .75, .8))
    test_eq(judge_scores(by_hand.assign(answered=False)).detection.isna().all(), True)
    test_eq(list(with_scores(toy_table.assign(detection=9.), by_hand).columns),
            ['layer', 'unit', 'description', 'detection', 'detection_auc', 'detection_answered'])
    test_eq(with_scores(toy_table, by_hand).detection.notna().sum(), 1)

    few = pd.DataFrame({'layer': ['a', 'a', 'b', 'a', 'a'], 'unit': range(5),
                        'description': ['dog', 'cat', 'sky', '', 'cow']})
    exchanged(few)

    test_eq(exchanged(few).description.tolist(), ['cow', 'dog', 'cat'])

    shares, kinds = np.linspace(0, 1, 5), ('detection', 'intruder')
    scores = {kind: [judge_scores(ask(Liar(share), toy_questions(kind=kind), toy_table))[kind].mean()
                     for share in shares] for kind in kinds}
    figure, axis = plt.subplots(figsize=(3.4, 2.4), layout='constrained')
    for kind, marker in zip(kinds, 'ox', strict=True): axis.plot(shares, scores[kind], marker, label=kind)
    axis.plot([0, 1], [1, 0], color='grey', linewidth=1)
    axis.set(xlabel='share of lies', ylabel='score')
    axis.legend(frameon=False)
    plt.show()

    for kind in kinds: test_close(scores[kind], 1 - shares, eps=.03)


# 16_judging.ipynb, section "Planted units"
@pytest.mark.slow
@pytest.mark.training
def test_planted_units_slow():
    network, scenes, found, truth = planted()
    shuffled, scores = exchanged(truth), {}
    for quantile in (.99, .999):
        asked = questions(found.view(quantile=quantile), network, scenes)
        judge = label_judge(pack_concepts(Scenes(scenes)), asked)
        for name, table in (('true', truth), ('shuffled', shuffled)):
            scores[name, quantile] = judge_scores(ask(judge, asked, table))
    pd.DataFrame({name: one[list(QUESTION_KINDS)].mean() for name, one in scores.items()}).T.round(3)

    right = scores['true', .999]
    test_eq((len(right), right.detection.min(), right.detection_auc.min(), right.intruder.min()), (25, 1, 1, 1))
    assert right.fuzzing.mean() > .93 and scores['true', .99].detection.mean() > .93
    for quantile in (.99, .999): test_close(scores['shuffled', quantile].detection.mean(), .5, eps=.05)


# 16_judging.ipynb, section "Records"
def test_records():
    answers = ask(Liar(.2), toy_questions(2, 4), toy_table)
    folder = write_records(answers, temporary()/'records')
    json.loads((folder/'detection'/'conv_latent1.txt').read_text())[0]

    names = sorted(path.name for path in (folder/'detection').iterdir())
    test_eq(names, ['conv_latent0.txt', 'conv_latent1.txt'])
    found = json.loads((folder/'detection'/'conv_latent0.txt').read_text())
    test_eq(len(found), 20)
    test_eq([one['correct'] for one in found], [one['activating'] == one['prediction'] for one in found])
    test_eq(write_records(answers, folder), folder) # ours is replaced

    from milan.gallery.neuronpedia import explanations

    kinds = {kind: (name, 'liar') for kind, name in NEURONPEDIA.items() if kind in set(answers.kind)}
    made = explanations(with_scores(toy_table[:2], answers), 'toy', 'own', kinds, details=score_details(answers))
    made[0].scores[0].model_dump() | {'jsonDetails': made[0].scores[0].jsonDetails[:60] + '…'}

    test_eq([one.scores[0].value for one in made], judge_scores(answers).detection.tolist())
    test_eq([len(json.loads(one.scores[0].jsonDetails)) for one in made], [20, 20])
    test_eq(made[0].scores[0].explanationScoreTypeName, 'eleuther_recall')


# 16_judging.ipynb, section "Errors"
def test_errors():
    global pytest
    with expect_fail(MilanError, contains='no column description'):
        ask(Liar(0), toy_questions(1, 1), toy_table.drop(columns='description'))
    with expect_fail(MilanError, contains='check that the layer names agree'):
        ask(Liar(0), toy_questions(1, 1), toy_table.assign(layer='conv2'))
    silent = toy_table.assign(description='')
    with expect_fail(MilanError, contains='is described'): ask(Liar(0), toy_questions(1, 1), silent)
    test_eq(len(ask(Liar(0), toy_questions(1, 1, 'intruder'), silent)), 5)
    test_eq(list(judge_scores(ask(Liar(0), []))), ['layer', 'unit'])

    import pytest


    class Garbled(Liar):
        "Answers that cannot be read, in several ways, and one that can."
        def answer(self, question, description):
            self.asked += 1
            return [[1., 0.], None, 'no idea', [1., 2., 0., 0., 1.], [1.] * 5][(self.asked - 1) % 5]


    folder = temporary()
    with pytest.warns(UserWarning, match='4 of 5 answers'):
        found = ask(Garbled(0), toy_questions(1, 5), toy_table, folder)
    test_eq((int(found.answered.sum()), len(list(folder.glob('*/*.json')))), (5, 1))
    mine = temporary()
    (mine/'notes.txt').write_text('of my own')
    with expect_fail(MilanError, contains='notes.txt'): write_records(found, mine)
