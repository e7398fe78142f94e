# Generated from nbs/02_images/01_files.ipynb by `make export`. Edit the notebook, not this file.

from PIL import Image
from milan.config import MilanError
from pathlib import Path
import numpy as np
from milan.images.files import (
    centre_crop,
    fit_object,
    open_picture,
)

import tempfile

from fastcore.test import expect_fail, test_eq

from milan.testing import disc, made_up_folder

def class_folders():
    """A folder as ImageFolder wants it, with what can go wrong in sorting: capitals, numbers, inner folders,
    other files."""
    folder, random = Path(tempfile.mkdtemp()), np.random.default_rng(0)
    for name in ('b/10.png', 'b/9.png', 'b/Z.PNG', 'b/inner/1.png', 'a/c.png', 'B/x.png', 'a/note.txt',
                 'a/d.gif'):
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (int(random.integers(20, 90)), int(random.integers(20, 90)), 3),
                                 dtype=np.uint8)
        (
            Image.fromarray(pixels).save(folder / name)
            if name[-3:] in ('png', 'PNG')
            else (folder / name).write_text('no picture')
        )
    return folder


# 01_files.ipynb, section "Opening a picture"
def test_opening_a_picture():
    folder = made_up_folder()
    open_picture(folder/'red'/'1.jpg').size

    test_eq(open_picture(folder/'red'/'1.jpg', 'RGB').mode, 'RGB')

    whole = (folder/'red'/'1.jpg').read_bytes()
    (folder/'cut.jpg').write_bytes(whole[:len(whole) // 2])
    (folder/'text.png').write_text('no picture')
    for name in ('cut.jpg', 'text.png', 'nowhere.png'):
        with expect_fail(MilanError, contains=name): open_picture(folder/name)

    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    ways = {'8 bit.png': ramp, '16 bit.png': ramp * np.uint16(257), '16 bit.tif': ramp * np.uint16(257),
            '16 bit.ppm': ramp * np.uint16(257), 'big-endian.tif': (ramp * np.uint16(257)).astype('>u2'),
            'fractions.tif': ramp.astype(np.float32) / 255}
    for name, values in ways.items():
        Image.fromarray(values).save(folder/name)
        test_eq(np.asarray(open_picture(folder/name, 'RGB')), np.stack([ramp] * 3, 2))
    {name: Image.open(folder/name).mode for name in ways}

    colours = Image.fromarray(np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8))
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    } # as the camera stored it
    for orientation, stored in turned.items():
        exif = Image.Exif()
        exif[274] = orientation
        for name in ('turned.png', 'turned.webp', 'turned.tif'):
            colours.transpose(stored).save(folder / name, exif=exif,
                                           **({'lossless': True} if name.endswith('webp') else {}))
            test_eq(np.asarray(open_picture(folder/name, 'RGB')), np.asarray(colours))
        colours.transpose(stored).resize((70, 70)).save(folder/'turned.jpg', exif=exif)
        Image.open(folder / 'turned.jpg').transpose(
            {**turned, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}[orientation]
        ).save(folder / 'plain.png')
        test_eq(np.asarray(open_picture(folder / 'turned.jpg', 'RGB')),
                np.asarray(open_picture(folder / 'plain.png', 'RGB')))
        test_eq(np.asarray(open_picture(folder / 'turned.jpg', 'RGB', upright=False)),
                np.asarray(Image.open(folder / 'turned.jpg')))

    clear = np.array([[0, 255], [128, 255]], dtype=np.uint8)
    for mode in ('1', 'L', 'P', 'RGB', 'LA', 'RGBA', 'PA'):
        picture = Image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8)).convert(
            'L' if mode == 'PA' else mode
        )
        picture.putalpha(Image.fromarray(clear)) if mode in ('LA', 'RGBA', 'PA') else None
        picture.save(folder/'modes.png')
        test_eq(np.asarray(open_picture(folder/'modes.png', 'RGB'))[..., 0].tolist(), [[0, 255], [255, 0]])
        test_eq(
            np.asarray(open_picture(folder / 'modes.png'))[..., 3], clear if 'A' in mode else np.full((2, 2), 255)
        )
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert('P')
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(folder/'palette.png', transparency=1)
    test_eq(np.asarray(open_picture(folder/'palette.png')).tolist(), [[[255, 0, 0, 255], [0, 255, 0, 0]]])
    # the stored colour, not a ground
    test_eq(np.asarray(open_picture(folder/'palette.png', 'RGB')).tolist(), [[[255, 0, 0], [0, 255, 0]]])
    for name in ('print.tif', 'print.jpg'):
        Image.new('CMYK', (8, 8), (0, 255, 255, 0)).save(folder/name)
        red, green, blue = np.asarray(open_picture(folder/name, 'RGB'))[0, 0]
        assert red > 240 and green < 15 and blue < 15, (name, red, green, blue)
    Image.fromarray(ramp * np.uint16(257)).save(folder/'clear.png', transparency=257 * 3)
    test_eq(
        np.asarray(open_picture(folder / 'clear.png'))[0, 2:5].tolist(),
        [[2, 2, 2, 255], [3, 3, 3, 0], [4, 4, 4, 255]],
    )


# 01_files.ipynb, section "One shape for all"
def test_one_shape_for_all():
    wide = Image.new('RGB', (200, 100), (0, 0, 255))
    wide.paste((255, 0, 0), (0, 0, 40, 100))
    middle = np.asarray(centre_crop(wide, 64))
    test_eq(middle.shape, (64, 64, 3))
    assert (middle == (0, 0, 255)).all()
    fitted = np.asarray(fit_object(disc(), 50))[..., 3] > 127
    test_eq(fitted.shape, (50, 50))
    assert 43 <= fitted.any(0).sum() <= 46 and 43 <= fitted.any(1).sum() <= 46
    fit_object(disc(), 50).getbbox()
