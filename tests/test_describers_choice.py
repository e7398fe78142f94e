# Generated from nbs/10_describers/05_choice.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.vocabulary import Candidates
from milan.evaluation.evidence import covariates
import numpy as np
from milan.describers.choice import (
    beyond_usual,
    choose,
    combine,
    decide,
    decide_all,
    evidence,
    NOT_PREDICTIVE,
    NOT_PRESENT,
)

from fastcore.test import test_eq

from milan.evaluation.evidence import residuals

def toy_layer():
    "Activations of forty units on 800 pictures, and six concepts: unit 0 follows one of them, unit 1 two."
    random = np.random.default_rng(0)
    values = (random.random((800, 6)) < .3).astype(float)
    activations = random.normal(size=(800, 40))
    activations[:, 0] += 2 * values[:, 1]
    activations[:, 1] += 1.5 * values[:, 2] + 1.5 * values[:, 3]
    return activations, values


# 05_choice.ipynb, section "Evidence"
def test_evidence():
    activations, values = toy_layer()
    found = evidence(activations, values, ['drawings'] * 800, part=np.arange(800) % 4)
    found.held_out[:4].round(2)

    test_eq(found.discovery[0].argmax(), 1)
    assert found.held_out[0, 1] > .5 and np.abs(found.held_out[2:]).max() < .2
    assert (found.lower <= found.discovery + .1).all()


# 05_choice.ipynb, section "Choice"
def test_choice():
    share = np.column_stack([np.full(100, .8), np.eye(100)[0]]) # one concept everywhere, one in a single unit
    beyond_usual(share)[:3].round(2), beyond_usual(share[:3]).round(2)

    test_eq(beyond_usual(share)[:2, 1], [1, 0])
    assert (beyond_usual(share)[:, 0] < .2).all() and (beyond_usual(share[:1]) == share[:1]).all()

    families = np.array(['class', 'hypernym', 'look', 'class'])
    [choose(np.array(row), np.array(there), families) for row, there in (
        ([.50, .46, .10, .2], [1, 1, 1, 1]), # the hypernym is nearly as good
        ([.50, .30, .10, .2], [1, 1, 1, 1]),
        ([.50, .30, .10, .2], [0, 0, 1, 1]), # the best is not there
        ([.50, .30, .10, .2], [0, 0, 0, 0]))]

    everywhere = np.ones(4, bool)
    test_eq(choose(np.array([.50, .46, .10, .2]), everywhere, families), 1)
    test_eq(choose(np.array([.50, .30, .10, .2]), everywhere, families), 0)
    test_eq(choose(np.array([.50, .30, .10, .2]), np.array([False, False, True, True]), families), 3)
    test_eq(choose(np.array([.50, .30, .10, .2]), ~everywhere, families), -1)
    test_eq(choose(-np.ones(4), everywhere, families), -1)

    activations, values = toy_layer()
    found = evidence(activations, values, ['drawings'] * 800, part=np.arange(800) % 4)
    everything = Candidates(['cat', 'red', 'dog', 'car', 'sun', 'sky'], np.array(['word'] * 6), values,
                            np.ones((40, 6), bool), np.ones((40, 6)), gates=np.full(6, .2))
    everywhere = np.ones(6)
    choices = [decide(found, row, everything, everywhere > 0, everywhere) for row in range(5)]
    [(everything.names[one.concept], one.silent) for one in choices]

    test_eq([one.silent == '' for one in choices], [True, True, False, False, False])
    test_eq(everything.names[choices[0].concept], 'red')
    test_eq({everything.names[i] for i in choices[1][:2]}, {'dog', 'car'})
    test_eq(decide(found, 0, everything, np.zeros(6, bool), np.zeros(6)).silent, NOT_PRESENT)
    test_eq(decide(found, 0, everything, everywhere > 0, .3 * everywhere).silent,
            NOT_PREDICTIVE) # too rarely there

    chosen = decide_all(found, everything, everything.present, np.eye(40, 6, 1))
    [(everything.names[one.concept], one.silent) for one in chosen[:3]]

    test_eq([one.silent == '' for one in chosen[:3]], [True, True, False])


# 05_choice.ipynb, section "A combination, beside the name"
def test_a_combination_beside_the_name():
    activations, values = toy_layer()
    known = covariates(activations, ['drawings'] * 800)
    target, others = residuals(activations[:, 1], known), residuals(values, known)
    combine(target, others, np.arange(6))

    test_eq(set(combine(target, others, np.arange(6)).concepts), {2, 3})
    assert set(combine(target, others, np.array([0, 2])).concepts) <= {0, 2}
