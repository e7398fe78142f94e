# Generated from nbs/14_publishing/04_site.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import shutil
from milan.publishing.site import (
    _moved,
    _navigation,
    _site_change,
    _site_links,
    _SPHINX,
    _title,
    page,
    reports_of,
    site_pages,
    write_pages,
    write_site,
)
import pytest

import tempfile

from fastcore.test import expect_fail, test_eq

from milan.publishing.cells import write_notebook


# 04_site.ipynb, section "Pages"
def test_pages():
    text = '[all](experiments), [page](pages/index.html)'
    test_eq(
        _site_links(text, lambda path: '' if path == 'experiments' else path),
        'all, <a href="pages/index.html">page</a>')

    folder = Path(tempfile.mkdtemp())
    small = write_notebook(folder / '05_small.ipynb', '# small\n\nSee [a gallery](g/index.html).',
                           '#| default_exp small', '#| hide\nimport os',
                           '#| export\ndef add(a: int, b: int) -> int: return a + b', '#| echo: false\nadd(1, 2)')
    cells = page(small).cells
    test_eq([cell.metadata.get('tags') for cell in cells], [None, None, ['hide-input'], ['remove-input']])
    [cell.source[:40] for cell in cells]

    test_eq(reports_of('/nowhere', Path('nbs/guides/start.ipynb')), [])

    test_eq(_title(small), 'small')

    site = Path(tempfile.mkdtemp())
    shutil.copytree(folder, site/'nbs')
    write_notebook(site / 'nbs/index.ipynb',
                   '# milan\n\nSee [small](05_small.ipynb), [the experiment](experiments/trial.ipynb) and [the'
                   ' code](../code.txt).')
    write_notebook(site/'nbs/experiments/trial.ipynb', '# A trial')
    write_notebook(site / 'reports/trial/demo/report.ipynb', '# A trial', '2 + 2',
                   '## Reading\n\nSee [pages](pages/index.html).')
    write_notebook(site/'nbs/guides/start.ipynb', '# Start here\n\nSee [all experiments](../experiments).')
    (site/'reports/trial/demo/pages').mkdir()
    (site/'reports/trial/demo/pages/index.html').write_text('<p>Finished.')
    (site/'code.txt').write_text('x = 1')
    (site/'CHANGELOG.md').write_text('# Changes\n\nSee [the readme](README.md).')
    test_eq(site_pages(site)[1].title, '')
    [page[1:] for page in site_pages(site)]

    moved = _moved(site, site_pages(site))
    change = _site_change(site, site/'_source', 'nbs/index.ipynb', 'index', moved)
    test_eq(change('experiments/trial.ipynb'), 'reports/trial/demo/report.ipynb')
    test_eq(change('../code.txt'), 'code.txt')
    assert (site/'_source/code.txt').is_file()
    change('05_small.ipynb'), change('experiments')

    print(_navigation(site_pages(site)[1:2]))

    print(_navigation(write_pages(site, site/'_source')))


# 04_site.ipynb, section "Site"
def test_site():
    _SPHINX['html_theme']


# 04_site.ipynb, section "Site"
@pytest.mark.slow
def test_site_slow():
    site = Path(tempfile.mkdtemp())
    write_notebook(site/'nbs/index.ipynb', '# milan\n\nSee [small](05_small.ipynb).', '1 + 1')
    write_notebook(site / 'nbs/05_small.ipynb', '# small', '#| default_exp small', '## Adding',
                   '#| export\ndef add(a: int) -> int:\n    "Add up."')
    home = write_site(site/'out', site)
    assert 'nbs/05_small.html' in home.read_text() and 'Add up.' in (site/'out/nbs/05_small.html').read_text()
    assert (site/'out/search.html').is_file()

    write_notebook(site/'nbs/index.ipynb', '# milan\n\nSee [nothing](06_absent.ipynb).')
    with expect_fail(MilanError, contains='06_absent'): write_site(site/'out', site)
    assert home.is_file()
    shutil.rmtree(site)
