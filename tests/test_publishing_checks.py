# Generated from nbs/14_publishing/05_checks.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import shutil
import tempfile
from milan.publishing.checks import (
    _arguments,
    _differences,
    _nbdev,
    _readme_output,
    _shows,
    _texts,
    different_requirements,
    export,
    lost_links,
    main,
    markdown_table,
    readme_text,
    stale,
    unexecuted,
    unlisted_packages,
    write_readme,
)
import pytest

import nbformat
import pandas
from fastcore.test import expect_fail, test_eq

from milan.publishing.cells import write_notebook


# 05_checks.ipynb, section "README"
def test_readme():
    print(markdown_table(pandas.DataFrame({'layer': ['conv1', 'a|b'], 'unit': [3, 14]}).to_html()))

    print(_readme_output(nbformat.v4.new_output('stream', text='3 units\n'), 'nbs/index.ipynb'))

    folder = Path(tempfile.mkdtemp())
    index = write_notebook(folder / 'nbs/index.ipynb', '# milan\n\n> Words for neurons.', '#| hide\nimport milan',
                           '## Use\n\nSee [config](00_config.ipynb).', '1 + 1', '#| echo: false\nprint("x")')
    book = nbformat.read(index, as_version=4)
    book.cells[3].outputs = [nbformat.v4.new_output('execute_result', {'text/plain': '2'})]
    book.cells[4].outputs = [nbformat.v4.new_output('stream', text='x\n')]
    nbformat.write(book, index)
    readme = write_readme(index, folder/'README.md').read_text()
    assert 'import milan' not in readme and 'print' not in readme and '[config](nbs/00_config.ipynb)' in readme
    print(readme)

    book.cells[3].outputs = [nbformat.v4.new_output('display_data', {'image/png': 'iVBO'})]
    nbformat.write(book, index)
    with expect_fail(MilanError, contains='link to it'): readme_text(index)

    shutil.rmtree(folder)


# 05_checks.ipynb, section "In step"
def test_in_step():
    with expect_fail(MilanError, contains='nbdev failed'): _nbdev('.', 'unknown()')

    folder = Path(tempfile.mkdtemp())
    (folder/'a.py').write_text('x = 1')
    test_eq(_texts(folder, '*.py'), {'a.py': 'x = 1'})
    shutil.rmtree(folder)

    test_eq(_differences({'a.py': '1', 'b.py': '2'}, {'a.py': '1', 'c.py': '3'}, 'milan', 'is out of step'),
            ['milan/c.py is out of step', 'milan/b.py comes from no notebook: delete it'])

    test_eq([_shows(text) for text in ('x = 1\nx', 'x = 1', 'print(x)', 'x;')], [True, False, False, False])

    folder = Path(tempfile.mkdtemp())
    idle = write_notebook(folder/'idle.ipynb', 'x = 1', 'x', 'print(x)', '#| gpu\nx')
    test_eq(len(unexecuted(idle)), 1)
    unexecuted(idle)[0].removeprefix(f'{folder}/')

    book = nbformat.read(idle, as_version=4)
    book.cells[1].outputs = [nbformat.v4.new_output('error', ename='E', evalue='', traceback=[])]
    nbformat.write(book, idle)
    assert 'is an error' in unexecuted(idle)[0]
    shutil.rmtree(folder)


# 05_checks.ipynb, section "In step"
@pytest.mark.slow
def test_in_step_slow():
    root = Path(tempfile.mkdtemp())
    (root / 'settings.ini').write_text(
        '[DEFAULT]\nlib_name = milan\nlib_path = milan\nnbs_path = nbs\nversion = 0.1.0\nupdate_pyproject ='
        ' False\nrepo = milan\nuser = milan\nauthor = we\nauthor_email = we\ndescription = d\ntitle = milan\n'
    )
    write_notebook(root/'nbs/index.ipynb', '# milan')
    write_notebook(root / 'nbs/05_small.ipynb', '# small', '#| default_exp small', '## Adding up',
                   '#| export\ndef add(a: int, b: int) -> int: return a + b', 'assert add(1, 2) == 3')
    before = stale(root)
    export(root)
    test_eq(stale(root), [])
    before

    (root/'milan/small.py').write_text('# by hand')
    test_eq(stale(root), ['milan/small.py is out of step: run make export'])
    shutil.rmtree(root)


# 05_checks.ipynb, section "Links"
def test_links():
    folder = Path(tempfile.mkdtemp())
    linked = write_notebook(folder/'linked.ipynb', '# [here](linked.ipynb#top), [away](https://example.org)',
                            '# `[code](a.txt)`, [gone](../gone.ipynb)')
    lost = lost_links(linked)
    lost[0].removeprefix(f'{folder}/')

    test_eq([line.removeprefix(f'{linked}: ') for line in lost], ['the link to ../gone.ipynb leads nowhere'])
    shutil.rmtree(folder)


# 05_checks.ipynb, section "Requirements"
def test_requirements():
    folder = Path(tempfile.mkdtemp())
    (folder / 'pyproject.toml').write_text(
        '[project]\nname = "me"\ndependencies = ["torch>=2", "numpy>=2"]\n[project.optional-dependencies]\nall ='
        ' ["me[dev]"]\ndev = ["pytest"]'
    )
    (folder/'constraints.txt').write_text('# pins\ntorch==2\nnumpy==2\n')
    (folder / 'environment.yml').write_text(
        'dependencies:\n  - python=3.11\n  - pip:\n      - torch==2\n      - numpy==1\n'
    )
    different_requirements(folder)

    test_eq(different_requirements(folder), ['numpy==1 is in environment.yml only',
                                             'numpy==2 is in constraints.txt only',
                                             'pytest is in pyproject.toml and has no version in constraints.txt'])

    (folder/'constraints.txt').write_text('torch==2\nnumpy==1\n')
    (folder / 'pyproject.toml').write_text(
        '[project]\nname = "me"\ndependencies = ["torch>=2", "numpy>=1"]\n[project.optional-dependencies]\n'
    )
    test_eq(different_requirements(folder), [])

    (folder/'pyproject.toml').write_text('[tool.setuptools]\npackages = ["milan", "milan.data"]\n')
    for package in ('milan', 'milan/data', 'milan/cli'):
        (folder/package).mkdir()
        (folder/package/'__init__.py').touch()
    unlisted_packages(folder)

    test_eq(unlisted_packages(folder), ['milan.cli is not among the packages in pyproject.toml'])

    shutil.rmtree(folder/'milan/cli')
    test_eq(unlisted_packages(folder), [])

    shutil.rmtree(folder)


# 05_checks.ipynb, section "Command"
def test_command():
    test_eq(vars(_arguments(['site'])), {'what': 'site', 'notebooks': [], 'root': Path('.'), 'out': None})

    folder = Path(tempfile.mkdtemp())
    write_notebook(folder/'nbs/index.ipynb', '# milan')
    test_eq(main(['readme', '--root', str(folder)]), 0)
    (folder/'nbs/index.ipynb').write_text('{')
    test_eq(main(['readme', '--root', str(folder)]), 1)
    shutil.rmtree(folder)
    (folder/'README.md').exists()
