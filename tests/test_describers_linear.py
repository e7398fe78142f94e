# Generated from nbs/10_describers/08_linear.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.describers.concepts import ConceptsDescriber
from milan.describers.linear import (
    explanation_rows,
    fit_linear,
    LinearDescriber,
    LinearExplanation,
    read_linear,
    write_linear,
)
import pytest

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastcore.test import test_close, test_eq
from torch import nn

from milan import exemplars
from milan import images as pictures
from milan.config import oracle_dir
from milan.networks.planted import ColourUnits

def colour_sums(**settings):
    scenes = pictures.ShapeScenes(300, seed=1)
    found = exemplars.compute(ColourSums().eval(), scenes, ['sums'], k=45, size=64, batch_size=50, quiet=True,
                              keep_maxima=True, out=Path(tempfile.mkdtemp())/'found')
    return found, LinearDescriber(ConceptsDescriber(scenes), **settings)

class ColourSums(nn.Module):
    "(n, 3, height, width) → (n, 2): .7 where there is red + .3 where there is blue; .5 green + .4 pink."
    def __init__(self):
        super().__init__()
        self.colours, self.sums = ColourUnits(), nn.Linear(9, 2)
        names = list(pictures.scenes.COLOURS)
        self.sums.weight.data.zero_(), self.sums.bias.data.fill_(.1)
        for unit, colour, weight in ((0, 'red', .7), (0, 'blue', .3), (1, 'green', .5), (1, 'pink', .4)):
            self.sums.weight.data[unit, names.index(colour)] = weight

    def forward(self, images):
        return self.sums((self.colours(images)[:, :9].amax((2, 3)) > .3).float())


# 08_linear.ipynb, section "A unit as a sum"
def test_a_unit_as_a_sum():
    random = np.random.default_rng(0)
    values = (random.random((400, 30)) < .3).astype(float)
    units = np.stack([.7 * values[:, 4] + .3 * values[:, 9] + 2, 5 * values[:, 7] - 3 * values[:, 8]], 1)
    found = fit_linear(units + .1 * random.normal(size=units.shape), values)
    found

    test_eq([one.concepts for one in found], [(4, 9), (7,)]) # a concept that only lowers the unit has no weight
    test_close(found[0].weights, (.7, .3), eps=.03)
    test_close(found[0].bias, 2, eps=.03)
    test_close(found[0].predict(values), units[:, 0], eps=.1)
    test_eq(fit_linear(np.ones((400, 1)), values)[0], LinearExplanation((), (), 1.))

    from sklearn.linear_model import Lasso, LinearRegression

    noisy = units[:, 0] + .1 * random.normal(size=len(units))
    given = LinearRegression(positive=True).fit(values[:, [4, 9]], noisy)
    ours = fit_linear(noisy[:, None], values)[0]
    test_close(ours.weights, given.coef_, eps=1e-6)
    test_close(ours.bias, given.intercept_, eps=1e-6)
    lasso = Lasso(.02, positive=True).fit(values, noisy)
    test_eq(np.argsort(-lasso.coef_)[:2].tolist(), [4, 9])
    assert lasso.coef_[4] < .65


# 08_linear.ipynb, section "Planted sums"
def test_planted_sums():
    found, describer = colour_sums(families=['word'])
    table = describer.describe(found, progress=False)
    table.iloc[:, :10].round(2)

    for row, planted in zip(table.itertuples(), ({'red': .7, 'blue': .3}, {'green': .5, 'pink': .4})):
        weights = {row.concept0: row.weight0, row.concept1: row.weight1}
        test_eq(set(weights), set(planted))
        test_close([weights[name] for name in planted], list(planted.values()), eps=.05)
        test_close(row.bias, .1, eps=.05)
    assert (table.correlation > .9).all() and (table.score > .5).all() and (table.weight2 < .1).all()

    found, describer = colour_sums()
    every = describer.describe(found, units={'sums': [0]}, progress=False)
    every[['unit', 'description', 'correlation']]

    test_eq(len(every), 1)
    weights = {name.removesuffix(' areas'): weight for name, weight in
               zip(every.filter(regex=r'concept\d').iloc[0], every.filter(regex=r'weight\d').iloc[0])}
    test_close([weights['red'], weights['blue']], [.7, .3], eps=.05) # whichever family measures them
    test_eq(describer.candidates(found, units={'sums': [0]}, progress=False)['rank'].tolist()[:2], [0, 1])


# 08_linear.ipynb, section "Files of Linear Explanations"
def test_files_of_linear_explanations():
    written = pd.DataFrame({'layer': ['blocks/3', 'blocks/3', 'layer4'], 'unit': [0, 7, 2], 'description': '',
                            'score': 0., 'correlation': [.5, .1, .25], 'weight0': [.7, 2, 0], 'concept0':
                            ['field, wild', 'red', ''], 'weight1': [.3, 0, 0], 'concept1': ['=dog', '', ''],
                            'bias': [.1, -.2, .05]})
    folder = Path(tempfile.mkdtemp())
    files = write_linear(written, folder)
    print(files[0].name, files[0].read_text(), sep='\n')

    again = read_linear(folder)
    test_eq(again.description.tolist(), ['0.7 field, wild + 0.3 =dog', '2 red', ''])
    test_eq(again.score.tolist(), written.correlation.tolist())
    same = ['layer', 'unit', 'weight0', 'concept0', 'weight1', 'concept1', 'bias']
    test_eq(again[same].to_numpy().tolist(), written[same].to_numpy().tolist())
    again

    (folder/'theirs_layer4.csv').write_text(
        'unit,val correlation,weight0,concept0,weight1,concept1,bias,sim correlation\n'
        '0,0.4,4.2352433,bottle,0.5,tube,-0.1,0.3\n1,0.2,0.03,"field, wild",0.0,0,0.2,\n')
    theirs = read_linear(folder/'theirs_layer4.csv', 'layer4')
    theirs

    test_eq(theirs.description.tolist(), ['4.2 bottle + 0.5 tube', '0.03 field, wild'])
    test_eq(theirs.layer.tolist(), ['layer4'] * 2)
    test_eq(theirs.score.isna().tolist(), [False, True])
    test_eq(read_linear(folder/'theirs_layer4.csv').layer[0], 'theirs_layer4')


# 08_linear.ipynb, section "Files of Linear Explanations"
@pytest.mark.oracle
def test_files_of_linear_explanations_oracle():
    folder = oracle_dir().parent/'data'/'linear_explanations'/'ours'/'LE_siglip'
    if folder.is_dir():
        for path in sorted(folder.glob('*.csv')):
            published = read_linear(path)
            place = Path(tempfile.mkdtemp())
            write_linear(published, place)
            again = read_linear(place).drop(columns='score')
            test_eq(again.to_numpy().tolist(), published.drop(columns='score').to_numpy().tolist())
        test_eq((path.name, len(published)), ('resnet50_imagenet_layer4.csv', 2048))
        lengths = explanation_rows(published).groupby('unit').size()
        assert 4.6 < lengths.mean() < 4.75 and lengths.max() <= 10


# 08_linear.ipynb, section "Errors"
def test_errors():
    global MilanError, pytest
    import pytest

    from milan.config import MilanError

    folder = Path(tempfile.mkdtemp())
    good = 'unit,weight0,concept0,bias\n0,.5,dog,.1\n'
    for text, said in ((good.replace('bias', 'base'), "no column 'bias'"),
                       (good.replace('.5', 'x'), 'must be integers'),
                       (good + '0,.5,cat,.1\n', 'a unit twice'), (good.replace('.5', 'inf'), 'no finite number')):
        (folder/'bad.csv').write_text(text)
        with pytest.raises(MilanError, match=said): read_linear(folder/'bad.csv')
    with pytest.raises(MilanError, match='neither a file'): read_linear(folder/'none.csv')
    table = read_linear((folder/'bad.csv').write_text(good) and folder/'bad.csv')
    for wrong, said in ((table.drop(columns='bias'), "no column 'bias'"),
                        (pd.concat([table.assign(layer='a/b'), table.assign(layer='a-b')]), 'two layers')):
        with pytest.raises(MilanError, match=said): write_linear(wrong, folder/'out')
    assert not (folder/'out').exists()
    found, describer = colour_sums(families=['smell'])
    with pytest.raises(MilanError, match='none of the families smell was measured; there are look, word'):
        describer.describe(found, progress=False)
