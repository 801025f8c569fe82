"""Several processes that train the same weights at once, without waiting for each other.

Hogwild (Niu et al. 2011, arXiv:1106.5730): each process takes its own samples, keeps its own state
of the optimiser, and writes into weights that all share. On a machine with other work to do this
beats threads, which meet after every layer, so that the slowest sets the pace: on two busy cores a
thread alone trained on 41 photos a second of CPU time, two together on 25.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from typing import Protocol

import torch
from torch import nn


class Trainee(Protocol):
    """What a helper needs of a run."""

    stop: bool

    @property
    def network(self) -> nn.Module:
        """What all members train."""

    def steps(self) -> Iterator[dict[str, float]]:
        """Train, step by step."""


class Team:
    """The processes of a run; the one that starts it is number 0, and may be alone."""

    def __init__(self, members: int) -> None:
        self.member = 0
        """The number of the process that asks."""
        self._context = get_context("fork")
        self._samples = torch.zeros(members, dtype=torch.int64)
        self._over = torch.zeros(1, dtype=torch.bool)
        for board in (self._samples, self._over):
            board.share_memory_()  # type: ignore[no-untyped-call]
        self._helpers: list[ForkProcess] = []

    def start(self, run: Trainee) -> None:
        """Fork the helpers; before the first backward pass, whose threads a fork would lose."""
        if len(self._samples) > 1:
            run.network.share_memory()
        for number in range(1, len(self._samples)):
            helper = self._context.Process(target=self._help, args=(run, number), daemon=True)
            helper.start()
            self._helpers.append(helper)

    def count(self, samples: int) -> None:
        """Add what this process has taken."""
        self._samples[self.member] += samples

    def samples(self) -> int:
        """Taken by all, in this run."""
        return int(self._samples.sum())

    def dismiss(self) -> None:
        """Stop the helpers and wait for them."""
        self._over.fill_(value=True)
        for helper in self._helpers:
            helper.join()

    def _help(self, run: Trainee, number: int) -> None:
        # The first process alone hears the signals, and passes the word on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.member = number
        for _ in run.steps():
            run.stop = bool(self._over)
