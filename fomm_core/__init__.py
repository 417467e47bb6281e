"""The model side of Van Gogh Says Hello: the First Order Motion Model, as a library and a command line.

Importing this package costs nothing (no torch): Blender imports `fomm_core.protocol` from it.
"""

__version__ = "0.1.0"
