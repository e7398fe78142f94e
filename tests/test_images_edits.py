# Generated from nbs/02_images/10_edits.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.images.folders import ImageSet
from torch.nn import functional as F
from milan.images.edits import (
    as_bytes,
    blur_regions,
    captions_for,
    variants,
    write_on,
)

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from PIL import Image

from milan.images.drawing import compose
from milan.images.sets import ShapeScenes


# 10_edits.ipynb, section "Many pictures of each thing"
def test_many_pictures_of_each_thing():
    drawn = ShapeScenes(4)
    changed = variants(drawn, [0, 0, 0, 2, 2, 2], size=64)
    Image.fromarray(np.hstack([changed.picture(index) for index in range(6)]))

    test_eq((len(changed), changed[0].shape, changed.table['source'].tolist()),
            (6, (3, 64, 64), [0, 0, 0, 2, 2, 2]))
    test_eq(changed.table['description'][3], drawn.table['description'][2])
    assert torch.equal(variants(drawn, [0, 0], size=64)[1], changed[1]) and not torch.equal(
        changed[0], changed[1]
    )

    assert (
        0.2 < changed.mask(0).any(0).float().mean() < 0.95
        and changed.fingerprint != variants(drawn, [0], size=64).fingerprint
    )
    test_eq(as_bytes(changed).shape, (6, 3, 64, 64))

    unmasked = ImageSet('plain', drawn.table, np.zeros((4, 8, 8, 3), np.uint8))
    with expect_fail(MilanError, contains='picture 1 of plain has no mask'): variants(unmasked, [1])


# 10_edits.ipynb, section "Words in a corner"
def test_words_in_a_corner():
    grey = torch.full((4, 3, 64, 64), 120, dtype=torch.uint8)
    written = write_on(grey, captions_for([0, 1, 2, 2], ['bird', 'fish', 'tree'], share=1), corner='any')
    Image.fromarray(torch.cat([*written.images], 2).permute(1, 2, 0).numpy())

    assert all((image != 120).any(0)[~mask].sum() == 0 and (image != 120).any(0)[mask].float().mean() > 0.3
               for image, mask in zip(*written))

    plain = write_on(grey, ['bird', None, '', 'fish'])
    test_eq(plain.masks.any((1, 2)).tolist(), [True, False, False, True])
    assert (
        torch.equal(plain.images[1], grey[1]) and plain.masks[0, 40:, :50].any() and not plain.masks[0, :40].any()
    )

    labels = np.arange(3000) % 3
    right, wrong = (captions_for(labels, 'abc', share=share, wrong=share == 1) for share in (.5, 1))
    assert {text for text, label in zip(right, labels) if text
            and text != 'abc'[label]} == set() and abs(np.mean([text is None for text in right]) - 0.5) < 0.05
    assert (all(text != 'abc'[label] for text, label in zip(wrong, labels))
            and len(set(zip(wrong, labels.tolist()))) == 6)

    with expect_fail(MilanError, contains='smaller height'): write_on(grey, 'two rhinoceroses')
    with expect_fail(MilanError, contains='2 texts for 4 images'): write_on(grey, ['a', 'b'])
    with expect_fail(MilanError, contains="corner 'middle'"): write_on(grey, 'a', corner='middle')


# 10_edits.ipynb, section "Blurring"
def test_blurring():
    changed = variants(ShapeScenes(4), [0, 0, 0, 2, 2, 2], size=64)
    sharp = as_bytes(changed)
    masks = torch.stack([changed.mask(index) for index in range(len(changed))])
    blurred, boxes = blur_regions(sharp, masks), blur_regions(sharp, masks, box=True)
    Image.fromarray(
        torch.cat([torch.cat([*some], 2) for some in (sharp, blurred, boxes)], 1).permute(1, 2, 0).numpy()
    )

    far = F.max_pool2d(masks[:, None].float(), 15, 1, 7)[:, 0] == 0
    assert torch.equal(blurred.permute(0, 2, 3, 1)[far], sharp.permute(0, 2, 3, 1)[far])

    detail = lambda images: torch.stack([image[:, mask].float().std() for image, mask in zip(images, masks)])
    assert (detail(blurred) < .7 * detail(sharp)).float().mean() > .8
    assert torch.equal(blur_regions(sharp, masks & False), sharp)

    corners = torch.zeros(1, 20, 20, dtype=torch.bool).index_put((torch.tensor([0, 0]), torch.tensor([5, 14]),
                                                                  torch.tensor([5, 14])), torch.tensor(True))
    noise = torch.randint(0, 256, (1, 3, 20, 20), dtype=torch.uint8)
    changes = [(blur_regions(noise, corners, box=box) != noise).any(1)[0, 8:12, 8:12].float().mean()
               for box in (False, True)]
    assert changes[0] == 0 and changes[1] > .9

    flat = torch.full((1, 3, 16, 16), 77, dtype=torch.uint8)
    assert torch.equal(blur_regions(flat, torch.ones(1, 16, 16, dtype=torch.bool)), flat)
    with expect_fail(MilanError, contains='one mask'): blur_regions(sharp, masks[:2])
