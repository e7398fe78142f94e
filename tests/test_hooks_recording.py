# Generated from nbs/03_hooks/01_recording.ipynb by `make export`. Edit the notebook, not this file.

from milan.hooks.recording import (
    _hooked,
    edit,
    record,
    Recording,
)
import pytest

import contextlib
import warnings
from collections import OrderedDict

import matplotlib.pyplot as plt
import torch
from fastcore.test import expect_fail, test_eq
from torch import nn

from milan.config import MilanError, import_torchvision
from milan.hooks.layers import Layer, channels_last, class_attention, heads, layers_of, prefix_tokens, spatial
from milan.images.scenes import draw_scene
from milan.testing import block_network

warnings.filterwarnings('ignore', message='IProgress')   # about progress bars of libraries

def maps_of(network, layers, images):
    "Name → maps of the layers."
    found = {layer.name: layer for layer in layers_of(network, layers)}
    shape, prefix = tuple(images.shape[-2:]), prefix_tokens(network)
    function = lambda name, value: found[name].maps(value, shape, prefix).clone()
    with torch.inference_mode(), record(network, layers, function) as recording: network(images)
    return recording.outputs

def shapes(maps): return {name: tuple(one.shape[1:]) for name, one in maps.items()}


# 01_recording.ipynb, section "From the naive way to a hook"
def test_from_the_naive_way_to_a_hook():
    network, images = block_network(), torch.rand(2, 3, 16, 16)
    kept, x = {}, images
    for name, module in network.named_children():
        x = module(x)
        kept[name] = x.shape
    kept

    outputs = []
    handle = network.conv1.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    network(images)
    handle.remove()
    outputs[0].shape

    assert outputs[0].min() == 0                 # no negative number is left
    assert network.conv1(images).min() < 0       # yet the layer computes many


# 01_recording.ipynb, section "Recording"
def test_recording():
    recording = Recording()
    recording.outputs['conv1'] = 1
    test_eq(recording['conv1'], 1)
    with expect_fail(MilanError, contains="nothing was recorded of 'head', only of 'conv1'"): recording['head']

    network, images, kept = block_network(), torch.rand(2, 3, 16, 16), []
    handles = [_hooked(network.conv1, Layer('conv1', input=before, label='x'), kept.append) for before in (True,
                                                                                                           False)]
    network(images)
    for handle in handles: handle.remove()
    assert torch.equal(kept[0], images) and torch.equal(kept[1], network.conv1(images).relu())

    network, images = block_network(), torch.rand(2, 3, 16, 16)
    with record(network, ['conv1', 'blocks.*.conv', 'head']) as recording: network(images)
    {layer: tuple(output.shape) for layer, output in recording.outputs.items()}

    assert torch.equal(recording['conv1'], network.conv1(images))
    assert torch.equal(recording['head'], network(images))
    test_eq(len(network.conv1._forward_hooks), 0)

    def mean(layer, output): return output.flatten(2).mean(2) if output.ndim == 4 else output


    with record(network, ['conv1', 'head'], mean) as recording: network(images)
    assert torch.allclose(recording['conv1'], network.conv1(images).mean((2, 3)))
    recording['conv1'].shape

    before, pixels = Layer('relu1', input=True, label='before'), Layer('conv1', input=True, label='pixels')
    with record(network, ['relu1', before, pixels]) as recording: network(images)
    assert torch.equal(recording['relu1.before'], network.conv1(images))
    assert torch.equal(recording['relu1'], network.conv1(images).relu())
    assert torch.equal(recording['conv1.pixels'], images)
    {name: round(output.min().item(), 2) for name, output in recording.outputs.items()}


# 01_recording.ipynb, section "Editing"
def test_editing():
    def without_unit_3(output):
        output = output.clone()
        output[:, 3] = 0
        return output


    network, images = block_network(), torch.rand(2, 3, 16, 16)
    before = network(images)
    with edit(network, {'conv1': without_unit_3}): edited = network(images)
    (edited - before).abs().max()

    with edit(network, {'head': lambda output: output + 1}): assert torch.allclose(network(images), before + 1)
    assert torch.equal(network(images), before)
    with edit(network, {'blocks.*.conv': torch.zeros_like}):
        assert torch.allclose(network(images), network.head.bias.expand(2, 5))


# 01_recording.ipynb, section "Maps, recorded and edited"
def test_maps_recorded_and_edited():
    edge = torch.tensor([[-1., 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 12
    redness = torch.zeros(3, 3, 3)
    redness[:, 1, 1] = torch.tensor([1., -.5, -.5])
    units, total = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.Conv2d(3, 1, 1, bias=False)
    seeing = nn.Sequential(OrderedDict(units=units, sum=total))
    seeing.units.weight.data = torch.stack([edge.expand(3, 3, 3), edge.T.expand(3, 3, 3), redness])
    seeing.sum.weight.data.fill_(1.)


    def without_unit_0(output): return torch.cat([output[:, :1] * 0, output[:, 1:]], 1)


    scene = torch.from_numpy(draw_scene(2).image).permute(2, 0, 1)[None] / 255
    with record(seeing, ['units', 'sum']) as whole: seeing(scene)
    with edit(seeing, {'units': without_unit_0}), record(seeing, 'sum') as edited: seeing(scene)
    assert not torch.equal(whole['sum'], edited['sum'])

    figure, axes = plt.subplots(1, 6, figsize=(9, 1.9), dpi=70)
    axes[0].imshow(scene[0].permute(1, 2, 0).numpy())
    maps = [*whole['units'][0], whole['sum'][0, 0], edited['sum'][0, 0]]
    for axis, map_ in zip(axes[1:], maps, strict=True):
        axis.imshow(map_.abs().numpy(), cmap='cividis', vmin=0, vmax=.6)
    titles = ['image', 'unit 0:\nvertical edges', 'unit 1:\nhorizontal edges', 'unit 2:\nredness', 'sum',
              'sum without\nunit 0']
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
    axes[0].set(xlabel='columns', ylabel='rows')
    figure.supxlabel('absolute activation: dark 0, bright 0.6 and more', fontsize=9)
    figure.tight_layout()


# 01_recording.ipynb, section "Networks of libraries"
def test_networks_of_libraries():
    shapes(maps_of(block_network(), ['conv1', 'head'], torch.rand(2, 3, 16, 16)))


# 01_recording.ipynb, section "Networks of libraries"
@pytest.mark.slow
def test_networks_of_libraries_slow():
    import_torchvision()
    import timm
    import torchvision

    resnet = torchvision.models.resnet18(weights=None).eval()
    test_eq(list(shapes(maps_of(resnet, 'layer?', torch.rand(1, 3, 64, 64))).values()),
            [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)])
    test_eq(prefix_tokens(resnet), None)


    def small_vit(name, **settings): return timm.create_model(name, pretrained=False, depth=2, **settings).eval()


    for name, prefix, side in [('vit_tiny_patch16_224', 1, 4), ('vit_small_patch8_224.dino', 1, 8),
                               ('vit_small_patch16_dinov3', 5, 4), ('vit_medium_patch16_reg4_gap_256', 4, 4)]:
        transformer = small_vit(name, img_size=64)
        test_eq(prefix_tokens(nn.Sequential(transformer)), prefix)         # also inside another module
        found = maps_of(transformer, ['patch_embed.proj', 'blocks.*.mlp.fc1'], torch.rand(2, 3, 64, 64))
        test_eq(list(found), ['patch_embed.proj', 'blocks.0.mlp.fc1', 'blocks.1.mlp.fc1'])
        test_eq({tuple(maps.shape[2:]) for maps in found.values()}, {(side, side)})
        count, width = transformer.blocks[0].attn.num_heads, transformer.blocks[0].mlp.fc1.out_features
        both = ['blocks.0.mlp.fc1', Layer('blocks.0.attn.proj', input=True, readout=heads(count))]
        found = maps_of(transformer.bfloat16(), both, torch.rand(1, 3, 64, 64).bfloat16())
        test_eq(shapes(found), {'blocks.0.attn.proj': (count, side, side), 'blocks.0.mlp.fc1': (width, side,
                                                                                                side)})
        test_eq({maps.dtype for maps in found.values()}, {torch.bfloat16})

    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 128)
    transformer = small_vit('vit_tiny_patch16_224', img_size=(64, 128))
    for block in transformer.blocks: block.attn.fused_attn = False
    layers = ['patch_embed', 'patch_embed.proj', Layer('blocks.0', label='tokens'),
              Layer('blocks.0.attn.proj', input=True, readout=heads(3), label='heads'),
              Layer('blocks.0.attn.attn_drop', readout=class_attention, label='looks')]
    found = maps_of(transformer, layers, images)
    test_eq(found['patch_embed'].shape, (2, 192, 4, 8))
    assert torch.equal(found['patch_embed'], found['patch_embed.proj'])
    with torch.inference_mode(), record(transformer, 'blocks.0.attn.qkv') as recording: transformer(images)
    split = recording['blocks.0.attn.qkv'].unflatten(2, (3, 3, 64))
    query, key, value = split.permute(2, 0, 3, 1, 4) # each (images, heads, tokens, 64)
    attention = (query @ key.transpose(2, 3) / 8).softmax(-1)
    norms = (attention @ value).norm(dim=-1)                                     # (images, heads, tokens)
    torch.testing.assert_close(found['blocks.0.attn.proj.heads'], norms[:, :, 1:].unflatten(2, (4, 8)))
    torch.testing.assert_close(found['blocks.0.attn.attn_drop.looks'], attention[:, :, 0, 1:].unflatten(2,
                                                                                                        (4, 8)))

    swin = timm.create_model('swin_tiny_patch4_window7_224', pretrained=False, img_size=64, window_size=4,
                             depths=(1, 1, 1, 1)).eval()
    found = maps_of(swin, ['patch_embed.proj', Layer('layers.*', readout=channels_last)],
                    torch.rand(1, 3, 64, 64))
    test_eq(list(shapes(found).values()), [(96, 16, 16), (96, 16, 16), (192, 8, 8), (384, 4, 4), (768, 2, 2)])

    transformer = torchvision.models.VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=4,
                                                       hidden_dim=32, mlp_dim=48).eval()
    test_eq(prefix_tokens(transformer), 1)
    layers = ['conv_proj', 'encoder.layers.*.self_attention', 'encoder.layers.*.mlp.0',
              Layer('encoder.layers.*.self_attention', select=0, sign=-1)]
    found = maps_of(transformer, layers, torch.rand(2, 3, 32, 32))
    test_eq({name.split('.')[-1]: shape for name, shape in shapes(found).items()},
            {'conv_proj': (32, 4, 4), 'self_attention': (32, 4, 4), 'bottom': (32, 4, 4), '0': (48, 4, 4)})
    test_eq(len(found), 7)
    one = 'encoder.layers.encoder_layer_1.self_attention'
    assert torch.equal(found[one + '.bottom'], -found[one])
    with expect_fail(MilanError, contains='1: None'):
        maps_of(transformer, Layer(one, select=1), torch.rand(2, 3, 32, 32))

    import transformers

    torch.manual_seed(0)
    images = torch.rand(2, 3, 32, 32)
    sizes = {'hidden_size': 32, 'num_hidden_layers': 2, 'num_attention_heads': 4}
    transformer = transformers.ViTModel(transformers.ViTConfig(
        **sizes, intermediate_size=48, image_size=32, patch_size=8, attn_implementation='eager')).eval()
    test_eq(prefix_tokens(transformer), 1)
    states = Layer('', select='last_hidden_state', label='states')
    layers = ['layers.*.mlp.fc1', states, Layer('layers.*.attention.o_proj', input=True, readout=heads(4),
                                                label='heads'),
              Layer('layers.*.attention', select=1, readout=class_attention, label='looks')]
    found = maps_of(transformer, layers, images)
    with torch.inference_mode(), record(transformer, ['layers.1.attention.v_proj',
                                                      Layer('', label='all')]) as recording:
        given = transformer(images, output_attentions=True)
    test_eq(found['layers.1.mlp.fc1'].shape, (2, 48, 4, 4))
    assert torch.equal(found['states'], spatial(given.last_hidden_state))
    assert torch.equal(found['layers.1.attention.looks'], given.attentions[1][:, :, 0, 1:].unflatten(2, (4, 4)))
    # (images, heads, tokens, 8)
    values = recording['layers.1.attention.v_proj'].unflatten(2, (4, 8)).transpose(1, 2)
    norms = (given.attentions[1] @ values).norm(dim=-1)[:, :, 1:].unflatten(2, (4, 4))
    torch.testing.assert_close(found['layers.1.attention.o_proj.heads'], norms)
    assert type(recording['all']) is type(given)
    assert torch.equal(recording['all'].last_hidden_state, given.last_hidden_state)
    assert recording['all'].last_hidden_state.data_ptr() != given.last_hidden_state.data_ptr()
    with expect_fail(MilanError, contains="'last_hidden_state': (2, 17, 32)"):
        maps_of(transformer, Layer('', select='logits', label='x'), images)
    with expect_fail(MilanError, contains='several tensors'): maps_of(transformer, Layer('', label='x'), images)

    transformer = transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(
        **sizes, image_size=28, patch_size=14, num_register_tokens=4)).eval()
    test_eq(prefix_tokens(transformer), 5)
    images = torch.rand(1, 3, 28, 28)
    right = maps_of(transformer, [states, 'embeddings.patch_embeddings'], images)
    test_eq([tuple(maps.shape[2:]) for maps in right.values()], [(2, 2), (2, 2)])
    with torch.inference_mode(): tokens = transformer(images).last_hidden_state
    # the second patch, after class token and registers
    assert torch.equal(right['states'][0, :, 0, 1], tokens[0, 6])
    test_eq(spatial(tokens).shape[2:], (3, 3))                       # without the declaration


# 01_recording.ipynb, section "Errors"
def test_errors():
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    tokens = [torch.rand(1, 5, 8)] * 3
    with record(attention, ['out_proj', Layer('', label='all')]) as recording: attention(*tokens)
    with expect_fail(MilanError, contains='a fused kernel'): recording['out_proj']
    with expect_fail(MilanError, contains='without arguments'), record(attention,
                                                                       Layer('', input=True, label='in')):
        attention()
    looks = Layer('', select=1, readout=class_attention, label='heads')
    with record(attention, looks, lambda name, value: looks.maps(value)) as recording:
        attention(*tokens, average_attn_weights=False)
    test_eq(recording['heads'].shape, (1, 2, 2, 2))      # one image, two heads, the last four of five tokens

    network, layers = block_network(), ['conv1', Layer('conv1', input=True, label='in')]
    with contextlib.suppress(ZeroDivisionError), record(network, layers): 1 / 0
    test_eq(len(network.conv1._forward_hooks) + len(network.conv1._forward_pre_hooks), 0)
    with expect_fail(MilanError, contains='nearest'), edit(network, {'heads': torch.zeros_like}): pass

    class Wrapping(nn.Module):
        "Puts its input into a container; takes it by name only."
        def __init__(self, wrap):
            super().__init__()
            self.wrap = wrap

        def forward(self, *, x): return self.wrap(x)


    class Overwriting(nn.Module):
        "Overwrites what another module has put into its container."
        def __init__(self, wrap):
            super().__init__()
            self.wrapping = Wrapping(wrap)

        def forward(self, x):
            output = self.wrapping(x=x)
            x.zero_()
            return output


    ones = torch.ones(2, 5)
    containers = [(lambda x: (x, None), lambda output: output[0]),
                  (lambda x: [x, None], lambda output: output[0]),
                  (lambda x: {'a': (x,)}, lambda output: output['a'][0]),
                  (lambda x: OrderedDict(a=x), lambda output: output['a'])]
    for wrap, unwrap in containers:
        overwriting = Overwriting(wrap)
        layers = ['wrapping', Layer('wrapping', input=True, label='in')]
        with record(overwriting, layers) as recording: output = overwriting(ones.clone())
        assert type(recording['wrapping']) is type(output) and unwrap(output).sum() == 0
        assert torch.equal(unwrap(recording['wrapping']), ones) and torch.equal(recording['wrapping.in'], ones)
