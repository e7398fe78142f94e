# Generated from nbs/01_tables.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import pandas as pd
from milan.tables import (
    neutralised,
    read_table,
    restored,
    write_table,
)

import shutil
import tempfile

from fastcore.test import expect_fail, test_eq

texts = ['=1+1', '+1', '-red', '@SUM(A1)', '\t=1', '\r=1', '＝1', "'=1", "''-1", "'quoted'", "'", '', 'dogs', 'a=b', 'x\n=1']


# 01_tables.ipynb, section "Formulas become text"
def test_formulas_become_text():
    neutralised('=HYPERLINK("https://example.org")'), neutralised('dogs, +1 cat')

    test_eq([restored(neutralised(text)) for text in texts], texts)
    test_eq(len({neutralised(text) for text in texts}), len(texts))
    assert not any(neutralised(text)[:1] in tuple('=+-@\t\r＝') for text in texts)


# 01_tables.ipynb, section "Writing and reading"
def test_writing_and_reading():
    folder = Path(tempfile.mkdtemp())
    table = pd.DataFrame({'layer': '1', 'unit': range(len(texts)), 'description': texts, 'score': -.5})
    print(write_table(table.head(3), folder/'descriptions.csv').read_text())
    write_table(table, folder/'descriptions.csv')
    pd.testing.assert_frame_equal(read_table(folder/'descriptions.csv'), table, check_dtype=False)

    odd = pd.DataFrame({'layer': ['a', 'a', 'a', 'b'], 'unit': [3, 4, 5, 6], 'description': ['NA', '007', 'nan', ''], 'said by': ['=me', '', 'you', 'None'],
                        'score': [1., None, -2., 3.], 'sure': [True, False, True, True]})
    pd.testing.assert_frame_equal(read_table(write_table(odd, folder/'odd.csv')), odd, check_dtype=False)
    found = read_table(folder/'odd.csv')
    shutil.rmtree(folder)
    found


# 01_tables.ipynb, section "Errors"
def test_errors():
    folder = Path(tempfile.mkdtemp())
    with expect_fail(MilanError, contains='missing.csv cannot be read as a table'): read_table(folder/'missing.csv')
    (folder/'picture.csv').write_bytes(b'\x89PNG\r\n\x00\xff')
    with expect_fail(MilanError, contains='picture.csv cannot be read as a table'): read_table(folder/'picture.csv')
    (folder/'empty.csv').write_text('')
    with expect_fail(MilanError, contains='empty.csv cannot be read as a table'): read_table(folder/'empty.csv')
    shutil.rmtree(folder)
