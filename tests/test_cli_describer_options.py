# Generated from nbs/15_command/19_describer_options.ipynb by `make export`. Edit the notebook, not this file.

from milan.cli.describer_options import (
    check_captioner,
    check_options,
    describer_name,
    parse_prices,
)

from fastcore.test import expect_fail, test_eq

from milan.config import MilanError

test_eq([parse_prices('0.40, 1.60'), parse_prices('3,.5'), parse_prices(None)], [(.4, 1.6), (3, .5), None])
with expect_fail(MilanError, contains='two numbers'): parse_prices('0.40')


# 19_describer_options.ipynb, section "Which describer, and whether its options fit"
def test_which_describer_and_whether_its_options_fit():
    with expect_fail(MilanError, contains="did you mean 'stamps'"): check_captioner('stamp')

    test_eq([describer_name(None, None), describer_name(None, 'shapes'), describer_name('milan:shapes', None)],
            ['concepts', 'milan:shapes', 'milan:shapes'])
    with expect_fail(MilanError, contains='disagree'): describer_name('concepts', 'shapes')
    for wrong in ('concept', 'verified:concept', 'openai:', 'own.txt:name'):
        with expect_fail(MilanError, contains='choose concepts'): describer_name(wrong, None)
    for again in ('verified:concepts', 'verified:verified:linear'):
        with expect_fail(MilanError, contains='leave out verified:'): describer_name(again, None)
    with expect_fail(MilanError, contains="did you mean 'stamps'"): describer_name('verified:milan:stamp', None)
    for good in ('clip-dissect', 'verified:openai:toy', 'verified:linear', 'a/own.py:f', 'verified:own.py:f'):
        test_eq(describer_name(good, None), good)
    test_eq(describer_name('openai:toy@http://127.0.0.1:1/v1', None), 'openai:toy@http://127.0.0.1:1/v1')
    test_eq(check_options('hf:a', milan={'beam_size': None}, vlm={'limit': 3, 'dry_run': False}), {'limit': 3})
    test_eq(check_options('verified:hf:a', vlm={'limit': 3}), {'limit': 3})
    test_eq(check_options('linear', words={'words': 'a.txt', 'clip': None}), {'words': 'a.txt'})
    test_eq(check_options('own.py:name', words={'words': None}), {})
    for name, named, said in (('concepts', {'vlm': {'dry_run': True}}, '--dry-run is an option of vision'),
                              ('clip-dissect', {}, 'clip-dissect needs --words FILE'),
                              ('linear', {'words': {'clip': 'a'}}, 'on each line, for --clip to read'),
                              ('netdissect', {'words': {'words': 'a'}}, '--words is an option of describers'),
                              ('own.py:name', {'labels': {'segmentations': 'a'}}, '--segmentations is an option'),
                              ('openai:a', {'milan': {'beam_size': 3}}, '--beam-size is an option of captioners'),
                              ('hf:a', {'vlm': {'concurrency': 3}}, '--concurrency is an option of servers')):
        with expect_fail(MilanError, contains=said): check_options(name, **{'milan': {}, 'vlm': {}, **named})
