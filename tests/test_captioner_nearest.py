# Generated from nbs/07_captioner/21_nearest.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import torch
from milan.captioner.nearest import (
    copied_phrases,
    nearest_groups,
)

from fastcore.test import expect_fail, test_eq


# 21_nearest.ipynb, section "The nearest group"
def test_the_nearest_group():
    torch.manual_seed(0)
    centres = 3 * torch.randn(4, 8)
    known = centres[torch.arange(40) % 4, None] + torch.randn(40, 15, 8)
    phrases = [[['birds', 'red cars', 'edges', 'no description'][i % 4]] * 3 for i in range(40)]
    units = centres[:, None] + torch.randn(4, 15, 8)
    copied_phrases(units, known, phrases)

    test_eq(copied_phrases(units, known, phrases), ['birds', 'red cars', 'edges', 'no description'])
    test_eq(nearest_groups(known[:, :7], known).remainder(4).tolist(), [i % 4 for i in range(40)])
    test_eq(nearest_groups(known + 100, known + 100).tolist(), [*range(40)]) # a common offset does not matter
    test_eq(copied_phrases(units[:0], known, phrases), [])


# 21_nearest.ipynb, section "Errors"
def test_errors():
    with expect_fail(MilanError, contains='no training group'):
        nearest_groups(torch.rand(2, 3, 4), torch.rand(0, 3, 4))
