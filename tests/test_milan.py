# Generated from nbs/62_milan.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path

import os
import shutil
import subprocess
import sys
import tempfile
import types
import warnings

import torch
from fastcore.test import expect_fail, test_eq

import milan
from milan.captioner import Captioner
from milan.captioner.decoder import Decoder
from milan.captioner.text import Vocabulary
from milan.config import MilanError


# 62_milan.ipynb, section "Modules on demand"
def test_modules_on_demand():
    milan.config.device('cpu')

    with expect_fail(AttributeError, contains='config'): milan.confg
    assert {'config', 'pretrained'} <= set(dir(milan))

    HEAVY = ['torch', 'torchvision', 'transformers', 'spacy', 'matplotlib', 'pandas', 'numpy']
    code = 'import sys, milan; print([name for name in sys.argv[1:] if name in sys.modules])'
    loaded = subprocess.run([sys.executable, '-c', code, *HEAVY], capture_output=True, text=True, check=True).stdout
    test_eq(loaded, '[]\n')
    loaded


# 62_milan.ipynb, section "Captioners by name"
def test_captioners_by_name():
    decoder = Decoder(Vocabulary(['red', 'things']), 8, 4, 6)
    folder = Path(tempfile.mkdtemp())
    Captioner(decoder).save(folder/'ours')
    loaded = milan.pretrained(folder/'ours', 'cpu')
    loaded

    indexer = {'properties': {'vocab': {'properties': {'tokens': ('red', 'things')}}}}
    settings = {'indexer': indexer, 'embedding_size': 4, 'hidden_size': 6, 'dropout': .5, 'strategy': 'beam', 'temperature': .2, 'beam_size': 3, 'length': 5}
    torch.save({'properties': settings, 'children': {'encoder': 'Unknown'}, 'state_dict': decoder.state_dict()}, folder/'milan-base.pth')
    os.environ['MILAN_MODELS_DIR'] = str(folder)
    with warnings.catch_warnings(): # it says that it knows no such encoder
        warnings.simplefilter('ignore')
        published = [milan.pretrained(name, 'cpu') for name in ('base', folder/'milan-base.pth')]
    for one in [loaded, *published]:
        for name, value in one.decoder.state_dict().items(): test_eq(value, decoder.state_dict()[name])

    before = sys.modules.get('milan.captioner.demo')
    sys.modules['milan.captioner.demo'] = types.SimpleNamespace(train=lambda name, device: (name, device))
    given = milan.pretrained('shapes', torch.device('cpu'))
    if before is None: del sys.modules['milan.captioner.demo']
    else: sys.modules['milan.captioner.demo'] = before
    test_eq(given, ('shapes', 'cpu'))

    wrong = {'gen': "use 'stamps'", 'base+clip': "use 'base' without it", 'stamp': "did you mean 'stamps'", 'my.pth': 'give a .pth, a folder'}
    for name, remedy in wrong.items():
        with expect_fail(MilanError, contains=remedy): milan.pretrained(name)
    try: milan.pretrained('gen')
    except MilanError as error: print(str(error).replace(str(folder), '$MILAN_MODELS_DIR'))
    del os.environ['MILAN_MODELS_DIR']
    shutil.rmtree(folder)
