import os
import sys

# How long threads that wait for each other spin before they sleep. GNU's OpenMP, which PyTorch brings on Linux,
# spins thirty times as long: on an idle machine that gains nothing, and where anything else wants the processor,
# such as Blender, all that PyTorch computes takes twice as long. It is read once, when PyTorch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from .cli import main

sys.exit(main())
