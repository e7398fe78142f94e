# Generated from nbs/11_ablation/03_accuracy.ipynb by `make export`. Edit the notebook, not this file.

from milan.ablation.accuracy import (
    _classes,
    _collated,
    _Labelled,
    all_ran,
    evaluate,
    Evaluation,
    evaluator,
    log_loss,
    logits_of,
    means,
    predicted_classes,
    samples,
)

import numpy as np
import torch
from fastcore.test import expect_fail, test_close, test_eq
from torch import nn

from milan.config import MilanError
from milan.hooks.layers import Layer, heads
from milan.hooks.recording import record
from milan.evaluation.intervals import difference
from milan.networks.network import Network
from milan.testing import batch_of_squares, deep_network, seeing_network, small_network, Squares
from milan.ablation.units import ablated, by_unit


# 03_accuracy.ipynb, section "A data set's labels"
def test_a_data_set_s_labels():
    with expect_fail(MilanError, contains="the label 'cat'"): _classes((None, 'cat'), 0, None)
    _classes((None, [5, 3]), 0, None), _classes({'label': 2}, 0, None), _classes(None, 1, [7, {9, 1}])

    items = [(torch.zeros(3, 4, 4), 1), {'image': torch.zeros(3, 4, 4), 'label': torch.tensor(2)},
             (torch.zeros(3, 4, 4), [5, 3])]
    numbers, classes, images = _collated([_Labelled(items, None, True)[index] for index in range(3)])
    numbers, classes, images.shape

    test_eq(_Labelled([torch.zeros(3, 4, 4)], None, False)[0][1], ())
    test_eq(_Labelled(items, [7, 8, {9, 1}], True)[2][1], (1, 9))
    with expect_fail(MilanError, contains='item 0 of the data set has no label'):
        _Labelled([torch.zeros(3, 4, 4)], None, True)[0]
    with expect_fail(MilanError, contains='start at 0'): _classes((None, -1), 0, None)
    with expect_fail(MilanError, contains='one is needed'): _classes((None, []), 0, None)


# 03_accuracy.ipynb, section "The evaluation loop"
def test_the_evaluation_loop():
    network = small_network()
    network.conv2.eval()
    with evaluator(network, Squares(), batch_size=16, transform=lambda images: images - .5) as loop:
        inside = network.training, network.conv1.training
        seen = [(len(numbers), classes[0], tuple(inputs.shape)) for numbers, classes, inputs in loop.batches()]
    test_eq((inside, network.training, network.conv1.training, network.conv2.training),
            ((False, False), True, True, False))
    seen

    with expect_fail(MilanError, contains='0 images'), evaluator(network, []): pass
    with expect_fail(MilanError, contains='batch_size = 0'), evaluator(network, Squares(), batch_size=0): pass
    with expect_fail(MilanError, contains='3 labels for 40 images'), evaluator(network, Squares(), [1, 2, 3]):
        pass


# 03_accuracy.ipynb, section "Gathering means and samples"
def test_gathering_means_and_samples():
    all_ran(['conv1'], {'conv1': 0, 'conv2': 0})
    with expect_fail(MilanError, contains="'conv3' did not run"): all_ran(['conv3'], ['conv1'])

    network = seeing_network()
    average = means(network, Squares(), ['colours', 'head'], batch_size=16, quiet=True)
    {layer: values.flatten().tolist() for layer, values in average.by_layer.items()}

    images = batch_of_squares(40)
    test_close(average.by_layer['colours'].flatten()[:3], images.mean((0, 2, 3)), 1e-6)
    test_eq(average.by_layer['colours'].shape, (4, 1, 1, 1))

    by_place = means(network, Squares(), 'colours', places=True, quiet=True)
    test_close(by_place.by_layer['colours'][:3, 0], images.mean(0), 1e-6)

    with ablated(network, {'colours': [0, 3]}, average), record(network, 'pool') as recording: network(images)
    test_close(recording['pool'][:, 0].flatten(), images[:, 0].mean().expand(40), 1e-6)
    with expect_fail(MilanError, contains='same size'), ablated(network, {'colours': [0]}, by_place):
        network(images[:, :, :20])

    dictionary = [{'image': image, 'label': 0} for image in images[:3]]
    assert torch.equal(means(Network('dim', network, transform=lambda images: images / 2), dictionary, 'head',
                             quiet=True).by_layer['head'],
                       means(network, images[:3] / 2, 'head', quiet=True).by_layer['head'])

    class Patches(nn.Module):
        "Images as 3 x 3 tokens of 8 features, mixed by a linear map."
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.patches, self.mix, self.spare = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 5), nn.ReLU()

        def forward(self, images): return self.mix(self.patches(images).flatten(2).transpose(1, 2)).mean(1)


    network = Patches().eval()
    average = means(network, Squares(),
                    ['patches', 'mix', Layer('mix', input=True, readout=heads(2), label='heads')], batch_size=9,
                    quiet=True)
    with record(network, ['patches', 'mix']) as recording: network(batch_of_squares(40))
    test_close(average.by_layer['mix'].flatten(), recording['mix'].mean((0, 1)), 1e-6)
    # feature by feature
    test_close(average.by_layer['mix.heads'].flatten(), average.by_layer['patches'].flatten(), 1e-6)
    with expect_fail(MilanError, contains="'spare' did not run"): means(network, Squares(), 'spare', quiet=True)
    {layer: tuple(values.shape) for layer, values in average.by_layer.items()}

    network, images = seeing_network(), batch_of_squares(40)
    others = samples(network, Squares(), 'colours', 40, seed=1, batch_size=7, quiet=True)
    with ablated(network, {'colours': [0]}, others), record(network, 'pool') as recording: network(images)
    test_close(recording['pool'][:, 0].flatten(), images[others.numbers, 0].amax((1, 2)))
    assert torch.equal(recording['pool'][:, 1].flatten(), images[:, 1].amax((1, 2)))
    others.numbers[:5], others.by_layer['colours'].shape

    # two batches, or one: image n gets sample n
    few = samples(network, Squares(), ['colours', 'head'], 3, batch_size=2, quiet=True)
    with ablated(network, {'colours': [0, 2], 'head': [1]}, few):
        one = network(images[:8])
        again = network(images[:8])
    with ablated(network, {'colours': [0, 2], 'head': [1]}, few):
        two = torch.cat([network(images[:5]), network(images[5:8])])
    assert torch.equal(one, two) and not torch.equal(one, again)
    with expect_fail(MilanError, contains='from 1 to 40'): samples(network, Squares(), 'colours', 41)
    with expect_fail(MilanError, contains='more than once'):
        samples(deep_network(), Squares(), 'early.inner.relu', 3, quiet=True)


# 03_accuracy.ipynb, section "Accuracy"
def test_accuracy():
    seen = Evaluation([(0,), (0,), (1,), (2, 5)], np.array([0, 1, 1, 5]))
    test_eq((seen.accuracy, len(seen), seen.right.tolist()), (.75, 4, [True, False, True, True]))
    test_eq(seen.by_class()['class'].tolist(), [0, 1, (2, 5)])
    seen, seen.scores

    test_eq(logits_of({'logits': torch.ones(1, 2)}), torch.ones(1, 2))
    with expect_fail(MilanError, contains='not one number for each image and class'): logits_of(torch.ones(3))

    logits = torch.tensor([[.1, .7, .2]])
    predicted_classes(logits), predicted_classes(logits, among=[0, 2])

    half = torch.zeros(2, 4)
    test_close(log_loss(half, [(0,), (1, 2)]), torch.log(torch.tensor([4., 2.])), eps=1e-5)
    test_close(log_loss(half, [(0,), (1, 2)], among=[0, 1]), torch.log(torch.tensor([2., 2.])), eps=1e-5)
    log_loss(logits, [(1,)]), torch.nn.functional.cross_entropy(logits, torch.tensor([1]))

    network = seeing_network()
    whole = evaluate(network, Squares(), quiet=True)
    no_red = evaluate(network, Squares(), ablated={'colours': [0]}, quiet=True)
    no_red.by_class()

    test_eq(whole.accuracy, 1)
    test_eq(no_red.by_class()['accuracy'].tolist(), [0, 1, 1])
    test_eq(no_red.by_class()['n'].sum(), 40)
    loss = difference(no_red.scores, whole.scores)      # paired, image by image
    test_close(loss.value, -(np.array(whole.labels)[:, 0] == 0).mean())
    assert loss.interval[1] < 0
    average = means(network, Squares(), 'colours', quiet=True)
    evaluate(network, Squares(), ablated={'colours': [0]}, values=average, quiet=True), loss

    # the settings: each batch size, labels of one's own, a choice of classes, an input transform, logits
    test_eq(evaluate(network, Squares(), batch_size=7, ablated={'colours': [0]}, quiet=True).predictions,
            no_red.predictions)
    bare = [image for image, _ in Squares()]
    test_eq(evaluate(network, bare, labels=[1] * 40, quiet=True).accuracy, (whole.predictions == 1).mean())
    test_eq(evaluate(network, bare, labels=[{0, 1, 2}] * 40, quiet=True).accuracy, 1)
    test_eq(set(evaluate(network, Squares(), among=[1, 2], quiet=True).predictions.tolist()), {1, 2})
    darker = Network('seeing', network, transform=lambda images: images * 0)
    test_eq(set(evaluate(darker, Squares(), quiet=True).predictions.tolist()), {0})
    test_eq(evaluate(darker, Squares(), transform=lambda images: images, quiet=True).accuracy, 1)
    test_close(evaluate(network, Squares(), keep_logits=True, batch_size=9, quiet=True).logits,
               network(batch_of_squares(40)).detach(), 1e-6)
    with expect_fail(MilanError, contains='no label'): evaluate(network, bare, quiet=True)
    with expect_fail(MilanError, contains='image 3 has the label 4'):
        evaluate(network, bare, labels=[0, 0, 0, *[4] * 37], quiet=True)
    with expect_fail(MilanError, contains='from 0 to 2'): evaluate(network, Squares(), among=[3], quiet=True)
    with expect_fail(MilanError, contains='(40, 4, 24, 24)'): evaluate(network.colours, Squares(), quiet=True)

    # eval mode: BatchNorm neither counts nor learns, and afterwards each module has its own mode again
    network = deep_network().train()
    network.late.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ours = evaluate(network, Squares(), keep_logits=True, batch_size=3, quiet=True)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training and network.early.inner.norm.training and not network.late.training
    assert not network.late.inner.norm.training
    test_close(ours.logits, deep_network()(batch_of_squares(40)).detach(), 1e-5)


    class Answering(nn.Module):
        "Gives its answer in another form."
        def __init__(self, wrap):
            super().__init__()
            self.inner, self.wrap = seeing_network(), wrap

        def forward(self, images): return self.wrap(self.inner(images))


    class Output:
        def __init__(self, logits): self.logits = logits


    for wrap in (Output, lambda logits: {'hidden': None, 'logits': logits}, lambda logits: (logits, None)):
        test_eq(evaluate(Answering(wrap), Squares(), quiet=True).accuracy, 1)
    with expect_fail(MilanError, contains='NoneType'):
        evaluate(Answering(lambda logits: None), Squares(), quiet=True)
