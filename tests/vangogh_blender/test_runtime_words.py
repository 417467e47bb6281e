"""What uv prints, as progress and as the cause of a failure. The messages are uv 0.13.9's own."""

import base64
import errno
import hashlib
import json
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vangogh_says_hello.fomm_core.errors import UserError
from vangogh_says_hello.vangogh_blender.runtime import check, failures, requirements, uv
from vangogh_says_hello.vangogh_blender.runtime.progress import Meter

FOLDER = Path("/home/x/runtime")
FETCH = "error: Failed to fetch: https://pypi.org/simple/pyyaml/\n  cause: client error (Connect)\n  cause: "
NO_SOLUTION = "error: No solution found when resolving dependencies\n  cause: Because "
SAID = {
    "no network": (
        FETCH + "dns error\n  cause: failed to lookup address information",
        "no way to the network: pypi.org",
    ),
    "proxy refuses": (
        FETCH + "tunnel error: failed to create underlying connection\n  cause: tcp connect error",
        "proxy",
    ),
    "proxy says no": (FETCH + "tunnel error: unsuccessful", "proxy could not"),
    "proxy login": (FETCH + "tunnel error: proxy authorization required", "user name"),
    "certificate": (FETCH + "invalid peer certificate: UnknownIssuer", "certificate"),
    "slow": ("error: Request failed\n  cause: operation timed out", "broke off"),
    "server": (
        "  cause: HTTP status server error (503 Service Unavailable) for url (https://a.b/c)",
        "gave up (a.b)",
    ),
    "login": (NO_SOLUTION + "...\nhint: An index returned a 403 Forbidden error.", "refused access"),
    "hash": (
        "error: Failed to download `pyyaml==6.0.3`\n  cause: Hash mismatch for `pyyaml==6.0.3`",
        "hash differs",
    ),
    "no build": (NO_SOLUTION + "there is no version of torch==2.13.0", "no build"),
    "no wheel": (NO_SOLUTION + "mediapipe==0.10.21 has no wheels with a matching Python ABI tag", "no build"),
    "not carried": (NO_SOLUTION + "pyyaml was not found in the provided package locations", "lacks a wheel"),
    "full": (
        "  cause: failed to write to file `/a/b.py`: No space left on device (os error 28)",
        "disk is full",
    ),
    "full, Windows": (
        "  cause: failed to write: There is not enough space on the disk. (os error 112)",
        "disk is full",
    ),
    "locked": (
        r"  cause: failed to rename file from C:\.tmpV to C:\b: Access is denied. (os error 5)",
        "antivirus",
    ),
    "in use": ("  cause: the file is being used by another process. (os error 32)", "antivirus"),
    "in use, German": ("  cause: Der Prozess kann nicht zugreifen. (os error 32)", "antivirus"),
    "long path": (r"  cause: failed to create C:\x: os error (os error 206)", "too long"),
    "read-only": (
        "  cause: failed to create directory `/a`: Read-only file system (os error 30)",
        "read-only",
    ),
    "forbidden": (
        "  cause: failed to create directory `/a`: Permission denied (os error 13)",
        "cannot be written",
    ),
    "broken Python": ("  cause: Querying Python at `/a/python` failed with exit status 3", "own Python"),
    "forbidden Python": (
        "error: Failed to inspect Python interpreter from path at `a`\n  cause: Permission denied (os error 13)",
        "own Python",
    ),
    "forbidden uv": ("error: cannot start /a/uv: Permission denied (os error 13)", "could not be started"),
    "damaged": ("  cause: Failed to extract archive: torch.whl", "damaged"),
}


@pytest.mark.parametrize(("said", "sentence"), SAID.values(), ids=SAID)
def test_each_cause_has_its_sentence(said, sentence):
    error = failures.from_output(said.splitlines(), FOLDER)
    assert sentence in error.sentence
    assert error.hint
    assert (error.kind == "disk_full") == ("disk is full" in sentence)


def test_a_pipe_that_broke_is_no_antivirus():
    said = ["  cause: connection closed: Broken pipe (os error 32)"]
    assert "broke off" in failures.from_output(said, FOLDER).sentence


@given(st.lists(st.text(max_size=80), max_size=8))
def test_any_output_becomes_one_sentence(lines):
    error = failures.from_output(lines, FOLDER)
    assert error.sentence.endswith(".")
    assert "\n" not in error.sentence


@pytest.mark.parametrize(
    ("number", "kind", "word"),
    [
        (errno.ENOSPC, "disk_full", "full"),
        (errno.EACCES, "runtime", "written"),
        (errno.EROFS, "runtime", "read-only"),
    ],
)
def test_what_the_system_refuses_has_the_same_words(number, kind, word):
    error = failures.from_system(OSError(number, "reason", "/a"), FOLDER)
    assert error.kind == kind
    assert word in error.sentence


LINES = st.one_of(
    st.builds(
        "Downloading {} ({}MiB)".format, st.sampled_from("abcd"), st.floats(0, 900).map(lambda f: round(f, 1))
    ),
    st.builds(" Downloaded {}".format, st.sampled_from("abcd")),
    st.text(max_size=20),
)


@given(st.integers(0, 10**9), st.integers(0, 10**10), st.lists(st.tuples(LINES, st.integers(0, 10**10))))
def test_progress_never_falls_nor_exceeds_its_total(download, installed, steps):
    meter, before = Meter(download, installed), 0
    for line, size in steps:
        meter.hear(line)
        now = meter.progress(size)
        if now.stage == "install":
            return
        assert before <= now.done <= now.total or now.total == 0
        before = now.done


def test_progress_names_what_is_on_its_way():
    meter = Meter(1000, 3000)
    for line in ("Downloading torch (2.0MiB)", "Downloading numpy (17.4MiB)", " Downloaded numpy"):
        meter.hear(line)
    now = meter.progress(0)
    assert (now.what, now.done, now.total) == ("torch", int(17.4 * 2**20), int(17.4 * 2**20) + 2 * 2**20)
    meter.hear("Prepared 2 packages in 3s")
    assert meter.progress(0).stage == "install"


def _answer(**changes):
    said = {"version": "3.11.7", "torch": "2.13.0+cu130", "devices": ["cpu"], "missing": {}, "troubles": []}
    return json.dumps({**said, "architectures": ["sm_75", "sm_90"], **changes})


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("CUDA initialization: The NVIDIA driver on your system is too old (found version 11040).", "driver"),
        ("CUDA error: no kernel image is available for execution on the device sm_120", "too new"),
        ("CUDA error: no kernel image is available for execution on the device sm_61", "too old"),
        ("CUDA error: unknown error\nmore sm_90", "unknown error"),
    ],
)
def test_a_graphics_card_that_cannot_be_used_is_noted(trouble, words):
    about = check.read_answer("p", ["noise", _answer(troubles=[trouble])])
    assert words in about.notes[0]
    assert about.missing == ()


def test_no_graphics_card_is_no_trouble():
    said = "CUDA initialization: Found no NVIDIA driver on your system."
    assert check.read_answer("p", [_answer(troubles=[said])]).notes == ()


def test_what_a_python_lacks_is_named():
    about = check.read_answer("p", [_answer(version="3.9.1", missing={"scipy": "ImportError: x"})])
    assert about.missing == ("Python 3.11 or later", "scipy")


@pytest.mark.parametrize("python", [sys.executable + " gone", __file__])
def test_what_is_no_python_is_told(python):
    with pytest.raises(UserError):
        check.examine(python)


def test_a_studios_network_counts_and_other_settings_do_not(monkeypatch, tmp_path):
    for name in ("HTTPS_PROXY", "SSL_CERT_FILE", "UV_INDEX_URL", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, "kept")
    for name in (
        "UV_OFFLINE",
        "UV_CONSTRAINT",
        "PYTHONPATH",
        "PYTHONHOME",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "UV_TARGET",
    ):
        monkeypatch.setenv(name, "dropped")
    seen = uv.environment(tmp_path / "c", tmp_path / "t")
    assert "dropped" not in seen.values()
    assert [seen[n] for n in ("HTTPS_PROXY", "SSL_CERT_FILE", "UV_INDEX_URL", "UV_FIND_LINKS")] == [
        "kept"
    ] * 4
    assert seen["UV_CACHE_DIR"] == str(tmp_path / "c")


def _uv_wheel(folder, content, size=None):
    wheel = folder / "uv-1-py3-none-any.whl"
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"uv").digest()).decode().rstrip("=")
    name = f"uv-1.data/scripts/{uv.PROGRAM}"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(name, content)
        archive.writestr("uv-1.dist-info/RECORD", f"{name},sha256={digest},{size or len(content)}\n")
    return wheel


def test_uv_comes_out_of_its_wheel_and_is_mended(tmp_path):
    program = uv.unpack(_uv_wheel(tmp_path, b"uv"), tmp_path / "out")
    assert program.read_bytes() == b"uv"
    program.write_bytes(b"vu")
    assert uv.unpack(tmp_path / "uv-1-py3-none-any.whl", tmp_path / "out").read_bytes() == b"uv"
    assert [p.name for p in program.parent.iterdir()] == [uv.PROGRAM]


@pytest.mark.parametrize(("content", "size"), [(b"vu", None), (b"uv", 3)])
def test_a_damaged_wheel_of_uv_is_told(tmp_path, content, size):
    with pytest.raises(UserError, match="damaged"):
        uv.unpack(_uv_wheel(tmp_path, content, size), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_torch_comes_from_a_studios_own_index(monkeypatch):
    for name in requirements._OWN_INDEX:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert requirements.torch_options("auto") == ["--torch-backend", "auto"]
    monkeypatch.setenv("UV_FIND_LINKS", "/somewhere")
    assert requirements.torch_options("auto") == []
    assert requirements.torch_options("cu130") == ["--torch-backend", "cu130"]
