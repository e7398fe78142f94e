# Generated from nbs/15_command/18_hub.ipynb by `make export`. Edit the notebook, not this file.

import os
from milan.testing.hub import (
    HubServer,
)

import urllib.error
import urllib.request

from fastcore.test import expect_fail, test_eq


# 18_hub.ipynb, section "The server"
def test_the_server():
    with HubServer({'user/name': {'README.md': b'hello', 'weights.safetensors': b'1234'}}) as hub:
        address = f'{hub.address}/user/name/resolve/main/README.md'
        with urllib.request.urlopen(address) as answer: body, tag = answer.read(), answer.headers['ETag']
        with expect_fail(urllib.error.HTTPError, contains='404'): urllib.request.urlopen(address + 'x')
    body, tag, hub.asked[0]

    test_eq(tag.strip('"'), 'b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0') # as `git hash-object` says
    assert hub.address not in os.environ.get('HF_ENDPOINT', '')
