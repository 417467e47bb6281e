"""The notebook: it runs as it is, and what is committed is what it shows."""

import base64
import io
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from PIL import Image

from tools.run_notebook import executed

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "says_hello.ipynb"
LARGEST = 1_500_000  # bytes of a file that everybody clones


def cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(notebook):
    """What the cells show, as (media type, width, height)."""
    found = []
    for cell in cells(notebook):
        for output in cell.outputs:
            for kind, data in output.get("data", {}).items():
                if kind.startswith("image/"):
                    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
                        found.append((kind, *image.size))
    return found


def words(notebook):
    return [
        output.text for cell in cells(notebook) for output in cell.outputs if output.output_type == "stream"
    ]


def test_every_cell_runs_and_shows_what_is_committed(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    committed = nbformat.read(NOTEBOOK, as_version=4)
    fresh = executed(NOTEBOOK)  # raises where a cell fails
    assert pictures(fresh) == pictures(committed)
    # The first says which torch it is; what follows is numbers of the model, which another processor rounds.
    assert [len(text.splitlines()) for text in words(fresh)] == [
        len(text.splitlines()) for text in words(committed)
    ]
    assert "image/gif" in {kind for kind, *_ in pictures(fresh)}


def test_the_committed_outputs_are_whole_and_small():
    committed = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(committed)
    counts = [cell.execution_count for cell in cells(committed)]
    assert counts == list(range(1, len(counts) + 1))
    assert not any(output.output_type == "error" for cell in cells(committed) for output in cell.outputs)
    assert not any(output.get("name") == "stderr" for cell in cells(committed) for output in cell.outputs)
    assert NOTEBOOK.stat().st_size < LARGEST


def test_a_cell_that_fails_is_told(tmp_path):
    path = tmp_path / "wrong.ipynb"
    cell = nbformat.v4.new_code_cell("raise ValueError('no such thing')")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    with pytest.raises(CellExecutionError, match="no such thing"):
        executed(path)
