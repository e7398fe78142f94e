# Generated from nbs/15_command/16_chat.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.images.scenes import COLOURS
import base64
import io
import json
from milan.testing.chat import (
    Asked,
    ChatServer,
    name_colours,
    says,
    Sent,
)

import http.client
import urllib.request

from fastcore.test import test_eq


# 16_chat.ipynb, section "The server"
def test_the_server():
    def ask(url, *pictures): # as the client does
        content = [{'type': 'text', 'text': 'What is it?'}]
        for picture in pictures:
            held = io.BytesIO()
            picture.save(held, 'JPEG')
            address = f'data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}'
            content.append({'type': 'image_url', 'image_url': {'url': address}})
        body = json.dumps({'model': 'toy', 'messages': [{'role': 'user', 'content': content}]}).encode()
        return urllib.request.urlopen(urllib.request.Request(f'{url}/chat/completions', body)).read()

    with ChatServer(lambda asked: says(f'{len(asked.pictures)} pictures')) as server:
        replied = json.loads(ask(server.url, Image.new('RGB', (8, 8), 'red')))
    replied['choices'][0]['message']['content']

    test_eq(replied['choices'][0]['message']['content'], '{"descriptions": ["1 pictures"]}')
    test_eq([(one.text, one.pictures[0].size) for one in server.asked], [('What is it?', (8, 8))])
    for answer in (lambda asked: Sent(500, b'no'), lambda asked: None, lambda asked: Sent(200, b'half', {}, 4)):
        with ChatServer(answer) as server:
            try: ask(server.url)
            except (OSError, http.client.HTTPException) as error: print(type(error).__name__)
            else: raise AssertionError


# 16_chat.ipynb, section "A model that knows colours"
def test_a_model_that_knows_colours():
    picture = Image.new('RGB', (40, 40), (60, 8, 8)) # red, darkened
    picture.paste(COLOURS['cyan'], (5, 5, 30, 30))
    picture.paste(COLOURS['brown'], (35, 35, 40, 40))
    name_colours(Asked(1, '', '', [picture], ''))

    test_eq(name_colours(Asked(1, '', '', [picture], '')), says('cyan things', 'brown things'))
    test_eq(name_colours(Asked(1, '', '', [Image.new('RGB', (40, 40), 'grey')], '')), says('none'))
