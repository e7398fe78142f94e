# Generated from nbs/62_milan.ipynb by `make export`. Edit the notebook, not this file.

from milan import (
    pretrained,
)

import subprocess
import sys
import types

from fastcore.test import expect_fail, test_eq

import milan


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


# 62_milan.ipynb, section "Published captioners"
def test_published_captioners():
    before = sys.modules.get('milan.captioner.checkpoints')
    sys.modules['milan.captioner.checkpoints'] = types.SimpleNamespace(pretrained=lambda name, device: (name, device))
    given = pretrained('base', 'cpu')
    if before is None: del sys.modules['milan.captioner.checkpoints']
    else: sys.modules['milan.captioner.checkpoints'] = before
    test_eq(given, ('base', 'cpu'))
    given
