# Generated from nbs/15_command/07_describing.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.cli.describing import (
    _further,
    check_out,
    check_units,
    default_folder,
    own_settings,
)
import pytest

import os
import shutil
import tempfile

import numpy as np
import pandas as pd
import torch
from fastcore.test import expect_fail, test_eq
from PIL import Image
from safetensors.torch import save_file

from milan.config import MilanError
from milan.testing import print_help, run_command, run_process


# 07_describing.ipynb, section "Exemplars"
def test_exemplars():
    print_help(run_process('exemplars', '--help').stdout)

    theirs = Path(tempfile.mkdtemp())
    (theirs / 'own.py').write_text(
        "from torch import nn\nopen('ran', 'w').close()\ndef make(): return nn.Conv2d(3, 4, 3)\n".replace(
            "'ran'", repr(str(theirs / 'ran'))
        )
    )
    (theirs/'net.yaml').write_text('name: own/pictures\nbuild: own:make')
    (theirs/'pictures').mkdir()
    # a network file is code
    for first, said, ran in (((), 'could run any code', False), (('--trust',), 'pictures', True)):
        refused = run_process(*first, 'exemplars', theirs/'net.yaml', theirs/'pictures', '--device', 'cpu')
        test_eq((refused.returncode, said in refused.stderr, (theirs/'ran').exists()), (1, True, ran))


# 07_describing.ipynb, section "Checks before the pass"
def test_checks_before_the_pass():
    folder = Path(tempfile.mkdtemp())
    check_out(folder/'new')
    (folder/'gallery').mkdir()
    (folder/'gallery'/'diary.txt').touch()
    with expect_fail(MilanError, contains='left alone'): check_out(folder)
    shutil.rmtree(folder)

    with expect_fail(MilanError, contains="'head'"): check_units({'head': [0]}, ['conv1'], 15, 100)
    with expect_fail(MilanError, contains='choose k from 1 to 9'): check_units(None, ['conv1'], 15, 9)


# 07_describing.ipynb, section "Descriptions"
def test_descriptions():
    from milan.config import results_dir

    made = default_folder(results_dir()/'exemplars'/'resnet18'/'stamps', 'base', None, None, None)
    test_eq(made, results_dir()/'descriptions'/'resnet18'/'stamps'/'base')

    from types import SimpleNamespace

    from milan.concepts.clip_teacher import ClipTeacher

    teachers = None, ClipTeacher(None, ('red', 'round'), torch.zeros(2, 4))
    [own_settings(SimpleNamespace(name='concepts', teacher=one, settings=lambda: {'words': 2}), {})
     for one in teachers]

    usual, worded = (SimpleNamespace(name='concepts', teacher=one, settings=lambda: {'words': 2})
                     for one in teachers)
    test_eq([own_settings(usual, {}), own_settings(worded, {})], [[], [{'words': 2}]])

    from milan import networks
    from milan.exemplars.compute import compute
    from milan.hooks.layers import layers_of
    from milan.images.sets import ShapeScenes

    home = Path(tempfile.mkdtemp())
    network, scenes = networks.load('planted/shapes', pretrained=False), ShapeScenes(100)
    layers, settings = layers_of(network.module, ['colours']), {'k': 5, 'size': 64, 'quiet': True}
    with_maxima = compute(network, scenes, layers, keep_maxima=True, out=home/'with', **settings)
    without = compute(network, scenes, layers, out=home/'without', **settings)
    table = pd.DataFrame(with_maxima.units[:3], columns=['layer', 'unit'])
    more = _further(with_maxima, with_maxima, table, network, scenes, layers, None, range(100))
    len(more['meanings']), more['samples'].deciles, more['samples'].table.unit.nunique()

    test_eq(more['samples'].table.unit.unique(), [0, 1, 2])
    said = _further(without, without, table, network, scenes, layers, None, range(100))
    test_eq(list(said), ['meanings']) # and why there is no more
    test_eq(_further(without.select(k=1), None, table, network, scenes, layers, None, range(100)), {})
    shutil.rmtree(home)

    print_help(run_process('describe', '--help').stdout)


# 07_describing.ipynb, section "Descriptions"
@pytest.mark.slow
def test_descriptions_slow():
    class Numbers:
        "Stands in for a captioner."
        def describe(self, exemplars, **settings):
            given.append(settings)
            return pd.DataFrame([(one.layer, one.unit, f'unit {one.unit}', 0.0) for one in exemplars],
                                columns=['layer', 'unit', 'description', 'score'])


    home, given = Path(tempfile.mkdtemp()), []
    (home/'pictures').mkdir()
    for seed in range(6):
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (70, 70, 3), dtype=np.uint8)).save(
            home / 'pictures' / f'{seed}.png'
        )
    os.environ['MILAN_RESULTS_DIR'], os.environ['MILAN_DATA_DIR'] = str(home/'results'), str(home/'data')
    import milan.captioner.demo

    train, milan.captioner.demo.train = milan.captioner.demo.train, lambda name, device=None: Numbers()
    arguments = ('describe', 'planted/shapes', home / 'pictures', '--units', 'colours:0-3', '--k', '2',
                 '--captioner', 'shapes', '--device', 'cpu', '--beam-size', '5')
    results = [run_command(*arguments) for _ in range(2)]
    (home/'sae').mkdir()
    (home/'sae'/'cfg.json').write_text('{"architecture": "topk", "k": 2, "d_in": 12}')
    save_file({'W_enc': torch.eye(12, 22), 'b_enc': torch.zeros(22), 'b_dec': torch.zeros(12)},
              home/'sae'/'sae_weights.safetensors')
    results.append(run_command(*arguments[:3], '--layers', 'colours', '--dictionary', home/'sae', '--units',
                               'colours.sae:0,21', *arguments[5:], '--out', home/'features'))
    print(results[0].stdout.replace(str(home), '…'))
    milan.captioner.demo.train = train
    test_eq([one.exit_code for one in results], [0, 0, 0])
    test_eq(given[0], {'progress': True, 'beam_size': 5})
    [table] = (home/'results').rglob('descriptions.csv')
    test_eq(pd.read_csv(table).description.tolist(), ['unit 0', 'unit 1', 'unit 2', 'unit 3'])
    assert (table.parent/'gallery'/'index.html').is_file()
    [made] = (home/'results'/'exemplars').rglob('exemplars.json')
    test_eq(table.parent.parent.relative_to(home / 'results' / 'descriptions'),
            made.parent.relative_to(home / 'results' / 'exemplars'))
    assert table.parent.name.startswith('shapes-') # with a hash, as the beam is not the captioner's own
    features = pd.read_csv(home/'features'/'descriptions.csv')
    test_eq([tuple(row) for row in features[['layer', 'unit']].values], [('colours.sae', 0), ('colours.sae', 21)])

    planted = 'exemplars', 'planted/shapes', home/'pictures', '--random-weights'
    (home/'pictures'/'damaged.png').write_bytes(b'not a picture')
    tolerant = run_command(*planted, '--layers', 'colours', '--units', 'colours:0', '--k', '6', '--skip-broken')
    test_eq((tolerant.exit_code, tolerant.stderr.count('left out: '), 'left out: damaged.png' in tolerant.stderr),
            (0, 1, True))
    fatal = run_command(*planted, '--layers', 'colours', '--k', '6')
    test_eq((fatal.exit_code, 'damaged.png' in fatal.stderr), (1, True))
    (home/'pictures'/'damaged.png').unlink()
    failures = [run_command(*planted, '--layers', 'colour'), run_command('exemplars', 'planted/shape', 'shapes'),
                run_command(*planted, '--device', 'gpu7'), run_command(*planted, '--units', 'colours'),
                run_command(*planted, '--k', '7'), run_command(*planted[:2], home / 'nothing')]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 6)
    for name in ('MILAN_RESULTS_DIR', 'MILAN_DATA_DIR'): del os.environ[name]
    shutil.rmtree(home)
    print('\n'.join(one.stderr.strip() for one in failures).replace(str(home), '…'))


# 07_describing.ipynb, section "Other describers"
@pytest.mark.slow
def test_other_describers_slow():
    from milan.testing import small_clip

    home = Path(tempfile.mkdtemp())
    os.environ.update(MILAN_RESULTS_DIR=str(home/'results'), MILAN_DATA_DIR=str(home/'data'))
    for part in small_clip(): part.save_pretrained(home/'clip')
    (home/'words.txt').write_text('red\ngreen\na blue ring\n')
    (home/'own.py').write_text('def brightest(one):\n    parts = (one.images * one.masks).sum((0, 2, 3))\n'
                               '    return ("red", "green", "blue")[int(parts.argmax())]\n')
    common = ('describe', 'planted/shapes', 'shapes', '--units', 'colours:0,3,5', '--device', 'cpu')
    asked = {'netdissect': (), 'clip-dissect': ('--words', home/'words.txt', '--clip', home/'clip'), 'linear': (),
             f'{home}/own.py:brightest': (), f'verified:{home}/own.py:brightest': ()}
    tables = {}
    for name, extra in asked.items():
        done = run_command('--trust', *common, '--describer', name, *extra, '--out', home/str(len(tables)))
        test_eq((name, done.exit_code, done.stderr if done.exit_code else ''), (name, 0, ''))
        tables[name.replace(f'{home}/', '')] = pd.read_csv(home/str(len(tables))/'descriptions.csv',
                                                           keep_default_na=False)
    pd.DataFrame({name: table.description for name, table in tables.items()})

    test_eq(tables['netdissect'].description.tolist(), ['red', 'green', 'blue'])
    assert set(tables['clip-dissect'].description) <= {'red', 'green', 'a blue ring'}
    assert [text.split()[1] for text in tables['linear'].description] == ['red', 'green', 'blue']
    test_eq(tables['own.py:brightest'].description.tolist(), ['red', 'green', 'blue'])
    test_eq(tables['verified:own.py:brightest'].description.tolist(), ['red', 'green', 'blue'])
    from milan.describers.linear import read_linear

    test_eq([one.split()[0] for one in read_linear(home/'2'/'linear').concept0], ['red', 'green', 'blue'])
    assert (home/'2'/'gallery'/'index.html').is_file()
    Image.new('RGB', (70, 70)).save(home/'1.png')
    words = home/'nowords.txt'
    failures = [run_command(*common, '--describer', f'{home}/own.py:brightest'),
                run_command(*common, '--describer', 'clip-dissect', '--words', words),
                run_command(*common, '--describer', 'clip-dissect', *asked['clip-dissect'][:3], 'nobody/it'),
                run_command(*common[:2], home, '--k', '1', '--device', 'cpu', '--describer', 'netdissect')]
    test_eq([(one.exit_code, 'Traceback' in one.stderr) for one in failures], [(1, False)] * 4)
    for one, said in zip(failures, ('milan --trust', 'one word or phrase on each line', 'give the folder',
                                    'name labelled pictures')):
        assert said in ' '.join(one.stderr.split())
    for name in ('MILAN_RESULTS_DIR', 'MILAN_DATA_DIR'): del os.environ[name]
    shutil.rmtree(home)
    print('\n'.join(' '.join(one.stderr.split()).replace(str(home), '…')[:160] for one in failures))


# 07_describing.ipynb, section "Before long work"
@pytest.mark.slow
def test_before_long_work_slow():
    def never(*given, **named): raise AssertionError('this must not be reached')


    home = Path(tempfile.mkdtemp())
    before = os.getcwd()
    os.chdir(home)
    os.environ.update(MILAN_RESULTS_DIR=str(home/'results'), MILAN_DATA_DIR=str(home/'data'))
    for name in ('pictures', 'mine/gallery', 'made/gallery', 'table'): (home/name).mkdir(parents=True)
    Image.new('RGB', (70, 70)).save(home/'pictures'/'1.png')
    for name in ('file', 'mine/gallery/diary.txt', 'made/gallery/gallery.json', 'made/descriptions.csv',
                 'table/descriptions.csv'):
        (home / name).touch()
    import milan.captioner.demo
    import milan.exemplars
    import milan.networks
    kept = milan.exemplars.compute, milan.captioner.demo.train, milan.networks.load
    milan.exemplars.compute = milan.captioner.demo.train = never
    planted = ('describe', 'planted/shapes', 'pictures', '--random-weights', '--captioner', 'shapes', '--device',
               'cpu', '--k', '1')
    after_loading = [run_command(*planted, '--k', '2'), run_command(*planted, '--layers', 'colour'),
                     run_command(*planted, '--layers', 'shapes', '--units', 'colours:1')]
    milan.networks.load = never
    at_once = [
        run_command('describe', 'planted/shapes', './mypics'),
        run_command('describe', 'hf:nobody/nothing', 'mypics'),
        run_command(*planted, '--captioner', './my.pth'),
        run_command(*planted, '--captioner', 'bse+clip'),
        run_command(*planted, '--units', 'colours:'),
        run_command(*planted, '--device', 'gpu7'),
        run_command(*planted, '--out', 'file'),
        run_command(*planted, '--out', 'mine'),
        run_command(*planted, '--out', 'table'),
        run_command('describe', 'resnet18/imagenet', 'imagenet'),
    ]
    told = [one.stderr.strip().replace(str(home), '…') for one in (*after_loading, *at_once)]
    test_eq([one.exit_code for one in (*after_loading, *at_once)], [1] * len(told))
    for good in ('made', 'new', 'pictures'): check_out(Path(good))
    milan.exemplars.compute, milan.captioner.demo.train, milan.networks.load = kept
    os.chdir(before)
    for name in ('MILAN_RESULTS_DIR', 'MILAN_DATA_DIR'): del os.environ[name]
    shutil.rmtree(home)
    print('\n'.join(one.split('; ')[0][:150] for one in told))


# 07_describing.ipynb, section "A vision-language model"
@pytest.mark.slow
def test_a_vision_language_model_slow():
    from milan.testing.chat import ChatServer, name_colours

    home = Path(tempfile.mkdtemp())
    (home/'prompt.txt').write_text('{pictures} Which colour?')
    os.environ['MILAN_RESULTS_DIR'], os.environ['MILAN_DATA_DIR'] = str(home/'results'), str(home/'data')
    os.environ['OPENAI_API_KEY'] = 'sk-planted-0123456789'
    with ChatServer(name_colours) as server:
        asks = ('describe', 'planted/shapes', 'shapes', '--layers', 'colours', '--units', 'colours:0-7',
                '--device', 'cpu', '--describer', f'openai:toy@{server.url}')
        runs = [run_command(*asks, '--dry-run', '--prices', '2,8'), run_command(*asks, '--limit', '2'),
                run_command(*asks), run_command(*asks, '--prompt', home/'prompt.txt', '--show', 'cropped')]
        counts, last = len(server.asked), server.asked[-1]
        sure = [run_command(*asks[:-1], f'verified:openai:toy@{server.url}', '--out', home/'sure', *more)
                for more in (['--dry-run'], [])]
        gone = run_command(*asks[:-1], 'openai:toy@http://127.0.0.1:9/v1')
    print('\n'.join(line for one in runs[:2] for line in one.stdout.splitlines()[:1] if 'results' not in line))
    test_eq([one.exit_code for one in runs], [0, 0, 0, 0])
    test_eq(counts, 8 + 8) # nothing twice, and nothing by the dry run
    test_eq([last.text, len(last.pictures), last.key],
            ['Each of the 15 pictures shows one region, cut out of a larger image. Which colour?', 15,
             'Bearer sk-planted-0123456789'])
    found = (home/'results').rglob('descriptions.csv')
    tables = sorted((pd.read_csv(path, keep_default_na=False) for path in found), key=len)
    test_eq([len(one) for one in tables], [2, 8, 8])
    test_eq(tables[0].description.tolist(), ['red things', 'orange things'])
    test_eq([one.exit_code for one in sure], [0, 0])
    assert '8 units' in sure[0].stdout
    sure = pd.read_csv(home/'sure'/'descriptions.csv', keep_default_na=False)
    assert set(sure.description[:4]) <= {'', 'red things', 'orange things', 'yellow things', 'green things'}
    assert (sure.description[:4] != '').any() and set(sure.source) <= {'', 'openai:toy'}
    test_eq((gone.exit_code, 'no server answers at http://127.0.0.1:9/v1' in gone.stderr), (1, True))
    kept = [path.read_bytes() for path in home.rglob('*') if path.is_file()]
    assert not any(b'sk-planted' in one for one in kept) and 'sk-planted' not in str([one.output for one in runs])
    for name in ('MILAN_RESULTS_DIR', 'MILAN_DATA_DIR', 'OPENAI_API_KEY'): del os.environ[name]
    shutil.rmtree(home)
