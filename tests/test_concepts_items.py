# Generated from nbs/08_concepts/10_items.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
import numpy as np
from milan.concepts.items import (
    CANVAS,
    draw_item,
    hull,
    ITEMS,
    PATTERNS,
    Pen,
    scatter,
)

from fastcore.test import test_eq

from milan.images.drawing import plain_background


# 10_items.ipynb, section "A pen"
def test_a_pen():
    canvas = Image.new('RGBA', (CANVAS, CANVAS))
    pen = Pen(canvas, np.random.default_rng(0), (200, 30, 30), (240, 240, 200), .1)
    pen.disc(0, 0, .9)
    pen.line([(-.5, 0), (.5, .2)], pen.paper)
    canvas.resize((64, 64))

    test_eq(canvas.getpixel((CANVAS // 2, 20))[:3], pen.ink)
    test_eq(canvas.getpixel((CANVAS // 2, CANVAS // 2 + 10))[:3], pen.paper)
    test_eq(canvas.getpixel((2, 2))[3], 0)


# 10_items.ipynb, section "Kinds"
def test_kinds():
    rows = [[np.asarray(draw_item(kind, 44, np.random.default_rng([row, number])))
             for number, kind in enumerate(ITEMS)] for row in range(4)]
    white = Image.new('RGBA', (44 * len(ITEMS), 44 * 4), 'white')
    white.alpha_composite(Image.fromarray(np.vstack([np.hstack(row) for row in rows])))
    white

    for kind in ITEMS:
        drawn = [np.asarray(draw_item(kind, 44, np.random.default_rng(seed))) for seed in (0, 0, 1)]
        test_eq(drawn[0], drawn[1])
        assert (drawn[0] != drawn[2]).any() and .03 < (drawn[0][..., 3] > 127).mean() < 1, kind
    assert set(PATTERNS) < set(ITEMS)


# 10_items.ipynb, section "On a picture"
def test_on_a_picture():
    random = np.random.default_rng(4)
    grounds = [plain_background(128, random, np.full((1, 3), 127)).astype(np.uint8) for _ in range(6)]
    scattered = [scatter(ground, random) for ground in grounds]
    dimmed = [np.where(np.any([mask for _, mask in found], axis=0)[..., None], picture, picture // 4)
              for picture, found in scattered]
    Image.fromarray(np.vstack([np.hstack([picture for picture, _ in scattered]), np.hstack(dimmed)]))

    for ground, (picture, found) in zip(grounds, scattered, strict=True):
        outside = ~np.any([mask for _, mask in found], axis=0)
        assert (picture[outside] != ground[outside]).mean() < .05 # but for soft edges
        test_eq(max(sum(mask.astype(int) for _, mask in found).max(), 1), 1) # none over another
        for kind, mask in found: assert kind in ITEMS and mask.any()
    gap = np.zeros((9, 9), bool)
    gap[[1, 7], 1:8] = True # two bars
    test_eq(hull(gap).sum(), 49)
    two = ('stars', 'eyes')
    test_eq({kind for _ in range(20) for kind, _ in scatter(grounds[0], random, two)[1]}, set(two))
