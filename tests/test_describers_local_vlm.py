# Generated from nbs/10_describers/15_local_vlm.ipynb by `make export`. Edit the notebook, not this file.

from milan.config import MilanError
from milan.describers.answers import Unanswered
from milan.describers.prompts import PictureQuestion
from milan.files import fingerprint
from milan.describers.local_vlm import (
    generate,
    load_parts,
    LocalVLM,
)

import tempfile
import warnings
from pathlib import Path

import pytest
from fastcore.test import test_eq
from PIL import Image

from milan.describers.prompts import as_jpeg
from milan.describers.vlm import VLMDescriber
from milan.exemplars.store import Exemplars
from milan.files import remove
from milan.testing import made_up_exemplars

warnings.filterwarnings('ignore', message='IProgress not found')

def tiny_llava(answers=True):
    "A folder with a random model, its processor, and letters as tokens."
    from milan.config import import_torchvision
    import_torchvision()
    import string

    import tokenizers
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    words = ['<pad>', '<eos>', '<image>', '{"descriptions": ["red balls"]}', *string.printable]
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, ' '))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Split('', 'isolated')
    plain.add_special_tokens(words[:3])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, pad_token='<pad>',
                                                     eos_token='<eos>')
    template = ("{% for turn in messages %}{% for part in turn['content'] %}{% if part['type'] == 'image' %}"
                "<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}")
    seeing = transformers.CLIPImageProcessor(size={'shortest_edge': 16},
                                             crop_size={'height': 16, 'width': 16})
    processor = transformers.LlavaProcessor(seeing, tokenizer, patch_size=8, image_token='<image>',
                                            vision_feature_select_strategy='full',
                                            num_additional_image_tokens=1, chat_template=template)
    both = {'hidden_size': 16, 'intermediate_size': 32, 'num_hidden_layers': 1, 'num_attention_heads': 2}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(image_size=16, patch_size=8, **both), image_token_id=2,
        text_config=transformers.LlamaConfig(vocab_size=len(words), max_position_embeddings=4096,
                                             pad_token_id=0, eos_token_id=1, bos_token_id=None, **both),
        vision_feature_select_strategy='full', vision_feature_layer=-1)
    torch.manual_seed(0)
    model, folder = transformers.LlavaForConditionalGeneration(config), Path(tempfile.mkdtemp())
    if answers:
        model.generation_config.suppress_tokens = [i for i in range(len(words)) if i != 3]
    for part in (model, processor): part.save_pretrained(folder)
    return folder


# 15_local_vlm.ipynb, section "Asking"
def test_asking():
    folder = tiny_llava()
    red, blue = (as_jpeg(Image.new('RGB', (40, 30), name)) for name in ('red', 'blue'))
    questions = [PictureQuestion('What is it?', (red, blue)),
                 PictureQuestion('What is it, and what is it like?', (blue,))]
    generate(*load_parts(folder), questions, longest=1)

    test_eq([one.text for one in generate(*load_parts(folder), questions, 2)],
            ['{"descriptions": ["red balls"]} {"descriptions": ["red balls"]}'] * 2)
    test_eq([one.tokens for one in generate(*load_parts(folder), questions, 2)],
            [(len(one.text) + 5 * len(one.pictures), 2) for one in questions]) # 2 x 2 patches and a class token
    remove(folder)
    folder = tiny_llava(answers=False)
    parts = load_parts(folder)
    together = generate(*parts, questions, 8)
    test_eq(together, [generate(*parts, [one], 8)[0] for one in questions]) # padding changes nothing
    assert together[0].text != together[1].text
    remove(folder)


# 15_local_vlm.ipynb, section "The model"
def test_the_model():
    folder, found = tiny_llava(), made_up_exemplars(['conv'], 6, k=3)
    model = LocalVLM(folder, 'cpu', batch=4, longest=1)
    describer = VLMDescriber(model, 'masked', folder=folder/'answers')
    table = describer.describe(Exemplars.open(found), progress=False)
    table

    test_eq(set(table.description), {'red balls'})
    kept = sorted((folder/'answers').glob('*.json'))
    test_eq(len(kept), 6)
    again = LocalVLM(folder, 'cpu', dtype='float32', batch=1, longest=1)
    test_eq(again.identity(), model.identity()) # batches do not count
    VLMDescriber(again, 'masked', folder=folder/'answers').describe(Exemplars.open(found), progress=False)
    test_eq(sorted((folder/'answers').glob('*.json')), kept)
    others = [LocalVLM(folder, 'cpu', longest=2), LocalVLM(folder, 'cpu', dtype='bfloat16', longest=1)]
    test_eq(len({fingerprint(one.identity()) for one in (model, *others)}), 3)
    test_eq(others[1].reply([describer.question(Exemplars.open(found), 'conv', 0)])[0].text,
            '{"descriptions": ["red balls"]}')
    remove(found)
    remove(folder)

    folder, found = tiny_llava(answers=False), made_up_exemplars(['conv'], 3, k=2)
    describer = VLMDescriber(LocalVLM(folder, 'cpu', longest=5), folder=folder/'answers')
    table = describer.describe(Exemplars.open(found), progress=False)
    table.failed.str.slice(0, 32).unique().tolist()

    test_eq(table.silent.tolist(), ['failed'] * 3)
    assert table.failed.str.startswith('no JSON with descriptions, twice').all()
    remove(found)
    remove(folder)


# 15_local_vlm.ipynb, section "Errors"
def test_errors():
    folder = tiny_llava()
    for wrong, said in ((lambda: LocalVLM(folder/'nothing'), 'cannot be loaded'),
                        (lambda: LocalVLM(folder, batch=0), 'batch is 0'),
                        (lambda: LocalVLM(folder, 'cuda:99'), 'cuda:99')):
        with pytest.raises(MilanError, match=said): wrong()
    broken = LocalVLM(folder, 'cpu')
    with pytest.raises(Unanswered, match='failed'): # more images than the text has places for
        broken._processor.chat_template = 'no place for images'
        broken.reply([PictureQuestion('What?', (as_jpeg(Image.new('RGB', (9, 9))),))])
    (folder/'chat_template.jinja').unlink()
    with pytest.raises(MilanError, match='has no chat template'): LocalVLM(folder, 'cpu')
    (folder/'model.safetensors').write_bytes(b'damaged')
    with pytest.raises(MilanError, match='cannot be loaded'): LocalVLM(folder, 'cpu')
    remove(folder)
