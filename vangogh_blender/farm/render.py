"""The step Render: `blender --background SCENE --python render.py -- BUNDLE --output DIR --frames 1-8`.

It runs in a farm machine's Blender, by the copy of the extension in the bundle; nothing need be installed there. A
picture that is there is complete, and not rendered again.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Render the frames; the exit status. What a farm reads goes to standard output (How Jobs Are Run)."""
    parser = argparse.ArgumentParser(prog="render.py")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--frames", required=True)
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(PACKAGE.parent))
    from vangogh_says_hello.fomm_core.errors import UserError, in_words
    from vangogh_says_hello.vangogh_blender.farm import rendering

    try:
        for percent in rendering.render(options.bundle, options.output, options.frames):
            print(f"openjd_progress: {percent}", flush=True)
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()  # a fault of ours: for the log
        print(f"openjd_fail: {in_words(error)}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv[sys.argv.index("--") + 1 :])
    sys.stdout.flush()
    if status:  # Blender's own end says 0 whatever a script's `sys.exit` says
        os._exit(status)
