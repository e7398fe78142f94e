# Generated from nbs/14_publishing/03_rooms.ipynb by `make export`. Edit the notebook, not this file.

from collections import Counter
from milan.config import MilanError
import ast
from milan.publishing.rooms import (
    _named,
    circle,
    imports,
    is_current,
    picture,
    ROOMS,
    write_picture,
    wrong_imports,
)

import importlib
import tempfile
from pathlib import Path

import milan
from fastcore.test import expect_fail, test_eq

package = Path(milan.__file__).parent


# 03_rooms.ipynb, section "The rooms"
def test_the_rooms():
    list(ROOMS)

    test_eq((len(ROOMS), next(iter(ROOMS)), list(ROOMS)[-1]), (18, 'config', 'testing'))

    rooms = [importlib.import_module(f'milan.{name}') for name in ROOMS]
    [f'{room.__name__}.{name}' for room in rooms for name in getattr(room, '__all__', [])
     if not hasattr(room, name)]

    for room in rooms: assert all(hasattr(room, name) for name in getattr(room, '__all__', [])), room


# 03_rooms.ipynb, section "Imports"
def test_imports():
    source = ('from ..files import atomic\nfrom .text import Vocabulary\nimport milan.images\nfrom milan import'
              ' networks\nimport torch')
    [_named(node, 'captioner.search') for node in ast.parse(source).body]

    test_eq([_named(node, 'captioner.search') for node in ast.parse(source).body],
            [[('files', 'atomic')], [('captioner.text', 'Vocabulary')], [('images', '')], [('', 'networks')], []])
    test_eq(_named(ast.parse('from .files import atomic').body[0], 'cli'), [('files', 'atomic')])

    found = list(imports(package))
    Counter(one.room for one in found).most_common(5)


# 03_rooms.ipynb, section "Down only"
def test_down_only():
    test_eq(wrong_imports(package), [])
    other = Path(tempfile.mkdtemp())/'milan'
    (other/'images').mkdir(parents=True)
    (other/'images/files.py').write_text('def f():\n    from milan.cli import app\nfrom ..files import _swap')
    wrong_imports(other)

    test_eq([line.partition(': ')[2] for line in wrong_imports(other)],
            ['imports _swap, which is private to files', 'images imports cli, which stands above it'])

    (other/'attic.py').write_text('import milan.files')
    with expect_fail(MilanError, contains='stands in no room'): wrong_imports(other)

    test_eq(circle(package), [])
    (other/'images/sets.py').write_text('from .files import f')
    (other/'images/files.py').write_text('from .sets import load')
    circle(other)

    test_eq(sorted(set(circle(other))), ['images.files', 'images.sets'])


# 03_rooms.ipynb, section "The picture"
def test_the_picture():
    picture(package);

    other = Path(tempfile.mkdtemp())
    saved = write_picture(package, Path(tempfile.mkdtemp())/'rooms.png')
    test_eq(
        (is_current(saved, package), is_current(saved, other), is_current(saved.parent / 'absent.png', package)),
        (True, False, False),
    )
    assert 10_000 < saved.stat().st_size < 80_000
    saved.name
