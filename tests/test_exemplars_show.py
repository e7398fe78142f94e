# Generated from nbs/05_exemplars/06_show.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.exemplars.show import (
    as_html,
    as_picture,
    check_sizes,
    Exemplar,
    grid,
    strip,
)

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq

from milan.config import MilanError


def discs(k=10, side=96):
    "A unit's k images of coloured noise, each with a disc as its mask; seeded."
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(k, 3, 8, 8, generator=draw)
    images = images.repeat_interleave(side // 8, 2).repeat_interleave(side // 8, 3)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing='ij')
    middle = torch.randint(side // 4, side - side // 4, (2, k, 1, 1, 1), generator=draw)
    masks = ((x - middle[0])**2 + (y - middle[1])**2 < (side // 5)**2).float()
    return Exemplar('conv2', 6, images, masks, np.arange(k), np.arange(float(k))[::-1])


# 06_show.ipynb, section "A picture inside a page"
def test_a_picture_inside_a_page():
    as_html(Image.new('RGB', (90, 60)), width=30)[:60]

    assert 'width="30" height="20"' in as_html(torch.zeros(3, 60, 90), width=30)
    assert 'max-width' in as_html(Image.new('RGBA', (9, 6)))
    test_eq(as_picture(torch.ones(3, 2, 4)).getpixel((3, 1)), (255, 255, 255))


# 06_show.ipynb, section "The exemplars of one unit"
def test_the_exemplars_of_one_unit():
    grid(torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)), columns=3, width=40)

    test_eq(grid(torch.rand(10, 3, 8, 8), columns=4, width=20).size, (4 * 22 - 2, 3 * 22 - 2))

    exemplar = discs()
    exemplar.grid(width=64)

    images, masks = exemplar.images, exemplar.masks
    assert torch.equal(exemplar.masked(1.), images * masks) and torch.equal(exemplar.masked(0.), images)
    test_close(exemplar.masked()[:, :, 0, 0], images[:, :, 0, 0] / 4, eps=1e-6)
    test_eq(repr(exemplar), 'Exemplar(conv2, unit 6: 10 images of 96 x 96, activations 9 … 0)')


# 06_show.ipynb, section "A strip of exemplars"
def test_a_strip_of_exemplars():
    check_sizes(96, 5)

    for sizes, said in (((0, 5), 'width is 0'), ((96, 0), 'count is 0'), ((96, 5, 0.), 'megabytes is 0.0')):
        with expect_fail(MilanError, contains=said): check_sizes(*sizes)

    exemplar = discs()
    strip(exemplar, count=5)

    test_eq(strip(exemplar, width=32, count=3).size, (3 * 32 + 2 * 3, 32))

    white = torch.ones(2, 3, 8, 16)
    plain = strip(Exemplar('a', 0, white, torch.zeros(2, 1, 8, 16), np.arange(2), np.ones(2)), width=16, gap=0)
    test_eq((plain.size, plain.getpixel((3, 3))), ((32, 8), (64, 64, 64)))

    half = torch.zeros(2, 1, 8, 16)
    half[..., :8] = 1
    pixels = np.asarray(strip(Exemplar('a', 0, white, half, np.arange(2), np.ones(2)), width=16, gap=0))
    test_eq(pixels[4, [7, 8, 9]].tolist(), [[255] * 3, [255, 214, 26], [64] * 3])     # region, line, the rest
