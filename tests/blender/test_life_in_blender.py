"""The extension's whole life in a real Blender, without a window, with the real worker."""

import sys

from tests.blender.life import arguments, check


def test_a_job_is_done_and_seen_and_nothing_is_left(run):
    check(run.run("life.py", **arguments(sys.executable)))
