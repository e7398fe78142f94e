# Generated from nbs/12_gallery/06_neuronpedia.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from pydantic import ValidationError
import json
import math
import pandas as pd
from milan.gallery.neuronpedia import (
    Explanation,
    explanations,
    read_explanations,
    Score,
    write_explanations,
)

import tempfile

from fastcore.test import expect_fail, test_eq

from milan.files import remove


# 06_neuronpedia.ipynb, section "The records"
def test_the_records():
    judged = [{'str_tokens': ['picture 7'], 'activations': [3.5], 'distance': 1, 'ground_truth': True,
               'correct': True, 'prediction': 1, 'probability': .9}]
    Score(value=.8, explanationScoreTypeName='eleuther_recall', explanationScoreModelName='labels',
          jsonDetails=json.dumps(judged))

    def refused(**fields):
        "The error for a wrong score."
        right = {'value': .5, 'explanationScoreTypeName': 'eleuther_fuzz', 'explanationScoreModelName': 'a'}
        with expect_fail(ValidationError): Score(**right | fields)


    refused(value=float('nan'))
    refused(value='0.5')
    refused(jsonDetails='{')
    refused(jsonDetails='{"a": 1}')
    refused(jsonDetails='[{"str_tokens": ["a"], "activations": ["b"], "distance": 1}]')
    refused(explanationScoreModelName='')
    refused(other=1)


# 06_neuronpedia.ipynb, section "From a table of descriptions"
def test_from_a_table_of_descriptions():
    table = pd.DataFrame({'layer': ['layer4'] * 3, 'unit': [3, 8, 9], 'description': ['dogs', '', 'sky'],
                          'evidence': [.62, math.nan, math.nan], 'low': [.5, math.nan, math.nan],
                          'family': ['class', '', '']})
    records = explanations(table, 'resnet18', 'concepts', {'evidence': ('milan_evidence', 'concepts')})
    records[0].model_dump()

    test_eq([(one.index, len(one.scores)) for one in records], [('3', 1), ('9', 0)])
    test_eq(json.loads(records[0].scores[0].jsonDetails), {'low': .5, 'family': 'class'})
    kinds = {'evidence': ('eleuther_recall', 'labels')}
    judged = [{'str_tokens': ['picture 7'], 'activations': [3.5], 'distance': 1, 'correct': True}]
    given = explanations(table, 'resnet18', 'concepts', kinds, details={('evidence', 'layer4', 3): judged})
    test_eq(json.loads(given[0].scores[0].jsonDetails), judged)
    test_eq(explanations(table, 'resnet18', 'concepts', kinds)[0].scores[0].jsonDetails, '')
    with expect_fail(MilanError, contains="no column 'truth'"):
        explanations(table, 'a', 'b', {'truth': ('a', 'b')})
    with expect_fail(MilanError, contains='row 1 of the table'): explanations(table, '', 'concepts', kinds)
    with expect_fail(MilanError, contains='row 1 of the table'):
        explanations(table.assign(evidence='much'), 'resnet18', 'concepts', kinds)
    with expect_fail(MilanError, contains='non-negative'): explanations(table.assign(unit=-3), 'a', 'b', kinds)


# 06_neuronpedia.ipynb, section "Files"
def test_files():
    folder = Path(tempfile.mkdtemp())
    said = Explanation(modelId='resnet18', layer='layer4', index='3', description='dogs,\u2028cats',
                       typeName='concepts',
                       scores=[Score(value=.62, explanationScoreTypeName='milan_evidence',
                                     explanationScoreModelName='concepts', jsonDetails='{"low": 0.5}')])
    for name in ('a.json', 'a.jsonl', 'a.jsonl.gz'):
        test_eq(read_explanations(write_explanations([said, said], folder/name)), [said, said])
    print((folder/'a.jsonl').read_text().splitlines()[0])

    test_eq(read_explanations(write_explanations([], folder/'none.json')), [])
    before = (folder/'a.jsonl.gz').read_bytes()
    test_eq(write_explanations([said, said], folder/'a.jsonl.gz').read_bytes(), before)

    with expect_fail(MilanError, contains='ends in'): write_explanations([said], folder/'a.csv')
    (folder/'a.jsonl').write_text((folder/'a.jsonl').read_text().replace('"3"', '3', 1))
    with expect_fail(MilanError, contains='record 1'): read_explanations(folder/'a.jsonl')
    for name, body in {'b.json': b'[', 'b.jsonl.gz': b'text', 'c.json': b'{"a": 1}', 'd.json': b'3'}.items():
        (folder/name).write_bytes(body)
        with expect_fail(MilanError, contains=name): read_explanations(folder/name)
    with expect_fail(MilanError, contains='nothing.json'): read_explanations(folder/'nothing.json')
    assert not (folder/'a.csv').exists()
    remove(folder)
