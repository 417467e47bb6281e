"""What `python -m fomm_core` sets up before anything else."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Threads that all hold memory at once have an arena each, as far as there may be so many.
_ARENAS = """
import contextlib, ctypes, runpy, sys, threading
if {ours}:
    sys.argv = ["fomm_core", "models", "list"]
    with contextlib.suppress(SystemExit):
        runpy.run_module("fomm_core", run_name="__main__")
together = threading.Barrier(4)
def hold():
    held = ctypes.create_string_buffer(50_000)
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, file)
libc.fflush(file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's arenas")
def test_threads_share_one_heap():
    def arenas(ours: bool) -> int:
        done = subprocess.run(
            [sys.executable, "-c", _ARENAS.format(ours=ours)], capture_output=True, text=True, check=True
        )
        return done.stdout.count("<heap nr=")

    assert arenas(ours=False) > 1, "this does not tell"
    assert arenas(ours=True) == 1
