"""Compares exported models with the scores of `nashost predict`.

Usage: check_export.py FOLDER N C H W

FOLDER holds model.onnx, model.pt, plain.onnx and plain.pt (the same for normalised input), tensors/ (the
safetensors export), images.raw (N×C×H×W bytes) and scores.csv. Prints one JSON object with the largest
absolute differences, and fails if the checker of ONNX refuses a model.
"""

import csv
import json
import sys

import numpy as np
import onnx
import onnxruntime
import torch


def onnx_scores(path, images):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["images"], session.get_inputs()
    assert [o.name for o in session.get_outputs()] == ["logits", "scores"], session.get_outputs()
    logits, scores = session.run(None, {"images": images})
    single = session.run(["scores"], {"images": images[:1]})[0]
    assert np.abs(single - scores[:1]).max() < 1e-5, "the size of the batch changes a score"
    assert np.abs(1 / (1 + np.exp(-logits.astype(np.float64))) - scores).max() < 1e-6
    return scores, session.get_modelmeta()


def torch_scores(path, images):
    module = torch.jit.load(path)
    with torch.no_grad():
        scores = module(torch.from_numpy(images)).numpy()
        single = module(torch.from_numpy(images[:1])).numpy()
    assert np.abs(single - scores[:1]).max() < 1e-5, "the size of the batch changes a score"
    return scores


def main():
    folder, shape = sys.argv[1], [int(size) for size in sys.argv[2:6]]
    pixels = np.fromfile(f"{folder}/images.raw", dtype=np.uint8).reshape(shape).astype(np.float32) / 255
    with open(f"{folder}/tensors/model.json") as file:
        description = json.load(file)
    with open(f"{folder}/scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = description["labels"]
    assert [row["label"] for row in rows[: len(labels)]] == labels
    expected = np.array([float(row["score"]) for row in rows]).reshape(shape[0], len(labels))
    assert ((0.01 < expected) & (expected < 0.99)).any(), "scores of 0 and 1 alone are no comparison"
    channels = description["input_shape"][0]
    mean, std = (
        np.array(description["normalisation"][key], dtype=np.float32).reshape(1, -1, 1, 1)
        for key in ("mean", "std")
    )
    normalised = np.repeat((pixels - mean) / std, channels // pixels.shape[1], axis=1)

    scores, meta = onnx_scores(f"{folder}/model.onnx", pixels)
    metadata = meta.custom_metadata_map
    assert json.loads(metadata["nashost.labels"]) == labels
    assert json.loads(metadata["nashost.thresholds"]) == description["thresholds"]
    assert json.loads(metadata["nashost.normalisation"]) == description["normalisation"]
    assert metadata["nashost.input"] == "pixels"
    found = {
        "onnx": scores,
        "onnx-normalised": onnx_scores(f"{folder}/plain.onnx", normalised)[0],
        "torchscript": torch_scores(f"{folder}/model.pt", pixels),
        "torchscript-normalised": torch_scores(f"{folder}/plain.pt", normalised),
    }
    print(json.dumps({name: float(np.abs(value - expected).max()) for name, value in found.items()}))


main()
