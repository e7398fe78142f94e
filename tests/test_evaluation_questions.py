# Generated from nbs/09_evaluation/14_questions.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.observations import Masks
from milan.config import MilanError
from milan.hooks.layers import Unit
import numpy as np
import torch
from milan.evaluation.questions import (
    _detection,
    _elsewhere,
    _intruder,
    ActiveRegions,
    choose_pictures,
    Chosen,
    drawn_picture,
    one_of_each,
    QUESTION_KINDS,
    questions,
    SIDE,
)

import functools
import itertools
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan import networks
from milan.exemplars.compute import compute
from milan.images.sets import ShapeScenes


@functools.cache
def colours(count=400):
    "The planted colour units, which need no training; scenes; and their exemplars."
    network, scenes = networks.load('planted/shapes', pretrained=False), ShapeScenes(count)
    found = compute(network, scenes, ['colours'], k=5, size=64, batch_size=50, quiet=True, keep_maxima=True,
                    out=Path(tempfile.mkdtemp())/'found')
    return network, scenes, found


def toy_maxima():
    "A unit's maxima on 1,000 pictures, of which about 160 are above 1."
    return np.random.default_rng(1).normal(size=1000)


# 14_questions.ipynb, section "Which pictures"
def test_which_pictures():
    maxima = toy_maxima()
    drawn = choose_pictures(maxima, threshold=1)
    [round(float(maxima[part].mean()), 2) for part in drawn.active], round(float(maxima[drawn.others].max()), 2)

    assert (maxima[np.concatenate(drawn.active)] > 1).all()
    assert maxima[drawn.others].max() < np.median(maxima) + .2
    test_eq((sum(map(len, drawn.active)), len(drawn.others), len(set(drawn.others))), (100, 100, 100))
    parts = [maxima[part] for part in drawn.active]
    assert all(one.min() > other.max() for one, other in itertools.pairwise(parts))
    test_eq(np.concatenate(choose_pictures(maxima, 1).active), np.concatenate(drawn.active))
    held_out = np.arange(1000) % 2 == 0
    assert (np.concatenate(choose_pictures(maxima, 1, held_out, each=3).active) % 2 == 0).all()
    test_eq(choose_pictures(maxima, 4.), None)

    kept = one_of_each(['a', 'b', 'a', 'c', 'a', 'c'], np.array([True, False, True, True, True, True]))
    test_eq((kept.sum(), kept[1], kept[[0, 2, 4]].sum()), (2, False, 1))
    kept


# 14_questions.ipynb, section "A question"
def test_a_question():
    maxima = toy_maxima()
    asked = _detection(Unit('conv', 3), choose_pictures(maxima, 1), maxima, 5, 5, np.random.default_rng(0))
    test_eq((len(asked), sum(one.belongs for question in asked for one in question.shown)), (20, 50))
    asked[0].shown


# 14_questions.ipynb, section "Marked regions"
def test_marked_regions():
    block = np.zeros((2, 2, SIDE, SIDE), bool) # units, pictures
    block[0, 0, :9], block[1, 0, 20:], block[1, 1, :, :4] = True, True, True
    units = [Unit('conv', 0), Unit('conv', 1)]
    marks = ActiveRegions(units, np.array([3, 8]), Masks.of(block))
    list(marks.of(units[0])), list(marks.of(units[1])), len(marks.on(3, units[0])), len(marks.on(8, units[1]))

    test_eq(marks.of(units[1])[8], block[1, 1])
    test_eq(marks.on(3, units[0]), [block[1, 0]])

    top, left, all_but_top = (np.zeros((SIDE, SIDE), bool) for _ in range(3))
    top[:9], left[:, :9], all_but_top[9:] = True, True, True
    test_eq(_elsewhere(top, [top, left, all_but_top], np.random.default_rng(0)), all_but_top)

    chosen = Chosen([np.array([3]), np.array([8])], np.array([3, 8]))
    [question] = _intruder(units[1], chosen, np.arange(9.), marks, 3, np.random.default_rng(0))
    test_eq(sorted((one.picture, one.belongs) for one in question.shown), [(3, False), (3, True), (8, True)])
    question


# 14_questions.ipynb, section "All questions"
def test_all_questions():
    network, scenes, found = colours()
    asked = questions(found, network, scenes)
    {kind: sum(one.kind == kind and one.unit == 3 for one in asked) for kind in QUESTION_KINDS}

    again = questions(found, network, scenes, QUESTION_KINDS[:2], units={'colours': [3]})
    test_eq([one.key() for one in again], [one.key() for one in asked if one.unit == 3][:len(again)])
    for question in asked:
        belongs = [one.belongs for one in question.shown]
        assert question.kind != 'intruder' or sum(belongs) == 4
        assert all((one.decile < 0) == (question.kind != 'fuzzing' and not one.belongs) for one in question.shown)
        assert len({one.picture for one in question.shown}) == len(question.shown)

    figure, axes = plt.subplots(3, 5, figsize=(5.2, 3.6), layout='constrained')
    for kind, row in zip(QUESTION_KINDS, axes, strict=True):
        question = next(one for one in asked if one.kind == kind and one.unit == 3)
        for axis, one in zip(row, question.shown, strict=True):
            axis.imshow(drawn_picture(scenes[one.picture], one.region, .6).permute(1, 2, 0))
            axis.set_title('belongs' if one.belongs else '', size=8)
            axis.axis('off')
    plt.show()

    half = drawn_picture(torch.full((3, 4, 4), 200, dtype=torch.uint8), np.eye(2, dtype=bool), 1.)
    test_eq((half[0, 0, 0] > .7).item(), True)
    test_eq(half[0, 0, 2:].tolist(), [0, 0])


# 14_questions.ipynb, section "Errors"
def test_errors():
    network, scenes, found = colours()
    with expect_fail(MilanError, contains="no questions of kind 'guessing'"): questions(found, kinds=['guessing'])
    with expect_fail(MilanError, contains='give network= and images='): questions(found)
    with expect_fail(MilanError, contains='is about 3 pictures'):
        questions(found, kinds=['detection'], allowed=np.ones(3, bool))
    with expect_fail(MilanError, contains='size = 2'): questions(found, kinds=['detection'], size=2)
    few = compute(network, scenes, ['colours'], k=5, size=64, batch_size=50, quiet=True,
                  out=Path(tempfile.mkdtemp())/'few')
    with expect_fail(MilanError, contains='keep_maxima=True'): questions(few, kinds=['detection'])
