"""Work side by side, in order."""

import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import lanes


@given(
    waits=st.lists(st.integers(0, 3), max_size=12),
    ahead=st.integers(0, 5),
)
def test_results_come_in_order_whatever_takes_long(waits, ahead):
    def work(item):
        time.sleep(item[1] / 2000)
        return item

    items = list(enumerate(waits))
    assert list(lanes.in_order(work, iter(items), ahead)) == items


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_no_more_is_taken_than_asked_for(ahead):
    taken, go = [], threading.Event()

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    def work(number):
        go.wait(5)
        return number

    results = lanes.in_order(work, items(), ahead)
    threading.Timer(0.1, go.set).start()
    assert next(results) == 0
    assert len(taken) == ahead + 1
    results.close()


def test_a_failure_comes_in_its_turn_and_ends_it():
    done = []

    def work(number):
        if number == 2:
            raise ValueError("two")
        done.append(number)
        return number

    results = lanes.in_order(work, range(100), 4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert len(done) < 10


def test_what_has_begun_is_finished_when_it_is_closed():
    begun, finished = [], []

    def work(number):
        begun.append(number)
        time.sleep(0.01)
        finished.append(number)

    results = lanes.in_order(work, range(100), 3)
    next(results)
    results.close()
    assert begun == finished
    assert len(begun) < 10


SHARING = """
import sys, threading, torch
from fomm_core import lanes

torch.set_num_threads(int(sys.argv[1]))
count = lanes.count()
together = threading.Barrier(count)

def work(_):
    together.wait(30)  # each in a lane of its own
    torch.rand(100_000).sum()  # whatever a thread finds out at its first work is found out
    return torch.get_num_threads()

print(list(lanes.in_order(work, range(count), count)), torch.get_num_threads())
"""


@pytest.mark.parametrize(("threads", "shares"), [(1, [1]), (2, [1, 1]), (9, [2, 2, 2, 2])])
def test_lanes_share_the_threads_and_leave_the_callers_alone(threads, shares):
    done = subprocess.run(
        [sys.executable, "-c", SHARING, str(threads)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{shares} {threads}"
