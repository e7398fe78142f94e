# Generated from nbs/07_captioner/09_card.ipynb by `make export`. Edit the notebook, not this file.

from torch import nn
import pandas as pd
from milan.captioner.card import (
    CaptionerFile,
    CardEntry,
    Defaults,
    file_content,
    model_card,
    weights_hash,
)

from fastcore.test import expect_fail, test_eq
from milan.captioner.model import Captioner
from milan.captioner.decoder import Decoder
from milan.captioner.encoder import PyramidEncoder
from milan.captioner.lm import LanguageModel
from milan.captioner.text import Vocabulary


# 09_card.ipynb, section "What captioner.json may hold"
def test_what_captioner_json_may_hold():
    Defaults(strategy='beam', temperature=.2, beam_size=50, length=15)

    with expect_fail(ValueError, contains='beam_size'):
        Defaults(strategy='beam', temperature=.2, beam_size=0, length=15)

    CardEntry(limits=['It knows two colours.'])

    with expect_fail(ValueError, contains='limits'): CardEntry(limits='none')


# 09_card.ipynb, section "Its content"
def test_its_content():
    words = Vocabulary(['red', 'things'])
    tiny = Captioner(Decoder(words, features=3, embedding_size=4, hidden_size=4), LanguageModel(words, 4, 4),
                     PyramidEncoder(nn.Sequential(nn.Conv2d(3, 3, 1)), ['0'], name='tiny'))
    {name: value for name, value in file_content(tiny).items() if name not in ('versions', 'encoder')}

    test_eq(CaptionerFile.model_validate(file_content(tiny)).encoder.layers, ['0'])

    before = weights_hash(tiny.encoder.network)
    nn.init.zeros_(tiny.encoder.network[0].bias)
    assert weights_hash(tiny.encoder.network) != before

    measures = pd.DataFrame({'measure': 'word_f1', 'row': ['ours', 'constant'], 'value': [1., .4],
                             'low': [1., .2], 'high': [1., .6], 'n': 4, 'note': ['', '"a|b"']})
    log = [{'epoch': 0, 'validation_loss': 1.5, 'best': True},
           {'epoch': 1, 'validation_loss': 1.6, 'best': False}]
    training = {'annotations': 60, 'units': 20, 'held_out': 4, 'decoder_log': log, 'lm_log': log}
    tiny.card = {'data': 'red and green pictures', 'licence': 'CC0', 'measures': measures, 'training': training,
                 'limits': ['It knows two colours.']}
    print('\n'.join(line for line in model_card(tiny).splitlines() if 'versions' not in line))

    text = model_card(tiny)
    for line in ('* licence: CC0', '| word_f1 | ours | 1.000 | 1.000 to 1.000 | 4 |  |', r'"a\|b"',
                 '| decoder | 1.500 | 4.5 | 0 | 2 |', '* It knows two colours.'): assert line in text, line

    bare = model_card(Captioner(tiny.decoder)) # a captioner without documentation
    for line in ('* data: not stated', 'licence: not stated', 'Not documented.', 'Not measured.',
                 'language model: none'): assert line in bare, line

    print(model_card(tiny, 'user/tiny').partition('## Data')[0])

    test_eq(model_card(tiny, 'hf:user/tiny').partition('## Data')[2], model_card(tiny).partition('## Data')[2])
