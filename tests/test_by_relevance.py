# Generated from nbs/05_exemplars/19_by_relevance.ipynb by `make export`. Edit the notebook, not this file.

import pytest

import contextlib
import io
import shutil
import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.config import MilanError, import_torchvision
from milan.exemplars.compute import compute
from milan.hooks.layers import Layer, channels_last
from milan.hooks.relevance import Relevance
from milan.testing import Squares, same_files, small_network


def zennit_or_skip():
    "Skip the test where the extra is not installed."
    import_torchvision()
    pytest.importorskip('zennit', reason='the extra `relevance` is not installed')


def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


COLOURS = {'red': (1, .1, .1), 'yellow': (1, 1, .1), 'magenta': (1, .1, 1),
           'white': (1, 1, 1)}


class Pairs(torch.utils.data.Dataset):
    "Two squares of two colours on a dark ground, (3, 24, 24), of random brightness; `names` has the colours."
    name = 'pairs'

    def __len__(self): return 120

    def names(self, index):
        return np.random.default_rng(index).permutation(list(COLOURS))[:2].tolist()

    def __getitem__(self, index):
        draw, image = np.random.default_rng([index, 2]), torch.full((3, 24, 24), .1)
        for name, left in zip(self.names(index), (1, 13)):
            side, top, corner = draw.integers(4, 7), draw.integers(1, 16), left + draw.integers(0, 4)
            colour = torch.tensor(COLOURS[name]) * draw.uniform(.85, 1)
            image[:, top:top + side, corner:corner + side] = colour[:, None, None]
        return image


def mixing_network():
    "Units for red, green and blue lead to units for yellow and magenta, whose means are the two outputs."
    network = nn.Sequential(OrderedDict(
        colours=nn.Conv2d(3, 3, 1, bias=False), relu1=nn.ReLU(), mixes=nn.Conv2d(3, 2, 1), relu2=nn.ReLU(),
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))
    with torch.no_grad():
        network.colours.weight.copy_(torch.eye(3)[:, :, None, None])
        network.mixes.weight.copy_(torch.tensor([[1., 1, -1], [1, -1, 1]])[:, :, None, None])
        network.mixes.bias.fill_(-1.2)
    return network.eval()


# 19_by_relevance.ipynb, section "One unit, two outputs"
def test_one_unit_two_outputs():
    zennit_or_skip()
    folder, settings = temporary(), {'layers': 'colours', 'k': 6, 'quantile': .95, 'size': 48, 'quiet': True}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')                # of green and blue, through which little passes
        rows = {'activation': compute(mixing_network(), Pairs(), out=folder/'activation', **settings)}
        for target, name in enumerate(('yellow', 'magenta')):
            rows[f'relevance for {name}'] = compute(mixing_network(), Pairs(), rank_by='relevance', target=target,
                                                    out=folder/name, **settings)
    figure, axes = plt.subplots(3, 1, figsize=(6, 3.9), layout='constrained', dpi=80)
    for axis, (title, found) in zip(axes, rows.items()):
        axis.imshow(torch.cat([*found.lookup('colours', 0).masked()], 2).permute(1, 2, 0).numpy())
        axis.set(xticks=[], yticks=[])
        axis.set_title(f'red unit, by {title}', fontsize=9)

    shown = {title: [Pairs().names(int(image)) for image in found.ids('colours')[0]]
             for title, found in rows.items()}
    {title: [name for names in pairs for name in names].count('yellow') for title, pairs in shown.items()}

    for name in ('yellow', 'magenta'):
        assert all(name in names for names in shown[f'relevance for {name}'])
        found = rows[f'relevance for {name}'].view(size=24).lookup('colours', 0)
        for image, mask, number in zip(found.images, found.masks, found.ids):
            left = Pairs().names(int(number)).index(name) == 0
            assert mask.any() and not mask[..., 12:].any() if left else not mask[..., :12].any()
    assert not all('yellow' in names for names in shown['activation'])
    shutil.rmtree(folder)


# 19_by_relevance.ipynb, section "As zennit-crp finds them"
def test_as_zennit_crp_finds_them():
    def random_network():
        "Three convolutions, the second with a batch norm, and a linear output; seeded."
        torch.manual_seed(0)
        network = nn.Sequential(OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, padding=1), relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(8, 12, 3, 2), norm=nn.BatchNorm2d(12), relu2=nn.ReLU(),
            conv3=nn.Conv2d(12, 10, 3), relu3=nn.ReLU(), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
            fc=nn.Linear(10, 4)))
        network.norm.running_mean.normal_(0, .1)
        network.norm.running_var.uniform_(.5, 2)
        return network.eval()


    class Labelled:
        "Seeded noise, with the output that is meant as its label, as zennit-crp wants them."
        images = nn.functional.interpolate(
            torch.rand(60, 3, 5, 5, generator=torch.Generator().manual_seed(1)), size=16, mode='bilinear')

        def __init__(self, targets): self.targets = targets

        def __len__(self): return len(self.images)

        def __getitem__(self, index): return self.images[index], int(self.targets[index])


    def by_crp(network, targets, about, layers):
        "Their top images and scores for each layer, (40, units)."
        from crp.attribution import CondAttribution
        from crp.concepts import ChannelConcept
        from crp.visualization import FeatureVisualization
        from zennit.canonizers import SequentialMergeBatchNorm
        from zennit.composites import COMPOSITES

        place = temporary()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            theirs = FeatureVisualization(CondAttribution(network), Labelled(targets),
                                          {layer: ChannelConcept() for layer in layers}, max_target=about.pool,
                                          abs_norm=about.normed, path=str(place))
            theirs.run(COMPOSITES[about.rule](canonizers=[SequentialMergeBatchNorm()]), 0, 60, 16)
        read = {layer: [np.load(theirs.RelMax.PATH/f'{layer}_{name}.npy') for name in ('data', 'rel')]
                for layer in layers}
        shutil.rmtree(place)
        return read


    def agreement(about, layers=('conv1', 'conv2', 'conv3')):
        "How many units have no ties, of how many, and the largest difference between scores."
        network = random_network()
        targets = network(Labelled.images).argmax(1) if about.target == 'predicted' else [about.target] * 60
        place, clear, largest = temporary(), [], 0.
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')            # of ties
            found = compute(network, list(Labelled.images), list(layers), k=10, rank_by=about, batch_size=7,
                            out=place/'set', quiet=True)
        for layer, (ids, scores) in by_crp(network, targets, about, layers).items():
            gaps = -np.diff(scores[:11], axis=0) > 1e-5 * np.abs(scores[:11]).max(0)
            clear.append(gaps.all(0))
            assert np.array_equal(found.ids(layer)[clear[-1]], ids[:10].T[clear[-1]]), layer
            np.testing.assert_allclose(found.activations(layer), scores[:10].T, rtol=1e-4, atol=1e-7)
            largest = max(largest, float(np.abs(found.activations(layer) - scores[:10].T).max()))
        shutil.rmtree(place)
        clear = np.concatenate(clear)
        return int(clear.sum()), len(clear), largest

    zennit_or_skip()
    pytest.importorskip('crp', reason='zennit-crp is not installed')
    cases = [Relevance(0), Relevance(1, 'epsilon_alpha2_beta1', normed=True), Relevance(3, pool='sum'),
             Relevance('predicted', pool='sum', normed=True)]
    compared = {case: agreement(case) for case in cases}
    [f'{case}: {clear} of {units} units without ties' for case, (clear, units, _) in compared.items()]

    assert all(clear > units / 3 and largest < 1e-5 for clear, units, largest in compared.values())


# 19_by_relevance.ipynb, section "Other networks"
@pytest.mark.slow
def test_other_networks_slow():
    zennit_or_skip()
    resnet = import_torchvision().models.resnet18(weights=None, num_classes=5).eval()
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    folder = temporary()
    found = compute(resnet, list(torch.rand(6, 3, 64, 64)), ['layer1', 'layer4.0.conv1'], k=3, bottom=True,
                    rank_by='relevance', target='predicted', out=folder/'resnet', quiet=True)
    for name, value in resnet.state_dict().items(): assert torch.equal(value, before[name]), name
    shutil.rmtree(folder)
    repr(found)


# 19_by_relevance.ipynb, section "Other networks"
def test_other_networks():
    class Tokens(nn.Module):
        "One block of a transformer on patches of 4 x 4 pixels with a class token, and a linear output."
        def __init__(self):
            super().__init__()
            self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
            self.patch, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 3)
            self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

        def forward(self, x):
            patches = self.patch(x).flatten(2).transpose(1, 2)
            return self.head(self.block(torch.cat([self.cls_token.expand(len(x), -1, -1), patches], 1)).mean(1))


    torch.manual_seed(0)
    folder, network, settings = temporary(), Tokens(), {'layers': 'block.linear1', 'k': 3, 'quiet': True}
    with contextlib.suppress(ImportError):
        import zennit
        with expect_fail(MilanError, contains="rule='gradient'"):
            compute(network, Squares(), rank_by='relevance', target=0, out=folder/'set', **settings)
    found = compute(network, Squares(), rank_by=Relevance(0, 'gradient'), out=folder/'set', **settings)
    shutil.rmtree(folder)
    repr(found)


# 19_by_relevance.ipynb, section "Kept apart, and resumed"
def test_kept_apart_and_resumed():
    class Stopping(Squares):
        "May be interrupted at one image."
        fingerprint, fail_at, read = 'squares', None, 0

        def __getitem__(self, index):
            if index == self.fail_at: raise KeyboardInterrupt
            self.read += 1
            return super().__getitem__(index)


    folder, images, by_relevance = temporary(), Stopping(), Relevance(1, 'gradient', 'sum')
    settings = {'layers': ['conv1', 'conv2'], 'k': 5, 'batch_size': 4, 'save_every': 0., 'quiet': True}
    compute(small_network(), images, out=folder/'set', **settings)
    for given in (by_relevance, Relevance(2, 'gradient', 'sum'), Relevance(1, 'gradient')):
        with expect_fail(MilanError, contains='(rank_by)'):
            compute(small_network(), images, rank_by=given, out=folder/'set', **settings)
    images.fail_at = 25
    with contextlib.suppress(KeyboardInterrupt):
        compute(small_network(), images, rank_by=by_relevance, keep_maxima=True, out=folder/'a', **settings)
    images.fail_at, images.read = None, 0
    found = compute(small_network(), images, rank_by=by_relevance, keep_maxima=True, out=folder/'a', **settings)
    test_eq(images.read, 40 - 24 + 1)              # the rest, and one item to identify the inputs
    compute(small_network(), images, rank_by=by_relevance, keep_maxima=True, out=folder/'b', **settings)
    assert same_files(folder/'a', folder/'b')
    with expect_fail(MilanError, contains='(rank_by)'):
        compute(small_network(), images, out=folder/'a', **settings)
    found.about['rank_by']

    network = small_network().eval()
    images = torch.stack([image for image, _ in Squares()]).float() / 255
    hidden = network.relu1(network.conv1(images)).detach().requires_grad_()
    after = network.conv2(network.pool1(hidden))
    after.retain_grad()
    network.head(network.flatten(network.pool(network.relu2(after * 1))))[:, 1].sum().backward()
    maps = (after.grad * after).detach()
    sums = maps.sum((2, 3)).sort(0, descending=True).values[:5].T
    test_close(found.activations('conv2'), sums.numpy(), eps=1e-6)
    test_close(found.levels('conv2'), np.quantile(maps, .99, (0, 2, 3), method='hazen'), eps=1e-6)
    np.testing.assert_allclose(found.maxima('conv2'), maps.amax((2, 3)), rtol=1e-3, atol=1e-6)
    test_close(found._stored['conv2'].highest(), maps.amax((0, 2, 3)).numpy(), eps=1e-6)
    test_eq([unit for layer, unit in found.dead() if layer == 'conv2'],
            [unit for unit in range(8) if not maps[:, unit].any()])
    shutil.rmtree(folder)


# 19_by_relevance.ipynb, section "Errors"
def test_errors():
    folder, usual = temporary(), {'k': 2, 'quiet': True}
    by_gradient = Relevance(0, 'gradient')
    for settings, said in (
        ({'rank_by': 'relevance'}, 'target='),
        ({'target': 1}, "rank_by='relevance' only"),
        ({'rank_by': Relevance(4, 'gradient')}, 'target 4'),
        ({'rank_by': by_gradient, 'autocast': torch.bfloat16}, 'autocast'),
        ({'rank_by': by_gradient, 'layers': Layer('conv1', readout=torch.relu)}, 'readout'),
        ({'rank_by': by_gradient, 'layers': Layer('conv1', select=lambda output: output[:, :2])}, 'select'),
        ({'rank_by': by_gradient, 'to_image': lambda output: output}, 'generators'),
    ):
        with expect_fail(MilanError, contains=said):
            compute(small_network(), Squares(), **{'layers': 'conv1', 'out': folder/'set'} | usual | settings)
        assert not (folder/'set').exists()
    assert len(compute(small_network(), Squares(), Layer('conv1', readout=channels_last), rank_by=by_gradient,
                       out=folder/'set', **usual)) == 24
    shutil.rmtree(folder)
