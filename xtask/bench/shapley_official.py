"""Times the official Shapley-NAS supernet, from a checkout of it: a training step, evaluations with all
operations, with half of them and along a walk, and a gradient by the mask.

The training step and the evaluations are what its search does; `share of a search` is both in its proportions. It takes no mask gradients; that case is its network with
autograd by the operations' weights, the supernet's weights frozen.
"""

import pathlib
import sys

import torch

from measure import arguments, measure

CASES = [("C16 L8, batch 32", 16, 8, 32), ("C8 L3, batch 32", 8, 3, 32)]
EDGES, OPS = 14, 7
PLAYERS = 2 * EDGES * OPS
STRIDE = 14
# A fifth of an epoch with values and of one without, at the proportions of the official CIFAR-10 search divided
# by 32: of 2 x 781 images for weights, and of ten walks on 32 images. With gamma 0.5, a walk over a trained
# supernet ends after a quarter of its players.
SEARCH_STEPS, SEARCH_WALKS, SEARCH_EVALUATIONS = 10, 2, 51


def present(removed):
    """Returns the masks of both cell types after so many removals, in the order of our side."""
    mask = torch.tensor([float(player * 37 % PLAYERS >= removed) for player in range(PLAYERS)])
    return mask.view(2, EDGES, OPS)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--official", type=pathlib.Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sys.path.insert(0, str(options.official.resolve()))
    import model_search

    for name, channels, layers, batch in CASES:
        criterion = torch.nn.CrossEntropyLoss()
        model = model_search.Network(channels, 10, layers, criterion)
        images = torch.sin(torch.arange(batch * 3 * 32 * 32, dtype=torch.float32) * 0.37).view(batch, 3, 32, 32)
        labels = torch.arange(batch) % 10
        alphas = set(map(id, model.arch_parameters()))
        weights = [weight for weight in model.parameters() if id(weight) not in alphas]
        optimizer = torch.optim.SGD(weights, 0.01, momentum=0.9, weight_decay=3e-4)

        def train():
            model.train()
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimizer.step()
            return loss.item()

        def evaluate(mask):
            tables = model.get_softmax()
            tables = {"normal": tables["normal"] * mask[0], "reduce": tables["reduce"] * mask[1]}
            return model(images, weights_dict=tables)

        @torch.no_grad()
        def accuracy(mask):
            return (evaluate(mask).argmax(1) == labels).float().mean().item()

        def gradient(mask):
            mask = mask.clone().requires_grad_()
            criterion(evaluate(mask), labels).backward()

        run = lambda case, function, work=1: measure(
            f"{case}, {name}", function, options.repeats, options.threads, work
        )
        run("training step", train)

        def search():
            model.requires_grad_(True)
            for _ in range(SEARCH_STEPS):
                train()
            model.eval()
            for _ in range(SEARCH_WALKS):
                for removed in range(SEARCH_EVALUATIONS):
                    accuracy(present(removed))

        if layers == 3:
            measure(f"share of a search, {name}", search, 1, options.threads, 1)
        model.eval()
        half = present(PLAYERS // 2)
        run("evaluation", lambda: accuracy(present(0)))
        run("half evaluation", lambda: accuracy(half))
        walk = [present(removed) for removed in range(0, PLAYERS + 1, STRIDE)]
        run("evaluation of a walk", lambda: [accuracy(mask) for mask in walk], len(walk))
        model.requires_grad_(False)
        run("mask gradient", lambda: gradient(half))


main()
