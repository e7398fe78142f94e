# Generated from nbs/09_evaluation/08_evidence.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
from milan.evaluation.evidence import (
    correlation_intervals,
    covariates,
    mean_interval,
    minimum_detectable,
    partial_correlations,
    reference_choices,
    shuffle_weights,
    standardised,
)

from milan.evaluation.intervals import summarise

def toy_layer():
    "Six units on pictures of two sets, what all units share, and a concept that unit 2 follows besides."
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


# 08_evidence.ipynb, section "How certain a mean over units is"
def test_how_certain_a_mean_over_units_is():
    def toy_units(seed, pictures=40, units=30, effect=.3):
        "Units that share a description and much of their noise: pictures matter more than units."
        random = np.random.default_rng(seed)
        own = random.normal(size=(pictures, 1))
        noise = .8 * random.normal(size=(pictures, 1)) + .6 * random.normal(size=(pictures, units))
        holds = np.repeat(own, units, 1)
        activations = effect * own + (1 - effect**2) ** .5 * noise
        return [standardised(values, np.ones((pictures, 1))) for values in (activations, holds)]

    one, other = toy_units(0)
    each = (one * other).sum(0)
    each.mean(), mean_interval(one, other, range(40)), summarise(each).interval

    tries = [toy_units(seed) for seed in range(200)]
    def covered(ends): return float(np.mean([low < .3 < high for low, high in ends]))

    both = covered(mean_interval(one, other, range(40), seed=seed) for seed, (one, other) in enumerate(tries))
    units = covered(summarise((one * other).sum(0)).interval for one, other in tries[:50])
    both, units

    assert .88 < both < .99 and units < .6
    low, high = mean_interval(*toy_units(1), range(40))
    narrow = summarise(np.multiply(*toy_units(1)).sum(0)).interval
    assert high - low > 2 * (narrow[1] - narrow[0])
    # the mean of a right and a wrong description has the mean of their correlations
    one, other = toy_units(2, 2000)
    wrong = standardised(np.random.default_rng(0).normal(size=(2000, 30)), np.ones((2000, 1)))
    low, high = mean_interval(one, (other + wrong) / 2, range(2000))
    assert low < ((one * other).sum(0).mean() + (one * wrong).sum(0).mean()) / 2 < high < .25


# 08_evidence.ipynb, section "Rows that need no knowledge of the unit"
def test_rows_that_need_no_knowledge_of_the_unit():
    layers = ['early', 'early', 'early', 'late']
    before = np.array([[.3, .1, 0], [.3, 0, .2], [.1, .2, 0], [0, 0, .4]])
    after = before[:, ::-1]
    reference_choices(before, after, layers), shuffle_weights(layers)

    rows = reference_choices(before, after, layers)
    assert {name: chosen.tolist() for name, chosen in rows.items()} == {
        'constant': [0] * 4, 'layer constant': [0, 0, 0, 2], 'best concept': [0, 0, 1, 2], 'oracle': [2, 2, 1, 0]}
    weights = shuffle_weights(layers)
    assert np.allclose(weights.sum(1), 1) and not np.diag(weights).any() and weights[0].tolist() == [0, .5, .5, 0]
    assert not shuffle_weights(['alone']).any()


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
