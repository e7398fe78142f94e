# Generated from nbs/10_describers/11_prompts.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from typing import get_args
import torch
from milan.describers.prompts import (
    as_data_url,
    cropped,
    filled,
    pictures_of,
    question_of,
    read_prompt,
    Show,
)

import shutil
import tempfile
from dataclasses import replace

from fastcore.test import expect_fail, test_eq

from milan.exemplars.store import Exemplars
from milan.testing import made_up_exemplars


# 11_prompts.ipynb, section "Four ways to show a region"
def test_four_ways_to_show_a_region():
    mask = torch.zeros(1, 64, 64)
    mask[0, 10:30, 40:50] = 1
    cropped(torch.rand(3, 64, 64), mask).shape

    test_eq(cropped(torch.rand(3, 64, 64), mask).shape, (3, 30, 30)) # 20 high; 5 more on each side
    test_eq(cropped(torch.rand(3, 64, 64), mask * 0).shape, (3, 64, 64))
    mask[:] = 0
    mask[0, :4, :4] = 1 # in a corner
    test_eq(cropped(torch.rand(3, 64, 64), mask).shape, (3, 5, 5))

    folder = made_up_exemplars(k=6)
    exemplar = Exemplars.open(folder)[0]
    row = Image.new('RGB', (4 * 100, 100), 'white')
    for place, show in enumerate(get_args(Show)):
        first = pictures_of(exemplar, show, 96, 4)[0]
        row.paste(first.resize((96, round(96 * first.height / first.width))), (100 * place, 0))
    row

    test_eq([len(pictures_of(exemplar, show)) for show in get_args(Show)], [1, 6, 6, 6])
    test_eq(pictures_of(exemplar, 'grid', 50, 5)[0].size, (5 * 52 - 2, 50))
    test_eq(pictures_of(exemplar, 'masked', 50, 1)[0].size, (50, 50))
    dark, line, cut = (torch.tensor(list(pictures_of(exemplar, show, 64, 1)[0].getdata())).float().mean()
                       for show in ('masked', 'outlined', 'cropped'))
    assert dark < line and dark < cut
    shutil.rmtree(folder)


# 11_prompts.ipynb, section "The text"
def test_the_text():
    print(filled(read_prompt(), 'grid', 15, 3))

    text = filled(read_prompt(), 'outlined', 15, 3)
    for words in ('a yellow line surrounds', 'up to 3 candidates', '{"descriptions": ["none"]}'):
        assert words in text
    test_eq(filled('Name it. {x}', 'grid', 15, 3), 'Name it. {x}')


# 11_prompts.ipynb, section "A question"
def test_a_question():
    folder = made_up_exemplars(k=6)
    exemplar = Exemplars.open(folder)[0]
    question = question_of(exemplar, read_prompt(), 'masked')
    len(question.pictures), question.key('a model'), as_data_url(question.pictures[0])[:40]

    same = question_of(exemplar, read_prompt(), 'masked')
    test_eq(question.key('a model'), same.key('a model'))
    others = [question.key('another'), question.again().key('a model'),
              replace(question, pictures=question.pictures[1:]).key('a model'),
              question_of(exemplar, read_prompt(), 'masked', width=225).key('a model')]
    test_eq(len({question.key('a model'), *others}), 5)
    test_eq([one.size for one in question.opened], [(224, 224)] * 6)
    shutil.rmtree(folder)


# 11_prompts.ipynb, section "Errors"
def test_errors():
    folder = made_up_exemplars(k=2)
    exemplar = Exemplars.open(folder)[0]
    (folder/'empty.txt').write_text(' \n')
    (folder/'bytes.txt').write_bytes(bytes([255, 254, 0]))
    for wrong, said in ((lambda: pictures_of(exemplar, 'blurred'), "show='blurred': choose grid, masked"),
                        (lambda: pictures_of(exemplar, width=0), 'width is 0'),
                        (lambda: read_prompt(folder/'none.txt'), 'cannot be read'),
                        (lambda: read_prompt(folder/'bytes.txt'), 'a text file in UTF-8'),
                        (lambda: read_prompt(folder/'empty.txt'), 'is empty')):
        with expect_fail(MilanError, contains=said): wrong()
    shutil.rmtree(folder)
