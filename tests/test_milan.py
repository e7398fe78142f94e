# Generated from nbs/15_command/03_milan.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan import (
    _with_clip,
)
import pytest

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
import milan.captioner.checkpoints
from milan.captioner.model import Captioner
from milan.captioner.decoder import Decoder
from milan.captioner.encoder import PyramidEncoder
from milan.captioner.text import Vocabulary
from milan.config import MilanError, import_torchvision
from milan.testing.hub import HubServer

# transformers asks for a widget that nothing here shows
warnings.filterwarnings('ignore', message='IProgress not found')


# 03_milan.ipynb, section "Modules on demand"
def test_modules_on_demand():
    milan.config.device('cpu')

    with expect_fail(AttributeError, contains='config'): milan.confg
    assert {'config', 'pretrained'} <= set(dir(milan))

    HEAVY = ['torch', 'torchvision', 'transformers', 'spacy', 'matplotlib', 'pandas', 'numpy']
    code = 'import sys, milan; print([name for name in sys.argv[1:] if name in sys.modules])'
    loaded = subprocess.run([sys.executable, '-c', code, *HEAVY], capture_output=True, text=True,
                            check=True).stdout
    test_eq(loaded, '[]\n')
    loaded


# 03_milan.ipynb, section "Captioners by name"
def test_captioners_by_name():
    for name in ('base', 'base+clip', 'models/mine+clip:openai/clip-vit-large-patch14', 'my+clips'):
        print(name, _with_clip(name), sep=' → ')

    def user_folder():
        "A fresh folder that stands for a user's data and models, with no connection."
        folder = Path(tempfile.mkdtemp())
        places = {'MILAN_MODELS_DIR': folder, 'MILAN_DATA_DIR': folder / 'data',
                  'MILAN_LOCK_FILE': folder / 'data' / 'lock.json', 'MILAN_OFFLINE': 1}
        os.environ.update({name: str(value) for name, value in places.items()})
        return folder


    def forget(folder):
        "Remove what `user_folder` made."
        for name in ('MILAN_MODELS_DIR', 'MILAN_DATA_DIR', 'MILAN_LOCK_FILE', 'MILAN_OFFLINE'):
            del os.environ[name]
        shutil.rmtree(folder)

    folder = user_folder()
    decoder = Decoder(Vocabulary(['red', 'things']), 8, 4, 6)
    Captioner(decoder).save(folder/'ours')
    loaded = milan.pretrained(folder/'ours', 'cpu')
    loaded

    milan.captioner.checkpoints.save(Captioner(decoder), folder/'milan-base.pth', encoder=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        published = [milan.pretrained(name, 'cpu') for name in ('base', folder/'milan-base.pth')]
    assert all('no weights of an encoder' in str(warning.message) for warning in caught)
    for one in [loaded, *published]:
        for name, value in one.decoder.state_dict().items(): test_eq(value, decoder.state_dict()[name])
    forget(folder)

    folder = user_folder()
    del os.environ['MILAN_OFFLINE']
    with HubServer() as hub:
        Captioner(decoder, card={'licence': 'CC0'}).push('user/name', private=False)
        loaded = milan.pretrained('hf:user/name', 'cpu')
        asked = [path for path in hub.asked if path.startswith('GET') and 'resolve' in path]
        with expect_fail(MilanError, contains='no such repository'): milan.pretrained('hf:user/nobody+clip')
        with expect_fail(MilanError, contains='no such revision'): milan.pretrained('hf:user/name@v2')
        with expect_fail(MilanError, contains='no name on the hub'): milan.pretrained('hf:name')
    os.environ['MILAN_OFFLINE'] = '1'
    forget(folder)
    sorted(path.rpartition('/')[2] for path in asked)

    test_eq(loaded.decoder.state_dict()['embedding.weight'], decoder.state_dict()['embedding.weight'])

    before = sys.modules.get('milan.captioner.demo')
    sys.modules['milan.captioner.demo'] = types.SimpleNamespace(train=lambda name, device: (name, device))
    given = milan.pretrained('shapes', torch.device('cpu'))
    if before is None: del sys.modules['milan.captioner.demo']
    else: sys.modules['milan.captioner.demo'] = before
    test_eq(given, ('shapes', 'cpu'))

    import_torchvision() # which transformers' CLIP needs, and a CPU build of torch may not import by itself
    import transformers

    folder = user_folder()
    transformers.logging.disable_progress_bar()
    both = {'hidden_size': 8, 'intermediate_size': 8, 'num_hidden_layers': 1, 'num_attention_heads': 1}
    tokens = {'<|startoftext|>': 0, '<|endoftext|>': 1, 'red</w>': 2}
    config = transformers.CLIPConfig(
        text_config={'vocab_size': 3, 'bos_token_id': 0, 'eos_token_id': 1, 'pad_token_id': 1, **both},
        vision_config={'image_size': 8, 'patch_size': 4, **both}, projection_dim=4
    )
    for part in (transformers.CLIPModel(config), transformers.CLIPTokenizer(vocab=tokens)):
        part.save_pretrained(folder / 'clip')
    eye = PyramidEncoder(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1)), ['0'])
    Captioner(Decoder(Vocabulary(['red', 'things']), 8, 4, 6), encoder=eye).save(folder/'ours')
    reranked = milan.pretrained(f'{folder}/ours+clip:{folder}/clip', 'cpu')
    reranked

    reranked.encoder = eye
    test_eq(reranked(torch.rand(2, 3, 3, 8, 8), beam_size=4).beam_clip.shape, (2, 4))
    for name, said in {f'{folder}/ours+clip:nobody/no-such-clip': 'nothing was fetched',
                       f'{folder}/theirs+clip:{folder}/clip': 'no captioner'}.items():
        with expect_fail(MilanError, contains=said): milan.pretrained(name, 'cpu')
    os.rename(folder/'ours', folder/'ours+clip') # a folder of this very name is just a folder
    test_eq(type(milan.pretrained(folder/'ours+clip', 'cpu')), Captioner)
    forget(folder)

    folder = user_folder()
    wrong = {'gen': "'stamps' is trained here", 'stamp': "did you mean 'stamps'",
             'stamp+clip': "did you mean 'stamps'", 'my.pth': 'give a .pth, a folder'}
    for name, remedy in wrong.items():
        with expect_fail(MilanError, contains=remedy): milan.pretrained(name)
    try: milan.pretrained('gen')
    except MilanError as error:
            shown = str(error).replace(f'{folder}/data', '$MILAN_DATA_DIR')
            print(shown.replace(str(folder), '$MILAN_MODELS_DIR'))
    forget(folder)


# 03_milan.ipynb, section "With few libraries"
@pytest.mark.slow
def test_with_few_libraries_slow():
    FEW = '''
import sys
extras = set("""seaborn spacy sacrebleu rouge_score srsly jupyterlab ipykernel papermill nbformat IPython timm
    efficientnet_lite_pytorch transformers huggingface_hub pyarrow boto3 spellchecker bert_score sklearn
    scipy nbdev openai fastcore pytest sphinx""".split())
from importlib.machinery import PathFinder
found = PathFinder.find_spec
def without(name, path=None, target=None):
    return None if name.partition(".")[0] in extras else found(name, path, target)
PathFinder.find_spec = without
import numpy as np
import torch
from PIL import Image
from typer.testing import CliRunner
import milan
from milan.cli import app
for number in range(4): Image.fromarray(np.full((32, 32, 3), 60 * number, np.uint8)).save(f"{number}.png")
for words in ("--help", "networks", "exemplars planted/shapes ./ --random-weights --units colours:0-3 --k 2"
              " --device cpu --out found"):
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, (words, done.output, done.exception)
features = torch.rand(4, 2, 3)
needs = {"text": lambda: milan.captioner.text.tokenize("a dog"),
         "demo": lambda: milan.networks.load("timm:resnet18"),
         "clip": lambda: milan.networks.load("hf:me/mine"),
         "hub": lambda: milan.pretrained("hf:me/mine"),
         "notebooks": lambda: milan.experiments.find(),
         "experiments": lambda: milan.evaluation.bert_score(["a"], [["a"]]),
         "vlm": lambda: milan.describers.load("openai:any@http://127.0.0.1:9/v1"),
         "crowdsourcing": lambda: milan.annotations.qualification._client(True)}
for name, work in needs.items():
    try: work()
    except milan.config.MilanError as error: print(name, f"[{name}]" in str(error), error)
'''
    folder = tempfile.mkdtemp()
    run = subprocess.run([sys.executable, '-c', FEW], capture_output=True, text=True, cwd=folder,
                         env={**os.environ, 'MILAN_RESULTS_DIR': f'{folder}/results'})
    shutil.rmtree(folder)
    assert run.returncode == 0, run.stderr
    test_eq([line.split()[1] for line in run.stdout.splitlines()], ['True'] * 8)
    print(run.stdout)
