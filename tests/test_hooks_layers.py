# Generated from nbs/03_hooks/02_layers.ipynb by `make export`. Edit the notebook, not this file.

from milan.hooks.layers import (
    _declared,
    _largest_grid,
    _matches,
    _no_grid,
    _some,
    _token_grid,
    _units_of,
    channels_last,
    class_attention,
    heads,
    Layer,
    layers_of,
    prefix_tokens,
    resolve,
    spatial,
    Unit,
)

from collections import OrderedDict

import matplotlib.pyplot as plt
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.config import MilanError
from milan.testing import block_network


# 02_layers.ipynb, section "A unit"
def test_a_unit():
    test_eq(Unit('conv1', 3), ('conv1', 3))
    Unit('conv1', 3)


# 02_layers.ipynb, section "Finding layers by name"
def test_finding_layers_by_name():
    assert _matches('blocks.0.conv', 'blocks.*.conv') and not _matches('blocks.0.conv', 'blocks.*')
    _some([f'blocks.{number}' for number in range(20)])

    network = block_network()
    resolve(network, ['head', 'blocks.*.conv'])

    test_eq(resolve(network, 'conv1'), ['conv1'])
    test_eq(resolve(network, ['conv1', 'conv*']), ['conv1'])
    test_eq(resolve(network, '*')[:2], ['conv1', 'relu1'])
    test_eq(resolve(nn.Sequential(nn.ReLU(), nn.ReLU()), 1), ['1'])
    with expect_fail(MilanError, contains="'blocks.0.conv'"): resolve(network, 'blocks.7.conv')


# 02_layers.ipynb, section "One shape for all layers"
def test_one_shape_for_all_layers():
    test_eq(_largest_grid(17, (224, 224)), (4, 4))
    _largest_grid(19, (48, 96))

    _no_grid(77, None, (1, 1), None)

    test_eq(_token_grid(201, None, (1, 1), None, None), (14, 14)) # DINOv2: a class token and four registers
    test_eq(_token_grid(1201, None, (480, 640), None, None), (30, 40))
    with expect_fail(MilanError, contains='77 tokens form no square grid'):
        _token_grid(77, None, (1, 1), None, None)
    _token_grid(17, None, (1, 1), (2, 8), None)

    tokens = torch.arange(17.).view(1, 17, 1)   # a class token, then 4 x 4 patches
    wide = torch.arange(19.).view(1, 19, 1) # a class token, then 3 x 6 patches of an image twice as wide as high
    spatial(tokens)[0, 0], spatial(wide, shape=(48, 96))[0, 0]

    assert torch.equal(spatial(tokens)[0, 0].flatten(), torch.arange(1., 17.))
    assert torch.equal(spatial(wide, shape=(96, 48))[0, 0], torch.arange(1., 19.).view(6, 3))
    assert torch.equal(spatial(tokens, grid=(2, 8))[0, 0], torch.arange(1., 17.).view(2, 8)) # a stated grid wins
    assert torch.equal(spatial(tokens, grid=(3, 4), shape=(5, 7))[0, 0], torch.arange(5., 17.).view(3, 4))
    test_eq(spatial(torch.zeros(2, 18, 6), drop_tokens=9).shape, (2, 6, 3, 3))
    test_eq(spatial(tokens, grid=(2, 2)).flatten().tolist(), [13, 14, 15, 16])

    test_eq(spatial(torch.zeros(2, 1, 7), prefix=1).shape, (2, 7, 1, 1))       # pooled tokens: one position
    test_eq(spatial(torch.zeros(2, 7)).shape, (2, 7, 1, 1))
    test_eq(spatial(torch.zeros(2, 7, 3, 5)).shape, (2, 7, 3, 5))


# 02_layers.ipynb, section "What the network declares"
def test_what_the_network_declares():
    nine = torch.arange(9.).view(1, 9, 1)       # class token 0, registers 1 to 4, patches 5 to 8
    figure, axes = plt.subplots(1, 2, figsize=(5, 2.6), dpi=70)
    grids = {'counted: wrong': spatial(nine), 'declared, prefix=5': spatial(nine, prefix=5)}
    for axis, (title, maps) in zip(axes, grids.items(), strict=True):
        axis.imshow((maps[0, 0] > 4).numpy(), cmap='cividis', vmin=-.5, vmax=1.5)
        for (row, column), token in zip(torch.ones_like(maps[0, 0]).nonzero().tolist(), maps.flatten().tolist(),
                                        strict=True):
            axis.text(column, row, f'{token:.0f}', ha='center', va='center', color='black' if token > 4
                      else 'white')
        axis.set(title=title, xlabel='column of patches', ylabel='row', xticks=range(maps.shape[3]),
                 yticks=range(maps.shape[2]))
    figure.tight_layout()

    class ClassToken(nn.Module):
        "A class token, declared as a parameter."
        def __init__(self):
            super().__init__()
            self.cls_token = nn.Parameter(torch.zeros(1, 1, 6))


    test_eq(_declared(nn.Sequential(ClassToken(), nn.ReLU())), {1})
    _declared(nn.ReLU())

    class Tokens(nn.Module):
        "A class token and four registers in front of the input."
        def __init__(self):
            super().__init__()
            self.cls_token = nn.Parameter(torch.zeros(1, 1, 6))
            self.register_tokens = nn.Parameter(torch.zeros(1, 4, 6))

        def forward(self, x):
            return torch.cat([self.cls_token.expand(len(x), -1, -1), self.register_tokens.expand(len(x), -1, -1),
                              x], 1)


    embedding, patches = Tokens(), torch.rand(2, 4, 6)
    prefix_tokens(nn.Sequential(embedding, nn.Linear(6, 3)))

    assert torch.equal(spatial(embedding(patches), prefix=5), patches.transpose(1, 2).unflatten(2, (2, 2)))
    # before the tokens are added all four are patches
    assert torch.equal(spatial(patches, prefix=5), spatial(patches))

    declaring = nn.Sequential(Tokens())
    declaring.num_prefix_tokens = 0
    test_eq(prefix_tokens(declaring), 0)
    test_eq(prefix_tokens(block_network()), None)
    test_eq(prefix_tokens(nn.Sequential(Tokens(), Tokens())), 5)
    test_eq(prefix_tokens(nn.Sequential(Tokens(), declaring)), None)     # two transformers that disagree


# 02_layers.ipynb, section "What to read of a module"
def test_what_to_read_of_a_module():
    linear, maps = nn.Linear(5, 12), torch.randn(2, 5, 4, 6)
    test_close(_units_of(linear, maps)[1, :, 2, 3], linear(maps[1, :, 2, 3]), eps=1e-6)
    assert _units_of(None, maps) is maps
    _units_of(linear, maps).shape

    attention = (torch.arange(17.).view(1, 17, 1), torch.rand(1, 3, 17, 17))     # tokens and probabilities
    lowest = Layer('blocks.1.attn', select=0, sign=-1)
    lowest.name, lowest.maps(lowest.pick(attention))

    test_eq([Layer('a.b').name, Layer('a.b', label='sae').name, Layer('a.b', label='sae', sign=-1).name,
             Layer('', label='all').name],
            ['a.b', 'a.b.sae', 'a.b.sae.bottom', 'all'])
    assert torch.equal(lowest.maps(attention[0]), -spatial(attention[0]))
    assert Layer('a').maps(attention[0]).data_ptr() == attention[0][:, 1:].data_ptr() # a view: nothing is copied
    assert Layer('a', lambda output: output[1]).pick(attention) is attention[1]

    network = block_network()
    several = ['head', Layer('blocks.*.conv', sign=-1), Layer('conv1', input=True, label='in')]
    [layer.name for layer in layers_of(network, several)]

    test_eq(layers_of(network, 'conv1'), [Layer('conv1')])
    test_eq(layers_of(network, [Layer('conv1'), 'conv*']), [Layer('conv1')])
    test_eq(layers_of(nn.Sequential(nn.ReLU(), nn.ReLU()), 1), [Layer('1')])
    test_eq([layer.path for layer in layers_of(network, Layer('blocks.*.conv', label='x'))],
            ['blocks.0.conv', 'blocks.1.conv'])
    test_eq(layers_of(network, Layer('', label='all')), [Layer('', label='all')])


# 02_layers.ipynb, section "Readouts"
def test_readouts():
    # two heads of three numbers
    test_eq(heads(2)(torch.tensor([[[3., 0., 4., 0., 6., 8.]]])).tolist(), [[[5, 10]]])
    assert heads(2) == heads(2) != heads(3)
    heads(2)

    probabilities = torch.rand(2, 3, 17, 17, generator=torch.Generator().manual_seed(0)).softmax(-1)
    looks = Layer('attn', select=1, readout=class_attention)
    maps = looks.maps(looks.pick((None, probabilities)))
    test_eq(maps[1, 2, 3, 1], probabilities[1, 2, 0, 1 + 3 * 4 + 1])
    maps.shape

    swin = torch.rand(2, 4, 5, 6)
    test_eq(Layer('norm', readout=channels_last).maps(swin)[1, 5, 3, 2], swin[1, 3, 2, 5])
    channels_last(swin).shape

    class Encoder(nn.Module):
        "The encoder of a sparse autoencoder, ReLU(W x + b), from 8 channels to 20 features."
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(8, 20)

        def forward(self, x): return self.linear(x).relu()


    encoder, tokens, maps = Encoder(), torch.rand(2, 17, 8), torch.rand(2, 8, 3, 5)
    features = Layer('blocks.0.mlp', readout=encoder, label='sae')
    expected = lambda x: (encoder.linear.weight @ x + encoder.linear.bias).clamp(min=0)
    torch.testing.assert_close(features.maps(tokens)[1, :, 2, 3], expected(tokens[1, 1 + 2 * 4 + 3]))
    torch.testing.assert_close(features.maps(maps)[1, :, 2, 4], expected(maps[1, :, 2, 4]))
    features.name, features.maps(tokens).shape

    class Features(nn.Module):
        "Features of channels, by a matrix."
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(5, 12))

        def forward(self, channels): return channels @ self.weight


    maps, features, kernel = torch.randn(2, 5, 4, 6), Features(), nn.Conv2d(5, 3, 1)
    read = Layer('layer3', readout=features).maps(maps)
    on_tokens = Layer('blocks.1', readout=features, grid=(4, 6), drop_tokens=0).maps(maps.flatten(2).transpose(1,
                                                                                                               2))
    test_close(read, on_tokens, eps=1e-6)
    assert torch.equal(Layer('layer3', readout=kernel).maps(maps), kernel(maps))
    assert torch.equal(Layer('layer3', readout=lambda maps: maps[:, :2]).maps(maps), maps[:, :2])
    read.shape


# 02_layers.ipynb, section "Errors"
def test_errors():
    network = block_network()
    with expect_fail(MilanError, contains="'conv1'"): resolve(network, 'conv_1')
    with expect_fail(MilanError, contains="'blocks.0.conv'"): resolve(network, 'blocks.*.convs')
    with expect_fail(MilanError, contains='no layers'): resolve(network, [])
    with expect_fail(MilanError, contains='no layers'): layers_of(network, [])
    with expect_fail(MilanError, contains="'conv1'; tell them apart"):
        layers_of(network, ['conv1', Layer('conv1', select=0)])
    with expect_fail(MilanError, contains="nearest are 'conv1'"): layers_of(network, Layer('conv_1', sign=-1))
    with expect_fail(MilanError, contains='sign 2'): Layer('a', sign=2)
    with expect_fail(MilanError, contains="label 'x/y'"): Layer('a', label='x/y')
    with expect_fail(MilanError, contains='whole network'): Layer('')

    tokens = torch.arange(17.).view(1, 17, 1)
    with expect_fail(MilanError, contains='77 tokens'): spatial(torch.zeros(1, 77, 4))
    with expect_fail(MilanError, contains='17 tokens minus 0'): spatial(tokens, drop_tokens=0)
    with expect_fail(MilanError, contains='17 tokens minus -8'): spatial(tokens, drop_tokens=-8)
    with expect_fail(MilanError, contains='17 tokens form no 1 : 2 grid'):
        spatial(tokens, shape=(24, 48), prefix=1)
    with expect_fail(MilanError, contains='17 tokens minus 2 form no 4 x 4 grid'):
        spatial(tokens, drop_tokens=2, grid=(4, 4))
    with expect_fail(MilanError, contains='17 tokens form no 5 x 5 grid'): spatial(tokens, grid=(5, 5))
    # a stated number must be right
    with expect_fail(MilanError, contains='minus 5'): spatial(tokens[:, :4], drop_tokens=5)
    with expect_fail(MilanError, contains='grid=(height, width)'): spatial(tokens, shape=(224, 225))
    with expect_fail(MilanError, contains='tuple'): spatial((tokens, tokens))
    with expect_fail(MilanError, contains='(1, 2, 3, 4, 5)'): spatial(torch.zeros(1, 2, 3, 4, 5))

    attention, swin = (tokens, torch.rand(1, 3, 17, 17)), torch.rand(2, 4, 5, 6)
    with expect_fail(MilanError, contains="layer 'a': the output has no part 5"): Layer('a', 5).pick(attention)
    with expect_fail(MilanError, contains="layer 'a': the output has several"): Layer('a').maps(attention)
    with expect_fail(MilanError, contains="0: (1, 17, 1), 1: (1, 3, 17, 17)"): Layer('a').maps(attention)
    with expect_fail(MilanError, contains="layer 'a': 77 tokens"): Layer('a').maps(torch.zeros(1, 77, 4))
    with expect_fail(MilanError, contains='NoneType'): Layer('a').maps(None)
    with expect_fail(MilanError, contains='4 heads'): Layer('a', readout=heads(4)).maps(torch.rand(1, 5, 6))
    with expect_fail(MilanError, contains='(2, 17, 3)'): class_attention(torch.rand(2, 17, 3))
    with expect_fail(MilanError, contains='(2, 4, 5, 6)'): class_attention(swin)
    with expect_fail(MilanError, contains='(2, 3)'): channels_last(torch.rand(2, 3))
    try: Layer('a', readout=nn.Linear(3, 2)).maps(torch.zeros(1, 4))
    except RuntimeError as error: test_eq(error.__notes__, ["This happened in the select or readout function of "
                                                            "layer 'a'."])
