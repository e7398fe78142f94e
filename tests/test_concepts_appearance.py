# Generated from nbs/08_concepts/06_appearance.ipynb by `make export`. Edit the notebook, not this file.

import torch
from milan.concepts.appearance import (
    appearance,
    colours,
    derivative,
    edges,
    lines,
    local_mean,
    spots,
    textures,
)

from fastcore.test import test_close, test_eq
from matplotlib import pyplot

def red_half():
    "A picture, (1, 3, 56, 56): black on the left, red on the right."
    picture = torch.zeros(1, 3, 56, 56)
    picture[:, 0, :, 28:] = 1
    return picture

def strongest(looks):
    "The look that is strongest at the centre."
    return max(looks, key=lambda look: looks[look][0, 28, 28])

def coordinates():
    "Columns and rows of a picture of 56 x 56 pixels."
    return torch.meshgrid(torch.arange(56.), torch.arange(56.), indexing='xy')


# 06_appearance.ipynb, section "Derivatives and local means"
def test_derivatives_and_local_means():
    ramp = torch.arange(40.).expand(1, 40, 40) # brighter to the right, by 1 each pixel
    derivative(ramp, 2., across=1)[0, 20, 15:25]

    slope = derivative(ramp, 2., across=1)[0, 10:30, 10:30]
    test_close(slope, torch.full((20, 20), 2.), eps=.05) # σ times the slope
    test_close(derivative(ramp, 2., down=1), torch.zeros(1, 40, 40), eps=1e-4)
    test_close(derivative(ramp, 2., across=2)[0, 10:30, 10:30], torch.zeros(20, 20), eps=1e-3)

    test_close(local_mean(ramp, 5)[0, :, 10:30], ramp[0, :, 10:30])
    local_mean(ramp, 5).shape


# 06_appearance.ipynb, section "Colours"
def test_colours():
    looks = colours(red_half())
    [name for name, look in looks.items() if look[0, 20, 40] > .9]

    test_eq([name for name, look in looks.items() if look[0, 20, 40] > .9], ['red areas', 'vivid colours'])
    test_eq([name for name, look in looks.items() if look[0, 20, 10] > .9], ['black areas', 'dark areas'])


# 06_appearance.ipynb, section "Edges"
def test_edges():
    gray = red_half().mean(1)
    found = edges(gray)
    {name: round(float(look[0, 28, 28]), 3) for name, look in found.items()}

    test_eq(strongest(found), 'edges with light to the right of dark')
    turned = edges(gray.transpose(1, 2))
    test_eq(strongest(turned), 'edges with light below dark')


    x, y = coordinates()
    noise = torch.rand(56, 56, generator=torch.Generator().manual_seed(0))
    pictures = {'stripes': (x % 8 < 4).float(), 'rising edge': (x + y < 56).float(), 'noise': noise,
                'plain': torch.full((56, 56), .5)}
    measured = {name: textures(picture[None]) for name, picture in pictures.items()}
    usual = {look: max(looks[look].mean() for looks in measured.values()) for look in measured['plain']}
    {name: max(looks, key=lambda look: looks[look][0, 24:32, 24:32].mean() / usual[look])
     for name, looks in measured.items()}

    def strength(picture, look):
        return float(measured[picture][look][0, 24:32, 24:32].mean())

    assert strength('stripes', 'vertical stripes') > 3 * strength('stripes', 'horizontal stripes')
    assert strength('rising edge', 'rising edges') > 3 * strength('rising edge', 'falling edges')
    assert strength('noise', 'busy patterns') > 2 * strength('stripes', 'busy patterns')
    assert strength('plain', 'smooth areas') > strength('stripes', 'smooth areas')


# 06_appearance.ipynb, section "Lines and spots"
def test_lines_and_spots():
    x, y = coordinates()
    line = (x != 28).float()[None] # dark, one pixel wide
    disc = ((x - 28)**2 + (y - 28)**2 < 9).float()[None] # light
    strongest(lines(line)), strongest(spots(disc))

    test_eq(strongest(lines(line)), 'dark vertical lines')
    test_eq(strongest(spots(disc)), 'medium-sized light spots')
    spot = max(look[0, 28, 28] for look in spots(line).values())
    assert spot < .2 * max(look[0, 28, 28] for look in lines(line).values())


# 06_appearance.ipynb, section "All looks"
def test_all_looks():
    x, y = coordinates()
    scene = torch.full((1, 3, 56, 56), .9)
    scene[:, :, 30:] = torch.tensor([.2, .5, .2])[:, None, None]
    scene[0, :, (x - 40)**2 + (y - 15)**2 < 60] = torch.tensor([.9, .7, .1])[:, None]
    scene[0, :, 20:44, 12:14] = .1
    looks = appearance(scene)
    figure, axes = pyplot.subplots(1, 6, figsize=(10, 1.8))
    axes[0].imshow(scene[0].permute(1, 2, 0))
    axes[0].set_title('a scene', fontsize=8)
    shown = ['green areas', 'edges with light above dark', 'dark vertical lines', 'large dark spots',
             'smooth areas']
    for axis, name in zip(axes[1:], shown, strict=True):
        axis.imshow(looks[name][0], cmap='cividis')
        axis.set_title(name.replace(' with', '\nwith'), fontsize=8)
    for axis in axes:
        axis.axis('off')

    test_eq(len(looks), len(set(looks)))
    assert all(look.shape == (1, 56, 56) and look.isfinite().all() for look in looks.values())
    len(looks)
