# Generated from nbs/14_publishing/07_signatures.ipynb by `make export`. Edit the notebook, not this file.

import ast
from milan.publishing.signatures import (
    _arguments,
    _comments,
    _fields,
    _signature,
    _split,
    _table,
    described,
    parameters,
)

from fastcore.test import test_eq

source = '''def hook(layers: list[str], # module paths
         k: int = 15, # images kept
         *, quantile: float | None = None,
        ) -> Path: # the folder
    "Record `layers`."'''


# 07_signatures.ipynb, section "Parameters"
def test_parameters():
    _comments('k: int = 15, # images\n# non-negative\n*, seed: int')

    test_eq(_comments('k: int = 15, # images\n# non-negative\n*, seed: int')[3], 'non-negative')

    pairs = _arguments(ast.parse('def f(a, b=2, *, c=3, **d): pass').body[0].args)
    test_eq([(one.arg, default and default.value) for one, default in pairs],
            [('a', None), ('b', 2), ('c', 3), ('d', None)])

    found = parameters(ast.parse(source).body[0], source)
    test_eq(found[0], ('layers', 'list[str]', '', 'module paths'))
    test_eq(found[-1], ('returns', 'Path', '', 'the folder'))
    found


# 07_signatures.ipynb, section "Signatures"
def test_signatures():
    test_eq(_split('a: dict[str, int], b=(1, 2)'), ['a: dict[str, int]', 'b=(1, 2)'])

    long = (
        'def compute(network: Module, images: Dataset, layers: list[str], units: dict[str, list[int]] = {"a": [1,'
        ' 2]}) -> int: pass'
    )
    print(_signature(ast.parse(long).body[0]))


# 07_signatures.ipynb, section "Classes and tables"
def test_classes_and_tables():
    pair = ast.parse('class Pair:\n    left: int = 0 # the first').body[0]
    _fields(pair, 'class Pair:\n    left: int = 0 # the first')

    table = _table([('k', 'int | None', '15', 'images')])
    test_eq(table.splitlines()[2], r'| `k` | `int \| None` | `15` | images |')

    test_eq(described('import os\ndef _private(): pass'), '')
    assert r'`float \| None`' in described(source)
    pair = described(
        'class Pair(NamedTuple):\n    "Two."\n    left: int = 0 # the first\n    def swap(self) -> "Pair": "Turn'
        ' round."'
    )
    assert '### Pair' in pair and '| `left` | `int` | `0` | the first |' in pair and 'swap(self)' in pair
    print(described(source))
