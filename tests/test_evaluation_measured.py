# Generated from nbs/09_evaluation/13_measured.ipynb by `make export`. Edit the notebook, not this file.

from milan.annotations.simulated import COLOURS
from milan.concepts.vocabulary import Candidates
import numpy as np
import torch
from milan.evaluation.measured import (
    colour_shares,
    LEAST,
    Measured,
    on_pictures,
    with_colours,
)

def toy():
    values = np.stack([np.arange(20) / 20, np.arange(20) % 2, np.log(np.arange(20) / 20 + .001)], 1)
    return Candidates(['red areas', 'bird', 'hen'], np.array(['look', 'word', 'class']),
                      values.astype(np.float32), np.ones((1, 3), bool), np.ones((1, 3)), np.ones(3))


# 13_measured.ipynb, section "Whether a concept is on a picture"
def test_whether_a_concept_is_on_a_picture():
    on_pictures(toy(), np.ones(20, bool)).sum(0)

    assert on_pictures(toy(), np.ones(20, bool)).sum(0).tolist() == [2, 10, 17]

    half = torch.zeros(1, 3, 112, 112, dtype=torch.uint8)
    half[0, 0, :, :50] = 255 # red on black
    shares = colour_shares(half)
    dict(zip(COLOURS, shares[0].round(2)))

    assert abs(shares.sum() - 1) < 1e-5 and .42 < shares[0, 0] < LEAST
    present = with_colours(np.zeros((1, 3), bool), toy(), shares)
    assert not present.any() and with_colours(present, toy(), shares + .1)[0].tolist() == [True, False, False]


# 13_measured.ipynb, section "The predictor"
def test_the_predictor():
    predictor = Measured(toy(), on_pictures(toy(), np.ones(20, bool)))
    found = predictor.predict(['red birds', 'bird', 'various things', 'xyz'])
    found.present.sum(0), found.known

    assert found.present.sum(0).tolist() == [1, 10, 20, 0] and found.known.tolist() == [True, True, True, False]
    assert not found.shares[:, 2:].any() and predictor.predict_candidates().shares.shape == (20, 3)
