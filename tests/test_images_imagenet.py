# Generated from nbs/02_images/11_imagenet.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import pandas as pd
from milan.images.imagenet import (
    _phrase,
    class_names,
    classes_of,
    COMMON,
    depicted,
)

from fastcore.test import expect_fail, test_eq


# 11_imagenet.ipynb, section "The classes' names"
def test_the_classes_names():
    [class_names()[number] for number in (8, 151, 268, 486)]

    test_eq(len(class_names()), 1000)
    test_eq((class_names()[8], class_names()[486]), (('hen',), ('cello', 'violoncello')))
    assert class_names()[151][0] == 'chihuahua' and 'mexican hairless' in class_names()[268]


# 11_imagenet.ipynb, section "From words to classes"
def test_from_words_to_classes():
    said = ['A “Granny Smith” apple', 'a red panda', 'A pair of binoculars', 'Meerkats', 'A dog',
            'A cricket ball', 'a rubber duck', 'A bunny with an Easter egg']
    pd.DataFrame(
        {'description': said, 'phrase': [_phrase(text) for text in said],
         'classes': [', '.join(class_names()[number][0] for number in classes_of(text)[:4]) for text in said]}
    )

    test_eq(classes_of('A sliced orange'), (950,))
    test_eq(classes_of('a red panda'), (387,))
    test_eq(classes_of('a panda'), (388,))
    test_eq(classes_of('Meerkats'), (299,))
    test_eq(classes_of('A dog'), tuple(range(151, 269)))
    test_eq([classes_of(text) for text in ('A cricket ball', 'a rubber duck', 'a mouse', 'a fish',
                                           'A tractor wheel', '', '!')], [()] * 7)

    test_eq(classes_of('A very poisonous lionfish!'), (396,))
    test_eq(classes_of('a string of garlic'), ())
    test_eq(classes_of('A “Granny Smith” apple'), (948,))
    test_eq(classes_of('A bunny with an Easter egg'), (330, 331, 332))

    pd.DataFrame(
        [
            (
                word,
                ', '.join(class_names()[number][0] for number in numbers[:6])
                + (' …' if len(numbers) > 6 else ''),
            )
            for word, numbers in COMMON.items()
            if numbers
        ],
        columns=['word', 'classes'],
    ).set_index('word')

    for word, piece in {'rooster': 'cock', 'gander': 'goose', 'clownfish': 'anemone fish', 'cep': 'bolete',
                        'screw driver': 'screwdriver', 'wheelie bin': 'trash can', 'pan': 'frying pan',
                        'pont du gard': 'viaduct', 'arc de triomphe': 'triumphal arch', 'mug': 'coffee mug',
                        'owl': 'great grey owl'}.items():
        assert any(name == piece or piece in name for number in COMMON[word]
                   for name in class_names()[number]), word
    assert all(0 <= number < 1000 for numbers in COMMON.values() for number in numbers)


# 11_imagenet.ipynb, section "A set of pictures"
def test_a_set_of_pictures():
    table = pd.DataFrame(
        {'name': ['panda', 'p2', 'sea', 'hen', 'hen2'], 'description': ['', 'A panda', 'sea', 'A hen', 'A hen'],
         'kind': ['photo', 'photo', 'photo', 'drawing', 'photo'], 'group': ['p', 'p', 's', 'h', 'h2']}
    )
    depicted(table)

    test_eq(depicted(table).row.tolist(), [0, 4])
    test_eq(depicted(table, once=False).row.tolist(), [0, 1, 4])
    test_eq(depicted(table, kinds=('photo', 'drawing')).description.tolist(), ['panda', 'A hen', 'A hen'])
    with expect_fail(MilanError, contains='none of the 5 pictures'): depicted(table, kinds=('symbol',))
