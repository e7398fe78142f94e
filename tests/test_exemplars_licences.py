# Generated from nbs/05_exemplars/22_licences.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
import pandas as pd
import warnings
from milan.exemplars.licences import (
    credits_of,
    may_be_shared,
    pictures_wanted,
)

from fastcore.test import expect_fail, test_eq, test_warns

from milan.exemplars.store import Exemplars
from milan.files import remove
from milan.images.sets import ShapeScenes
from milan.testing import made_up_set


# 22_licences.ipynb, section "By licence"
def test_by_licence():
    some = ('CC-BY-SA-4.0', 'GPL-2+ or GFDL-1.2', 'CC-BY-NC-4.0', 'NOASSERTION')
    {licence: may_be_shared(licence) for licence in some}

    for licence in ('CC0-1.0', 'CC-BY-2.0', 'CC-PDDC', 'public-domain', 'MIT', 'LGPL-3',
                    'OFL-1.1 AND Unicode-DFS-2016'):
        assert may_be_shared(licence), licence
    for licence in ('', 'unknown', 'CC-BY-ND-4.0', 'CC-BY-NC-SA-4.0', 'CC-BY-4.0 AND NOASSERTION',
                    'All rights reserved'):
        assert not may_be_shared(licence), licence

    folder = made_up_set()
    found = Exemplars.open(folder) # pictures 1 to 27
    credits_of(found, ShapeScenes(40)).head(3)

    test_eq(credits_of(found, ShapeScenes(40)).image.tolist(), np.unique(found.ids('conv1')).tolist())
    with expect_fail(MilanError, contains='shows picture 27'): credits_of(found, ShapeScenes(5))
    with expect_fail(MilanError, contains='licences'): credits_of(found, [1, 2])
    remove(folder.parent)

    folder = made_up_set()
    found = Exemplars.open(folder)
    credits = pd.DataFrame({'image': [1, 2], 'licence': ['CC0-1.0', 'CC-BY-ND-4.0'], 'credit': ''})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        answers = [pictures_wanted(found, None, credits), pictures_wanted(found, None, credits[:1])]
    answers, str(told[0].message)

    test_eq(answers, [False, True])
    assert pictures_wanted(found, True, None) and not pictures_wanted(found, False, credits[:1])
    test_warns(lambda: pictures_wanted(found, None, None))
    remove(folder.parent)
