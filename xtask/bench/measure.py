"""What the reference side of a benchmark shares: its arguments, its clocks and its output.

A measurement is one JSON line on standard output, as `xtask/src/bench/measure.rs` describes it.
"""

import argparse
import json
import os
import resource
import sys
import time


def arguments(description):
    """Returns a parser with the arguments that every benchmark is given."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    return parser


def claim_output():
    """Keeps standard output for measurements: whatever else is printed goes to standard error."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


OUTPUT = claim_output()


class Times:
    """The repetitions of one case."""

    def __init__(self):
        self.wall, self.processor = [], []

    def add(self, function, work=1):
        """Calls the function once; its time is divided by the pieces of work that it does."""
        wall, processor = time.perf_counter(), time.process_time()
        result = function()
        self.processor.append((time.process_time() - processor) / work)
        self.wall.append((time.perf_counter() - wall) / work)
        return result

    def report(self, name, threads):
        """Prints the measurement. Processor time means something for one thread only: others spin."""
        line = {"name": name, "side": "reference", "seconds": self.wall}
        if threads == 1:
            line["cpu_seconds"] = self.processor
        line["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(line), file=OUTPUT, flush=True)


def measure(name, function, repeats, threads, work=1):
    """Calls the function once to warm up, then measures `repeats` calls and reports them."""
    function()
    times = Times()
    for _ in range(repeats):
        times.add(function, work)
    times.report(name, threads)
