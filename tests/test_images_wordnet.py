# Generated from nbs/02_images/13_wordnet.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from milan.images.wordnet import (
    _synset,
    ancestors,
    class_offsets,
    hypernyms,
    read_nouns,
    Synset,
)
import pytest

import tempfile

import pandas as pd
from fastcore.test import expect_fail, test_eq

ANIMALS = """\
  1 The lines of the licence begin with two blanks.
00015388 03 n 02 animal 0 beast 0 000 | a living organism
01503061 05 n 01 bird 0 001 @ 00015388 n 0000 | warm-blooded egg-laying vertebrates
02012849 05 n 01 crane 0 001 @ 01503061 n 0000 | large long-necked wading bird
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 00015388 n 0000 ~ 02110958 n 0000 | a mate
02110958 05 n 02 pug 0 pug-dog 0 001 @ 02084071 n 0000 | small compact smooth-coated breed
02111129 05 n 01 Leonberg 0 001 @ 02084071 n 0000 | a large dog
"""
file = Path(tempfile.mkdtemp())/'data.noun'
_ = file.write_text(ANIMALS)


# 13_wordnet.ipynb, section "The nouns"
def test_the_nouns():
    ANIMALS.splitlines()[4]

    _synset(ANIMALS.splitlines()[4])

    test_eq(_synset(ANIMALS.splitlines()[4]),
            (2084071, Synset(('dog', 'domestic dog', 'Canis familiaris'), (15388,))))
    test_eq(_synset(ANIMALS.splitlines()[1])[1].above, ())

    nouns = read_nouns(file)
    {offset: synset.names[0] for offset, synset in nouns.items()}


# 13_wordnet.ipynb, section "Hypernyms"
def test_hypernyms():
    nouns = read_nouns(file)
    ancestors(2110958, nouns)

    test_eq(ancestors(2110958, nouns), {2084071, 15388})
    test_eq(ancestors(15388, nouns), set())
    with expect_fail(MilanError, contains='offset 00000007'): ancestors(7, nouns)

    class_offsets()[254], class_offsets()[255] # pug, Leonberg

    test_eq(len(set(class_offsets())), 1000)
    test_eq(class_offsets()[254:256], (2110958, 2111129))

    hypernyms(file, classes=[2110958, 2012849, 2111129])

    three = [2110958, 2012849, 2111129]
    test_eq(hypernyms(file, three), {'animal': (0, 1, 2), 'dog': (0, 2)})
    test_eq(hypernyms(file, three, least=1, most=2), {'dog': (0, 2), 'bird': (1,)})
    test_eq(hypernyms(file, [*three, 2084071], most=3)['dog'], (0, 2)) # dog is itself a class here
    test_eq(hypernyms(file, three, least=4), {})

    crane = '03126707 06 n 01 crane 0 001 @ 00015388 n 0000 | lifts heavy objects\n'
    pointed = ('02012000 05 n 01 sarus 0 001 @ 02012849 n 0000 | a crane\n'
               '03126000 06 n 01 derrick 0 001 @ 03126707 n 0000 | a crane\n')
    file.with_name('cranes').write_text(ANIMALS + crane + pointed)
    two_cranes = hypernyms(file.with_name('cranes'), [2012000, 3126000], least=1, most=1)
    test_eq(two_cranes, {'bird': (0,), 'crane (animal)': (1,), 'crane (bird)': (0,)})


# 13_wordnet.ipynb, section "Hypernyms"
@pytest.mark.network
def test_hypernyms_network():
    real = hypernyms()
    test_eq((real['dog'], len(real)), (tuple(range(151, 269)), 465))
    assert real['snake'] == tuple(range(52, 69)) and 'entity' not in real
    assert {'vessel (container)', 'vessel (craft)', 'substance (matter)', 'substance (matter, part)'} <= set(real)
    pd.Series({name: len(numbers) for name, numbers in real.items()}).head(12).to_frame('classes')


# 13_wordnet.ipynb, section "Errors"
def test_errors():
    folder = Path(tempfile.mkdtemp())
    for text, told in (('n02084071 dog\n', 'line 1'), ('a b\n', 'line 1'),
                       ('  licence\n00001740 03 n 02 entity 0 000 | x', 'line 2, is not a noun'),
                       ('00001740 03 v 01 be 0 000 | x', 'line 1')):
        (folder/'bad').write_text(text)
        with expect_fail(MilanError, contains=told): read_nouns(folder/'bad')
    (folder/'bad').write_bytes(b'\xff\xfe')
    with expect_fail(MilanError, contains='line 1'): read_nouns(folder/'bad')
    with expect_fail(MilanError, contains='give the file data.noun'): read_nouns(folder/'none')
    (folder/'data.noun').write_text('00015388 03 n 02 animal 0 beast 0 000 | a living organism\n')
    with expect_fail(MilanError, contains='no noun at offset 01440764'): hypernyms(folder/'data.noun')
