# Generated from nbs/08_evidence.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
from milan.evaluation.evidence import (
    correlation_intervals,
    covariates,
    minimum_detectable,
    partial_correlations,
    parts,
)

def toy_layer():
    "Six units on pictures of two sources, what all units share, and a concept that unit 2 follows besides."
    random = np.random.default_rng(0)
    shared, own = random.normal(size=(2, 400, 1))
    source = np.repeat(['drawing', 'photograph'], 200)
    activations = random.normal(size=(400, 6)) + 2 * shared + 3 * (source == 'photograph')[:, None]
    activations[:, 2:3] += 2 * own
    return activations, source, shared, own


# 08_evidence.ipynb, section "What is removed"
def test_what_is_removed():
    activations, source, shared, own = toy_layer()
    known = covariates(activations, source)
    known.shape

    assert (known[:, :2].sum(1) == 1).all()
    assert np.corrcoef(known[:, 2], activations.mean(1))[0, 1] > .99
    constant = np.ones((4, 2))
    assert (covariates(constant, ['a', 'a', 'b', 'b'])[:, 2] == 0).all() # units that never vary explain nothing


# 08_evidence.ipynb, section "Partial correlation"
def test_partial_correlation():
    activations, source, shared, own = toy_layer()
    known, holds = covariates(activations, source), np.concatenate([shared, own], 1)
    plain = np.corrcoef(activations.T, holds.T)[:6, 6:]
    partial = partial_correlations(activations, holds, known)
    np.stack([plain, partial]).round(2)

    assert plain[:, 0].min() > .5 and np.abs(partial[:, 0]).max() < .5
    assert partial[2, 1] > .7 and partial[2, 1] == partial[:, 1].max()
    assert (partial_correlations(activations, np.ones((400, 1)), known) == 0).all()

    # equal to the textbook formula for one covariate
    x, y, z = np.random.default_rng(0).normal(size=(3, 50))
    x, y = x + z, y + z
    xy, xz, yz = (np.corrcoef(a, b)[0, 1] for a, b in ((x, y), (x, z), (y, z)))
    textbook = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    ours = partial_correlations(x[:, None], y[:, None], np.stack([np.ones(50), z], 1))[0, 0]
    assert abs(textbook - ours) < 1e-9


# 08_evidence.ipynb, section "Parts that share no source"
def test_parts_that_share_no_source():
    groups = [f'object {i // 3}' for i in range(60)]
    part = parts(groups)
    np.bincount(part)

    assert np.bincount(part).tolist() == [15] * 4
    assert all(len({part[i] for i in range(60) if groups[i] == one}) == 1 for one in groups)
    assert (parts(groups, seed=1) != part).any() and (parts(groups) == part).all()


# 08_evidence.ipynb, section "How certain a correlation is"
def test_how_certain_a_correlation_is():
    activations, source, shared, own = toy_layer()
    known = covariates(activations, source)
    few, many = ([f'{i // size}' for i in range(400)] for size in (40, 1))
    intervals = [correlation_intervals(activations[:, 2:3], own, known, some) for some in (few, many)]
    np.ravel(intervals).round(2)

    value = partial_correlations(activations[:, 2:3], own, known)[0, 0]
    for low, high in intervals:
        assert low[0] < value < high[0]
    # coverage: how often the interval of two unrelated columns holds 0
    noise = np.random.default_rng(0).normal(size=(2, 400, 200))
    low, high = correlation_intervals(noise[0], noise[1], np.ones((400, 1)), many)
    assert .9 < np.mean((low < 0) & (high > 0)) < .99


# 08_evidence.ipynb, section "The smallest effect that would have been seen"
def test_the_smallest_effect_that_would_have_been_seen():
    scores = np.random.default_rng(0).normal(size=100)
    minimum_detectable(scores)

    assert .2 < minimum_detectable(scores) < .36


# 08_evidence.ipynb, section "Errors"
def test_errors():
    import pytest

    for wrong, text in ((lambda: covariates(np.ones((3, 2)), ['a']), '3 rows of activations, 1 sources'),
                        (lambda: minimum_detectable(np.ones(1)), 'at least two')):
        with pytest.raises(MilanError, match=text):
            wrong()
