# Generated from nbs/06_annotations/07_cleaning.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
import numpy as np
import pandas as pd
from milan.annotations.cleaning import (
    clean,
    Cleaning,
    corrections,
    missing,
    Rules,
)

import shutil
import sys
import tempfile
import unittest.mock

from fastcore.test import expect_fail, test_eq

def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def few_hits(units=3, k=2, layer='conv1'):
    "A HIT table by hand."
    return pd.DataFrame(
        [
            {
                'layer': layer,
                'unit': unit,
                **{f'image_url_{i}': f'https://example.org/{layer}/{unit}_{i}.png' for i in range(1, k + 1)},
            }
            for unit in range(units)
        ]
    )


def results(*rows):
    "A table of results as Mechanical Turk gives it, from (layer, unit, summary, worker, rejection time)."
    names = ['Input.layer', 'Input.unit', 'Answer.summary', 'WorkerId', 'RejectionTime']
    return pd.DataFrame(rows, columns=names).assign(**{'Input.image_url_1': 'https://example.org/1.png',
                                                       'AssignmentStatus': 'Submitted'})


RAW = [('conv1', '0', 'These are  dogs.', 'ANNA', ''), ('conv1', '0', 'Space around dogs', 'BEN', ''),
       ('conv1', '0', 'good', 'CARL', 'Mon Nov 23 2026'), ('conv1', '1', 'None of the above', 'ANNA', ''),
       ('conv1', '1', 'blue sky andclouds', 'BEN', ''), ('conv1', '1', ' ', 'DORA', '')]


# 07_cleaning.ipynb, section "Clean answers"
def test_clean_answers():
    rules = Rules(prefix={'these are ': '', 'a ': ''}, substring={'andclouds': 'and clouds'},
                  suffix={'.': '', ' nice': ''}, exact={'none': 'nothing'})
    test_eq(list(rules.steps('dogs')), [])
    # blanks in front belong to a prefix
    test_eq([text for _, text in Rules(prefix={' the ': ''}).steps(' the  dog ')], ['dog'])
    test_eq([text for _, text in rules.steps('none.')], ['none', 'nothing'])
    list(rules.steps('these are a sky andclouds nice.'))

    SETTINGS = """
prefix: ['these are ']
substring: {andclouds: and clouds}
suffix: ['.']
exact: {none of the above: nothing}
workers: {BEN: {prefix: ['space around ']}}
ignore: [bokeh]
"""
    folder = temporary()
    (folder/'cleaning.yaml').write_text(SETTINGS)
    cleaning = Cleaning.read(folder/'cleaning.yaml')
    for wrong, said in (('prefixes: [a]', "'prefixes' means nothing here; did you mean prefix?"),
                        ('spelling: maybe', 'should be true or false'), ('exact: {none: 5}', 'texts in quotes'),
                        ("prefix: ['']", 'texts in quotes'),
                        ('workers: {BEN: [a]}', 'worker BEN: replacements are given under'),
                        ('columns: {sumary: a}', 'cleaning.yaml, columns')):
        (folder/'cleaning.yaml').write_text(wrong)
        with expect_fail(MilanError, contains=said): Cleaning.read(folder/'cleaning.yaml')
    shutil.rmtree(folder)
    cleaning

    raw = results(*RAW)
    cleaning = Cleaning(Rules({'these are ': ''}, {'andclouds': 'and clouds'}, {'.': ''},
                              {'none of the above': 'nothing'}), workers={'BEN': Rules({'space around ': ''})})
    cleaned = clean(raw, cleaning)
    test_eq(cleaned.annotations.summary.tolist(), ['dogs', 'dogs', 'nothing', 'blue sky and clouds'])
    test_eq(sorted([*cleaned.answers.row, *cleaned.rejected.row]), [1, 2, 3, 4, 5, 6])
    test_eq(cleaned.counts().to_dict(), {('conv1', 0): 2, ('conv1', 1): 2})
    cleaned.changes

    test_eq(cleaned.rejected.reason.tolist(), ['rejected on Mon Nov 23 2026', 'empty'])
    test_eq([(one.before, one.after) for one in cleaned.changes[cleaned.changes.row == 2].itertuples()],
            [('Space around dogs', 'space around dogs'), ('space around dogs', 'dogs')])
    test_eq(
        clean(raw, Cleaning(at_most=1)).rejected.reason.tolist(),
        ['comes after the first 1', 'rejected on Mon Nov 23 2026', 'comes after the first 1', 'empty'],
    )
    test_eq(clean(raw, Cleaning(Rules(exact={'space around dogs': ''}))).rejected.reason.tolist()[0],
            'nothing left')
    test_eq(clean(raw.iloc[:0]).annotations.columns.tolist(), ['layer', 'unit', 'summary'])
    cleaned.rejected

    folder = temporary()
    raw.to_csv(folder/'results.csv', index=False)
    for given in (folder/'results.csv', pd.read_csv(folder/'results.csv')):
        assert clean(given, cleaning).annotations.equals(cleaned.annotations)
    renamed = raw.rename(columns={'Answer.summary': 'Answer.description'}).drop(
        columns=['RejectionTime', 'WorkerId']
    )
    others = clean(renamed, Cleaning(columns={'summary': 'Answer.description', 'rejected': '', 'worker': ''}))
    test_eq((len(others.answers), set(others.answers.worker)), (5, {''}))
    with expect_fail(MilanError, contains='no column Answer.summary (for summary), RejectionTime'): clean(renamed)
    with expect_fail(MilanError, contains="row 1: unit 'a'"): clean(results(('conv1', 'a', 'x', 'A', '')))
    test_eq(clean(results((3, 4.0, 'NA', 'A', np.nan), (3, 4.0, np.nan, 'A', ''))).annotations.values.tolist(),
            [['3', 4, 'na']])
    (folder/'broken.csv').write_bytes(b'Input.layer\n\xff')
    with expect_fail(MilanError, contains='broken.csv cannot be read'): clean(folder/'broken.csv')
    written = pd.read_csv(cleaned.write(folder/'clean'))
    assert written.equals(cleaned.annotations)
    names = sorted(path.name for path in (folder/'clean').iterdir())
    shutil.rmtree(folder)
    names

    class Speller(dict):
        "A spell-checker that knows a handful of words and how often they occur."

        def unknown(self, words): return {word for word in words if word not in self}

        def candidates(self, word):
            return {one for one in self if len(one) == len(word) and sum(a != b for a, b in zip(one, word))
                    == 1} or None

        def __missing__(self, word): return 0


    english = Speller(dogs=9, dots=5, sky=4, blue=3, the=20)
    test_eq(corrections(['the dobs', "blue sku, the bokeh don't"], checker=english),
            {'dobs': 'dogs', 'sku': 'sky'})
    spelled = clean(results(('conv1', 0, 'The dobs, dobs!', 'ANNA', '')),
                    Cleaning(spelling=True, ignore=('bokeh',)), english)
    test_eq(spelled.annotations.summary[0], 'the dogs, dogs!')
    test_eq(corrections(['dobs'], ['DOBS'], english), {})
    with (unittest.mock.patch.dict(sys.modules, spellchecker=None),
          expect_fail(MilanError, contains='[crowdsourcing]')):
        corrections(['dobs'])
    spelled.changes


# 07_cleaning.ipynb, section "What is still missing"
def test_what_is_still_missing():
    said = pd.DataFrame({'layer': ['conv1'] * 5, 'unit': [0, 0, 0, 1, 1], 'summary': ['dogs'] * 5})
    again = missing(said, few_hits())
    test_eq(again[['unit', 'assignments']].values.tolist(), [[1, 1], [2, 3]])
    test_eq(len(missing(said, few_hits(), count=0)), 0)
    test_eq(missing(said.iloc[:0], few_hits(), 1).assignments.tolist(), [1, 1, 1])
    with expect_fail(MilanError, contains='a HIT table has the columns'): missing(said, said)
    again
