"""The matrix of Blenders: what is set up, what is left out, and what the command says and returns. Without uv."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import test_versions as matrix


@pytest.fixture
def uv(tmp_path, monkeypatch):
    """uv's calls; those with the argument `uv.fail` fail."""

    class Uv:
        calls = []
        fail = None

        def __call__(self, *arguments):
            self.calls.append(arguments)
            if arguments[0] == "venv":
                Path(arguments[-1]).mkdir(exist_ok=True)
            failed = self.fail in arguments
            return subprocess.CompletedProcess(arguments, int(failed), stderr="There is no such thing.\n")

    fake = Uv()
    monkeypatch.setattr(matrix, "ROOT", tmp_path)
    monkeypatch.setattr(matrix, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(matrix, "_uv", fake)
    monkeypatch.setattr(matrix, "_needed", lambda: ["pytest==1"])
    return fake


def run(capsys, monkeypatch, *arguments):
    """The command's exit status, and what it printed."""
    monkeypatch.setattr(sys, "argv", ["test_versions.py", *arguments])
    with pytest.raises(SystemExit) as caught:
        matrix.main()
    return caught.value.code, capsys.readouterr().out


def test_an_environment_is_made_once(uv, monkeypatch):
    python = matrix.environment("4.2")
    assert [call[0] for call in uv.calls] == ["venv", "pip", "pip"]
    assert uv.calls[-1][-2:] == ("bpy==4.2.0", "pytest==1")
    made = len(uv.calls)
    assert matrix.environment("4.2") == python
    assert len(uv.calls) == made
    monkeypatch.setattr(matrix, "_needed", lambda: ["pytest==2"])
    matrix.environment("4.2")
    assert len(uv.calls) > made


def test_the_module_that_is_here_is_used(uv, monkeypatch):
    here = ".".join(map(str, sys.version_info[:2]))
    name = next(name for name, blender in matrix.BLENDERS.items() if blender.python == here)
    monkeypatch.setattr(matrix, "_bpy_here", lambda: matrix.BLENDERS[name].bpy)
    assert matrix.environment(name) == Path(sys.executable)
    assert uv.calls == []


@pytest.mark.parametrize("fail", ["venv", "bpy==4.2.0"], ids=["no Python", "no module"])
def test_what_is_not_to_be_had_is_left_out_and_said(uv, monkeypatch, capsys, fail):
    monkeypatch.setattr(matrix, "run_tests", lambda name, python: "3 passed, 0 skipped, 1 s")
    uv.fail = fail
    status, said = run(capsys, monkeypatch, "4.2")
    assert status == 1  # nothing was tested
    assert "Blender 4.2 (bpy 4.2.0): NOT TESTED, it is not to be had here: There is no such thing." in said
    uv.fail = None
    status, said = run(capsys, monkeypatch, "4.2")
    assert status == 0  # what was cut off is begun anew
    assert "Blender 4.2 (bpy 4.2.0): 3 passed" in said


def test_anything_else_that_cannot_be_installed_is_a_failure(uv, monkeypatch, capsys):
    monkeypatch.setattr(matrix, "run_tests", lambda name, python: "3 passed, 0 skipped, 1 s")
    uv.fail = "pytest==1"
    status, said = run(capsys, monkeypatch, "4.2")
    assert status == 1
    assert "FAILED. There is no such thing." in said


def test_one_failure_does_not_keep_the_others_from_being_tested(uv, monkeypatch, capsys):
    def run_tests(name, python):
        if name == "4.2":
            raise subprocess.CalledProcessError(1, "pytest")
        return "3 passed, 0 skipped, 1 s"

    monkeypatch.setattr(matrix, "run_tests", run_tests)
    status, said = run(capsys, monkeypatch, "4.2", "4.5")
    assert status == 1
    assert "(bpy 4.2.0): FAILED." in said
    assert "Blender 4.5 (bpy 4.5.15): 3 passed" in said


def test_a_version_that_is_not_in_the_matrix_is_refused(uv, monkeypatch, capsys):
    status, _ = run(capsys, monkeypatch, "2.79")
    assert status == 2
    assert uv.calls == []
