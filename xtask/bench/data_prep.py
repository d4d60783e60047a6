"""Times Pillow on preparing radiographs: decode a grey image of 2000 px, resize it to 224 px.

With `--write DIR` it makes the images that both sides read, and measures nothing.
"""

import pathlib
import random

from PIL import Image

from measure import arguments, measure

FULL, SMALL, COUNT = 2000, 224, 4


def radiograph(seed):
    """Returns an image as smooth and as noisy as a radiograph, always the same for a seed."""
    source = random.Random(seed)
    shades = Image.frombytes("L", (8, 8), source.randbytes(64))
    smooth = shades.resize((FULL, FULL), Image.Resampling.BICUBIC)
    noise = Image.frombytes("L", (FULL, FULL), source.randbytes(FULL * FULL))
    # Uniform noise of 256 shades, of which 4 % are left: a standard deviation of 3 shades.
    return Image.blend(smooth, noise, 0.04)


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(COUNT):
        image = radiograph(number + 1)
        image.save(folder / f"{number}.png")
        image.save(folder / f"{number}.jpg", quality=90)


def prepare(files):
    for file in files:
        with Image.open(file) as image:
            image.resize((SMALL, SMALL), Image.Resampling.BILINEAR).tobytes()


def main():
    parser = arguments(__doc__)
    parser.add_argument("--images", type=pathlib.Path)
    parser.add_argument("--write", type=pathlib.Path)
    options = parser.parse_args()
    if options.write:
        write(options.write)
        return
    for name, suffix in [("png", "png"), ("jpeg", "jpg")]:
        files = sorted(options.images.glob(f"*.{suffix}"))
        # Pillow works in one thread, whatever is asked for.
        case = f"{name} {FULL} px to {SMALL} px, one image"
        measure(case, lambda files=files: prepare(files), options.repeats, threads=1, work=len(files))


main()
