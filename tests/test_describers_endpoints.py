# Generated from nbs/10_describers/14_endpoints.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.describers.endpoints import (
    _key,
    checked_address,
    Endpoint,
    HIDDEN,
    require_server,
    without_key,
)
import pytest

import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from fastcore.test import test_eq
from PIL import Image

from milan import exemplars, networks
from milan import images as pictures
from milan.describers.vlm import VLMDescriber
from milan.exemplars.store import Exemplars
from milan.files import remove
from milan.testing import killed, made_up_exemplars, started
from milan.testing.chat import ChatServer, Sent, name_colours, says

os.environ.pop('OPENAI_API_KEY', None)
os.environ.pop('OPENAI_BASE_URL', None)

def toy_set(units=4):
    "One layer of discs."
    folder = made_up_exemplars(['conv'], units, k=3)
    return Exemplars.open(folder), folder

def described(answer, folder, found, **settings):
    "What a server makes of exemplars; the server too."
    with ChatServer(answer) as server:
        endpoint = Endpoint('toy', server.url, **settings)
        require_server(endpoint)
        table = VLMDescriber(endpoint, folder=folder/'answers').describe(found, progress=False)
    return table, server


# 14_endpoints.ipynb, section "Keys stay where they are"
def test_keys_stay_where_they_are():
    os.environ['OPENAI_API_KEY'] = 'sk-secret'
    without_key('the key sk-secret is wrong', _key())

    test_eq(without_key('the key sk-secret is wrong', _key()), 'the key [key] is wrong')
    del os.environ['OPENAI_API_KEY']
    test_eq([without_key('sk-secret', _key()), _key()], ['sk-secret', 'none'])
    for good in ('http://127.0.0.1:8000/v1', 'https://example.org/v1'): test_eq(checked_address(good), good)
    for bad in ('127.0.0.1', 'ftp://host/v1', 'http://', 'http://me:secret@host/v1', 'http://host/v1?key=secret',
                'http://host:port/v1', 'http://[host/v1'):
        with pytest.raises(MilanError, match='not of the form') as caught: checked_address(bad)
        assert 'secret' not in str(caught.value)


# 14_endpoints.ipynb, section "The endpoint"
def test_the_endpoint():
    endpoint = Endpoint('qwen2.5-vl-7b', 'http://127.0.0.1:8000/v1', options={'max_tokens': 100})
    endpoint

    test_eq([endpoint.name, endpoint.address], ['openai:qwen2.5-vl-7b', 'http://127.0.0.1:8000/v1'])
    test_eq(endpoint.identity()['options'], {'temperature': 0, 'max_tokens': 100})
    test_eq(Endpoint('a', 'http://b', options={'temperature': None}).identity()['options'], {'max_tokens': 300})
    os.environ['OPENAI_BASE_URL'] = 'http://127.0.0.1:1/v1'
    test_eq(Endpoint('any').address, 'http://127.0.0.1:1/v1')
    del os.environ['OPENAI_BASE_URL']



    found, folder = toy_set()
    table, server = described(lambda asked: says('discs', 'balls'), folder, found)
    table

    test_eq([len(server.asked), {one.model for one in server.asked}], [4, {'toy'}])
    test_eq([one.size for one in server.asked[0].pictures], [(5 * 226 - 2, 224)])
    test_eq(set(table.candidates), {'discs | balls'})
    table, server = described(lambda asked: says('other'), folder, found)
    test_eq([len(server.asked), set(table.description)], [0, {'discs'}]) # a second run is free
    remove(folder)


# 14_endpoints.ipynb, section "What servers do"
def test_what_servers_do():
    def first_time(answer): # for the first question about a unit; the next gets an answer
        seen = set()
        def _answer(asked):
            known = asked.pictures[0].tobytes() in seen
            seen.add(asked.pictures[0].tobytes())
            return says('discs') if known else answer(asked)
        return _answer

    BUSY = Sent(429, b'{}', {'Retry-After': '0.1'})
    servers = {
        'answers well': (lambda asked: says('discs'), 0),
        'answers slowly': (lambda asked: time.sleep(.05) or says('discs'), 0),
        'busy: 429, with Retry-After': (first_time(lambda asked: BUSY), 20),
        'broken: 500': (first_time(lambda asked: Sent(500, b'oh', {'Retry-After': '.1'})), 20),
        'garbage': (first_time(lambda asked: 'I see discs!'), 20),
        'half an answer': (first_time(lambda asked: says('discs')[:-5]), 20),
        'not the protocol': (first_time(lambda asked: Sent(200, b'<html>', {'Content-Type': 'text/html'})), 20),
        'not JSON': (first_time(lambda asked: Sent(200, b'{"choic', {'Content-Type': 'application/json'})), 20),
    }
    found, folder = toy_set(20)
    for number, (does, (answer, more)) in enumerate(servers.items()):
        table, server = described(answer, folder/str(number), found)
        print(f'{does}: {(table.description == "discs").sum()} described, {len(server.asked)} requests')
        test_eq((set(table.description), len(server.asked)), ({'discs'}, 20 + more))
        assert server.busiest <= 8
    remove(folder)

    found, folder = toy_set(20)
    for number, (answer, requests, why) in enumerate((
            (lambda asked: 'I see discs!', 40, 'no JSON with descriptions, twice'),
            (lambda asked: Sent(400, b'{"error": {"message": "too many images"}}'), 20, 'too many images'))):
        try: table, server = described(answer, folder/str(number), found)
        except MilanError as error: assert why in str(error); continue
        test_eq([set(table.silent), len(server.asked)], [{'failed'}, requests])
        assert table.failed.str.contains(why).all()
    remove(folder)

    times = []
    def busy(asked):
        times.append(time.monotonic())
        return Sent(429, b'{}', {'Retry-After': '1'}) if len(times) == 1 else says('discs')

    found, folder = toy_set(1)
    table, server = described(busy, folder, found)
    round(times[1] - times[0])

    assert times[1] - times[0] >= 1 and table.description[0] == 'discs'
    def very_busy(asked): return Sent(429, b'{}', {'Retry-After': '3600'})
    with pytest.raises(MilanError, match='answered none of 1 questions.*429'):
        described(very_busy, folder/'b', found)
    remove(folder)

    def hangs(asked): time.sleep(2 if asked.number == 1 else 0); return says('discs')
    def dies(asked): return says('discs') if asked.number <= 30 else None

    found, folder = toy_set(150)
    few, other = toy_set(3)
    table, server = described(hangs, other/'hangs', few, timeout=1, concurrency=1)
    test_eq([set(table.description), len(server.asked)], [{'discs'}, 4])
    table, server = described(dies, folder/'dies', found, retries=0)
    table.failed.str.slice(0, 17).value_counts()[['no reply from htt', 'not asked, as 16 ']].gt(0).tolist()

    test_eq([(table.description == 'discs').sum(), (table.silent == 'failed').sum()], [30, 120])
    assert len(server.asked) < 150 # it was given up
    table, server = described(lambda asked: says('discs'), folder/'dies', found)
    test_eq([set(table.description), len(server.asked)], [{'discs'}, 120])
    remove(folder)
    remove(other)

    found, folder = toy_set(80)
    process = 0
    def fatal(asked):
        if asked.number == 41: os.kill(process, signal.SIGKILL)
        return says('discs')

    with ChatServer(fatal) as server:
        describer = VLMDescriber(Endpoint('toy', server.url, concurrency=4), folder=folder/'answers')
        process = started(lambda: time.sleep(.1) or describer.describe(found, progress=False))
        assert killed(process)
        written = len(list((folder/'answers').glob('*.json')))
        first = len(server.asked)
        table = VLMDescriber(Endpoint('toy', server.url), folder=folder/'answers').describe(found, progress=False)
    test_eq([set(table.description), len(server.asked) - first], [{'discs'}, 80 - written])
    assert 36 <= written <= 41 and first <= 44 # the four that were being asked are lost at most
    remove(folder)


# 14_endpoints.ipynb, section "Colours"
@pytest.mark.training
def test_colours():
    folder = tempfile.mkdtemp()
    scenes, planted = pictures.ShapeScenes(300, seed=1), networks.load('planted/shapes')
    found = exemplars.compute(planted, scenes, ['colours'], k=15, size=64, batch_size=50, quiet=True,
                              out=Path(folder)/'found')
    tables = {}
    with ChatServer(name_colours) as server:
        for show in ('grid', 'masked', 'cropped', 'outlined'):
            describer = VLMDescriber(Endpoint('colours', server.url), show, folder=Path(folder)/'answers')
            tables[show] = describer.describe(found, progress=False).assign(planted=planted.planted['colours'])
    tables['grid'][['planted', 'description', 'candidates', 'silent']].head(10)

    def right(table):
        known = table[table.planted.isin(pictures.scenes.COLOURS)]
        return (known.description == known.planted + ' things').mean()

    shares = {show: float(right(table)) for show, table in tables.items()}
    print(shares)
    assert min(shares.values()) >= .9
    remove(folder)


# 14_endpoints.ipynb, section "Errors"
def test_errors():
    for make, said in ((lambda: Endpoint('a'), 'has no address: write openai:a@http'),
                       (lambda: Endpoint('', 'http://b'), 'has no name'),
                       (lambda: Endpoint('a', 'http://b', concurrency=0), 'concurrency is 0'),
                       (lambda: Endpoint('a', 'http://b', timeout=-1), 'timeout is -1'),
                       (lambda: Endpoint('a', 'http://me:pass@b'), 'not of the form'),
                       (lambda: require_server(Endpoint('a', 'http://127.0.0.1:9/v1')), 'no server answers at')):
        with pytest.raises(MilanError, match=said): make()
    found, folder = toy_set(30)
    for status in (401, 403, 404):
        with pytest.raises(MilanError, match='refuses openai:toy'):
            described(lambda asked: Sent(status, b'{"error": {"message": "no"}}'), folder, found, concurrency=2)
    with pytest.raises(MilanError, match='answered none of 30 questions'):
        described(lambda asked: None, folder, found, retries=0)
    test_eq(list(folder.glob('answers/*')), [])
    remove(folder)

    # a server that sends the key back wherever it can
    KEY = os.environ['OPENAI_API_KEY'] = 'sk-planted-0123456789'
    def told(asked): return asked.key.removeprefix('Bearer ')
    echoes = [lambda asked: says(f'the key {told(asked)}'), lambda asked: f'{told(asked)} is no JSON',
              lambda asked: Sent(200, told(asked).encode(), {'Content-Type': 'text/plain'}),
              lambda asked: Sent(400, f'{{"error": {{"message": "{told(asked)}"}}}}'.encode()),
              lambda asked: Sent(401, f'{{"error": {{"message": "{told(asked)}"}}}}'.encode())]
    found, folder = toy_set(2)
    seen = []
    for number, echo in enumerate(echoes):
        try:
            table, server = described(echo, folder/str(number), found)
            seen.append(table.to_csv())
            assert server.asked[0].key == f'Bearer {KEY}'
        except MilanError as error: seen += [str(error), repr(error.__cause__)]
    endpoint = Endpoint('toy', 'http://127.0.0.1:9/v1')
    describer = VLMDescriber(endpoint)
    seen += [repr(endpoint), repr(describer), str(describer.settings())]
    seen += [path.read_text() for path in folder.rglob('*.json')]
    assert HIDDEN in ''.join(seen) and KEY not in ''.join(seen) and len(list(folder.rglob('*.json'))) == 6
    del os.environ['OPENAI_API_KEY']
    remove(folder)
