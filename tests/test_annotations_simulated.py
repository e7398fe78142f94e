# Generated from nbs/06_annotations/05_simulated.ipynb by `make export`. Edit the notebook, not this file.

import numpy as np
import pandas as pd
import torch
from milan.annotations.simulated import (
    ABSTAIN,
    Annotator,
    colour_names,
    COLOURS,
    gain,
    phrase,
    picture_words,
    plural,
    QUALITIES,
    SIDE,
    singular,
    Usual,
    Views,
    words_of,
)

from fastcore.test import expect_fail, test_eq


# 05_simulated.ipynb, section "People's words"
def test_people_s_words():
    [singular(word) for word in ('berries', 'buses', 'boxes', 'dress', 'cats')], [
        plural(word) for word in ('cherry', 'fish', 'person', 'box')
    ]

    test_eq(singular('berries'), 'berry')
    test_eq(plural(singular('churches')), 'churches')
    test_eq(plural('fish'), 'fish')

    picture_words('A robin on a red mailbox.', 'bird; mailboxes', 'animals/birds')

    test_eq(picture_words('A robin on a red mailbox.', 'bird; mailboxes', 'animals/birds'),
            {'robin', 'box', 'bird', 'animal'})

    table = pd.DataFrame({'description': ['A cat', 'Two cats', 'A dog'], 'keywords': '',
                          'category': 'animals/mammals', 'group': [0, 1, 2]})
    assert words_of(table, least=2) == [frozenset({'cat', 'animal', 'mammal'})] * 2 + [
        frozenset({'animal', 'mammal'})
    ]


# 05_simulated.ipynb, section "What can be seen in a region"
def test_what_can_be_seen_in_a_region():
    paints = torch.tensor([[0.9, 0.1, 0.1], [1, 0.6, 0.1], [0.95, 0.9, 0.2], [0.2, 0.6, 0.2], [0.1, 0.2, 0.8],
                           [0.4, 0.2, 0.1], [0.05, 0.05, 0.05], [1, 1, 1], [0.5, 0.5, 0.5]])
    [COLOURS[i] for i in colour_names(paints.T[:, :, None]).flatten()]

    test_eq([COLOURS[i] for i in colour_names(paints.T[:, :, None]).flatten()],
            ['red', 'orange', 'yellow', 'green', 'blue', 'brown', 'black', 'white', 'gray'])

    class Disc(torch.utils.data.Dataset):
        def __init__(self):
            y, x = torch.meshgrid(torch.arange(112), torch.arange(112), indexing='ij')
            self.disc = (y - 56) ** 2 + (x - 56) ** 2 < 40 ** 2
        def __len__(self): return 1
        def mask(self, i): return self.disc
        def __getitem__(self, i):
            return torch.where(self.disc, torch.tensor([230, 20, 20])[:, None, None],
                               torch.tensor([240, 240, 240])[:, None, None]).to(torch.uint8)

    views = Views.of(Disc())
    whole = views.objects[0] > .5
    upper = torch.zeros(SIDE, SIDE)
    upper[7:10, 22:34] = 1
    regions = torch.stack([whole.float(), upper, (~whole).float()])
    seen = [[name for name, has in zip(QUALITIES, row, strict=True) if has]
            for row in views.measure(torch.zeros(3, dtype=torch.long), regions)]
    seen

    assert {'red', 'round'} <= set(seen[0])
    assert {'horizontal edges', 'tops', 'round'} <= set(seen[1])
    assert {'white', 'backgrounds'} <= set(seen[2])


# 05_simulated.ipynb, section "What sets a group apart"
def test_what_sets_a_group_apart():
    gain(torch.tensor([.5, .5, .1]), torch.tensor([.1, .5, .1]), 15)

    test_eq(gain(torch.tensor([.5, .5, .1]), torch.tensor([.1, .5, .2]), 15)[1:].tolist(), [0, 0])
    assert gain(torch.tensor([0.5]), torch.tensor([0.1]), 30) > 1.99 * gain(
        torch.tensor([0.5]), torch.tensor([0.1]), 15
    )


# 05_simulated.ipynb, section "A phrase"
def test_a_phrase():
    phrase('bird', 'red', None, 'tops'), phrase(None, 'white', None, 'small spots'), phrase(
        'animal', None, 'dark', None
    ), phrase(None, None, None, None)

    test_eq(phrase('bird', 'red', None, 'tops'), 'tops of red birds')
    test_eq(phrase(None, 'blue', 'round', 'backgrounds'), 'areas around round blue things')
    test_eq(phrase(None, None, None, 'vertical edges'), 'vertical edges')
    test_eq(phrase(None, None, None, None), ABSTAIN)

    words = [frozenset({'bird', 'animal'})] * 12 + [frozenset({'animal'})] * 20 + [frozenset({'car'})] * 68
    annotator = Annotator.from_words(words)
    qualities = torch.zeros(100, len(QUALITIES), dtype=torch.bool)
    qualities[:3, COLOURS.index('red')] = True
    usual = Usual.of(annotator, torch.arange(100), qualities)
    annotator.describe(torch.arange(12), qualities[:12], usual)

    test_eq(annotator.describe(torch.arange(12), qualities[:12], usual), 'birds')
    test_eq(annotator.describe(torch.arange(3), qualities[:3], usual), 'red birds')
    test_eq(annotator.describe(torch.arange(0, 100, 7), qualities[::7], usual), ABSTAIN)
    chance = np.random.default_rng(0)
    assert len({annotator.describe(torch.arange(4, 14), qualities[4:14], usual, chance) for _ in range(20)}) > 1
