# Generated from nbs/12_gallery/07_tables.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
import numpy as np
import pandas as pd
from milan.gallery.tables import (
    _check_columns,
    checked_table,
    shown_number,
    shown_text,
    unit_numbers,
)

from fastcore.test import expect_fail, test_eq


# 07_tables.ipynb, section "As people read it"
def test_as_people_read_it():
    test_eq([shown_number(value) for value in (3.0, .512, .0512, -7.25, 1e9)],
            ['3', '0.51', '0.051', '-7.25', '1000000000.00'])
    test_eq([shown_text(value) for value in (None, np.nan, False, True, 'NA')], ['', '', '', 'True', 'NA'])


# 07_tables.ipynb, section "A checked table"
def test_a_checked_table():
    with expect_fail(MilanError, contains='no column description'):
        _check_columns(pd.DataFrame([{'layer': 'a', 'unit': 1}]))

    test_eq(unit_numbers(pd.Series(['3', '14'])).tolist(), [3, 14])

    checked_table(pd.DataFrame([{'layer': 'a', 'unit': '1', 'description': None}]), ['a'])
