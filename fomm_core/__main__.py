import contextlib
import ctypes
import gc
import os
import sys

# How long threads that wait for each other spin before they sleep. GNU's OpenMP, which PyTorch brings on Linux,
# spins thirty times as long, which gains nothing on an idle machine, and where anything else wants the processor,
# such as Blender, slows down all that PyTorch computes. It is read once, when PyTorch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# NumPy's BLAS spins, too, after each of the tiny matrices that a frame has, on a core that has a frame of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# glibc gives each thread an arena of its own, and what is freed in one is of no use to the others: the frames that
# lanes and writers hand on scatter over all of them, and a job takes a twentieth more. M_ARENA_MAX is -8.
# Training, whose steps are other work, is left as it is.
if sys.platform == "linux" and sys.argv[1:2] not in (["train"], ["finetune"]):
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such thing
        ctypes.CDLL(None).mallopt(-8, 1)

from .cli import main

# PyTorch's import makes objects by the hundred thousand, which stay: looking through them again and again for
# garbage takes a sixth of that time.
gc.set_threshold(20_000)
status = main()
# After these all is on disk, and PyTorch would take half a second to take itself apart.
if sys.argv[1:2] in (["animate"], ["track"], ["farm"]):
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
sys.exit(status)
