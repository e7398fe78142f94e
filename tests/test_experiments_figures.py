# Generated from nbs/13_experiments/03_figures.ipynb by `make export`. Edit the notebook, not this file.

import pandas as pd
from milan.experiments.figures import (
    _cut,
    COLOURS,
    plot_agreement,
    plot_marks,
    plot_methods,
    row_colour,
    style,
)

import numpy as np
from fastcore.test import test_eq

from milan.evaluation.agreement import agreement_table


# 03_figures.ipynb, section "The style"
def test_the_style():
    style()


# 03_figures.ipynb, section "Agreement by measure"
def test_agreement_by_measure():
    things = [(c, t) for t in ('dog', 'car', 'face', 'sky', 'wheel') for c in ('red', 'blue', 'green')]
    people = [[f'a {c} {t}', f'something {c}'] for c, t in things]
    figure = plot_agreement(agreement_table([texts[0][2:] for texts in people], people))
    test_eq(len(figure.axes[0].patches), 9)
    figure


# 03_figures.ipynb, section "Methods side by side"
def test_methods_side_by_side():
    test_eq((row_colour('first annotator'), row_colour('MILAN')), (COLOURS['human'], COLOURS['ours']))

    rows = [('MILAN', .4, .3, .5), ('MILAN, shuffled', .1, .05, .15), ('annotators', .6, .5, .7),
            ('constant', .2, .1, .3)]
    table = pd.DataFrame(rows, columns=['row', 'value', 'low', 'high']).assign(measure='word_f1')
    figure = plot_methods(table, {'word_f1': 'word F1 (0 to 1)'})
    test_eq([label.get_text() for label in figure.axes[0].get_yticklabels()], ['MILAN', 'constant', 'annotators'])
    figure


# 03_figures.ipynb, section "Units with their descriptions"
def test_units_with_their_descriptions():
    test_eq((_cut('', 5), _cut('a red dog', 5)), ('–', 'a re…'))


# 03_figures.ipynb, section "Descriptions on held-out pictures"
def test_descriptions_on_held_out_pictures():
    random = np.random.default_rng(0)
    dogs = random.random(60) < .2
    values = (random.random(60) + 2 * dogs)[:, None]
    marks = {'MILAN': ('a dog', dogs), 'constant': ('a red thing', random.random(60) < .3)}
    figure = plot_marks(values, [marks], ['layer1, unit 0'])
    test_eq(len(figure.axes), 1)
    figure
