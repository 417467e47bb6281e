"""A training that was cut off, however it was: it goes on as if nothing had been, from files that fit together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fomm_core import files, models
from fomm_core.errors import UserError
from fomm_core.training import checkpoint
from fomm_core.training.course import Terms
from fomm_core.training.trainer import MODEL
from tests.fomm_core.toy_training import Toy, log_of, trainer, weights

ROOT = Path(__file__).resolve().parents[2]
STEPS = 6
WRITES = 5  # files of a save: weights, state, pointer, model, pictures


class Killed(BaseException):
    """As near to SIGKILL as a test in one process can be."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[dict[str, torch.Tensor], list[dict[str, str]]]:
    """What an uninterrupted training learns, and its log."""
    output = tmp_path_factory.mktemp("whole")
    made = trainer(output, STEPS)
    made.run()
    return weights(made), log_of(output)


def goes_on(output: Path, whole) -> None:
    """Resume, and compare bit for bit with the uninterrupted training."""
    made = trainer(output, STEPS, resume=True)
    made.run()
    expected, log = whole
    found = weights(made)
    assert found.keys() == expected.keys()
    assert not [name for name in expected if not torch.equal(found[name], expected[name])]
    terms = [{key: value for key, value in row.items() if key != "seconds"} for row in log_of(output)]
    assert terms == [{key: value for key, value in row.items() if key != "seconds"} for row in log]
    assert len(list(output.glob("weights-*"))) == len(list(output.glob("state-*"))) == 1
    assert not list(output.glob(".*"))
    models.load(str(output / MODEL))


def test_two_at_a_time_in_one_folder_are_refused(tmp_path, whole):
    class Meanwhile(Toy):
        def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
            if step == 3:
                # Two of one process have their random numbers in common.
                with torch.random.fork_rng(), pytest.raises(UserError, match="Another training") as caught:
                    trainer(tmp_path, STEPS).run()
                assert caught.value.kind == "output"
            return super().terms(step, progress, rng)

    trainer(tmp_path, STEPS, course=Meanwhile).run()
    goes_on(tmp_path, whole)


def test_killed_in_the_middle_of_a_step_twice(tmp_path, whole):
    for step, options in ((3, []), (5, ["--resume"])):
        script = [sys.executable, "-m", "tests.fomm_core.toy_training", tmp_path, str(STEPS), *options]
        done = subprocess.run([*script, "--kill-at", str(step)], cwd=ROOT, check=False)
        assert done.returncode == -9
        assert json.loads((tmp_path / checkpoint.POINTER).read_text())["step"] == step - 1
    goes_on(tmp_path, whole)


@pytest.mark.parametrize("write", range(WRITES))
def test_killed_between_the_files_of_a_save(tmp_path, whole, write, monkeypatch):
    """In the second save: the first one's files are there, and must not be mixed with the second's."""
    calls = iter(range(1 + WRITES + write))  # the log's, the first save's, and some of the second's

    def replace(source, target) -> None:
        if next(calls, None) is None:
            raise Killed
        os.rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "replace", replace)
        with pytest.raises(Killed):
            trainer(tmp_path, STEPS).run()
    assert json.loads((tmp_path / checkpoint.POINTER).read_text())["step"] == (2 if write < 3 else 4)
    goes_on(tmp_path, whole)


def test_files_of_two_saves_are_not_taken_for_one(tmp_path):
    trainer(tmp_path, 2).run()
    first = next(tmp_path.glob("state-*"))
    kept = first.read_bytes()
    trainer(tmp_path, 4, resume=True).run()
    next(tmp_path.glob("state-*")).write_bytes(kept)
    with pytest.raises(UserError, match="damaged"):
        trainer(tmp_path, 6, resume=True)


@pytest.mark.parametrize("part", ["weights", "state", "checkpoint"])
def test_damaged_files_are_named(tmp_path, part):
    trainer(tmp_path, 2).run()
    path = next(tmp_path.glob(f"{part}*"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"{part}.* is damaged"):
        trainer(tmp_path, 4, resume=True)


def test_there_has_to_be_something_to_resume(tmp_path):
    with pytest.raises(UserError, match="no checkpoint to resume"):
        trainer(tmp_path, 2, resume=True)


@pytest.mark.parametrize("small_disk", ["2m"], indirect=True)
@pytest.mark.parametrize("fitting", [(), ("weights",)], ids=str)
def test_a_disk_that_fills_up(small_disk, whole, fitting):
    """There is room for these of the second save's files, and for half of the next one."""
    filler, output = small_disk / "filler", small_disk / "out"

    class Filling(Toy):
        def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
            if step == 3:
                free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize
                sizes = [next(output.glob(f"{name}*")).stat().st_size for name in ("weights", "state")]
                room = sum(sizes[: len(fitting)]) + sizes[len(fitting)] // 2
                filler.write_bytes(bytes(free - room - 8192))  # the log's, and the pages that files end in
            return super().terms(step, progress, rng)

    with pytest.raises(UserError) as failure:
        trainer(output, STEPS, course=Filling).run()
    assert failure.value.kind == "disk_full"
    assert json.loads((output / checkpoint.POINTER).read_text())["step"] == 2
    filler.unlink()
    goes_on(output, whole)


def test_a_loss_that_is_no_number(tmp_path, whole):
    class Wild(Toy):
        def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
            terms = super().terms(step, progress, rng)
            return Terms(terms.values, terms.loss * (float("nan") if step == 4 else 1), terms.judged)

    with pytest.raises(
        UserError, match=r"stopped at step 5: the loss is not a number\. The last good weights"
    ):
        trainer(tmp_path, STEPS, course=Wild).run()
    assert [row["step"] for row in log_of(tmp_path)] == ["1", "2", "3", "4"]
    goes_on(tmp_path, whole)


def test_weights_that_are_no_numbers_are_not_saved(tmp_path, whole):
    """The loss of the step was a number still: the step itself broke them, just before a save."""

    class Broken(Toy):
        def __init__(self, setting):
            super().__init__(setting)
            self.optimizers["generator"].register_step_post_hook(self.breaks)

        def breaks(self, *_) -> None:
            if self.seen == 4:
                torch.nn.init.constant_(self.model.generator.final.bias, float("inf"))

    with pytest.raises(UserError, match="not a number"):
        trainer(tmp_path, STEPS, course=Broken).run()
    goes_on(tmp_path, whole)


def test_a_log_that_is_ahead_of_the_checkpoint(tmp_path, whole):
    trainer(tmp_path, 4).run()
    with open(tmp_path / "log.csv", "a", newline="") as file:
        file.write("5,1.0,0.5,0.5,0.5\r\n6,1.2,0.4")
    goes_on(tmp_path, whole)
