# Generated from nbs/11_ablation/04_sweep.ipynb by `make export`. Edit the notebook, not this file.

from milan.ablation.accuracy import Evaluation
from milan.ablation.accuracy import evaluator
from milan.ablation.replay import Replay
from milan.ablation.sweep import (
    _cuts,
    _outputs,
    _sets,
    _turns,
    cumulative,
    nested,
    order,
    Sweep,
    sweep,
)
import pytest

import warnings
from collections import OrderedDict

import numpy as np
import matplotlib.pyplot as plt
import pandas as pd
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.config import MilanError, import_torchvision, oracle_dir
from milan.hooks.layers import Layer, Unit
from milan.evaluation.intervals import difference
from milan.testing import batch_of_squares, deep_network, seeing_network, small_network, Squares
from milan.ablation.accuracy import evaluate, means, samples
from milan.ablation.finetuning import finetune


# 04_sweep.ipynb, section "Sweeps"
def test_sweeps():
    shown = Sweep(Evaluation([(0,), (1,)], np.array([0, 1])), {Unit('conv', 3): np.array([0, 0])})
    test_eq(shown[Unit('conv', 3)].accuracy, .5)
    with expect_fail(MilanError, contains='was not switched off'): shown['conv']
    shown.table()

    test_eq(_sets([Unit('a', 1), ('b', 0)]), {Unit('a', 1): {'a': [1]}, Unit('b', 0): {'b': [0]}})
    test_eq(_sets({'a': range(2)}), {Unit('a', 0): {'a': [0]}, Unit('a', 1): {'a': [1]}})
    test_eq(_sets({'text': [Unit('a', 1)], 'none': []}), {'text': [Unit('a', 1)], 'none': []})
    test_eq(_sets({'text': {'a': [1, 2]}}), {'text': {'a': [1, 2]}})

    test_eq(_turns(small_network(), batch_of_squares(), [Layer('head'), Layer('conv2', input=True),
                                                         Layer('conv1')]), {'conv1': 0, 'conv2': 1, 'head': 2})

    with evaluator(small_network(), Squares(), quiet=True) as loop:
        groups = {'late': {Layer('conv2'): [0]}, 'early': {Layer('conv1'): [1], Layer('conv2'): [2]}}
        cuts = _cuts(loop, Replay(loop.network.module), groups, 0., reuse=False)
    test_eq([cut.layer.name for cut in cuts], ['conv1', 'conv2'])
    cuts

    network, images = small_network(), batch_of_squares()
    with torch.no_grad(): outputs = dict(_outputs(Replay(network), cuts, groups, 0., images, 0))
    test_eq(list(outputs), [None, 'early', 'late'])
    assert torch.equal(outputs[None], network(images))

    swept = sweep(seeing_network(), Squares(), {'colours': range(4)}, quiet=True)
    swept.table(intervals=True).round(3)

    shares = np.bincount([label for _, label in Squares()], minlength=3) / 40
    test_close(swept.table()['change'], [*-shares, 0])
    test_eq(swept[Unit('colours', 1)].by_class()['accuracy'].tolist(), [1, 0, 1])
    test_eq((swept.clean.accuracy, len(swept)), (1, 4))
    test_close(swept[Unit('colours', 1)].losses,
               evaluate(seeing_network(), Squares(), ablated={'colours': [1]}, quiet=True).losses, eps=1e-5)
    assert min(list(swept.damages.values())[:3]) > 0 and abs(swept.damages[Unit('colours', 3)]) < 1e-5
    test_eq(sweep(seeing_network(), Squares(), {'none': [], 'all': {'colours': range(4)}}, quiet=True).accuracies,
            {'none': 1, 'all': shares[0]})
    test_eq(len(sweep(seeing_network(), Squares(), [], quiet=True)), 0)

    network = deep_network()
    sets = {f'{layer}/{unit}': [Unit(layer, unit)] for layer in ('stem', 'early.inner.norm', 'late.inner.relu',
                                                                 'late', 'head') for unit in range(3)}
    sets |= {'early and late': {'early': [0, 1], 'late.inner.conv1': [2]}, 'none': []}
    fast, plain = (sweep(network, Squares(), sets, batch_size=16, reuse=reuse, quiet=True)
                   for reuse in (True, False))
    for name in sets: test_eq(fast[name].predictions, plain[name].predictions)
    for name in ('stem/1', 'early and late'):
        test_eq(fast[name].predictions, evaluate(network, Squares(), ablated=sets[name], quiet=True).predictions)
    test_eq(fast['none'].predictions, fast.clean.predictions)
    others = samples(network, Squares(), ['late', 'head'], 7, quiet=True) # batches don't matter to samples either
    several = [sweep(network, Squares(), {'late': range(4)}, values=others, batch_size=size, quiet=True)
               for size in (40, 9)]
    for unit in several[0].predictions: test_eq(several[0][unit].predictions, several[1][unit].predictions)
    test_eq(several[0][Unit('late', 2)].predictions, evaluate(network, Squares(), ablated={'late': [2]},
                                                              values=others, batch_size=11,
                                                              quiet=True).predictions)
    fast

    def runs_for(count, reuse):
        network = deep_network()
        sweep(network, torch.utils.data.Subset(Squares(), range(count)),
              {'late.inner.conv1': range(4), 'late': range(4), 'head': range(3), 'flatten': [0]},
              batch_size=10, reuse=reuse, quiet=True)
        return pd.Series({name: getattr(network, name).runs for name in ('stem', 'early', 'late', 'head')})


    cost = pd.DataFrame({how: runs_for(30, reuse) - runs_for(10, reuse) for how,
                         reuse in (('reused', True), ('recomputed', False))})
    cost

    test_eq(cost['recomputed'].tolist(), [26] * 4) # 12 sets and the whole network, two batches
    test_eq(cost['reused'].tolist()[:2], [2, 2]) # once per batch, whatever the number of units
    assert cost['reused']['late'] < 26


# 04_sweep.ipynb, section "Orders"
def test_orders():
    words = pd.DataFrame({'layer': ['conv1'] * 3 + ['conv2'] * 3, 'unit': [0, 1, 2] * 2,
                          'adjectives': [0, 2, 1, 1, 0, 2]})
    order(words, column='adjectives')

    nested([Unit('conv', number) for number in (3, 0, 2)], [0, 1, 3])

    test_eq(order({Unit('a', 0): 1., Unit('a', 1): 3., ('b', 0): 2}), [('a', 1), ('b', 0), ('a', 0)])
    test_eq(set(order(words.set_index(['layer', 'unit'])['adjectives'], descending=False)[:2]),
            {('conv1', 0), ('conv2', 1)})

    first = {order(words, column='adjectives', seed=seed)[0] for seed in range(20)}
    test_eq(first, {Unit('conv1', 1), Unit('conv2', 2)})
    test_eq(order(words, column='adjectives', seed=3), order(words, column='adjectives', seed=3))
    assert len({tuple(order(dict.fromkeys(order(words, column='adjectives'), 0), seed=seed))
                for seed in range(20)}) > 15
    test_eq({count: len(units) for count, units in nested(order(words, column='adjectives'), [0, 2, 6]).items()},
            {0: 0, 2: 2, 6: 6})
    test_eq(order(words.iloc[::-1], column='adjectives', as_original=True),
            [('conv1', 1), ('conv2', 2), ('conv1', 2), ('conv2', 0), ('conv1', 0), ('conv2', 1)])
    test_eq(order({('b', 10): 0, ('b', 9): 0, ('a', 3): 0}, as_original=True), [('a', 3), ('b', 9), ('b', 10)])

    test_eq(list(nested([Unit('a', number) for number in range(1000)])), list(range(0, 201, 20)))
    test_eq(nested(order(words, column='adjectives'), [5])[5][:2],
            nested(order(words, column='adjectives'), [2])[2])
    with expect_fail(MilanError, contains="Unit(layer='a', unit=0) has no number"): order({Unit('a', 0): np.nan})
    with expect_fail(MilanError, contains='more than once'): order(pd.concat([words, words]), column='adjectives')
    with expect_fail(MilanError, contains='no column score'): order(words)
    test_eq(list(nested([Unit('a', number) for number in range(99)], as_original=True)),
            [0, 1, 3, 5, 7, 9, 11, 13, 15, 17])

    with expect_fail(MilanError, contains='from 0 to 6'): nested(order(words, column='adjectives'), [7])
    with expect_fail(MilanError, contains='occurs twice'): nested([Unit('a', 0)] * 2, [1])


# 04_sweep.ipynb, section "The paper's curves"
def test_the_paper_s_curves():
    network = seeing_network()
    needed = order(sweep(network, Squares(), {'colours': range(4)}, quiet=True).accuracies, descending=False)
    curve = cumulative(network, Squares(), needed, range(5), quiet=True)
    needed, curve.table()

    shares = np.bincount([label for _, label in Squares()], minlength=3) / 40
    assert shares[needed[0].unit] == shares.max() and needed[3] == Unit('colours', 3)
    test_close(curve.table()['accuracy'][:2], [1, 1 - shares.max()])
    test_close(curve.table()['accuracy'][3:], [shares[0]] * 2) # all logits are 0, and the first class is said
    test_eq(curve.table()['units'].tolist(), [0, 1, 2, 3, 4])
    both = difference(curve[1].scores, curve[0].scores)
    assert both.interval[1] < 0
    deep = deep_network()
    mixed = order({Unit(layer, unit): unit % 3 for layer in ('stem', 'early.inner', 'late') for unit in range(8)})
    fast, plain = (cumulative(deep, Squares(), mixed, reuse=reuse, batch_size=15, quiet=True)
                   for reuse in (True, False))
    for count in (0, 1, 5): test_eq(fast[count].predictions, plain[count].predictions)

    network = seeing_network()
    alone = sweep(network, Squares(), {'colours': range(4)}, quiet=True).accuracies
    orders = {'most needed first': order(alone, descending=False)}
    orders |= {f'random {seed}': order(dict.fromkeys(alone, 0.), seed=seed) for seed in range(3)}
    curves = {
        name: cumulative(network, Squares(), units, range(5), quiet=True).table()
        for name, units in orders.items()
    }
    figure, axis = plt.subplots(figsize=(4.5, 2.6), dpi=70)
    for name, table in curves.items():
        style = {'color': '#0072b2', 'linewidth': 2.5} if 'needed' in name else {'color': '#999999',
                                                                                'linestyle': '--'}
        axis.plot(table['units'], table['accuracy'], label=name if name != 'random 0' else 'random orders',
                  **style)
    axis.set(xlabel='units switched off', ylabel='accuracy', ylim=(0, 1.05))
    axis.legend(*[part[:2] for part in axis.get_legend_handles_labels()], fontsize=8)
    figure.tight_layout()


# 04_sweep.ipynb, section "How much is saved"
@pytest.mark.slow
def test_how_much_is_saved_slow():
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    resnet = import_torchvision().models.resnet18().eval()
    photos = [(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(number)), number)
              for number in range(4)]


    def arithmetic(layer, count, reuse):
        "Operations of a sweep over 4 units and `count` images."
        with FlopCounterMode(display=False) as counter:
            sweep(resnet, photos[:count], {layer: range(4)}, batch_size=2, reuse=reuse, quiet=True)
        return counter.get_total_flops()


    saved = {}
    for layer in ('layer1', 'layer2', 'layer3', 'layer4'):
        reused, recomputed = (arithmetic(layer, 4, reuse) - arithmetic(layer, 2, reuse)
                              for reuse in (True, False))
        saved[layer] = round(reused / recomputed, 3)
    assert saved['layer1'] > saved['layer2'] > saved['layer3'] > saved['layer4']
    assert abs(saved['layer4'] - 1 / 5) < .01
    saved


# 04_sweep.ipynb, section "On a GPU"
@pytest.mark.gpu
def test_on_a_gpu_gpu():
    cpu, gpu = (sweep(deep_network(), Squares(), {'early.inner.norm': range(8), 'late': range(8)}, device=device,
                      quiet=True) for device in ('cpu', 'cuda'))
    assert np.mean([np.mean(cpu[unit].predictions == gpu[unit].predictions) for unit in cpu.predictions]) > .99
    average = means(deep_network(), Squares(), 'late', device='cuda', quiet=True)
    test_close(average.by_layer['late'], means(deep_network(), Squares(), 'late', quiet=True).by_layer['late'],
               1e-3)
    finetune(deep_network().cuda(), Squares(), 'head', epochs=2, ablated={'late': [0]}, values=average,
             quiet=True).drop(columns='seconds')


# 04_sweep.ipynb, section "The original's own results"
@pytest.mark.oracle
def test_the_original_s_own_results_oracle():
    import json

    golden = oracle_dir()/'exemplars'
    cnn = nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(3, 8, 3, padding=1), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(8, 12, 3, 2, 1), relu2=nn.ReLU(),
        conv3=nn.Conv2d(12, 16, 3, 2, 1), relu3=nn.ReLU(), avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
        fc=nn.Linear(16, 10)))
    cnn.load_state_dict({name: torch.from_numpy(value) for name, value in np.load(golden/'cnn.npz').items()})
    bytes_ = torch.from_numpy(np.load(golden/'images_200x3x32x32_uint8.npy'))
    labels = np.load(golden/'labels_200.npy')
    arrays, about = np.load(golden/'ablation.npz'), json.loads((golden/'ablation.json').read_text())

    found = {'none': evaluate(cnn, bytes_, labels=labels, keep_logits=True, quiet=True)}
    for name, units in about['cases'].items():
        found[name] = evaluate(cnn, bytes_, ablated=units, labels=labels, keep_logits=True, quiet=True)
        test_eq({row[0]: row[2] for row in found[name].by_class().itertuples(index=False)},
                {int(label): value for label, value in about['accuracies'][name].items()})
    for name, one in found.items():
        np.testing.assert_allclose(one.logits.numpy(), arrays['logits' if name == 'none' else f'logits_{name}'],
                                   rtol=1e-4, atol=1e-5)
        test_eq(one.predictions, arrays[f'pred_{name}'])
        test_close(one.accuracy, about['accuracy'][name], 1e-12)
    found

    swept = sweep(cnn, bytes_, {'relu3': range(16)}, labels=labels, batch_size=64, quiet=True)
    test_close(list(swept.accuracies.values()), about['relu3_single_unit_accuracy'], 1e-12)
    together = sweep(cnn, bytes_, about['cases'], labels=labels, batch_size=64, quiet=True)
    for name in about['cases']: test_eq(together[name].predictions, arrays[f'pred_{name}'])
    swept.table().round(3).head(4)


# 04_sweep.ipynb, section "Errors"
def test_errors():
    class Forgetful(nn.Module):
        "Doubles its input at every other call."
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x * (1 + self.calls % 2)


    network = seeing_network()
    network.relu = nn.Sequential(nn.ReLU(), Forgetful())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        found = sweep(network, Squares(), {'head': range(3)}, quiet=True)
    test_eq(found[Unit('head', 1)].predictions, sweep(seeing_network(), Squares(), {'head': range(3)},
                                                      reuse=False, quiet=True)[Unit('head', 1)].predictions)
    test_eq(len(caught), 1)
    unused = seeing_network()
    unused.colours.spare = nn.ReLU()
    with expect_fail(MilanError, contains='did not run'):
        sweep(unused, Squares(), {'colours.spare': [0]}, quiet=True)
    with expect_fail(MilanError, contains='no unit 4'):
        sweep(seeing_network(), Squares(), {'colours': [4]}, quiet=True)
    with expect_fail(MilanError, contains='image 0 has the label 3'):
        sweep(seeing_network(), Squares(), {'colours': [0]}, labels=[3] * 40, quiet=True)
    str(caught[0].message).split(' (')[0]
