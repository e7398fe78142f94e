# Generated from nbs/15_command/12_trials.ipynb by `make export`. Edit the notebook, not this file.

import os
from milan.testing.trials import (
    _dies,
    killed,
    print_help,
    run_command,
    run_process,
    Site,
    started,
)

import tempfile
import urllib.request
from pathlib import Path

from fastcore.test import test_eq


# 12_trials.ipynb, section "A web server on this machine"
def test_a_web_server_on_this_machine():
    with Site({'/a.txt': b'some words', '/b.txt': '/a.txt'}) as site:
        request = lambda path, **headers: urllib.request.Request(site.address + path, headers=headers)
        ask = lambda *path, **headers: urllib.request.urlopen(request(*path, **headers)).read()
        answers = ask('/b.txt'), ask('/a.txt', Range='bytes=5-')
    answers, site.asked

    test_eq(answers, (b'some words', b'words'))
    test_eq(site.asked, [('/b.txt', None), ('/a.txt', None), ('/a.txt', 'bytes=5-')])


# 12_trials.ipynb, section "A process that dies"
def test_a_process_that_dies():
    left = [3]
    assert _dies(abs, left)(-2) == 2 # two calls are left
    left

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


# 12_trials.ipynb, section "The command"
def test_the_command():
    test_eq(run_command('paint').exit_code, 2)

    print_help(run_process('data', 'verify', '--help').stdout)
