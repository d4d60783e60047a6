"""Times the official ZenNAS code, from a checkout of it: Zen-Scores, and steps of its search.

A score is what the search does with a candidate: build the network without residual links, draw its
weights, two forward passes. A search runs as its CIFAR script starts it, for a number of steps.
"""

import collections.abc
import json
import pathlib
import random
import sys
import tempfile
import types

import torch

from measure import Times, arguments, measure


def revive():
    """Lets the code of 2021 run on a current PyTorch, and on a CPU."""
    # Its image models, which no score uses, import a module that PyTorch has dropped.
    sys.modules["torch._six"] = types.SimpleNamespace(container_abcs=collections.abc)
    # The search moves its networks to the GPU unasked.
    torch.nn.Module.cuda = lambda network, device=None: network


def score(structure, classes, resolution, batch):
    import Masternet
    from ZeroShotProxy import compute_zen_score

    network = Masternet.MasterNet(num_classes=classes, plainnet_struct=structure, no_create=False, no_reslink=True)
    return compute_zen_score.compute_nas_score(
        gpu=None, model=network, mixup_gamma=1e-2, resolution=resolution, batch_size=batch, repeat=1
    )


def search(official, case, seed):
    """Runs the official search and returns its function of no arguments."""
    import evolution_search

    folder = tempfile.mkdtemp()
    initial = pathlib.Path(folder, "initial.txt")
    initial.write_text(case["structure"])
    command = [
        "--zero_shot_score", "Zen",
        "--search_space", str(official / "SearchSpace/search_space_XXBL.py"),
        "--plainnet_struct_txt", str(initial),
        "--budget_model_size", str(case["search"]["params"]),
        "--max_layers", str(case["search"]["layers"]),
        "--population_size", str(case["search"]["population"]),
        "--num_classes", str(case["classes"]),
        "--batch_size", str(case["batch"]),
        "--input_image_size", str(case["resolution"]),
        "--evolution_max_iter", str(case["search"]["steps"]),
        "--save_dir", folder,
    ]  # fmt: skip
    options = evolution_search.parse_cmd_options(command)
    random.seed(seed)
    torch.manual_seed(seed)
    return lambda: evolution_search.main(options, command)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--official", type=pathlib.Path, required=True)
    parser.add_argument("--structures", type=pathlib.Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sys.path.insert(0, str(options.official.resolve()))
    # The official modules read the command line when they are imported.
    sys.argv = sys.argv[:1]
    revive()

    cases = [json.loads(line) for line in options.structures.read_text().splitlines()]
    for case in cases:
        if "search" in case:
            times = Times()
            for seed in range(options.repeats):
                times.add(search(options.official, case, seed), work=case["search"]["steps"])
            times.report(f"search step, {case['name']}", options.threads)
        else:
            run = lambda case=case: score(case["structure"], case["classes"], case["resolution"], case["batch"])
            kind = "equal precision," if "ours" in case else "score"
            measure(f"{kind} {case['name']}", run, options.repeats, options.threads)


main()
