import os
import sys

# How long threads that wait for each other spin before they sleep. GNU's OpenMP, which PyTorch brings on Linux,
# spins thirty times as long, which gains nothing on an idle machine, and where anything else wants the processor,
# such as Blender, slows down all that PyTorch computes. It is read once, when PyTorch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from .cli import main

sys.exit(main())
