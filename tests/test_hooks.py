# Generated from nbs/02_hooks.ipynb by `make export`. Edit the notebook, not this file.

from milan.hooks import (
    _listed,
    _part,
    channels_last,
    class_attention,
    edit,
    heads,
    Layer,
    layers_of,
    prefix_tokens,
    record,
    resolve,
    spatial,
    Unit,
)
import pytest

import contextlib
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.config import MilanError, import_torchvision

warnings.filterwarnings('ignore', message='IProgress')   # of progress bars that libraries would draw


def small_network():
    "Two convolutions, an in-place ReLU, two blocks with equal insides, and a linear head."
    torch.manual_seed(0)
    block = lambda: nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(8), conv=nn.Conv2d(8, 8, 3, padding=1)))
    return nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(3, 8, 3, stride=2, padding=1), relu1=nn.ReLU(inplace=True),
        blocks=nn.Sequential(block(), block()),
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=nn.Linear(8, 5))).eval()

class Pair(NamedTuple):
    tokens: torch.Tensor
    rest: object = None

@dataclass(frozen=True)
class Named:
    tokens: torch.Tensor
    rest: object = None


# 02_hooks.ipynb, section "A unit"
def test_a_unit():
    test_eq(Unit('conv1', 3), ('conv1', 3))
    Unit('conv1', 3)


# 02_hooks.ipynb, section "The naive way"
def test_the_naive_way():
    network, images = small_network(), torch.rand(2, 3, 16, 16)
    kept, x = {}, images
    for name, module in network.named_children():
        x = module(x)
        kept[name] = x.shape
    kept

    seen = []
    handle = network.conv1.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network(images)
    handle.remove()
    seen[0].shape

    assert seen[0].min() == 0                    # no negative number left
    assert network.conv1(images).min() < 0       # yet the layer gives many


# 02_hooks.ipynb, section "Finding layers by name"
def test_finding_layers_by_name():
    network = small_network()
    resolve(network, ['head', 'blocks.*.conv'])

    test_eq(resolve(network, 'conv1'), ['conv1'])
    test_eq(resolve(network, ['conv1', 'conv*']), ['conv1'])
    test_eq(resolve(network, '*')[:2], ['conv1', 'relu1'])
    test_eq(resolve(nn.Sequential(nn.ReLU(), nn.ReLU()), 1), ['1'])
    with expect_fail(MilanError, contains="'conv1'"): resolve(network, 'conv_1')
    with expect_fail(MilanError, contains="'blocks.0.conv'"): resolve(network, 'blocks.7.conv')
    with expect_fail(MilanError, contains="'blocks.0.conv'"): resolve(network, 'blocks.*.convs')
    with expect_fail(MilanError, contains='no layers'): resolve(network, [])


# 02_hooks.ipynb, section "One shape for all layers"
def test_one_shape_for_all_layers():
    tokens = torch.arange(17.).view(1, 17, 1)   # a class token, then 4 x 4 patches
    wide = torch.arange(19.).view(1, 19, 1)     # a class token, then 3 x 6 patches of an image twice as wide as high
    spatial(tokens)[0, 0], spatial(wide, shape=(48, 96))[0, 0]

    assert torch.equal(spatial(tokens)[0, 0].flatten(), torch.arange(1., 17.))
    assert torch.equal(spatial(wide, shape=(48, 96))[0, 0], torch.arange(1., 19.).view(3, 6))
    assert torch.equal(spatial(wide, shape=(96, 48))[0, 0], torch.arange(1., 19.).view(6, 3))
    assert torch.equal(spatial(tokens, grid=(2, 8))[0, 0], torch.arange(1., 17.).view(2, 8))    # what is stated wins
    assert torch.equal(spatial(tokens, grid=(3, 4), shape=(5, 7))[0, 0], torch.arange(5., 17.).view(3, 4))
    test_eq(spatial(torch.zeros(2, 201, 6)).shape, (2, 6, 14, 14))        # DINOv2: a class token and four registers
    test_eq(spatial(torch.zeros(2, 1201, 6), shape=(480, 640)).shape, (2, 6, 30, 40))
    test_eq(spatial(torch.zeros(2, 18, 6), drop_tokens=9).shape, (2, 6, 3, 3))
    test_eq(spatial(tokens, grid=(2, 2)).flatten().tolist(), [13, 14, 15, 16])
    test_eq(spatial(torch.zeros(2, 1, 7), prefix=1).shape, (2, 7, 1, 1))       # pooled tokens: one position
    test_eq(spatial(torch.zeros(2, 7)).shape, (2, 7, 1, 1))
    test_eq(spatial(torch.zeros(2, 7, 3, 5)).shape, (2, 7, 3, 5))
    with expect_fail(MilanError, contains='77 tokens'): spatial(torch.zeros(1, 77, 4))
    with expect_fail(MilanError, contains='17 tokens less 0'): spatial(tokens, drop_tokens=0)
    with expect_fail(MilanError, contains='17 tokens less -8'): spatial(tokens, drop_tokens=-8)
    with expect_fail(MilanError, contains='17 tokens are no 1 : 2 grid'): spatial(tokens, shape=(24, 48), prefix=1)
    with expect_fail(MilanError, contains='17 tokens less 2 are no 4 x 4 grid'): spatial(tokens, drop_tokens=2, grid=(4, 4))
    with expect_fail(MilanError, contains='17 tokens are no 5 x 5 grid'): spatial(tokens, grid=(5, 5))
    with expect_fail(MilanError, contains='grid=(height, width)'): spatial(tokens, shape=(224, 225))
    with expect_fail(MilanError, contains='tuple'): spatial((tokens, tokens))
    with expect_fail(MilanError, contains='(1, 2, 3, 4, 5)'): spatial(torch.zeros(1, 2, 3, 4, 5))


# 02_hooks.ipynb, section "What the network declares"
def test_what_the_network_declares():
    nine = torch.arange(9.).view(1, 9, 1)       # class token 0, registers 1 to 4, patches 5 to 8
    spatial(nine)[0, 0], spatial(nine, prefix=5)[0, 0]

    class Tokens(nn.Module):
        "A class token and four registers in front of what comes in."
        def __init__(self):
            super().__init__()
            self.cls_token, self.register_tokens = nn.Parameter(torch.zeros(1, 1, 6)), nn.Parameter(torch.zeros(1, 4, 6))

        def forward(self, x):
            return torch.cat([self.cls_token.expand(len(x), -1, -1), self.register_tokens.expand(len(x), -1, -1), x], 1)


    embedding, patches = Tokens(), torch.rand(2, 4, 6)
    prefix_tokens(nn.Sequential(embedding, nn.Linear(6, 3)))

    assert torch.equal(spatial(embedding(patches), prefix=5), patches.transpose(1, 2).unflatten(2, (2, 2)))
    assert torch.equal(spatial(patches, prefix=5), spatial(patches))                     # before the tokens are added all four are patches
    with expect_fail(MilanError, contains='less 5'): spatial(patches, drop_tokens=5)     # said outright it must be true

    declaring = nn.Sequential(Tokens())
    declaring.num_prefix_tokens = 0
    test_eq(prefix_tokens(declaring), 0)
    test_eq(prefix_tokens(small_network()), None)
    test_eq(prefix_tokens(nn.Sequential(Tokens(), Tokens())), 5)
    test_eq(prefix_tokens(nn.Sequential(Tokens(), declaring)), None)       # two towers, and no way to tell which is read


# 02_hooks.ipynb, section "Parts of an output"
def test_parts_of_an_output():
    attention = (torch.zeros(2, 17, 6), torch.zeros(2, 3, 17, 17), None)
    test_eq(_part(attention, 1).shape, (2, 3, 17, 17))
    with expect_fail(MilanError, contains='no part 5'): _part(attention, 5)
    _listed(attention)


# 02_hooks.ipynb, section "What to read of a module"
def test_what_to_read_of_a_module():
    attention = (torch.arange(17.).view(1, 17, 1), torch.rand(1, 3, 17, 17))     # tokens and probabilities
    lowest = Layer('blocks.1.attn', select=0, sign=-1)
    lowest.name, lowest.maps(lowest.pick(attention))

    test_eq([Layer('a.b').name, Layer('a.b', label='sae').name, Layer('a.b', label='sae', sign=-1).name, Layer('', label='all').name],
            ['a.b', 'a.b.sae', 'a.b.sae.bottom', 'all'])
    assert torch.equal(lowest.maps(attention[0]), -spatial(attention[0]))
    assert Layer('a').maps(attention[0]).data_ptr() == attention[0][:, 1:].data_ptr()           # a view: nothing is copied
    with expect_fail(MilanError, contains='sign 2'): Layer('a', sign=2)
    with expect_fail(MilanError, contains="label 'x/y'"): Layer('a', label='x/y')
    with expect_fail(MilanError, contains='whole network'): Layer('')

    class Features(nn.Module):
        "The encoder of a sparse autoencoder."
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.rand(5, 12)), nn.Parameter(torch.zeros(12))

        def forward(self, channels): return (channels @ self.weight + self.bias).relu()


    maps, features = torch.randn(2, 5, 4, 6), Features()
    read = Layer('layer3', readout=features).maps(maps)
    read.shape

    test_close(read[1, :, 2, 3], features(maps[1, :, 2, 3]), eps=1e-6)
    tokens = maps.flatten(2).transpose(1, 2)                                                     # (images, places, channels), as a transformer has them
    test_close(Layer('blocks.1', readout=features, grid=(4, 6), drop_tokens=0).maps(tokens), read, eps=1e-6)
    kernel = nn.Conv2d(5, 3, 1)
    assert torch.equal(Layer('layer3', readout=kernel).maps(maps), kernel(maps))
    assert torch.equal(Layer('layer3', readout=lambda maps: maps[:, :2]).maps(maps), maps[:, :2])

    # each way to select, on each kind of container




    class Plain:
        def __init__(self, tokens): self.tokens, self.rest = tokens, None


    x = torch.rand(2, 5)
    for output in [(x, None), [x, None], {'tokens': x, 'rest': None}, Pair(x), Named(x), Plain(x)]:
        names = ['tokens'] if not isinstance(output, list) and type(output) is not tuple else []
        for select in [0, -2, lambda output: x, *names]: assert Layer('a', select).pick(output) is x
        assert Layer('a').pick(output) is output and torch.equal(Layer('a').maps(output), spatial(x))
        for select in [1, 2, -3, 'rest', 'keys', 'count']:
            with expect_fail(MilanError, contains="(2, 5)"): Layer('a', select).pick(output)
    with expect_fail(MilanError, contains='leave select out'): Layer('a', 0).pick(x)             # not the first image
    with expect_fail(MilanError, contains="layer 'a': there are several"): Layer('a').maps(attention)
    with expect_fail(MilanError, contains="0: (1, 17, 1), 1: (1, 3, 17, 17)"): Layer('a').maps(attention)
    with expect_fail(MilanError, contains='select=0'): Layer('a').maps(attention)
    with expect_fail(MilanError, contains="layer 'a': 77 tokens"): Layer('a').maps(torch.zeros(1, 77, 4))
    with expect_fail(MilanError, contains='NoneType'): Layer('a').maps(None)
    try: Layer('a', readout=nn.Linear(3, 2)).maps(torch.zeros(1, 4))
    except RuntimeError as error: test_eq(error.__notes__, ["This happened in the select or readout function of layer 'a'."])

    network = small_network()
    test_eq(layers_of(network, 'conv1'), [Layer('conv1')])
    test_eq(layers_of(network, [Layer('conv1'), 'conv*']), [Layer('conv1')])
    test_eq(layers_of(nn.Sequential(nn.ReLU(), nn.ReLU()), 1), [Layer('1')])
    test_eq([layer.path for layer in layers_of(network, Layer('blocks.*.conv', label='x'))], ['blocks.0.conv', 'blocks.1.conv'])
    test_eq(layers_of(network, Layer('', label='all')), [Layer('', label='all')])
    with expect_fail(MilanError, contains="'conv1'; tell them apart by a label"): layers_of(network, ['conv1', Layer('conv1', select=0)])
    with expect_fail(MilanError, contains="nearest are 'conv1'"): layers_of(network, Layer('conv_1', sign=-1))
    with expect_fail(MilanError, contains='no layers'): layers_of(network, [])
    [layer.name for layer in layers_of(network, ['head', Layer('blocks.*.conv', sign=-1), Layer('conv1', input=True, label='in')])]


# 02_hooks.ipynb, section "Readouts"
def test_readouts():
    test_eq(heads(2)(torch.tensor([[[3., 0., 4., 0., 6., 8.]]])).tolist(), [[[5, 10]]])     # one token, two heads of three numbers
    with expect_fail(MilanError, contains='6 features are not 4 heads'): Layer('a', readout=heads(4)).maps(torch.rand(1, 5, 6))
    assert heads(2) == heads(2) != heads(3)
    heads(2)

    probabilities = torch.rand(2, 3, 17, 17, generator=torch.Generator().manual_seed(0)).softmax(-1)
    looks = Layer('attn', select=1, readout=class_attention)
    maps = looks.maps(probabilities)
    test_eq(maps[1, 2, 3, 1], probabilities[1, 2, 0, 1 + 3 * 4 + 1])
    swin = torch.rand(2, 4, 5, 6)
    test_eq(Layer('norm', readout=channels_last).maps(swin)[1, 5, 3, 2], swin[1, 3, 2, 5])
    with expect_fail(MilanError, contains='(2, 17, 3)'): class_attention(torch.rand(2, 17, 3))
    with expect_fail(MilanError, contains='(2, 4, 5, 6)'): class_attention(swin)
    with expect_fail(MilanError, contains='(2, 3)'): channels_last(torch.rand(2, 3))
    looks.maps(looks.pick((None, probabilities))).shape

    class Encoder(nn.Module):
        "A sparse autoencoder's encoder, ReLU(W x + b), from 8 channels to 20 features."
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(8, 20)

        def forward(self, x): return self.linear(x).relu()


    encoder, tokens, maps = Encoder(), torch.rand(2, 17, 8), torch.rand(2, 8, 3, 5)
    features = Layer('blocks.0.mlp', readout=encoder, label='sae')
    expected = lambda x: (encoder.linear.weight @ x + encoder.linear.bias).clamp(min=0)
    torch.testing.assert_close(features.maps(tokens)[1, :, 2, 3], expected(tokens[1, 1 + 2 * 4 + 3]))
    on_maps = Layer('layer4', readout=lambda maps: channels_last(encoder(maps.movedim(1, -1))), label='sae')
    torch.testing.assert_close(on_maps.maps(maps)[1, :, 2, 4], expected(maps[1, :, 2, 4]))
    features.name, features.maps(tokens).shape


# 02_hooks.ipynb, section "Recording"
def test_recording():
    network, images = small_network(), torch.rand(2, 3, 16, 16)
    with record(network, ['conv1', 'blocks.*.conv', 'head']) as recording: network(images)
    {layer: tuple(output.shape) for layer, output in recording.outputs.items()}

    assert torch.equal(recording['conv1'], network.conv1(images))
    assert torch.equal(recording['head'], network(images))
    test_eq(len(network.conv1._forward_hooks), 0)
    with contextlib.suppress(ZeroDivisionError), record(network, ['conv1', Layer('conv1', input=True, label='in')]): 1 / 0
    test_eq(len(network.conv1._forward_hooks) + len(network.conv1._forward_pre_hooks), 0)
    with record(network, ['conv1', 'head'], lambda layer, output: output.flatten(2).mean(2) if output.ndim == 4 else output) as recording:
        network(images)
    test_eq(recording['conv1'].shape, (2, 8))
    assert torch.allclose(recording['conv1'], network.conv1(images).mean((2, 3)))

    with record(network, ['relu1', Layer('relu1', input=True, label='before'), Layer('conv1', input=True, label='pixels')]) as recording:
        network(images)
    assert torch.equal(recording['relu1.before'], network.conv1(images))
    assert torch.equal(recording['relu1'], network.conv1(images).relu())
    assert torch.equal(recording['conv1.pixels'], images)
    with expect_fail(MilanError, contains="nothing was recorded of 'head'"): recording['head']
    {name: round(output.min().item(), 2) for name, output in recording.outputs.items()}

    class Wrapping(nn.Module):
        "Puts its input into a container; takes it by name only."
        def __init__(self, wrap):
            super().__init__()
            self.wrap = wrap

        def forward(self, *, x): return self.wrap(x)


    class Destroying(nn.Module):
        "Writes over what another module has put into its container."
        def __init__(self, wrap):
            super().__init__()
            self.wrapping = Wrapping(wrap)

        def forward(self, x):
            output = self.wrapping(x=x)
            x.zero_()
            return output


    ones = torch.ones(2, 5)
    containers: dict[str, tuple[Callable, Callable]] = {
        'tuple': (lambda x: (x, None), lambda output: output[0]), 'list': (lambda x: [x, None], lambda output: output[0]),
        'named tuple': (Pair, lambda output: output.tokens), 'dict': (lambda x: {'a': (x,)}, lambda output: output['a'][0]),
        'ordered': (lambda x: OrderedDict(a=x), lambda output: output['a']), 'dataclass': (Named, lambda output: output.tokens)}
    for wrap, unwrap in containers.values():
        destroying = Destroying(wrap)
        with record(destroying, ['wrapping', Layer('wrapping', input=True, label='in')]) as recording: output = destroying(ones.clone())
        assert type(recording['wrapping']) is type(output)
        assert unwrap(output).sum() == 0 and torch.equal(unwrap(recording['wrapping']), ones) and torch.equal(recording['wrapping.in'], ones)

    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    with record(attention, ['out_proj', Layer('', label='all')]) as recording: attention(*[torch.rand(1, 5, 8)] * 3)
    with expect_fail(MilanError, contains='a fused kernel'): recording['out_proj']
    with expect_fail(MilanError, contains='without arguments'), record(attention, Layer('', input=True, label='in')): attention()
    looks = Layer('', select=1, readout=class_attention, label='heads')
    with record(attention, looks, lambda name, value: looks.maps(value)) as recording:
        attention(*[torch.rand(1, 5, 8)] * 3, average_attn_weights=False)
    recording['heads'].shape          # one image, two heads, the 2 x 2 tokens that the first of five looks at


# 02_hooks.ipynb, section "Editing"
def test_editing():
    def without_unit_3(output):
        output = output.clone()
        output[:, 3] = 0
        return output


    network, images = small_network(), torch.rand(2, 3, 16, 16)
    before = network(images)
    with edit(network, {'conv1': without_unit_3}), record(network, 'blocks.0.norm') as recording: edited = network(images)
    (edited - before).abs().max()

    with edit(network, {'head': lambda output: output + 1}): assert torch.allclose(network(images), before + 1)
    assert torch.equal(network(images), before)
    assert not torch.equal(edited, before)
    with edit(network, {'blocks.*.conv': torch.zeros_like}): assert torch.allclose(network(images), network.head.bias.expand(2, 5))
    with expect_fail(MilanError, contains='nearest'), edit(network, {'heads': torch.zeros_like}): pass


# 02_hooks.ipynb, section "Networks of others"
@pytest.mark.slow
def test_networks_of_others_slow():
    import_torchvision()
    import timm
    import torchvision

    resnet = torchvision.models.resnet18(weights=None).eval()
    with torch.inference_mode(), record(resnet, 'layer?') as recording: resnet(torch.rand(1, 3, 64, 64))
    test_eq([tuple(spatial(output).shape) for output in recording.outputs.values()],
            [(1, 64, 16, 16), (1, 128, 8, 8), (1, 256, 4, 4), (1, 512, 2, 2)])
    test_eq(prefix_tokens(resnet), None)


    def maps_of(network, layers, images):
        "Name → maps of the layers, as exemplars will read them."
        found = {layer.name: layer for layer in layers_of(network, layers)}
        shape, prefix = tuple(images.shape[-2:]), prefix_tokens(network)
        with torch.inference_mode(), record(network, layers, lambda name, value: found[name].maps(value, shape, prefix).clone()) as recording:
            network(images)
        return recording.outputs


    small = {'pretrained': False, 'img_size': 64, 'depth': 2}
    for name, prefix, side in [('vit_tiny_patch16_224', 1, 4), ('vit_small_patch8_224.dino', 1, 8), ('vit_small_patch16_dinov3', 5, 4),
                               ('vit_medium_patch16_reg4_gap_256', 4, 4)]:
        transformer = timm.create_model(name, **small).eval()
        test_eq(prefix_tokens(nn.Sequential(transformer)), prefix)         # wrapped
        found = maps_of(transformer, ['patch_embed.proj', 'blocks.*.mlp.fc1'], torch.rand(2, 3, 64, 64))
        test_eq(list(found), ['patch_embed.proj', 'blocks.0.mlp.fc1', 'blocks.1.mlp.fc1'])
        test_eq({tuple(maps.shape[2:]) for maps in found.values()}, {(side, side)})
        count, width = transformer.blocks[0].attn.num_heads, transformer.blocks[0].mlp.fc1.out_features
        found = maps_of(transformer.bfloat16(), ['blocks.0.mlp.fc1', Layer('blocks.0.attn.proj', input=True, readout=heads(count))],
                        torch.rand(1, 3, 64, 64).bfloat16())
        test_eq({name: (maps.dtype, tuple(maps.shape[1:])) for name, maps in found.items()},
                {'blocks.0.attn.proj': (torch.bfloat16, (count, side, side)), 'blocks.0.mlp.fc1': (torch.bfloat16, (width, side, side))})

    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 128)
    transformer = timm.create_model('vit_tiny_patch16_224', pretrained=False, img_size=(64, 128), depth=2).eval()
    for block in transformer.blocks: block.attn.fused_attn = False
    found = maps_of(transformer, ['patch_embed', 'patch_embed.proj', Layer('blocks.0', label='tokens'),
                                  Layer('blocks.0.attn.proj', input=True, readout=heads(3), label='heads'),
                                  Layer('blocks.0.attn.attn_drop', readout=class_attention, label='looks')], images)
    test_eq(found['patch_embed'].shape, (2, 192, 4, 8))
    assert torch.equal(found['patch_embed'], found['patch_embed.proj'])
    with torch.inference_mode(), record(transformer, 'blocks.0.attn.qkv') as recording: transformer(images)
    query, key, value = recording['blocks.0.attn.qkv'].unflatten(2, (3, 3, 64)).permute(2, 0, 3, 1, 4)       # each (images, heads, tokens, 64)
    attention = (query @ key.transpose(2, 3) / 8).softmax(-1)
    norms = (attention @ value).norm(dim=-1)                                                                 # (images, heads, tokens)
    torch.testing.assert_close(found['blocks.0.attn.proj.heads'], norms[:, :, 1:].unflatten(2, (4, 8)))
    torch.testing.assert_close(found['blocks.0.attn.attn_drop.looks'], attention[:, :, 0, 1:].unflatten(2, (4, 8)))

    swin = timm.create_model('swin_tiny_patch4_window7_224', pretrained=False, img_size=64, window_size=4, depths=(1, 1, 1, 1)).eval()
    found = maps_of(swin, ['patch_embed.proj', Layer('layers.*', readout=channels_last)], torch.rand(1, 3, 64, 64))
    test_eq([tuple(maps.shape) for maps in found.values()], [(1, 96, 16, 16), (1, 96, 16, 16), (1, 192, 8, 8), (1, 384, 4, 4), (1, 768, 2, 2)])

    transformer = torchvision.models.VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=48).eval()
    test_eq(prefix_tokens(transformer), 1)
    layers = ['conv_proj', 'encoder.layers.*.self_attention', 'encoder.layers.*.mlp.0',
              Layer('encoder.layers.*.self_attention', select=0, sign=-1)]
    found = maps_of(transformer, layers, torch.rand(2, 3, 32, 32))
    test_eq({name.split('.')[-1]: tuple(maps.shape) for name, maps in found.items()},
            {'conv_proj': (2, 32, 4, 4), 'self_attention': (2, 32, 4, 4), 'bottom': (2, 32, 4, 4), '0': (2, 48, 4, 4)})
    test_eq(len(found), 7)
    one = 'encoder.layers.encoder_layer_1.self_attention'
    assert torch.equal(found[one + '.bottom'], -found[one])
    with expect_fail(MilanError, contains='1: None'): maps_of(transformer, Layer(one, select=1), torch.rand(2, 3, 32, 32))

    import transformers

    torch.manual_seed(0)
    images = torch.rand(2, 3, 32, 32)
    transformer = transformers.ViTModel(transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32, patch_size=8, attn_implementation='eager')).eval()
    test_eq(prefix_tokens(transformer), 1)
    found = maps_of(transformer, ['layers.*.mlp.fc1', Layer('', select='last_hidden_state', label='states'),
                                  Layer('layers.*.attention.o_proj', input=True, readout=heads(4), label='heads'),
                                  Layer('layers.*.attention', select=1, readout=class_attention, label='looks')], images)
    with torch.inference_mode(), record(transformer, ['layers.1.attention.v_proj', Layer('', label='all')]) as recording:
        given = transformer(images, output_attentions=True)
    test_eq(found['layers.1.mlp.fc1'].shape, (2, 48, 4, 4))
    assert torch.equal(found['states'], spatial(given.last_hidden_state))
    assert torch.equal(found['layers.1.attention.looks'], given.attentions[1][:, :, 0, 1:].unflatten(2, (4, 4)))
    values = recording['layers.1.attention.v_proj'].unflatten(2, (4, 8)).transpose(1, 2)                     # (images, heads, tokens, 8)
    torch.testing.assert_close(found['layers.1.attention.o_proj.heads'], (given.attentions[1] @ values).norm(dim=-1)[:, :, 1:].unflatten(2, (4, 4)))
    assert type(recording['all']) is type(given) and torch.equal(recording['all'].last_hidden_state, given.last_hidden_state)
    assert recording['all'].last_hidden_state.data_ptr() != given.last_hidden_state.data_ptr()
    with expect_fail(MilanError, contains="'last_hidden_state': (2, 17, 32)"): maps_of(transformer, Layer('', select='logits', label='x'), images)
    with expect_fail(MilanError, contains='several tensors'): maps_of(transformer, Layer('', label='x'), images)

    transformer = transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=14, num_register_tokens=4)).eval()
    test_eq(prefix_tokens(transformer), 5)
    states = Layer('', select='last_hidden_state', label='states')
    images = torch.rand(1, 3, 28, 28)
    right = maps_of(transformer, [states, 'embeddings.patch_embeddings'], images)
    test_eq([tuple(maps.shape[2:]) for maps in right.values()], [(2, 2), (2, 2)])
    with torch.inference_mode(): tokens = transformer(images).last_hidden_state
    assert torch.equal(right['states'][0, :, 0, 1], tokens[0, 6])                # the second patch, after a class token and four registers
    test_eq(spatial(tokens).shape[2:], (3, 3))                                   # without the declaration
