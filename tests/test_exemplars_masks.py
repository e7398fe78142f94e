# Generated from nbs/05_exemplars/01_masks.ipynb by `make export`. Edit the notebook, not this file.

from milan.exemplars.masks import (
    active,
    BORDERS,
    mask_of,
    MaskRule,
    PAPER_RULE,
    read_rule,
    require_borders,
    resized,
    rule_fields,
    thresholds,
    upsample,
)

import matplotlib.pyplot as plt
import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch.nn import functional

from milan import hooks
from milan.config import MilanError
from milan.testing import Squares, small_network


# 01_masks.ipynb, section "The definition"
def test_the_definition():
    def naive(network, layer, images, k, quantile=.99):
        "Top images (units, k), thresholds (units,) and masks (units, k, height, width), with all maps in memory."
        with torch.inference_mode(), hooks.record(network.eval(), layer) as recording: network(images)
        maps = recording[layer]                                                         # (images, units, h, w)
        ids = maps.amax((2, 3)).sort(dim=0, descending=True, stable=True).indices[:k].T
        eta = torch.from_numpy(np.quantile(maps.numpy(), quantile, axis=(0, 2, 3), method='hazen')).float()
        best = maps.transpose(0, 1).take_along_dim(ids[..., None, None], 1)             # (units, k, h, w)
        larger = functional.interpolate(best, size=images.shape[2:], mode='bilinear')
        return ids, eta, best, larger > eta[:, None, None, None]


    images = torch.stack([image for image, _ in Squares()]).float() / 255
    ids, eta, best, masks = naive(small_network(), 'conv2', images, k=5)
    ids[6], eta[6], masks.shape

    def steps(axes, image, maps, threshold, mask):
        "One exemplar in four pictures."
        masked = image * (1 - .75 * (1 - mask.float()))
        above = np.ma.masked_where(maps <= threshold, np.ones(maps.shape))
        shown = image.permute(1, 2, 0).numpy(), maps, maps, masked.permute(1, 2, 0).numpy()
        for axis, picture in zip(axes, shown):
            axis.imshow(picture, **({'cmap': 'cividis'} if picture.ndim == 2 else {}))
            axis.set(xticks=[], yticks=[])
        axes[2].imshow(above, cmap='autumn_r', vmin=0, vmax=2)


    figure, axes = plt.subplots(2, 4, figsize=(5.6, 3), layout='constrained', dpi=80)
    for row in (0, 1): steps(axes[row], images[ids[6, row]], best[6, row].numpy(), float(eta[6]), masks[6, row])
    for axis, title in zip(axes[0], ('image', 'activation map', 'above the threshold', 'masked image')):
        axis.set_title(title, fontsize=9)
    for row in (0, 1): axes[row, 0].set_ylabel(f'top image {row + 1}', fontsize=8)

    test_eq(ids.shape, (8, 5))
    assert (best[6] > eta[6]).float().mean() > .01
    assert masks[6].any((1, 2)).all() and not masks.all()


# 01_masks.ipynb, section "From a map to a mask"
def test_from_a_map_to_a_mask():
    with expect_fail(MilanError, contains="'reflect'"): require_borders('reflect')
    BORDERS

    upsample(torch.tensor([[1., 2.], [3., 4.]]), (4, 4))

    test_close(upsample(torch.tensor([[1., 2.], [3., 4.]]), (4, 4))[0, 0], torch.tensor(.5625), eps=1e-6)
    maps = torch.rand(2, 3, 5, 7)
    test_close(upsample(maps, (5, 7)), maps, eps=1e-6)
    test_eq(upsample(maps, (20, 21)).shape, (2, 3, 20, 21))
    test_close(upsample(torch.ones(1, 4, 4), (8, 8))[0, 1:-1, 1:-1], torch.ones(6, 6), eps=1e-6)

    maps = torch.randn(6, 7, 7, generator=torch.Generator().manual_seed(0))
    replicated = upsample(maps, (56, 56), 'replicate')
    theirs = functional.interpolate(maps[None], size=(56, 56), mode='bilinear', align_corners=False)[0]
    test_close(replicated, theirs, eps=1e-5)

    def compare_borders(side):
        "Smooth maps of `side` x `side`: masks of the 15 best of 600 images by both rules, (10, 15, 112, 112)."
        generator = torch.Generator().manual_seed(side)
        coarse = torch.randn(10, 600, 4, 4, generator=generator)
        maps = functional.interpolate(coarse, size=side, mode='bicubic')
        maps = maps * (2 * torch.rand(10, 600, 1, 1, generator=generator)).exp()
        eta = torch.quantile(maps.flatten(1), .99, dim=1)[:, None, None, None]
        best = maps.take_along_dim(maps.amax((2, 3)).topk(15).indices[:, :, None, None], 1)
        return [upsample(best, (112, 112), borders) > eta for borders in BORDERS]


    shares = {}
    for side in (4, 7, 14, 28):
        zeros, replicate = compare_borders(side)
        shares[side] = float((zeros != replicate).float().mean())
    {f'{side} x {side}': f'{share:.1%} of pixels differ' for side, share in shares.items()}

    assert shares[7] > shares[14] > shares[28] and .01 < shares[7] < .2
    assert not (zeros & ~replicate).any()          # for thresholds above 0 a mask only grows


# 01_masks.ipynb, section "Units that saturate"
def test_units_that_saturate():
    quantiles = np.array([6, 6, 0, 0, 1], np.float32)
    found = thresholds(quantiles, [0, 6, 0, -1, 0], [6, 6, 0, 0, 2])
    found < quantiles                                 # saturated, constant, dead, never positive, ordinary

    test_eq(found < quantiles, [True, False, False, True, False])
    test_eq(found.dtype, np.float32)
    test_eq(thresholds(found, [0, 6, 0, -1, 0], [6, 6, 0, 0, 2]), found) # applied twice, nothing changes

    full = torch.nn.functional.interpolate(torch.full((1, 1, 7, 7), 6.), size=56, mode='bilinear')
    assert (full > float(found[0])).all()

    values = np.array([[0, 6, 1, 6, 6, 2, 0, 6, 0, 3], range(10), [0] * 10], dtype=np.float32).T
    active(values, .8).astype(int).T

    test_eq(active(values, .8)[:, 0], values[:, 0] == 6)
    test_eq(active(values, .8)[:, 1], values[:, 1] > 7.2)
    test_eq(active(values, .8)[:, 2].any(), False)


# 01_masks.ipynb, section "The rule, in one place"
def test_the_rule_in_one_place():
    PAPER_RULE, MaskRule(quantile=np.float32(.5), size=np.int64(64))

    test_eq(MaskRule(np.float32(.5), size=np.int64(64)), MaskRule(.5, 'zeros', 64))
    for wrong, said in (({'quantile': 99}, 'quantile 99'), ({'quantile': float('nan')}, 'nan'),
                        ({'borders': 'mirror'}, "'mirror'"), ({'borders': ['zeros']}, "['zeros']"),
                        ({'size': 0}, 'size = 0'), ({'size': 1.5}, '1.5')):
        with expect_fail(MilanError, contains=said): MaskRule(**wrong)

    rule_fields(MaskRule(.995))

    rule = MaskRule(.9, 'replicate', 64)
    test_eq(read_rule(rule_fields(rule) | {'layers': ['conv1']}), rule)
    test_eq(read_rule({}), MaskRule())

    mask_of(torch.tensor([[[0., 0.], [0., 9.]]]), 4., 4., (4, 4)).int()

    maps = torch.randn(3, 7, 7, generator=torch.Generator().manual_seed(0))
    test_eq(mask_of(maps, .5, .5, (28, 28)), upsample(maps, (28, 28)) > .5)
    replicated = mask_of(maps, .5, .5, (28, 28), MaskRule(borders='replicate'))
    test_eq(replicated, upsample(maps, (28, 28), 'replicate') > .5)

    flat = maps.clamp(max=0)                                                         # saturates at 0
    test_eq(mask_of(flat, 0., -1e-30, (7, 7)), flat == 0)


# 01_masks.ipynb, section "Images of another size"
def test_images_of_another_size():
    test_close(resized(torch.rand(2, 3, 10, 25), 20).shape, (2, 3, 20, 50))
    images = torch.rand(1, 3, 4, 4)
    test_eq(resized(images, 8)[..., ::2, 1::2], images)
    assert (resized(torch.rand(1, 3, 64, 64), 8) - .5).abs().max() < .3
    resized(torch.tensor([0., 1.]).expand(1, 3, 1, 2), 2)[0, 0]
