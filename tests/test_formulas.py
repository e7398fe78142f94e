# Generated from nbs/26_formulas.ipynb by `make export`. Edit the notebook, not this file.

from milan.formulas import (
    _Counts,
    _inside,
    _with,
    Formula,
    leaf,
    parse,
    search,
    where,
)
import pytest

import itertools
import warnings

import numpy as np
from fastcore.test import expect_fail, test_close, test_eq

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw

from milan.config import MilanError
from milan.observations import ConceptMasks, Masks, count, pack, unpack
from milan.segmentations import Concept


def some_masks(seed=0, units=6, concepts=5, images=12, side=9):
    "Made-up units and concepts in blobs, (rows, images, side, side): the units are formulas of concepts, with some noise."
    generator = np.random.default_rng(seed)
    coarse = generator.random((concepts, images, 3, 3)) < generator.uniform(.1, .4, (concepts, 1, 1, 1))
    a, b, c, d, e = full = coarse.repeat(side // 3, 2).repeat(side // 3, 3)
    truth = np.stack([a, a | b, a & b, c & ~d, (a | b) & ~c, (c & d) | e])
    return truth[:units] ^ (generator.random((units, images, side, side)) < .03), full


def named(full):
    "Concepts a, b, c … with these masks."
    return ConceptMasks([Concept(name) for name in 'abcdefgh'[:len(full)]], Masks.of(full), np.ones((full.shape[1], len(full)), bool))

def naive_beam(unit, full, names, length, beam):
    "The search as it is defined, with masks as sets of positions."
    best = sorted(((iou(unit, mask), 0, name, mask) for name, mask in zip(names, full) if (unit & mask).any()), key=lambda one: -one[0])[:beam]
    for _ in range(length - 1):
        more = {one[3].tobytes(): one for one in best}
        for score, size, name, mask in best:
            for other_name, other in zip(names, full):
                for text, joined in ((f'({name} OR {other_name})', mask | other), (f'({name} AND {other_name})', mask & other),
                                     (f'({name} AND NOT {other_name})', mask & ~other)):
                    more.setdefault(joined.tobytes(), (iou(unit, joined), size + 1, text, joined))
        best = sorted(more.values(), key=lambda one: -one[0])[:beam]
    return best[0][0]

def iou(one, other): return (one & other).sum() / (one | other).sum()

def large(units, concepts, images, side=56):
    "Made-up units and concepts: discs of random places and sizes, without regard for one another."
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]

    def discs(rows, per_image, radius):
        row, image, bits = [], [], []
        for number in range(images):
            chosen = np.sort(generator.choice(rows, min(rows, per_image), replace=False))
            place, reach = generator.uniform(0, side, (2, len(chosen), 1, 1)), generator.uniform(*radius, (len(chosen), 1, 1))
            row.append(chosen); image.append(np.full(len(chosen), number)); bits.append(pack((y - place[0]) ** 2 + (x - place[1]) ** 2 < reach ** 2))
        return Masks(np.concatenate(row), np.concatenate(image), np.concatenate(bits), rows, images, (side, side))

    return discs(units, units // 8, (3, 10)), ConceptMasks([Concept(f'c{number}') for number in range(concepts)], discs(concepts, concepts // 3, (5, 25)), np.ones((images, concepts), bool))


# 26_formulas.ipynb, section "Formulas"
def test_formulas():
    formula = parse('((water OR sky) AND NOT blue)')
    str(formula), formula.names

    test_eq(str(parse(str(formula))), '((water OR sky) AND NOT blue)')
    test_eq((formula.asserted(), formula.asserted(False)), (['water', 'sky'], ['blue']))
    test_eq(parse('NOT (a OR NOT b)').asserted(), ['b'])
    test_eq(str(parse('((water OR sky) AND (NOT blue))')), str(formula)) # as the original's files have it
    test_eq(str(parse('letter A OR swimming pool AND NOT a')), '(letter A OR (swimming pool AND NOT a))')
    test_eq(str(parse('NOT (a OR b)')), 'NOT (a OR b)')
    test_eq(str(parse('dog')), 'dog')
    water, sky, blue = np.random.default_rng(0).random((3, 20)) < .5
    test_eq(formula.apply({'water': water, 'sky': sky, 'blue': blue}.__getitem__), (water | sky) & ~blue)
    for bad, why in (('(a OR b', 'not closed'), ('a OR', 'at its end'), ('a AND ) b', "before ')'"), ('(a) b', "'b' is not expected"), ('', 'at its end')):
        with expect_fail(MilanError, contains=why): parse(bad)

    units, full = some_masks()
    concepts = named(full)
    found = where([parse('((a OR b) AND NOT c)'), None, parse('NOT d')], concepts)
    test_eq(unpack(found.dense(0), (9, 9)), (full[0] | full[1]) & ~full[2])
    test_eq(unpack(found.dense(2), (9, 9)), ~full[3])
    with expect_fail(MilanError, contains="'z' is none of the 5"): where([leaf('z')], concepts)
    found.areas()


# 26_formulas.ipynb, section "The search"
def test_the_search():
    either = _with({frozenset({0}): 1}, 'OR', 1)
    either, _with(either, 'AND NOT', 2)

    test_eq(_with(either, 'AND', 1), {frozenset({1}): 1})
    test_eq(_with(either, 'OR', 0), either)
    test_eq(_with(_with({frozenset({1}): 1}, 'AND NOT', 0), 'OR', 0), either) # means the same

    units, full = some_masks()
    counts = _Counts(Masks.of(full))
    counts.of(either)

    test_eq(counts.of(either), [((full[0] | full[1]) & full[c]).sum() for c in range(5)])
    test_eq(counts.of(_with(either, 'AND NOT', 2)), [((full[0] | full[1]) & ~full[2] & full[c]).sum() for c in range(5)])
    test_eq(sorted(map(sorted, counts.rows)), [[0], [0, 1], [0, 1, 2], [0, 2], [1], [1, 2]])

    own, near, inside = _inside(1, Masks.of(units), Masks.of(full))
    near, count(inside), int(count(own))

    test_eq(count(own), units[1].sum())
    test_eq(dict(zip(near.tolist(), count(inside).tolist())), {c: (units[1] & full[c]).sum() for c in range(5) if (units[1] & full[c]).any()})

    units, full = some_masks()
    found = search(Masks.of(units), named(full))
    [(str(one.formula), round(one.score, 3)) for one in found]

    def tries(full, names, length):
        "All formulas of the search, with their masks."
        level = every = [(leaf(name), mask) for name, mask in zip(names, full)]
        for _ in range(length - 1):
            level = [(Formula(operator, (formula, Formula('NOT', (leaf(name),)) if negated else leaf(name))), joined)
                     for formula, mask in level for name, other in zip(names, full)
                     for operator, negated, joined in (('OR', False, mask | other), ('AND', False, mask & other), ('AND', True, mask & ~other))]
            every = every + level
        return every




    def scores(units, full, length=3, beam=10): return [one.score for one in search(Masks.of(units), named(full), length, beam)]


    for one, unit in zip(found, units): test_close(one.score, iou(unit, one.formula.apply(dict(zip('abcde', full)).__getitem__)))
    for seed, length in ((0, 3), (1, 3), (2, 2), (3, 1)):
        units, full = some_masks(seed)
        best = [max(iou(unit, mask) for _, mask in tries(full, 'abcde', length)) for unit in units]
        test_close(scores(units, full, length, 10_000), best, eps=1e-12)
        assert (np.array(scores(units, full, length, 3)) <= np.array(best) + 1e-12).all()



    for seed in range(4):
        units, full = some_masks(seed)
        for length, beam in itertools.product((3, 4, 5), (1, 2, 4)): # from length 4 on, concepts may come again
            test_close(scores(units, full, length, beam), [naive_beam(unit, full, 'abcde', length, beam) for unit in units], eps=1e-12)

    test_eq(search(Masks.of(np.zeros_like(units)), named(full)), [(None, 0)] * 6)
    with expect_fail(MilanError, contains='give both the same'): search(Masks.of(units), named(full[:, :4]))
    with expect_fail(MilanError, contains='length = 0'): search(Masks.of(units), named(full), length=0)


# 26_formulas.ipynb, section "What it costs"
def test_what_it_costs():
    units, concepts = large(16, 10, 40)
    found = search(units, concepts)
    full = [unpack(concepts.masks.dense(concept), (56, 56)) for concept in range(10)]
    for unit in (0, 9): test_close(found[unit].score, naive_beam(unpack(units.dense(unit), (56, 56)), full, concepts.names, 3, 10), eps=1e-12)
    [(str(one.formula), round(one.score, 3)) for one in found[:3]]


# 26_formulas.ipynb, section "What it costs"
@pytest.mark.slow
def test_what_it_costs_slow():
    units, concepts = large(512, 50, 1000)
    found = search(units, concepts)
    assert len(found) == 512 and all(one.score > 0 for one in found)
