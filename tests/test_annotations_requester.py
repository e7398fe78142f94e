# Generated from nbs/08_requester.ipynb by `make export`. Edit the notebook, not this file.

from datetime import UTC
from datetime import datetime
from decimal import Decimal
from milan.annotations.crowdsourcing import Qualification
from milan.annotations.crowdsourcing import SCHEMAS
from milan.annotations.crowdsourcing import image_columns
from milan.config import MilanError
from pathlib import Path
from xml.etree import ElementTree
import hashlib
import json
import os
import pandas as pd
from milan.annotations.requester import (
    _answer,
    _note,
    _SITES,
    Cost,
    estimate,
    passed,
    read_record,
    Requester,
    Task,
    upload,
)
import pytest

import importlib.util
import shutil
import sys
import tempfile
import unittest.mock

import numpy as np
from fastcore.test import expect_fail, test_eq

from milan.annotations.cleaning import clean, missing
from milan.annotations.crowdsourcing import Question, hits
from milan.exemplars.store import Exemplars

def temporary():
    "A new folder."
    return Path(tempfile.mkdtemp())


def grey_pictures(folder, layer='conv 1', units=3, k=2):
    "A folder of pictures of even grey, another for each, and its HIT table."
    source = temporary()
    (source/layer).mkdir()
    np.save(
        source / layer / 'images.npy',
        np.arange(units * k, dtype=np.uint8)
        .reshape(units, k, 1, 1, 1)
        .repeat(3, 2)
        .repeat(8, 3)
        .repeat(8, 4),
    )
    np.save(source/layer/'masks.npy', np.ones((units, k, 1, 8, 8), np.uint8))
    np.savetxt(source/layer/'ids.csv', np.zeros((units, k)), fmt='%d', delimiter=',')
    np.savetxt(source/layer/'activations.csv', np.ones((units, k)), fmt='%.5e', delimiter=',')
    return hits(Exemplars.open(source), 'https://example.org/demo', folder, progress=False)


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


# 08_requester.ipynb, section "Put the pictures on the web"
def test_put_the_pictures_on_the_web():
    class Bucket:
        "Stands in for S3: keeps what it is given, and lists two objects at a time."

        def __init__(self): self.content = {}

        def put_object(self, Bucket, Key, Body, ContentType): self.content[Key] = (Body, ContentType)

        def list_objects_v2(self, Bucket, Prefix, ContinuationToken='0'):
            start, keys = int(ContinuationToken), sorted(key for key in self.content if key.startswith(Prefix))
            page = [{'Key': key, 'Size': len(self.content[key][0]),
                     'ETag': f'"{hashlib.md5(self.content[key][0]).hexdigest()}"'}
                    for key in keys[start : start + 2]]
            return {'Contents': page, 'IsTruncated': start + 2 < len(keys),
                    'NextContinuationToken': str(start + 2)}


    folder, bucket = temporary(), Bucket()
    table = grey_pictures(folder)
    first = upload(folder, 'ours', 'demo/', bucket, progress=False)
    bucket.content['demo/conv-201/0_1.png'] = (b'changed', 'image/png')
    second = upload(folder, 'ours', 'demo/', bucket, progress=False)
    test_eq(first.state.tolist(), ['sent'] * 6)
    test_eq(bucket.content['demo/conv-201/2_2.png'], ((folder/'conv-201/2_2.png').read_bytes(), 'image/png'))
    test_eq({f'https://example.org/{key}' for key in bucket.content},
            set(table[image_columns(table)].to_numpy().ravel()))
    with expect_fail(MilanError, contains='no pictures made by'): upload(temporary(), 'ours', client=bucket)
    with unittest.mock.patch.dict(sys.modules, boto3=None), expect_fail(MilanError, contains='[crowdsourcing]'):
        upload(folder, 'ours')
    shutil.rmtree(folder)
    second


# 08_requester.ipynb, section "What it costs"
def test_what_it_costs():
    test_eq(estimate(few_hits(100), Task('0.25')), Cost(100, 300, Decimal('75.00'), Decimal('15.00'),
                                                        Decimal('90.00')))
    test_eq(estimate(few_hits(1), Task('0.25', assignments=10)).fees, Decimal('1.00'))
    test_eq(estimate(few_hits(1), Task(.02, assignments=1)).fees, Decimal('.01'))             # at least a cent
    test_eq(estimate(few_hits(2).assign(assignments=[1, 2]), Task(.1)).total, Decimal('.36'))
    for wrong in ('free', 0, .123, -1):
        with expect_fail(MilanError, contains='whole cents'): estimate(few_hits(), Task(wrong))
    with expect_fail(MilanError, contains='0 people'): estimate(few_hits(), Task(1, assignments=0))
    estimate(few_hits(3904), Task('0.25'))._asdict()


# 08_requester.ipynb, section "A record of what was created"
def test_a_record_of_what_was_created():
    folder = temporary()
    for number in (1, 2):
        _note(folder / 'tasks.csv', ['head "2", é', number, f'ID{number}', 3, '0.25', 'https://www.mturk.com',
                                     'today'])
    # the power failed here
    with open(folder/'tasks.csv', 'ab') as file: file.write('"head é'.encode()[:-1])
    test_eq(len(read_record(folder/'tasks.csv')), 2)
    _note(folder/'tasks.csv', ['conv1', 3, 'ID3', 3, '0.25', 'https://www.mturk.com', 'today'])
    (folder/'other.csv').write_text('layer,unit\n')
    with expect_fail(MilanError, contains='no record of tasks'): read_record(folder/'other.csv')
    test_eq(len(read_record(folder/'none.csv')), 0)
    recorded = read_record(folder/'tasks.csv')
    shutil.rmtree(folder)
    test_eq(recorded.hit_id.tolist(), ['ID1', 'ID2', 'ID3'])
    recorded[['layer', 'unit', 'hit_id', 'assignments']]


# 08_requester.ipynb, section "Tests and tasks"
def test_tests_and_tasks():
    class Turk:
        """Stands in for Mechanical Turk's client: remembers what it was asked, and can break off after creating a
    task."""

        def __init__(self, breaks_at=None, balance='10000.00'):
            self.breaks_at, self.balance, self.tokens, self.asked, self.tests = breaks_at, balance, {}, [], []

        def get_account_balance(self): return {'AvailableBalance': self.balance}

        def create_hit_type(self, **given):
            self.asked.append(given)
            return {'HITTypeId': 'KIND'}

        def create_hit_with_hit_type(self, **given):
            if made := self.tokens.get(given['UniqueRequestToken']):
                raise RuntimeError(
                    f'An error occurred (RequestError): HIT {made["id"]} (AWS.MechanicalTurk.HitAlreadyExists)'
                )
            made = self.tokens[given['UniqueRequestToken']] = {**given, 'id': f'{len(self.tokens):030d}'}
            if len(self.tokens) == self.breaks_at:
                raise TimeoutError('the line broke')
            return {'HIT': {'HITId': made['id']}}

        def list_assignments_for_hit(self, HITId, AssignmentStatuses, MaxResults, NextToken='0'):
            number, unit = int(NextToken), int(HITId)
            answer = (
                '<QuestionFormAnswers'
                f' xmlns="{SCHEMAS}/2005-10-01/QuestionFormAnswers.xsd"><Answer><QuestionIdentifier>summary</QuestionIdentifier><FreeText>Dogs'
                f' &amp; cats {unit}</FreeText></Answer></QuestionFormAnswers>'
            )
            told = {'AssignmentId': f'{unit}-{number}', 'WorkerId': f'W{number}',
                    'AssignmentStatus': 'Rejected' if number else 'Submitted', 'Answer': answer}
            return {
                'Assignments': [told | ({'RejectionTime': datetime(2026, 11, 23, tzinfo=UTC)} if number else {})],
                **({'NextToken': '1'} if not number else {}),
            }

        def list_qualification_types(self, **given): return {'QualificationTypes': self.tests}

        def create_qualification_type(self, **given):
            self.tests.append({**given, 'QualificationTypeId': f'TEST{len(self.tests)}'})
            return {'QualificationType': self.tests[-1]}


    turk, folder = Turk(breaks_at=2), temporary()
    requester, task = Requester(turk), Task('0.25', requirements=(passed('TEST0', 80),))
    with expect_fail(MilanError, contains='those before it are in'):
        requester.create(few_hits(), task, folder / 'tasks.csv', at_most=3, progress=False)
    before = len(read_record(folder/'tasks.csv'))
    record = requester.create(few_hits(), task, folder/'tasks.csv', at_most=3, progress=False)
    before, record.drop(columns='created')

    test_eq((before, len(turk.tokens), record.unit.tolist(), record.hit_id.nunique()), (1, 3, ['0', '1', '2'], 3))
    requester.create(few_hits(), task, folder/'tasks.csv', at_most=0, progress=False)
    test_eq(len(turk.tokens), 3)
    request = list(turk.tokens.values())[2]
    page = ElementTree.fromstring(request['Question']).findtext('{*}HTMLContent')
    assert (page.count('https://example.org/conv1/2_') == 2
            and 'https://workersandbox.mturk.com/mturk/externalSubmit' in page)
    test_eq((request['MaxAssignments'], json.loads(request['RequesterAnnotation'])),
            (3, {'layer': 'conv1', 'unit': 2}))
    test_eq((turk.asked[0]['Reward'], turk.asked[0]['QualificationRequirements'][0]['IntegerValues']),
            ('0.25', [80]))
    requester.create(few_hits(4), Task(1, layout='LAYOUT'), folder/'tasks.csv', at_most=4, progress=False)
    test_eq([one['Name'] for one in list(turk.tokens.values())[3]['HITLayoutParameters']],
            ['image_url_1', 'image_url_2'])
    answers = requester.answers(folder/'tasks.csv', progress=False)
    test_eq(clean(answers).annotations.values.tolist()[:2], [['conv1', 0, 'dogs & cats 0'],
                                                             ['conv1', 1, 'dogs & cats 1']])
    again = requester.create(missing(clean(answers).annotations, few_hits(4)), task, folder / 'more.csv',
                             at_most=3, progress=False)
    test_eq((again.assignments.tolist(), len(turk.tokens)), (['2'] * 4, 8))
    answers.head(3)

    def refused(said, table=None, task=Task('0.25'), client=None, record='new.csv', at_most=3., **given):
        "Check that nothing is created, for the reason said."
        client = client or Turk()
        with expect_fail(MilanError, contains=said):
            Requester(client, **given).create(few_hits() if table is None else table, task, folder / record,
                                              at_most=at_most, progress=False)
        assert not client.tokens and not (folder/'new.csv').exists()


    refused('may cost $2.70, more than at_most=$2.69; nothing was created', at_most=2.69)
    refused('the account holds $2.00', client=Turk(balance='2.00'), sandbox=False)
    refused('tells of tasks on https://workersandbox.mturk.com, and this is https://www.mturk.com',
            record='tasks.csv', sandbox=False)
    refused('in the table twice', pd.concat([few_hits(), few_hits()]))
    refused('is not https', few_hits().replace('https:', 'http:', regex=True))
    refused('accepts 65,535', task=Task('0.25', instructions='x' * 70_000))
    speaks_to_production = Turk()
    speaks_to_production.meta = unittest.mock.Mock(endpoint_url=_SITES[False][1])
    refused('make both the same', client=speaks_to_production)
    test_eq(Requester(speaks_to_production, sandbox=False).site, 'https://www.mturk.com')
    assert Requester(Turk(), sandbox=None).sandbox            # only False is False
    with expect_fail(MilanError, contains='no answer of Mechanical Turk'):
        _answer('<!DOCTYPE a [<!ENTITY b "c">]><a/>')
    shutil.rmtree(folder)

    test = Qualification('Fruit', 'Choose.', (Question('a', ('https://example.org/1.png',), ('fruit', 'bowls'),
                                                       0),))
    requester = Requester(Turk())
    test_eq([requester.qualify(test, retry_days=1), requester.qualify(test)], ['TEST0', 'TEST0'])
    test_eq(requester.client.tests[0]['RetryDelayInSeconds'], 86_400)
    other = Qualification('Fruit', 'Choose.', (test.questions[0]._replace(answer_index=1),))
    with expect_fail(MilanError, contains="a test 'Fruit' with other questions"): requester.qualify(other)
    plain = Qualification('Fruit', 'Choose.',
                          (test.questions[0]._replace(image_urls=('http://example.org/1.png',)),))
    with expect_fail(MilanError, contains='is not https'): requester.qualify(plain)
    passed(requester.qualify(test), 80)


# 08_requester.ipynb, section "Tests and tasks"
@pytest.mark.slow
def test_tests_and_tasks_slow():
    installed = importlib.util.find_spec('boto3') is not None
    if installed:
        from botocore.stub import Stubber

        secrets = {'AWS_ACCESS_KEY_ID': 'nobody', 'AWS_SECRET_ACCESS_KEY': 'none',
                   'AWS_EC2_METADATA_DISABLED': 'true'}
        with unittest.mock.patch.dict(os.environ, secrets):
            requester, folder = Requester(), temporary()
        described = Qualification('Fruit', 'Choose.',
                                  (Question('a', ('https://example.org/1.png',), ('fruit', 'bowls'), 0),))
        with Stubber(requester.client) as stub:
            stub.add_response('list_qualification_types', {'QualificationTypes': [], 'NumResults': 0})
            stub.add_response('create_qualification_type', {'QualificationType': {'QualificationTypeId': 'TEST'}})
            stub.add_response('create_hit_type', {'HITTypeId': 'KIND'})
            stub.add_response('create_hit_with_hit_type', {'HIT': {'HITId': '3' * 30}})
            stub.add_client_error('create_hit_with_hit_type', 'RequestError',
                                  f'HIT {"4" * 30} (AWS.MechanicalTurk.HitAlreadyExists)')
            stub.add_response('list_assignments_for_hit', {'Assignments': [], 'NumResults': 0})
            stub.add_response('list_assignments_for_hit', {'Assignments': [], 'NumResults': 0})
            task = Task('0.25', requirements=(passed(requester.qualify(described, retry_days=1), 80),))
            made = requester.create(few_hits(2), task, folder/'tasks.csv', at_most=2, progress=False)
            test_eq(len(requester.answers(folder/'tasks.csv', progress=False)), 0)
            stub.assert_no_pending_responses()
        test_eq(made.hit_id.tolist(), ['3' * 30, '4' * 30])
        with expect_fail(MilanError, contains='make both the same'): Requester(requester.client, sandbox=False)
        shutil.rmtree(folder)
    'checked' if installed else 'boto3 is not installed'
