"""Times pydicom and Pillow on DICOM files: from the disk to shades of 224 × 224 pixels, in one thread.

    python dicom_prep.py --write FOLDER      makes the files from a radiograph of pydicom-data
    python dicom_prep.py FOLDER REPEATS      one line per file: mean milliseconds on the processor

`plugins/dicom/examples/bench_dicom.rs` prints the same for nashost. Columns: the pixels alone (pydicom's
stored values; nashost's are shades already), and with window, polarity and resizing.
"""

import pathlib
import sys
import time

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

SMALL = 224


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    source = get_testdata_file("RG1_UNCI.dcm")
    syntaxes = [("uncompressed", None), ("rle", RLELossless), ("jpegls", JPEGLSLossless), ("j2k", JPEG2000Lossless)]
    for number, (name, uid) in enumerate(syntaxes):
        data = dcmread(source)
        if uid:
            data.compress(uid)
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        data.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    rows = "".join(f"{path.name},1\n" for path in sorted(folder.glob("*.dcm")))
    (folder / "labels.csv").write_text("File,x\n" + rows)


def prepare(data, pixels):
    shown = apply_voi_lut(apply_modality_lut(pixels, data), data)
    top = 2**data.BitsStored - 1
    shades = np.clip(shown / top, 0, 1).astype(np.float32)
    if data.PhotometricInterpretation == "MONOCHROME1":
        shades = 1 - shades
    Image.fromarray(shades).resize((SMALL, SMALL), Image.Resampling.BILINEAR).tobytes()


def main():
    if sys.argv[1] == "--write":
        return write(pathlib.Path(sys.argv[2]))
    folder, repeats = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    for row in (folder / "labels.csv").read_text().splitlines()[1:]:
        name = row.split(",")[0]
        sums = [0.0] * 2
        for _ in range(repeats):
            start = time.thread_time()
            data = dcmread(folder / name)
            pixels = data.pixel_array
            decoded = time.thread_time()
            prepare(data, pixels)
            sums = [sums[0] + decoded - start, sums[1] + time.thread_time() - start]
        print(name, *(f"{1000 * t / repeats:.2f}" for t in sums), flush=True)


main()
