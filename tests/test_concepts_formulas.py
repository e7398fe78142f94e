# Generated from nbs/08_concepts/03_formulas.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.observations import ConceptMasks
from milan.concepts.observations import Masks
from milan.concepts.observations import _masks
from milan.concepts.observations import count
from milan.concepts.observations import pack
from milan.config import MilanError
import ast
import numpy as np
from milan.concepts.formulas import (
    _best,
    _Counts,
    _extend,
    _extended,
    _extensions,
    _formula,
    _inside,
    _Kept,
    _redundant,
    _search,
    _Unit,
    Formula,
    formula_masks,
    leaf,
    OPERATORS,
    parse,
    search,
)
import pytest

import itertools
import warnings

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan.concepts.observations import unpack
from milan.concepts.segmentations import Concept

warnings.filterwarnings('ignore', message='IProgress') # of libraries' progress bars


def some_masks(seed=0, units=6, concepts=5, images=12, side=9):
    "Units and concepts in blobs, (rows, images, side, side): units are formulas of concepts with noise."
    generator = np.random.default_rng(seed)
    coarse = generator.random((concepts, images, 3, 3)) < generator.uniform(.1, .4, (concepts, 1, 1, 1))
    a, b, c, d, e = full = coarse.repeat(side // 3, 2).repeat(side // 3, 3)
    truth = np.stack([a, a | b, a & b, c & ~d, (a | b) & ~c, (c & d) | e])
    return truth[:units] ^ (generator.random((units, images, side, side)) < .03), full


def named(full):
    "Concepts a, b, c … with these masks."
    annotated = np.ones((full.shape[1], len(full)), bool)
    return ConceptMasks([Concept(name) for name in 'abcdefgh'[:len(full)]], Masks.of(full), annotated)

def naive_beam(unit, full, names, length, beam):
    "The search as it is defined, with masks as sets of positions."
    first = [(iou(unit, mask), 0, name, mask) for name, mask in zip(names, full) if (unit & mask).any()]
    best = sorted(first, key=lambda one: -one[0])[:beam]
    for _ in range(length - 1):
        more = {one[3].tobytes(): one for one in best}
        for (score, size, text, mask), (name, other) in itertools.product(best, list(zip(names, full))):
            for operator, joined in (('OR', mask | other), ('AND', mask & other), ('AND NOT', mask & ~other)):
                entry = (iou(unit, joined), size + 1, f'({text} {operator} {name})', joined)
                more.setdefault(joined.tobytes(), entry)
        best = sorted(more.values(), key=lambda one: -one[0])[:beam]
    return best[0][0]

def iou(one, other): return (one & other).sum() / (one | other).sum()

def large(units, concepts, images):
    generator, names = np.random.default_rng(0), [Concept(f'c{number}') for number in range(concepts)]
    return discs(generator, units, images, units // 8, (3, 10)), ConceptMasks(
        names, discs(generator, concepts, images, concepts // 3, (5, 25)), np.ones((images, concepts), bool))

def discs(generator, rows, images, per_image, radius, side=56):
    "Masks of discs in random places and sizes."
    y, x = np.mgrid[:side, :side]
    parts = []
    for number in range(images):
        row = np.sort(generator.choice(rows, min(rows, per_image), replace=False))
        place = generator.uniform(0, side, (2, len(row), 1, 1))
        reach = generator.uniform(*radius, (len(row), 1, 1))
        bits = pack((y - place[0]) ** 2 + (x - place[1]) ** 2 < reach ** 2)
        parts.append((row, np.full(len(row), number), bits))
    return _masks(parts, rows, images, (side, side))


# 03_formulas.ipynb, section "Formulas"
def test_formulas():
    test_eq(leaf('sky').names, ['sky'])
    str(leaf('sky'))

    formula = Formula('AND', (Formula('OR', (leaf('water'), leaf('sky'))), Formula('NOT', (leaf('blue'),))))
    water, sky, blue = np.random.default_rng(0).random((3, 20)) < .5
    test_eq(formula.apply({'water': water, 'sky': sky, 'blue': blue}.__getitem__), (water | sky) & ~blue)
    test_eq((formula.names, formula.asserted()), (['water', 'sky', 'blue'], ['water', 'sky']))
    test_eq(formula.asserted(False), ['blue'])
    str(formula)

    tree = ast.parse('n0 and not n1', mode='eval')
    test_eq(str(_formula(tree.body, ['sky', 'blue'])), '(sky AND NOT blue)')

    formula = parse('((water OR sky) AND NOT blue)')
    str(formula), formula.names

    texts = {'((water OR sky) AND NOT blue)': '((water OR sky) AND NOT blue)',
             '((water OR sky) AND (NOT blue))': '((water OR sky) AND NOT blue)', # as in the original's files
             'letter A OR swimming  pool AND NOT a': '(letter A OR (swimming pool AND NOT a))',
             'NOT (a OR b)': 'NOT (a OR b)', 'a OR b OR c': '((a OR b) OR c)', "it's ORANGE": "it's ORANGE"}
    for text, expected in texts.items(): test_eq(str(parse(text)), expected)
    test_eq(parse('NOT (a OR NOT b)').asserted(), ['b'])

    units, full = some_masks()
    concepts = named(full)
    found = formula_masks([parse('((a OR b) AND NOT c)'), None, parse('NOT d')], concepts)
    test_eq(unpack(found.dense(0), (9, 9)), (full[0] | full[1]) & ~full[2])
    test_eq(unpack(found.dense(2), (9, 9)), ~full[3])
    found.areas()

    figure, axes = plt.subplots(1, 4, figsize=(6, 1.8), layout='constrained')
    a, b, c = (mask[4] for mask in full[:3])
    shown = {'a': a, 'b': b, 'c': c, '(a OR b) AND NOT c': (a | b) & ~c}
    for axis, (title, mask) in zip(axes, shown.items(), strict=True):
        axis.imshow(mask, cmap='cividis')
        axis.set_title(title, size=9)
        axis.axis('off')
    plt.show()


# 03_formulas.ipynb, section "Counting without masks"
def test_counting_without_masks():
    either = _extended({frozenset({0}): 1}, 'OR', 1)
    either, _extended(either, 'AND NOT', 2)

    test_eq(_extended(either, 'AND', 1), {frozenset({1}): 1})
    test_eq(_extended(either, 'OR', 0), either)
    test_eq(_extended(_extended({frozenset({1}): 1}, 'AND NOT', 0), 'OR', 0), either) # has the same meaning

    units, full = some_masks()
    counts = _Counts(Masks.of(full))
    counts.of(either)

    a, b, c, d, e = full
    test_eq(counts.of(either), [((a | b) & concept).sum() for concept in full])
    test_eq(counts.of(_extended(either, 'AND NOT', 2)), [((a | b) & ~c & concept).sum() for concept in full])
    test_eq(sorted(map(sorted, counts.rows)), [[0], [0, 1], [0, 1, 2], [0, 2], [1], [1, 2]])

    one = _Unit(1, np.array([0, 1]), np.array([1]), np.array([[4]], np.uint64))
    test_eq((one.of(1), one.of(0)), ([4], [0]))

    one = _inside(1, Masks.of(units), Masks.of(full))
    one.near, one.common, one.area

    test_eq(one.area, units[1].sum())
    test_eq(one.common, [(units[1] & concept).sum() for concept in full])
    test_eq(count(one.of(0)), one.common[0])


# 03_formulas.ipynb, section "The search"
def test_the_search():
    test_eq(_extensions(5, np.array([2]), np.array([4]))[:, 0], [7, 2, 3]) # f OR c, f AND c, f AND NOT c

    units, full = some_masks()
    a, areas, counts = full[0], Masks.of(full).areas(), _Counts(Masks.of(full))
    one = _inside(1, Masks.of(units), Masks.of(full))
    first = _Kept(0., leaf('a'), {frozenset({0}): 1}, int(areas[0]), one.of(0))
    sizes = _extensions(first.size, counts.of(first.terms), areas)
    test_eq(sizes[0], [(a | concept).sum() for concept in full])
    test_eq(sizes[2], [(a & ~concept).sum() for concept in full])
    test_eq(_redundant(sizes, first, areas)[:, 0], [True] * 3) # a with a
    sizes

    found = _extend([first], one, counts, areas, 3)
    assert 0 < len(found) <= 3 and found[0][0] == max(item[0] for item in found)
    [(OPERATORS[operator], 'abcde'[concept], round(score, 3)) for score, _, operator, concept, _ in found]

    first.extended = False
    best = _best([first], _extend([first], one, counts, areas, 3), one, 'abcde', 3)
    test_eq([kept.score for kept in best], sorted((kept.score for kept in best), reverse=True))
    [str(kept.formula) for kept in best]

    test_eq(_search(one, counts, areas, 'abcde', 1, 2)[0].score,
            np.max(one.common / (one.area + areas - one.common)))
    [str(kept.formula) for kept in _search(one, counts, areas, 'abcde', 3, 5)]

    units, full = some_masks()
    found = search(Masks.of(units), named(full))
    [(str(one.formula), round(one.score, 3)) for one in found]

    def tries(full, names, length):
        "All formulas of the search, with their masks."
        last = every = [(leaf(name), mask) for name, mask in zip(names, full)]
        for _ in range(length - 1):
            last = [(parse(f'{formula} {operator} {name}'), joined)
                    for formula, mask in last for name, other in zip(names, full) for operator, joined in
                    (('OR', mask | other), ('AND', mask & other), ('AND NOT', mask & ~other))]
            every = every + last
        return every




    def scores(units, full, *settings):
        return [one.score for one in search(Masks.of(units), named(full), *settings)]

    for one, unit in zip(found, units):
        test_close(one.score, iou(unit, one.formula.apply(dict(zip('abcde', full)).__getitem__)))
    for seed, length in ((0, 3), (1, 3), (2, 2), (3, 1)):
        units, full = some_masks(seed)
        best = [max(iou(unit, mask) for _, mask in tries(full, 'abcde', length)) for unit in units]
        test_close(scores(units, full, length, 10_000), best, eps=1e-12)
        assert (np.array(scores(units, full, length, 3)) <= np.array(best) + 1e-12).all()



    for seed in range(4):
        units, full = some_masks(seed)
        for length, beam in itertools.product((3, 4, 5), (1, 2, 4)): # from length 4 on, concepts may repeat
            expected = [naive_beam(unit, full, 'abcde', length, beam) for unit in units]
            test_close(scores(units, full, length, beam), expected, eps=1e-12)


# 03_formulas.ipynb, section "Cost"
def test_cost():
    units, concepts = large(16, 10, 40)
    found = search(units, concepts)
    full = [unpack(concepts.masks.dense(concept), (56, 56)) for concept in range(10)]
    for unit in (0, 9):
        expected = naive_beam(unpack(units.dense(unit), (56, 56)), full, concepts.names, 3, 10)
        test_close(found[unit].score, expected, eps=1e-12)
    [(str(one.formula), round(one.score, 3)) for one in found[:3]]


# 03_formulas.ipynb, section "Cost"
@pytest.mark.slow
def test_cost_slow():
    units, concepts = large(512, 50, 1000)
    found = search(units, concepts)
    assert len(found) == 512 and all(one.score > 0 for one in found)


# 03_formulas.ipynb, section "Errors"
def test_errors():
    units, full = some_masks()
    test_eq(search(Masks.of(np.zeros_like(units)), named(full)), [(None, 0)] * 6)
    for bad in ('(a OR b', 'a OR', 'a AND ) b', '(a) b', 'a (b)', '', '()', '(' * 999, 'NOT ' * 9999 + 'a'):
        with expect_fail(MilanError, contains='is no formula'): parse(bad)
    with expect_fail(MilanError, contains="'z' is none of the 5"): formula_masks([leaf('z')], named(full))
    with expect_fail(MilanError, contains='give both the same'): search(Masks.of(units), named(full[:, :4]))
    with expect_fail(MilanError, contains='length = 0'): search(Masks.of(units), named(full), length=0)
