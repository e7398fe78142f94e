# Generated from nbs/12_gallery/04_rating_page.ipynb by `make export`. Edit the notebook, not this file.

from milan.gallery.rating_page import (
    _PAGE,
    _SCRIPT,
    _STYLE,
    card_view,
    rating_served,
    reply,
)

import http.client
import json
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
from fastcore.test import expect_fail, test_eq
from PIL import Image

from milan.config import MilanError
from milan.exemplars.store import Exemplars
from milan.gallery.rating import first_unanswered, read_answers, read_cards, read_key, start_session
from milan.testing import made_up_exemplars


def small_session():
    "A session of two describers with names that would be noticed."
    found = Exemplars.open(made_up_exemplars(['secretlayer'], units=6))
    tables = {f'describer{name}': pd.DataFrame([(*unit, f'{words} {unit.unit}') for unit in found.units],
                                               columns=['layer', 'unit', 'description'])
              for name, words in (('ours', 'discs'), ('theirs', 'blobs'))}
    return start_session(Path(tempfile.mkdtemp())/'session', found, tables, width=32, count=3)


def ask(address, path='', body=None, **headers):
    "Status and content of an answer, read by no more than the standard library."
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    kind = {} if data is None else {'Content-Type': 'application/json'}
    request = urllib.request.Request(address + path, data, kind | headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer: return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error: return error.code, error.read()


# 04_rating_page.ipynb, section "What the page is told"
def test_what_the_page_is_told():
    session = small_session()
    card_view(session, 'anna', 1)

    test_eq({name for name, value in card_view(session, 'anna', 1).items() if value is None},
            {'nameable', 'rating', 'description'})
    with expect_fail(MilanError, contains='1 to 12'): card_view(session, 'anna', 13)
    shutil.rmtree(session.parent)


# 04_rating_page.ipynb, section "The page"
def test_the_page():
    assert not any('http' in text or '//' in text for text in (_PAGE, _STYLE))
    assert 'http' not in _SCRIPT
    _SCRIPT.count('\n')


# 04_rating_page.ipynb, section "Requests"
def test_requests():
    session = small_session()
    reply(session, 'anna', '/cards/1', b'{"nameable": "yes", "seconds": 3.5}')

    def status(path, body=None): return reply(session, 'anna', path, body).status


    test_eq([status(path) for path in ('/', '/rating.js', '/cards/12', '/pictures/12')], [200] * 4)
    test_eq([status(path) for path in ('/key.csv', '/cards', '/cards/x', '/cards/²', '/pictures/../key.csv',
                                       '/cards/1/2', '/cards/-1', '/cards/9999999999')], [404] * 8)
    test_eq([status(path) for path in ('/cards/0', '/cards/13', '/pictures/13')], [409] * 3)
    bad = (b'', b'[]', b'{', b'{"seconds": 1}', b'{"nameable": "maybe", "seconds": 1}', b'{"nameable": "yes"}',
           b'{"nameable": "yes", "seconds": NaN}', b'{"nameable": "yes", "rating": "no", "seconds": 1}',
           b'{"nameable": "yes", "seconds": -1}', b'{"nameable": "yes", "seconds": 1, "more": 1}', b'\xff')
    test_eq([status('/cards/1', body) for body in bad], [400] * len(bad))
    test_eq(status('/cards/2', b'{"rating": "no", "seconds": 1}'), 409) # before the first question
    test_eq(read_answers(session, 'anna').card.tolist(), [1])
    (session/'pictures'/'1.jpg').unlink()
    test_eq(status('/pictures/1'), 409)
    json.loads(reply(session, 'anna', '/cards/2', b'{"rating": "no", "seconds": 1}').content)

    shutil.rmtree(session.parent)


# 04_rating_page.ipynb, section "The server"
def test_the_server():
    session = small_session()
    with rating_served(session, 'anna') as address:
        for card in range(1, 6):
            shown = json.loads(ask(address, f'cards/{card}')[1])
            test_eq((shown['next'], shown['description']), (card, None))
            shown = json.loads(ask(address, f'cards/{card}', {'nameable': 'yes', 'seconds': 2.5})[1])
            test_eq(shown['description'], read_cards(session).description[card - 1])
            test_eq(ask(address, f'cards/{card}', {'rating': 'partly', 'seconds': 1})[0], 200)
    with rating_served(session, 'anna') as address:
        test_eq(json.loads(ask(address, 'cards/1')[1])['next'], 6)
        test_eq(json.loads(ask(address, 'cards/1', {'rating': 'no', 'seconds': 4})[1])['rating'], 'no')
    read_answers(session, 'anna').drop(columns='time')

    test_eq(read_answers(session, 'anna').rating.tolist(), ['no'] + ['partly'] * 4)
    test_eq(read_answers(session, 'anna').seconds.tolist(), [7.5] + [3.5] * 4)
    shutil.rmtree(session.parent)

    def everything(address):
        "All that the page can ask for, with every card answered."
        for card in range(1, 13):
            ask(address, f'cards/{card}', {'nameable': 'no', 'seconds': 0})
        paths = ['', 'rating.js', 'rating.css', *(f'{kind}/{card}' for kind in ('cards', 'pictures')
                                                for card in range(1, 13))]
        return {path: ask(address, path) for path in paths}


    session = small_session()
    with rating_served(session, 'anna') as address:
        served = everything(address)
        assert {status for status, _ in served.values()} == {200}
        text = b' '.join(content for _, content in served.values()).lower()
        assert not any(word in text for word in (b'describer', b'decoy', b'secretlayer', b'theirs', b'"unit"'))
        for name in ('key.csv', 'silent.csv'): (session/name).unlink()
        test_eq(everything(address), served)
    len(served)

    def post(address, length=None, **headers):
        "The status of an answer, with these headers."
        place = address.split('/')[2]
        connection = http.client.HTTPConnection(place, timeout=10)
        body = b'{"nameable": "yes", "seconds": 1}'
        given = {'Host': place, 'Content-Type': 'application/json', 'Content-Length': length or str(len(body))}
        connection.request('POST', '/cards/1', body, given | {name.replace('_', '-'): value
                                                              for name, value in headers.items()})
        status = connection.getresponse().status
        connection.close()
        return status


    with rating_served(session, 'ben') as address:
        test_eq(ask(address, Host='evil.example')[0], 403)
        test_eq([post(address, Host='evil.example'), post(address, Origin='https://evil.example'),
                 post(address, Origin='null'), post(address, Content_Type='text/plain'),
                 post(address, length='1001'), post(address, length='-1'), post(address, length='x')],
                [403, 403, 403, 415, 413, 413, 413])
        assert not (session/'ratings-ben.csv').exists()
        test_eq(post(address, Origin=address.strip('/')), 200)
        port = int(address.rsplit(':')[-1].strip('/'))
        with expect_fail(MilanError, contains=f'port {port}'):
            with rating_served(session, 'ben', port): pass
        (session/'ratings-ben.csv').write_text('card,nameable\n1,perhaps\n')
        test_eq(ask(address, 'cards/1')[0], 409) # damaged while it runs: the page shows why
    for told, folder, rater in (('no cards.csv', session.parent, 'anna'), ('letters', session, '../anna'),
                                ('ratings-ben.csv', session, 'ben')):
        with expect_fail(MilanError, contains=told):
            with rating_served(folder, rater): pass
    shutil.rmtree(session.parent)
