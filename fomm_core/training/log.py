"""The log of a training: `log.csv`, a row a step, and the same numbers as TensorBoard's event files."""

from __future__ import annotations

import csv
from pathlib import Path

from ..files import replacing, writing
from .events import Events

LOG = "log.csv"
_RECENT = 50  # steps


class Log:
    """Rows for `folder`/log.csv and event files, kept back until the checkpoint that they belong to is written.

    Args:
        columns: all that a row may have; what it lacks stays empty.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...]):
        self.folder, self.columns = folder, columns
        self._rows: list[dict[str, float]] = []
        self._events: Events | None = None

    def begin(self, step: int) -> None:
        """Go on from `step`, or begin with 0: rows of later steps, and unfinished ones, are dropped.

        Raises `UserError` where the folder cannot be written.
        """
        kept = [row for row in self._read() if int(row["step"]) <= step]
        with (
            replacing(self.folder / LOG) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, self.columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)
        self._events = Events(self.folder, step + 1)

    def _read(self) -> list[dict[str, str]]:
        """The rows there are. A last one without its end was cut off by a kill or a full disk."""
        path = self.folder / LOG
        if not path.is_file():
            return []
        with writing(path):
            whole = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
        rows = csv.DictReader(whole.splitlines())
        return [row for row in rows if (row.get("step") or "").isdigit()]

    def add(self, row: dict[str, float]) -> None:
        """Keep the numbers of a step, "step" among them."""
        self._rows.append(row)

    def flush(self) -> str:
        """Write the rows; returns the recent ones' means in words. Raises `UserError`."""
        rows, self._rows = self._rows, []
        path = self.folder / LOG
        with writing(path):
            with open(path, "a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.columns, restval="")
                writer.writerows({name: _short(value) for name, value in row.items()} for row in rows)
            for row in rows:
                self._events.add(row["step"], {k: v for k, v in row.items() if k != "step"})
            self._events.flush()
        recent = rows[-_RECENT:]
        terms = [name for name in self.columns if name not in ("step", "seconds", "epoch")]
        values = {name: [row[name] for row in recent if name in row] for name in terms}
        return "  ".join(f"{name} {sum(v) / len(v):.4f}" for name, v in values.items() if v)


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.7g}"
