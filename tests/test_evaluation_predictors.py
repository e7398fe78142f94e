# Generated from nbs/09_evaluation/05_predictors.ipynb by `make export`. Edit the notebook, not this file.

from milan.concepts.formulas import leaf
from milan.concepts.segmentations import Concept
from milan.config import MilanError
import numpy as np
from milan.evaluation.predictors import (
    _joined,
    formula_of,
    Labels,
    mentioned,
    names_of,
    Predicted,
    Similarities,
)

import matplotlib.pyplot as plt
from fastcore.test import expect_fail, test_close, test_eq

from milan.concepts.observations import pack_concepts, unpack
from milan.concepts.segmentations import Scenes
from milan.images.sets import ShapeScenes


# 05_predictors.ipynb, section "From words to regions"
def test_from_words_to_regions():
    found = names_of([Concept('dog'), Concept('car', 'object', ('automobile',)), Concept('swimming pools')])
    test_eq(found[('automobile',)], ['car'])
    found

    test_eq(str(_joined('OR', [leaf('a'), leaf('b'), leaf('c')])), '((a OR b) OR c)')

    known = names_of([Concept('dog'), Concept('letter'), Concept('letter A'), Concept('orange', 'colour'),
                      Concept('car', 'object', ('automobile',)), Concept('orange (fruit)', 'food', ('orange',))])
    texts = 'the letters A and E', 'two Dogs in automobiles', 'oranges'
    [[str(one) for one in mentioned(text, known)] for text in texts]

    test_eq([str(one) for one in mentioned('the letter A', known)], ['letter A'])
    test_eq([str(one) for one in mentioned('letter B dog', known)], ['letter', 'dog'])
    test_eq([str(one) for one in mentioned('an orange', known)], ['(orange OR orange (fruit))'])
    test_eq(mentioned('various things', known), [])

    names = ('red', 'blue', 'circle', 'dog', 'cat', 'bird', 'grass', 'letter', 'letter A', 'water')
    known = names_of([Concept(name) for name in names])
    texts = ('round red circles', 'Dogs, cats and birds.', 'a bird on grass', 'tops of birds',
             'blue letter A or water', '((waters OR bird) AND (NOT blue))', 'various things', '(water OR sky)')
    {text: str(formula_of(text, known)) for text in texts}

    expected = {
        'round red circles': '(red AND circle)', 'Dogs, cats and birds.': '((dog OR cat) OR bird)',
        'a bird on grass': 'bird', 'tops of birds': 'bird', 'various things': 'None',
        'blue letter A or water': '((blue AND letter A) OR water)',
        '((waters OR bird) AND (NOT blue))': '((water OR bird) AND NOT blue)',
        '(water OR sky)': 'None', 'the word NOT on a dog': 'dog', 'dogs and dogs': 'dog', '': 'None'}
    for text, formula in expected.items(): test_eq(str(formula_of(text, known)), formula)
    test_eq(str(formula_of('blue dogs on grass', known, {'blue'})), '(blue AND dog)')
    test_eq(str(formula_of('blue on grass', known, {'blue'})), '(blue AND grass)')
    both = names_of([Concept('cats and dogs'), Concept('cat')])
    test_eq(str(formula_of('cats and dogs', both)), 'cats and dogs')


# 05_predictors.ipynb, section "Predictions"
def test_predictions():
    everywhere = Predicted(np.ones((3, 2)), np.ones((3, 2), bool), np.ones(2, bool))
    test_eq(everywhere.subset(np.array([2])).shares.shape, (1, 2))

    scenes = Scenes(ShapeScenes(120))
    labels = Labels(pack_concepts(scenes))
    predicted = labels.predict(['red circles', 'letters', 'various things'])
    predicted.present.sum(0), predicted.shares[:4].round(3), predicted.known

    chosen = np.flatnonzero(predicted.present[:, 0])[:4]
    figure, axes = plt.subplots(1, len(chosen), figsize=(4.2, 1.5), layout='constrained')
    for axis, image in zip(axes, chosen, strict=True):
        axis.imshow(scenes[image].permute(1, 2, 0), extent=(0, 56, 56, 0))
        axis.contour(unpack(predicted.masks.dense(0)[image], (56, 56)), [.5], colors='white')
        axis.set_title(f'covers {predicted.shares[image, 0]:.1%}', size=9)
        axis.axis('off')
    plt.show()

    rows = [labels.candidates.index(name) for name in ('red', 'circle')]
    red, circle = (unpack(labels.concepts.masks.dense(row), (56, 56)) for row in rows)
    test_close(predicted.shares[:, 0], (red & circle).mean((1, 2)), eps=1e-6)
    test_eq(predicted.present[:, 2].any(), False)
    test_eq(predicted.subset(np.array([3, 1])).shares, predicted.shares[[3, 1]])

    similar = Similarities(np.arange(20.).reshape(10, 2) % 7, ['a', 'b'], share=.2)
    assert 1 <= similar.predict(['b', 'a']).present[:, 0].sum() <= 2
    similar.predict(['b']).present[:, 0]

    here = np.arange(60) % 3 == 0
    values = np.stack([np.where(here, 6, .5), np.zeros(60)], 1)
    test_eq(Similarities(values, ['a', 'b']).predict(['a', 'b']).present, np.stack([here, here & False], 1))


# 05_predictors.ipynb, section "Errors"
def test_errors():
    similar = Similarities(np.zeros((3, 2)), ['a', 'b'])
    with expect_fail(MilanError, contains="no similarities to 'c'"): similar.predict(['c'])
    with expect_fail(MilanError, contains='one column per text'): Similarities(np.zeros((3, 2)), ['a'])
