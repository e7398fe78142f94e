# Generated from nbs/13_experiments/12_truth.ipynb by `make export`. Edit the notebook, not this file.

from milan.experiments.comparison import NETDISSECT
from milan.experiments.comparison import UNTHRESHOLDED
from milan.experiments.truth import (
    dissected,
    named,
    probed,
)
import pytest

import numpy as np
import pandas as pd


# 12_truth.ipynb, section "What describers say"
@pytest.mark.slow
@pytest.mark.training
def test_what_describers_say_slow():
    units = probed(shapes=True)
    tables = {'concepts': named(units.assessed['units']), **dissected(units)}
    {who: int((table.description != '').sum()) for who, table in tables.items()}

    said = tables['concepts'].description
    planted = np.array(units.truth)
    right = [name.removesuffix(' areas') == one for name, one in zip(said, planted) if one]
    assert np.mean(right) > .6 and units.predictor.predict(sorted(set(said) - {''})).known.all()
    assert (tables[UNTHRESHOLDED].description != '').sum() >= (tables[NETDISSECT].description != '').sum()
