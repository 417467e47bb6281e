r"""From the zip to a moving painting in an empty user folder: real packages, a real Blender's window.

It fetches PyTorch, so it runs only when it is asked for, by the zips' paths (`make package` makes them):

    FIRST_RUN=dist/NAME.zip FIRST_RUN_OFFLINE=dist/NAME-offline.zip BLENDER=path/to/blender \
        python -m pytest tests/blender/test_first_run.py

The offline zip is set up in an empty network namespace, which needs Linux and root. Screenshots of every stage are
in build/screenshots-first-run and build/screenshots-first-run-offline: look at them.
"""

import hashlib
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.blender.running import ROOT, Run

EXTENSIONS = "user/extensions"
OURS = f"{EXTENSIONS}/user_default/vangogh_says_hello"
OUR_USER_FOLDER = f"{EXTENSIONS}/.user/user_default/vangogh_says_hello"
# Where Blender itself writes, when it starts and when it installs an extension.
BLENDERS = (
    *("user/config", "cache"),
    *(f"{EXTENSIONS}/{name}" for name in (".cache", ".local", "user_default/.blender_ext", "blender_org")),
)


@pytest.fixture(scope="module", params=["FIRST_RUN", "FIRST_RUN_OFFLINE"])
def first(request, blender, tmp_path_factory):
    """What happened, and the folder that everything was to stay in."""
    zip_file = os.environ.get(request.param)
    if not zip_file:
        pytest.skip(f"{request.param} does not name a zip")
    offline = request.param == "FIRST_RUN_OFFLINE"
    if offline and (sys.platform != "linux" or os.geteuid() != 0):
        pytest.skip("an empty network namespace needs Linux and root")
    folder = tmp_path_factory.mktemp("Vincent's höme ")
    (folder / "home").mkdir()
    temporary = tmp_path_factory.mktemp("temporary")  # of its own: xvfb-run takes no space in its path
    environment = {"HOME": str(folder / "home"), "TMPDIR": str(temporary)}
    if os.environ.get("PIP_FIND_LINKS"):
        environment["UV_FIND_LINKS"] = os.environ["PIP_FIND_LINKS"]
    if os.environ.get(
        "PIP_CERT"
    ):  # a network with certificates of its own, which Blender's root may not know
        environment["SSL_CERT_FILE"] = shutil.copy(os.environ["PIP_CERT"], folder / "certificates.pem")
    run = Run(blender, folder, Path(zip_file).resolve(), ("unshare", "--net") if offline else (), environment)
    result = run.run(
        "first_run.py",
        seconds=3600,
        window=True,
        screenshots=str(
            ROOT / "build" / request.param.lower().replace("_", "-").replace("first", "screenshots-first")
        ),
        painting=str(ROOT / "examples" / "painting.jpg"),
        video=str(ROOT / "examples" / "driving.mp4"),
        watched=["/usr", "/etc", "/var"],
        busy=["/var/lib/dpkg"],
    )
    print(result)
    result["temporary"] = sorted(path.name for path in temporary.iterdir())
    return result, folder, Path(zip_file)


def test_it_sets_itself_up(first):
    result, _, _ = first
    assert result["error"] == ""
    stages = [stage for stage, *_ in result["stages"]]
    order = ["python", "download", "install", "check"]  # one that is over in a moment may not be seen
    assert stages == sorted(stages, key=order.index)
    assert stages[-1] == "check"
    assert result["about"]["devices"]


def test_it_took_about_what_it_had_said(first):
    result, _, _ = first
    assert 0.5 < result["size"] / result["needs"]["disk"] < 1.5, (result["size"], result["needs"])


def test_the_painting_moves(first):
    result, folder, _ = first
    assert result["job"] == "done"
    assert len(list((folder / "out" / "frames").glob("*.png"))) == result["frames"] > 5


def test_the_window_is_never_held_up(first):
    result, _, _ = first
    assert result["tick median"] < 0.005
    # But for the one that builds the picture frame.
    assert result["slowest ticks"][-2] < 0.016, result["slowest ticks"]


def test_blenders_own_python_is_as_it_was(first):
    result, _, _ = first
    assert min(result["compared"]) > 1000
    assert result["blender changed"] == []


def test_nothing_is_written_elsewhere(first):
    result, folder, _ = first
    assert result["written around"] == []
    assert not [path for path in (folder / "home").rglob("*") if path.is_file()]
    # Blender's own: the scene at its end, and the sound that it opens.
    assert not [name for name in result["temporary"] if not name.startswith(("quit.blend", "pulse-"))]
    written = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    allowed = (*BLENDERS, OURS, OUR_USER_FOLDER, "out", "result.json", "certificates.pem")
    assert not [path for path in written if not str(path).startswith(allowed)]


def test_the_extensions_own_folder_is_as_it_was_installed(first):
    _, folder, zip_file = first
    packed = {name: digest(data) for name, data in contents(zip_file)}
    there = {
        str(path.relative_to(folder / OURS)): digest(path.read_bytes())
        for path in (folder / OURS).rglob("*")
        if path.is_file() and path.suffix != ".pyc"  # Blender's Python keeps those beside any module
    }
    assert there == packed


def contents(zip_file):
    with zipfile.ZipFile(zip_file) as archive:
        for name in archive.namelist():
            if not name.endswith("/"):
                yield name, archive.read(name)


def digest(data):
    return hashlib.sha256(data).hexdigest()
