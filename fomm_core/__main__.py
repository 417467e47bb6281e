import os
import sys

# Threads that wait for each other must sleep, not spin: where anything else wants the processor, such as Blender,
# spinning makes all that PyTorch computes several times slower. OpenMP reads this once, when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from .cli import main

sys.exit(main())
