"""Frames side by side: some lanes, each with its share of the threads that PyTorch has.

One frame's layers are too small to be divided well among a processor's cores, and much of what is done around them
runs on one core alone; whole frames divide without a loss.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

# Each lane holds a frame of its own in memory: with more cores than this, lanes get several.
MOST = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


def count() -> int:
    """How many lanes there are."""
    return min(MOST, torch.get_num_threads())


def in_order(work: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """`work` of each item, done in the lanes, in the items' order.

    The items are taken in the caller's thread, at most `ahead` of them before the result that is waited for. What
    goes wrong is raised in its turn. Close it, and what has begun is finished, the rest forgotten. `work` must not
    wait for lanes itself.
    """
    pool = _pool(count())
    pending: deque[Future] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            while pending and (len(pending) > ahead or pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        wait(pending)


@cache
def _pool(lanes: int) -> ThreadPoolExecutor:
    threads = torch.get_num_threads()
    share, begun = threads // lanes, Barrier(lanes + 1)

    def begin() -> None:
        torch.set_num_threads(share)
        torch.get_num_threads()  # a thread that has not asked yet would later take the number that is set last
        begun.wait()

    pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
    for _ in range(lanes):
        pool.submit(begin)
    begun.wait()
    torch.set_num_threads(
        threads
    )  # what the lanes have set is each one's own, but for threads that come later
    return pool
