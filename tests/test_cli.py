# Generated from nbs/15_command/00_cli.ipynb by `make export`. Edit the notebook, not this file.

from milan.cli.frame import app
import pytest

import http.client
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from fastcore.test import test_eq

import milan
from milan.config import MilanError
from milan.testing import print_help, run_command, run_process

print_help(run_process('--help').stdout)

code = ('import atexit, json, sys; atexit.register(lambda: print(json.dumps([n for n in sys.argv[2:] if n in'
        ' sys.modules])))')
HEAVY = ['torch', 'pandas', 'numpy', 'matplotlib', 'spacy', 'transformers', 'torchvision', 'papermill']
test_eq(json.loads(run_process('--help', *HEAVY, code=code).stdout.splitlines()[-1]), [])

completed = subprocess.run([sys.executable, '-c', 'from milan.cli import app; app(prog_name="milan")'],
                           text=True, capture_output=True,
                           env={**os.environ, '_MILAN_COMPLETE': 'complete_bash', 'COMP_WORDS': 'milan re',
                                'COMP_CWORD': '1'})
test_eq(completed.stdout.split(), ['reproduce'])

usage = [run_process('paint'), run_process('exemplars', 'planted/shapes', 'shapes', '--k', '0')]
test_eq([one.returncode for one in usage], [2, 2])
test_eq(run_command('browse', '/nowhere').exit_code, 1)
assert isinstance(run_command('--debug', 'browse', '/nowhere').exception, MilanError)
print_help(usage[0].stderr)

def examples() -> list[list[str]]:
    "All commands that the help texts show, as words."
    from typer.main import get_command

    pages, group = [], get_command(app)
    inner = [one for name in ('data', 'export') for one in group.commands[name].commands.values()]
    for command in [group, *group.commands.values(), *inner]:
        pages.append(command.help or '')
    lines = (line.strip() for page in pages for line in page.splitlines())
    return [shlex.split(line[2:]) for line in lines if line.startswith('$ ')]

def ask(address: str, path: str = '/') -> int:
    "The status of an answer."
    connection = http.client.HTTPConnection(address.split('/')[2], timeout=10)
    connection.request('GET', path)
    status = connection.getresponse().status
    connection.close()
    return status


# 00_cli.ipynb, section ""
@pytest.mark.slow
def test_top_slow():
    asked = []
    deaf = socket.create_server(('127.0.0.1', 0))


    def hang_up():
        "Accept connections and close them at once."
        while True:
            try: one, _ = deaf.accept()
            except OSError: return
            asked.append(one.recv(99).split(b' ')[0])
            one.close()


    threading.Thread(target=hang_up, daemon=True).start()
    folder = Path(tempfile.mkdtemp())
    os.environ |= {'HF_ENDPOINT': f'http://127.0.0.1:{deaf.getsockname()[1]}', 'HF_HOME': str(folder),
                   'MILAN_RESULTS_DIR': str(folder / 'results'), 'NO_PROXY': '127.0.0.1'}
    for name in ('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE', 'MILAN_OFFLINE'): os.environ.pop(name, None)
    result = run_process('exemplars', 'hf:nobody/nothing', 'shapes', '--device', 'cpu')
    deaf.close()
    for name in ('HF_ENDPOINT', 'HF_HOME', 'MILAN_RESULTS_DIR', 'NO_PROXY'): del os.environ[name]
    shutil.rmtree(folder)
    test_eq((result.returncode, asked.count(b'HEAD'), 'Traceback' in result.stderr), (1, 2, False))
    print(result.stderr.split('). ')[0])


# 00_cli.ipynb, section "From an empty folder"
def test_from_an_empty_folder():
    def understood(words: list[str]) -> bool:
        "Whether the options and arguments are the command's own; nothing runs."
        from typer.main import get_command

        command = get_command(app)
        start = words.index('milan.exemplars') + 1 if words[0] == 'torchrun' else 1
        words = [*(['exemplars'] if start > 1 else []), *words[start:]]
        words = words[words[0] == '--trust':] # of all commands
        while hasattr(command, 'commands'):
            command, words = command.commands[words[0]], words[1:]
        return command.make_context('milan', list(words)) is not None



    found = examples()
    assert all(understood(words) for words in found) and len(found) > 20
    ' '.join(found[0])


# 00_cli.ipynb, section "From an empty folder"
@pytest.mark.slow
def test_from_an_empty_folder_slow():
    global milan
    import milan.captioner.demo
    import milan.experiments
    import milan.images

    home, before = Path(tempfile.mkdtemp()), os.getcwd()
    for name in [name for name in os.environ if name.startswith('MILAN_') and name.endswith('_DIR')]:
        del os.environ[name]
    kept = dict(milan.captioner.demo.RECIPES), dict(milan.images.sets._MAKERS)
    milan.captioner.demo.RECIPES['shapes'] = replace(kept[0]['shapes'], scenes=60, drawn=60, components=16,
                                                     epochs=1)
    milan.images.sets._MAKERS['shapes'] = lambda size: milan.images.ShapeScenes(40)
    os.chdir(home)
    ran = {}
    for words in examples():
        line = ' '.join(words[1:])
        offline = words[0] == 'milan' and ('planted' in line or 'train shapes' in line or words[1] == 'networks'
                                           or words[1:3] in (['data', 'list'], ['data', 'verify'])
                                           or line == 'reproduce')
        if offline and 'tuxpaint' not in line: ran[line] = run_command(*words[1:])
    for line, one in ran.items(): assert one.exit_code == 0, (line, one.output, one.exception)
    described = sorted((home/'results'/'descriptions').rglob('descriptions.csv'))
    pages = [re.search('milan browse (.*)', one.output)[1]
             for line, one in ran.items() if line.startswith('describe')]
    os.chdir(before)
    list(ran)

    os.chdir(home)
    os.environ['PYTHONPATH'] = str(Path(milan.__file__).parent.parent)
    browsing = subprocess.Popen([sys.executable, '-u', '-c', 'from milan.cli import app; app(prog_name="milan")',
                                 'browse', pages[0], '--port', '0', '--no-open'], stdout=subprocess.PIPE,
                                text=True)
    address = re.search(r'http://\S+', browsing.stdout.readline())[0]
    test_eq([ask(address), ask(address, '/style.css'), ask(address, '/nothing')], [200, 200, 404])
    browsing.terminate()
    browsing.wait()
    browsing.stdout.close()
    milan.captioner.demo.RECIPES.update(kept[0])
    milan.images.sets._MAKERS.update(kept[1])
    assert {path.name for path in home.iterdir()} <= {'data', 'models', 'results'}
    os.chdir(before)
    shutil.rmtree(home)
    [path.relative_to(home).as_posix() for path in described]
