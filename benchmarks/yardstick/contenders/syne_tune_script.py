"""One trial of Syne Tune: a configuration from the command line, a report after each epoch."""

from __future__ import annotations

from argparse import ArgumentParser

from syne_tune import Reporter

from benchmarks.yardstick.contenders.training import Training
from benchmarks.yardstick.jobs import JOBS, load_arrays

if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--activation")
    parser.add_argument("--job")
    parser.add_argument("--split_seed", type=int)
    config, _ = parser.parse_known_args()
    job = JOBS[config.job]
    report = Reporter()
    training = Training(job, *load_arrays(job, config.split_seed), vars(config))
    for epoch in range(1, job.max_epochs + 1):
        report(epoch=epoch, val_accuracy=training.epoch())
