"""Checks a certificate of the exact solver with a MILP solver, at the depths of its structure.

    pip install scipy
    python verify_highs.py CERTIFICATE.json

At fixed depths the program is a mixed-integer linear one: a binary for every width and for every pair of
bottleneck and kernel of a block, and every product of two choices written out over the binaries of one of
them. HiGHS solves it to optimality and must come to the score of the certificate. This shares nothing with
the solver: no prices, no chain, no floating-point bounds. It says nothing about other depths.

Knows blocks `conv` and `bottleneck` without a further additive cost.
"""

import json
import math
import sys

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix


class Model:
    """Rows and columns of a MILP that is maximised."""

    def __init__(self):
        self.objective, self.low, self.high, self.integer = [], [], [], []
        self.rows, self.cols, self.values, self.row_low, self.row_high = [], [], [], [], []

    def column(self, high=1.0, integer=False, objective=0.0):
        self.objective.append(objective)
        self.low.append(0.0)
        self.high.append(high)
        self.integer.append(int(integer))
        return len(self.objective) - 1

    def row(self, terms, low, high):
        index = len(self.row_low)
        for column, value in terms:
            self.rows.append(index)
            self.cols.append(column)
            self.values.append(value)
        self.row_low.append(low)
        self.row_high.append(high)

    def product(self, binaries, terms, high):
        """Columns x_i = binary_i * (sum of terms), for binaries of which exactly one is 1."""
        parts = [self.column(high=high) for _ in binaries]
        for part, binary in zip(parts, binaries):
            self.row([(part, 1.0), (binary, -high)], -math.inf, 0.0)
        self.row([(part, 1.0) for part in parts] + [(c, -v) for c, v in terms], 0.0, 0.0)
        return parts

    def solve(self):
        matrix = coo_matrix((self.values, (self.rows, self.cols)), shape=(len(self.row_low), len(self.objective)))
        return milp(
            -np.array(self.objective),
            constraints=LinearConstraint(matrix.tocsr(), self.row_low, self.row_high),
            bounds=Bounds(self.low, self.high),
            integrality=self.integer,
            options={"mip_rel_gap": 1e-9},
        )


def smart_round(x, step):
    return max(step, step * round(x / step))


def necks(space, width, step):
    rule = space["necks"]
    if rule == "none":
        return [0]
    if "fixed" in rule:
        return [rule["fixed"]]
    if "ratios" in rule:
        return sorted({smart_round(r * width, step) for r in rule["ratios"]})
    low = smart_round(rule["range"]["least"] * width, step)
    high = max(int(rule["range"]["most"] * width) // step * step, step)
    return list(range(low, high + 1, step))


def build(program, depths):
    """The model, and the objective's constant."""
    model, step = Model(), program["step"]
    budgets = program["budgets"]
    usage = {"params": [], "flops": []}
    entropy = []  # terms (column, coefficient) of the running entropy
    constant = 0.0  # constant of the running entropy
    ceiling = 0.0  # what the running entropy never exceeds
    side, layers = float(program["image"]), 0
    before = None
    widths_before = [program["channels"]]
    stages = {stage["end"]: stage for stage in program["stages"]}
    for i, (space, depth) in enumerate(zip(program["blocks"], depths)):
        if space["kind"] not in ("conv", "bottleneck"):
            sys.exit(f"block {i}: this check does not know `{space['kind']}`")
        low, high = space["widths"]
        widths = list(range(low, high + 1, step))
        width = [model.column(integer=True) for _ in widths]
        model.row([(c, 1.0) for c in width], 1.0, 1.0)
        if before is not None:
            model.row([(c, w) for c, w in zip(width, widths)] + [(c, -w) for c, w in zip(before, widths_before)], 0.0, math.inf)
            if space["growth"] is not None:
                grown = [(c, -space["growth"] * w) for c, w in zip(before, widths_before)]
                model.row([(c, w) for c, w in zip(width, widths)] + grown, -math.inf, 0.0)
        out = 1.0 / space["stride"] ** 2
        pixels = side * side
        # Channels before the block as terms, or a constant for the stem.
        if before is None:
            constant += 0.5 * math.log(widths_before[0])
        else:
            entropy += [(c, 0.5 * math.log(w)) for c, w in zip(before, widths_before)]
        if space["kind"] == "conv":
            [k] = space["kernels"]
            constant += math.log(k)
            if before is not None:
                sys.exit(f"block {i}: this check knows a convolution as the stem only")
            cin = widths_before[0]
            usage["params"] += [(c, cin * w * k * k + 2 * w) for c, w in zip(width, widths)]
            usage["flops"] += [(c, pixels * out * (cin * w * k * k + 3 * w)) for c, w in zip(width, widths)]
        else:
            bottleneck(model, space, depth, step, (width, widths), (before, widths_before), pixels, usage, entropy)
        widest = max(necks(space, max(widths), step)) or 1
        ceiling += depth * (math.log(max(widths)) + math.log(widest) + math.log(max(space["kernels"])))
        layers += depth * (1 if space["kind"] == "conv" else 3)
        if i in stages:
            stage = stages[i]
            # (ln c + 2 ln side) * T: the running entropy, split over the widths.
            parts = model.product(width, entropy, ceiling)
            for part, c, w in zip(parts, width, widths):
                factor = stage["weight"] * (math.log(w) + 2 * math.log(stage["side"]))
                model.objective[part] += factor
                model.objective[c] += factor * constant
            if budgets["rho"] is not None:
                needed = 0.5 * layers * (math.log(layers) - math.log(budgets["rho"]))
                model.row(list(entropy), needed - constant, math.inf)
        before, widths_before = width, widths
        side /= space["stride"]
    for name in ("params", "flops"):
        if budgets[name] is not None:
            model.row([(c, v / budgets[name]) for c, v in usage[name]], -math.inf, 1.0)
    if budgets["layers"] is not None and layers > budgets["layers"]:
        sys.exit("the depths break the budget of layers")
    return model


def bottleneck(model, space, depth, step, width, before, pixels, usage, entropy):
    (width, widths), (before, widths_before) = width, before
    out = 1.0 / space["stride"] ** 2
    allowed = {w: set(necks(space, w, step)) for w in widths}
    choices = [(b, k) for b in sorted(set().union(*allowed.values())) for k in space["kernels"]]
    pick = [model.column(integer=True) for _ in choices]
    model.row([(c, 1.0) for c in pick], 1.0, 1.0)
    for c, w in zip(width, widths):
        # A width excludes the bottlenecks that it does not allow.
        model.row([(c, 1.0)] + [(p, 1.0) for p, (b, _) in zip(pick, choices) if b not in allowed[w]], -math.inf, 1.0)
    entropy += [(c, 0.5 * (depth - 1) * math.log(w)) for c, w in zip(width, widths)]
    entropy += [(p, depth * (math.log(b) + math.log(k))) for p, (b, k) in zip(pick, choices)]
    numbers = sorted({b for b, _ in choices})
    neck = [[p for p, (b, _) in zip(pick, choices) if b == number] for number in numbers]
    flag = []
    for group in neck:
        column = model.column()
        model.row([(column, 1.0)] + [(p, -1.0) for p in group], 0.0, 0.0)
        flag.append(column)
    c_terms = list(zip(width, widths))
    cin_terms = list(zip(before, widths_before))
    b_c = model.product(flag, c_terms, max(widths))
    b_cin = model.product(flag, cin_terms, max(widths_before))
    cin_c = model.product(before, c_terms, max(widths))
    more = depth - 1
    for b, bc, bcin in zip(numbers, b_c, b_cin):
        usage["params"] += [(bcin, b), (bc, b * (1 + 2 * more))]
        usage["flops"] += [(bcin, pixels * b), (bc, pixels * out * b * (1 + 2 * more))]
    for w, part in zip(widths_before, cin_c):
        usage["params"].append((part, w))
        usage["flops"].append((part, pixels * out * w))
    for p, (b, k) in zip(pick, choices):
        usage["params"].append((p, depth * (b * b * k * k + 4 * b)))
        usage["flops"].append((p, pixels * (b * (3 + 3 * out) + out * b * b * k * k + out * more * (b * b * k * k + 6 * b))))
    for c, w in zip(width, widths):
        usage["params"].append((c, w * (4 + 2 * more)))
        usage["flops"].append((c, pixels * out * w * (6 + 3 * more)))
    if space["stride"] == 2:
        usage["flops"] += [(c, pixels * w) for c, w in cin_terms]


def penalty(program, depths):
    rule = program["penalty"]
    chosen = [depths[i] for i in rule["blocks"]]
    if not chosen:
        return 0.0
    variance = float(np.var(chosen))
    return rule["scale"] * math.exp(variance if rule["spread"] == "variance" else math.sqrt(variance))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        certificate = json.load(file)
    program = certificate["program"]
    depths = [choice["depth"] for choice in certificate["structure"]]
    result = build(program, depths).solve()
    if result.x is None:
        sys.exit(f"HiGHS: {result.message}")
    score = -result.fun - penalty(program, depths)
    print(f"depths {depths}: certificate {certificate['score']:.6f}, HiGHS {score:.6f} ({result.message})")
    if abs(score - certificate["score"]) > 1e-6 * abs(certificate["score"]):
        sys.exit("they differ")


if __name__ == "__main__":
    main()
