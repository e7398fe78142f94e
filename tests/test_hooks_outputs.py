# Generated from nbs/03_hooks/03_outputs.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from torch import nn
import torch
from milan.hooks.outputs import (
    _fields,
    _listed,
    map_tensors,
    only_tensor,
    select_part,
    tensors_in,
)

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

from fastcore.test import expect_fail, test_eq

Pair = namedtuple('Pair', 'tokens rest', defaults=[None])


# 03_outputs.ipynb, section "One part of an output"
def test_one_part_of_an_output():
    attention = (torch.zeros(2, 17, 6), torch.zeros(2, 3, 17, 17), None)
    _listed(attention)

    test_eq(select_part(attention, -2).shape, (2, 3, 17, 17))
    with expect_fail(MilanError, contains='no part 5'): select_part(attention, 5)
    select_part(attention, 1).shape

    tokens = torch.zeros(2, 17, 6)
    assert only_tensor((tokens, None)) is tokens and only_tensor({'tokens': tokens}) is tokens
    test_eq(only_tensor(None), None)
    with expect_fail(MilanError, contains='select=0'): only_tensor(attention)
    only_tensor((tokens, None)).shape


# 03_outputs.ipynb, section "All tensors of an output"
def test_all_tensors_of_an_output():
    test_eq(_fields({'tokens': 1}), {'tokens': 1})
    test_eq((_fields(nn.ReLU()), _fields('text')), ({}, {}))

    map_tensors({'pair': Pair(torch.ones(1)), 'list': [torch.ones(2), 'text']}, lambda tensor: tensor * 2)

    [tensor.shape for tensor in tensors_in((torch.ones(1), {'a': [torch.ones(2), Pair(torch.ones(3))]}))]


# 03_outputs.ipynb, section "Errors"
def test_errors():
    @dataclass(frozen=True)
    class Frozen:
        tokens: torch.Tensor
        rest: object = None


    class Plain:
        def __init__(self, tokens): self.tokens, self.rest = tokens, None


    x = torch.rand(2, 5)
    for output in [(x, None), [x, None], {'tokens': x, 'rest': None}, OrderedDict(tokens=x, rest=None), Pair(x),
                   Frozen(x), Plain(x)]:
        names = ['tokens'] if not isinstance(output, list) and type(output) is not tuple else []
        for select in [0, -2, *names]: assert select_part(output, select) is x
        assert only_tensor(output) is x
        for select in [1, 2, -3, 'rest', 'keys', 'count']:
            with expect_fail(MilanError, contains="(2, 5)"): select_part(output, select)
        zeros = map_tensors(output, torch.zeros_like)
        assert type(zeros) is type(output) and not only_tensor(zeros).any() and x.all()
        assert tensors_in(output)[0] is x
    with expect_fail(MilanError, contains='leave select out'): select_part(x, 0)             # not the first image
    assert map_tensors('text', torch.zeros_like) == 'text' and map_tensors(None, torch.zeros_like) is None
