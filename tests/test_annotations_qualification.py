# Generated from nbs/06_annotations/08_qualification.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from pathlib import Path
from pydantic import ValidationError
from xml.etree import ElementTree
import html
import re
from milan.annotations.qualification import (
    _client,
    _document,
    _element,
    answer_key,
    mock_up,
    Qualification,
    Question,
    question_form,
    read_qualification,
    SCHEMAS,
    upload_qualification,
)
import pytest

import shutil
import tempfile
import importlib.util
import os
import unittest.mock

from fastcore.test import expect_fail, test_eq
from IPython.display import HTML


# 08_qualification.ipynb, section "The test, and how it is uploaded"
def test_the_test_and_how_it_is_uploaded():
    fruit = Question(id='fruit', image_urls=['https://example.org/1 a.png', 'https://example.org/2.png?a=1&b=2'],
                     options=['red fruit', 'plates & <bowls>', 'dogs'], answer_index=1)
    fruit.image_urls

    test_eq(fruit.image_urls[0], 'https://example.org/1%20a.png')
    with expect_fail(ValidationError, contains='from 0 to 2'):
        Question(**fruit.model_dump() | {'answer_index': 3})

    folder = Path(tempfile.mkdtemp())
    TEST = '''
title: Fruit & <friends>
instructions: Choose the phrase that fits the bright parts best.
questions:
  - id: fruit
    image_urls: [https://example.org/1 a.png, "https://example.org/2.png?a=1&b=2"]
    options: [red fruit, plates & <bowls>, dogs]
    answer_index: 1
  - id: 2
    image_urls: [https://example.org/3.png]
    options: [blue sky, grass]
    answer_index: 0
'''
    (folder/'test.yaml').write_text(TEST)
    test = read_qualification(folder/'test.yaml')
    [question.id for question in test.questions]

    test_eq(test.questions[0], fruit)
    test_eq(test.questions[1].id, '2')

    _element(large := ElementTree.Element('large'), 'text', 'x' * 100_000)
    with expect_fail(MilanError, contains='Mechanical Turk accepts 65,535; ask fewer'):
        _document(large, 'the test')

    form = ElementTree.fromstring(question_form(test))
    [one.text for one in form.findall('.//{*}Selection/{*}Text')]

    test_eq(form.tag, f'{{{SCHEMAS}/2017-11-06/QuestionForm.xsd}}QuestionForm')
    test_eq([one.text for one in form.findall('.//{*}DataURL')][:2], fruit.image_urls)
    test_eq([one.text for one in form.findall('.//{*}Selection/{*}Text')],
            ['red fruit', 'plates & <bowls>', 'dogs', 'blue sky', 'grass'])
    test_eq(form.find('{*}Overview/{*}Title').text, 'Fruit & <friends>')

    print(answer_key(test, percentage=True))

    key = ElementTree.fromstring(answer_key(test))
    test_eq([one.text for one in key.iter() if 'Identifier' in one.tag], ['fruit', 'option-1', '2', 'option-0'])
    assert 'PercentageMapping' not in answer_key(test)

    shown = html.escape(re.sub('<img[^>]*>', '<b>(a picture)</b>', mock_up(test)))
    HTML(f'<div><iframe srcdoc="{shown}" style="width: 100%; height: 30rem; border: 1px solid'
         ' #ccc"></iframe></div>')

    assert mock_up(test, answers=True).count(' checked') == 2 and ' checked' not in mock_up(test)
    assert '&lt;bowls&gt;' in mock_up(test)

    class Turk:
        "Stands in for Mechanical Turk's client."
        def __init__(self): self.tests = []

        def list_qualification_types(self, **given): return {'QualificationTypes': self.tests}

        def create_qualification_type(self, **given):
            self.tests.append({**given, 'QualificationTypeId': f'TEST{len(self.tests)}'})
            return {'QualificationType': self.tests[-1]}


    turk = Turk()
    [upload_qualification(test, turk, retry_days=1), upload_qualification(test, turk)]

    test_eq([one['RetryDelayInSeconds'] for one in turk.tests], [86_400])
    other = test.model_copy(update={'questions': [fruit.model_copy(update={'answer_index': 0})]})
    with expect_fail(MilanError, contains='with other questions'): upload_qualification(other, turk)
    plain = test.model_copy(
        update={'questions': [fruit.model_copy(update={'image_urls': ['http://example.org/1.png']})]}
    )
    with expect_fail(MilanError, contains='is not https'): upload_qualification(plain, turk)

    for right, wrong, message in (
        ('answer_index: 1', 'answer_index: 3', 'with 3 options it is a whole number from 0 to 2'),
        ('answer_index: 1', 'answer_index: yes', 'questions.0.answer_index: Input should be a valid integer'),
        ('id: 2', 'id: fruit', "'fruit' is used twice"),
        ('[blue sky, grass]', '[blue sky]', 'questions.1.options: List should have at least 2 items'),
        ('[blue sky, grass]', '[yes, no]', 'questions.1.options.0: Input should be a valid string'),
        ('[blue sky, grass]', '[sky, sky]', 'two options are the same'),
        ('https://example.org/3.png', 'ftp://example.org/3.png', 'is not an address on the web'),
        ('    options: [blue sky, grass]\n', '', 'questions.1.options: Field required'),
        ('title: Fruit', 'titel: Fruit', 'titel: Extra inputs'),
        ('image_urls: [https://example.org/3.png]', 'image_urls: []', 'at least 1 item'),
        (TEST, '- a', 'name: value'),
        (TEST, 'a: [', 'as YAML'),
    ):
        (folder/'test.yaml').write_text(TEST.replace(right, wrong))
        with expect_fail(MilanError, contains=message): read_qualification(folder/'test.yaml')
    with expect_fail(MilanError, contains='No such file'): read_qualification(folder/'none.yaml')
    shutil.rmtree(folder)


# 08_qualification.ipynb, section "The test, and how it is uploaded"
@pytest.mark.slow
def test_the_test_and_how_it_is_uploaded_slow():
    installed = importlib.util.find_spec('boto3') is not None
    if installed:
        from botocore.stub import Stubber

        question = Question(id='a', image_urls=['https://example.org/1.png'], options=['fruit', 'bowls'],
                            answer_index=0)
        test = Qualification(title='Fruit', instructions='Choose.', questions=[question])
        secrets = {'AWS_ACCESS_KEY_ID': 'nobody', 'AWS_SECRET_ACCESS_KEY': 'none',
                   'AWS_EC2_METADATA_DISABLED': 'true'}
        with unittest.mock.patch.dict(os.environ, secrets): client = _client(sandbox=True)
        with Stubber(client) as stub:
            stub.add_response('list_qualification_types', {'QualificationTypes': [], 'NumResults': 0})
            stub.add_response('create_qualification_type', {'QualificationType': {'QualificationTypeId': 'TEST'}})
            test_eq(upload_qualification(test, client), 'TEST')
        with expect_fail(MilanError, contains='make both the same'):
            upload_qualification(test, client, sandbox=False)
    'checked' if installed else 'boto3 is not installed'
