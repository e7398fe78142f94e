# Generated from nbs/00_trials.ipynb by `make export`. Edit the notebook, not this file.

import os
from milan.trials import (
    counted,
    killed,
    Site,
    some_units,
    started,
)

import tempfile
import urllib.request
from pathlib import Path

from fastcore.test import test_eq


# 00_trials.ipynb, section "A web server on this machine"
def test_a_web_server_on_this_machine():
    with Site({'/a.txt': b'some words', '/b.txt': '/a.txt'}) as site:
        ask = lambda path, **headers: urllib.request.urlopen(urllib.request.Request(site.address + path, headers=headers)).read()
        answers = ask('/b.txt'), ask('/a.txt', Range='bytes=5-')
    answers, site.asked

    test_eq(answers, (b'some words', b'words'))
    test_eq(site.asked, [('/b.txt', None), ('/a.txt', None), ('/a.txt', 'bytes=5-')])


# 00_trials.ipynb, section "A process that dies"
def test_a_process_that_dies():
    place = Path(tempfile.mkdtemp())/'words'
    def write():
        "In two steps."
        place.with_name('beside').write_text('words')
        os.replace(place.with_name('beside'), place)


    found = [(killed(started(write, calls)), place.exists()) for calls in (1, 2)]
    found

    test_eq(found, [(True, False), (False, True)])
    try:
        killed(started(lambda: 1 / 0))
    except AssertionError: pass
    else: raise AssertionError('work that fails must not pass for done')


# 00_trials.ipynb, section "Units in memory"
def test_units_in_memory():
    class Means: # of a batch, inside the masks
        def read(self, images, masks, owner=None): return (images * masks).mean((1, 2, 3))

    units, encoder = some_units(), Means()
    passes = counted(encoder)
    encoder.read(units[0].images, units[0].masks)
    encoder.read(units[1].images[:2], units[1].masks[:2])
    passes, units[3].images.shape

    test_eq(passes, [3, 2])
    test_eq(len({image.sum().item() for unit in units for image in unit.images}), 6)
