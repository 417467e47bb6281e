"""Executes a notebook in a fresh kernel, and writes it back with what its cells have shown.

    python tools/run_notebook.py examples/says_hello.ipynb     # its outputs made anew

It runs in the notebook's own folder. Where a cell fails, its traceback is printed and the file stays as it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELL_SECONDS = 300


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs. Raises `CellExecutionError` where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,  # times would change the file at each run
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    # Which Python it was that ran it changes from machine to machine, and says nothing.
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path, nargs="+")
    for path in parser.parse_args().notebook:
        try:
            notebook = executed(path.resolve())
        except CellExecutionError as error:
            print(f"{path}: a cell failed.\n{error}", file=sys.stderr)
            return 1
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
