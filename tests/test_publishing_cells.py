# Generated from nbs/14_publishing/01_cells.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from milan.publishing.cells import (
    bound_names,
    import_statements,
    library,
    module_of,
    read_cells,
    relink,
    wanted_names,
    write_notebook,
)

import shutil
import tempfile

from fastcore.test import expect_fail, test_eq

from milan.testing import small_notebook


# 01_cells.ipynb, section "Cells"
def test_cells():
    folder = Path(tempfile.mkdtemp())
    small = small_notebook(folder)
    [(cell.kind, cell.directives, cell.section) for cell in read_cells(small)]

    (folder/'broken.ipynb').write_text('{')
    with expect_fail(MilanError, contains='broken.ipynb'): read_cells(folder/'broken.ipynb')

    write_notebook(folder/'06_notes.ipynb', '# notes')
    test_eq(library(folder), [small, folder/'06_notes.ipynb'])
    module_of(small), module_of(folder/'06_notes.ipynb')

    shutil.rmtree(folder)


# 01_cells.ipynb, section "Names"
def test_names():
    code = 'total = add(1, 2)\ndef double(x): return x * factor\n[i for i in range(total)]'
    test_eq(bound_names(code), {'total', 'double'})
    sorted(wanted_names(code))

    exported = (
        'from pathlib import Path\nimport numpy as np\ndef add(a, b): return a + b\ndef _half(a): return a / 2'
    )
    test_eq(import_statements({'Path', 'print'}, exported, 'small'), ['from pathlib import Path'])
    print('\n'.join(import_statements({'np', 'add', '_half'}, exported, 'captioner.small_images')))


# 01_cells.ipynb, section "Links"
def test_links():
    text = ('See [config](00_config.ipynb#cells), [the paper](https://arxiv.org) and [above](#here):'
            ' ![units](../reports/units.png "Units")')
    test_eq(relink('<img src="a.png"> [![a](a.png)](b.md)', str.upper), '<img src="A.PNG"> [![a](A.PNG)](B.MD)')
    relink(text, lambda path: f'nbs/{path}')
