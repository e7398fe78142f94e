# Generated from nbs/11_ablation/02_replay.ipynb by `make export`. Edit the notebook, not this file.

import contextlib
from milan.ablation.replay import (
    _forwards,
    _gap,
    _Watch,
    rehearse,
    Replay,
)
import pytest

import warnings

import numpy as np
import torch
from fastcore.test import expect_fail, test_eq
from torch import nn

from milan.config import MilanError, import_torchvision
from milan.hooks.layers import Layer, channels_last, heads
from milan.testing import batch_of_squares, deep_network, Residual, small_network, Squares
from milan.ablation.units import ablated

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


# 02_replay.ipynb, section "Running a network from the middle"
def test_running_a_network_from_the_middle():
    watch, output = _Watch(), torch.zeros(2)
    kept = watch._held('recorded', 'conv', (output, None), seen := [])
    output += 1                                             # it is overwritten in place
    with expect_fail(MilanError, contains="'conv' was overwritten"): watch._settle(seen)
    watch._rehearsing = True
    kept = watch._held('recorded', 'conv', (output, None), seen := [])
    output += 1
    watch._settle(seen)
    kept[0], watch.written

    network, calls = small_network(), []
    with _forwards(dict(network.named_modules()), lambda path, forward, x: calls.append(path) or forward(x)):
        network(torch.rand(1, 3, 8, 8))
    assert 'forward' not in vars(network.conv1)
    calls

    network, images, units = deep_network(), batch_of_squares(), range(8)
    def runs(): return {name: getattr(network, name).runs for name in ('stem', 'early', 'late', 'head')}


    with torch.no_grad():
        naive = []
        for unit in units:
            with ablated(network, {'late': [unit]}): naive.append(network(images))
        naive_runs = runs()
        for name in naive_runs: getattr(network, name).runs = 0
        replay = Replay(network)
        replay.record(images, Layer('late'))
        replayed = []
        for unit in units:
            with ablated(network, {'late': [unit]}): replayed.append(replay(images))
    naive_runs, runs(), [path for (path, _), output in replay.kept.items() if output is not None]

    test_eq(runs(), {'stem': 1, 'early': 1, 'late': 1, 'head': 9})
    assert all(torch.equal(*pair) for pair in zip(naive, replayed, strict=True))
    assert len({tuple(output.flatten().tolist()) for output in replayed}) > 4
    assert 'forward' not in vars(network.stem) and 'forward' not in vars(network)
    with expect_fail(MilanError, contains="'late.inner.spare' did not run"), torch.no_grad():
        network.late.inner.spare = nn.ReLU()
        Replay(network).record(images, Layer('late.inner.spare'))


# 02_replay.ipynb, section "Rehearsal"
def test_rehearsal():
    test_eq(_gap((torch.ones(3), None), (torch.ones(3), None)), 0)
    assert _gap(torch.ones(3), torch.ones(3) + 1e-2) > 1 > _gap(torch.ones(3), torch.ones(3) + 1e-6) > 0
    test_eq(_gap(torch.ones(3), torch.ones(4)), np.inf)

    network, images, norm = deep_network(), batch_of_squares(), {'late.inner.norm': [0, 2]}
    replay = Replay(network)
    with torch.no_grad():
        why = rehearse(replay, images[:2], Layer('late.inner.norm'), lambda: ablated(network, norm))
        clean = [replay.record(images, Layer('late.inner.norm')), replay(images), replay(images)]
        with ablated(network, norm): off = [replay(images), replay(images), network(images)]
    assert why == '' and all(torch.equal(output, network(images)) for output in clean)
    assert all(torch.equal(output, off[2]) for output in off)
    replay.written

    network, replay = deep_network(), Replay(deep_network())       # without a rehearsal the same is detected
    with torch.no_grad(), expect_fail(MilanError, contains="'late.inner.conv1' was overwritten"):
        replay.record(batch_of_squares(), Layer('late.inner.norm'))

    class Looping(nn.Module):
        "One block three times, then once more, on what came out before and after."
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.block, self.end = Residual(3), Residual(3)
            self.kinds, self.head = Kinds(), nn.Linear(3, 4)

        def forward(self, images):
            images.mul_(2)
            parts = []
            for _ in range(3): parts = self.kinds(x=self.block(parts[-1] if parts else images), before=parts)
            parts.append(self.block(self.end(parts[1])))
            return self.head(torch.stack(parts).mean((0, 3, 4)))


    class Kinds(nn.Module):
        def forward(self, *, x, before): return [*before, x]


    def compared(network, layers):
        "Compare replayed and computed outputs of each layer; the number of outputs kept for it."
        for layer in layers:
            replay, images = Replay(network), batch_of_squares()
            edited = lambda: ablated(network, {layer: [0, 2]}, .3)
            with torch.no_grad():
                test_eq(rehearse(replay, images[:2].clone(), layer, edited), '')
                plain = network(images.clone())
                with edited(): expected = network(images.clone())
                kept_images = images.clone()
                assert torch.equal(replay.record(images, layer), plain)
                for _ in range(2):
                    assert torch.equal(replay(images), plain), layer
                    with edited(): assert torch.equal(replay(images), expected), layer
                assert torch.equal(images, kept_images) and not torch.equal(plain, expected), layer
            yield sum(output is not None for output in replay.kept.values())


    looping = Looping().eval()
    layers = [Layer(path, input=before, label='x') for path in ('block', 'block.conv2', 'block.relu', 'end',
                                                                'end.norm', 'end.relu', 'head')
              for before in (False, True) if (path, before) != ('block', True)]
    deep = [Layer(path) for path, module in deep_network().named_modules() if path
            and path not in ('flatten', 'pool')]
    kept = list(compared(looping, [*layers, Layer('kinds', select=lambda parts: parts[0],
                                                  label='x')])), list(compared(deep_network(), deep))
    kept

    class Noisy(nn.Module):
        def forward(self, x): return x + torch.randn_like(x)


    class Remembering(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = 0

        def forward(self, x):
            self.seen += 1
            return x * self.seen


    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Noisy())
    with torch.no_grad():
        reasons = [
            rehearse(
                Replay(chain), batch_of_squares(2), Layer('0'), lambda chain=chain: ablated(chain, {'0': [1]})
            )
            for chain in (network, nn.Sequential(nn.Conv2d(3, 4, 3), Remembering()))
        ]
    assert all(reason.startswith('its outputs differ by') for reason in reasons)
    with torch.inference_mode():
        reason = rehearse(Replay(small_network().eval()), batch_of_squares(2), Layer('conv2'),
                          contextlib.nullcontext)
    reason


# 02_replay.ipynb, section "Networks of libraries"
@pytest.mark.slow
def test_networks_of_libraries_slow():
    tv = import_torchvision().models
    import timm
    import transformers


    def checked(network, layers, size):
        "The largest difference between replayed and computed logits, in units of what rounding allows."
        network, images, worst = network.eval(), torch.rand(3, 3, size, size,
                                                            generator=torch.Generator().manual_seed(0)), 0.
        replay = Replay(network)
        with torch.no_grad():
            for layer in layers:
                edited = lambda layer=layer: ablated(network, {layer: [0, 2]})
                test_eq(rehearse(replay, images[:2], layer, edited), '')
                replay.record(images, layer)
                with edited(): worst = max(worst, _gap(network(images), replay(images)))
        return worst


    torch.manual_seed(0)
    cases = {
        'resnet18': (tv.resnet18(),
                     [Layer(path) for path in ('conv1', 'relu', 'layer1', 'layer2.0.bn2', 'layer3.0.downsample',
                                               'layer4.1.conv2', 'layer4')], 64),
        'densenet121': (tv.densenet121(),
                        [Layer(path) for path in ('features.denseblock1.denselayer3.conv2',
                                                  'features.transition2', 'features.norm5')], 64),
        'googlenet': (tv.googlenet(init_weights=False), [Layer('inception3a.branch2'), Layer('inception4c'),
                                                         Layer('inception5b.branch4')], 64),
        'vit': (timm.create_model('vit_tiny_patch16_224', img_size=64, depth=3),
                [Layer('patch_embed.proj'), Layer('blocks.1.mlp.fc1'), Layer('blocks.2'),
                 Layer('blocks.1.attn.proj', input=True, readout=heads(3))], 64),
        'swin': (timm.create_model('swin_tiny_patch4_window7_224', img_size=64, window_size=4,
                                   depths=(1, 1, 1, 1)),
                 [Layer('layers.1', readout=channels_last), Layer('layers.2.blocks.0.mlp.fc1')], 64),
        'hugging face': (transformers.ViTForImageClassification(transformers.ViTConfig(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48, image_size=32,
            patch_size=8)),
            [Layer('vit.embeddings'), Layer('vit.layers.1.mlp.fc1'), Layer('vit.layers.1.attention', select=0),
             Layer('vit', select='last_hidden_state')], 32)}
    worst = {name: checked(*case) for name, case in cases.items()}
    assert max(worst.values()) < .01
    worst
