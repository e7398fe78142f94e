# Generated from nbs/14_publishing/02_tests.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.publishing.tests import (
    _function,
    _function_names,
    _require_alone,
    generated_tests,
    indented,
    lifted,
    module_tests,
    Part,
    parts_of,
    write_tests,
)

import shutil
import sys
import tempfile
import types
from pathlib import Path

from fastcore.test import expect_fail, test_eq

from milan.publishing.cells import write_notebook
from milan.testing import small_notebook


# 02_tests.ipynb, section "Sections"
def test_sections():
    source = 'text = """one\n  two"""\nassert len(text) == 9'
    exec('def check():\n' + indented(source) + '\ncheck()')
    print(indented(source))

    folder = Path(tempfile.mkdtemp())
    small = small_notebook(folder)
    [part[:2] for part in parts_of(small)]

    helped = write_notebook(folder / 'helped.ipynb', '## One', 'import math\ndef half(x): return x / 2',
                            'half(2)', '## Two', 'assert half(math.tau) > 3')
    [part.source for part in lifted(parts_of(helped))]

    leaning = write_notebook(folder/'leaning.ipynb', '## One', 'number = 3', '## Two', 'assert number == 3')

    first, one, two = parts_of(leaning)
    with expect_fail(MilanError, contains="only section 'One'"):
        _require_alone(two, [first, one, two], set(), leaning)
    _require_alone(two, [first, one, two], {'number'}, leaning)

    shutil.rmtree(folder)


# 02_tests.ipynb, section "Modules"
def test_modules():
    part = Part('A bird, a plane!', ('slow',), 'device = device("cpu")', ('training',))
    test_eq(_function_names([part, part._replace(section='A bird: a plane'), part._replace(flags=())]),
            ['test_a_bird_a_plane_slow', 'test_a_bird_a_plane_slow_2', 'test_a_bird_a_plane'])
    print(_function(part, 'test_birds', {'device'}, '07_birds.ipynb'))

    folder = Path(tempfile.mkdtemp())
    small = small_notebook(folder)
    print(module_tests(small))

    package = types.ModuleType('milan.small')
    package.add = lambda a, b: a + b
    sys.modules['milan.small'] = package
    space = {}
    exec(compile(module_tests(small), 'test_small.py', 'exec'), space)
    space['test_adding_up']()
    space['test_adding_up_slow']()
    test_eq(module_tests(small), module_tests(small))
    del sys.modules['milan.small']

    shadow = write_notebook(folder / '07_shadow.ipynb', '#| default_exp shadow',
                            '#| export\ndef device(name): return name', '## Its own name',
                            'device = device("cpu")\ndisplay(device)')
    assert '    global device' in module_tests(shadow) and 'import display' in module_tests(shadow)
    for source, said in {'!ls': "'!ls'", '%%time': "'%%time'", 'await x': 'asyncio.run',
                         'if': 'mend the cell'}.items():
        odd = write_notebook(folder/'odd.ipynb', '#| default_exp odd', '## Odd', source)
        with expect_fail(MilanError, contains=said): module_tests(odd)
    taught = write_notebook(folder/'taught.ipynb', '## Taught', 'x = 1', '#| training\nassert x')
    test_eq([part.marks for part in parts_of(taught)], [(), ('training',)])
    test_eq(parts_of(write_notebook(folder / 'odd.ipynb', '## Odd', '%matplotlib inline\nx = 1'))[1].source,
            'x = 1')

    tests = folder/'tests'
    tests.mkdir()
    (tests/'test_gone.py').write_text('# Generated from nbs/04_gone.ipynb …')
    (tests/'test_by_hand.py').write_text('"Mine."')
    [path.name for path in write_tests(folder, tests)]

    test_eq(sorted(path.name for path in tests.iterdir()), ['test_by_hand.py', 'test_shadow.py', 'test_small.py'])
    write_notebook(folder/'06_shown.ipynb', '# Only shown', '## Sums', 'assert 1 + 1 == 2')
    assert 'def test_sums():' in generated_tests(folder)[0]['test_shown.py']

    write_notebook(folder/'08_wrong.ipynb', '#| default_exp wrong', '## Wrong', 'absent + 1')
    with expect_fail(MilanError, contains="'absent'"): write_tests(folder, tests)

    shutil.rmtree(folder)
