"""Blender reads the repository, installs from it, and sees a newer version as an update."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tools.package import run_blender_ext
from tools.platforms import PLATFORMS
from tools.repository import generate

pytest.importorskip("bpy")

# Blender's own way, in a process and with user folders of its own. A file:// address: nothing leaves the machine.
SUBSCRIBE = """
import sys, tomllib
from pathlib import Path
import bpy
preferences = bpy.context.preferences
preferences.system.use_online_access = True
repositories = preferences.extensions.repos
repositories.remove(next(r for r in repositories if r.module == "blender_org"))
bpy.ops.preferences.extension_repo_add(name="Gogh", remote_url=sys.argv[1], type="REMOTE")
index = [r.name for r in repositories].index("Gogh")
installed = Path(repositories[index].directory) / "vangogh_says_hello" / "blender_manifest.toml"
bpy.ops.extensions.repo_sync(repo_index=index)
if installed.exists():
    bpy.ops.extensions.package_upgrade_all()
else:
    bpy.ops.extensions.package_install(repo_index=index, pkg_id="vangogh_says_hello", enable_on_install=False)
print("VERSION", tomllib.loads(installed.read_text())["version"])
"""


@pytest.fixture
def subscribe(tmp_path):
    """`subscribe(index.json)`: a Blender that subscribes, if it has not yet, and takes what is new; its version."""
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    (tmp_path / "user").mkdir()

    def run(index):
        command = [sys.executable, "-c", SUBSCRIBE, index.as_uri()]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("VERSION"))

    return run


def test_the_listing_has_each_platform_once(packages, tmp_path):
    index = generate(packages[0].parent, tmp_path / "repository")
    listed = json.loads(index.read_text())["data"]
    assert sorted(entry["platforms"][0] for entry in listed) == sorted(PLATFORMS)
    for entry in listed:
        assert (index.parent / entry["archive_url"]).stat().st_size == entry["archive_size"]
    page = (index.parent / "index.html").read_text()
    assert all(package.name in page for package in packages)


def test_without_the_packages_it_says_so_and_the_old_repository_stays(tmp_path):
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "index.json").write_text("{}")
    with pytest.raises(SystemExit, match="make package"):
        generate(tmp_path, repository)
    assert (repository / "index.json").read_text() == "{}"


def test_blender_installs_from_it_and_takes_the_newer_version(tree, packages, tmp_path, subscribe):
    index = generate(packages[0].parent, tmp_path / "repository")
    first = subscribe(index)
    manifest = tree.folder / "blender_manifest.toml"
    before = manifest.read_text()
    assert f'\nversion = "{first}"\n' in before
    try:
        manifest.write_text(before.replace(f'\nversion = "{first}"', '\nversion = "99.0.0"'))
        [newer] = tree.package(tmp_path / "newer", "--platform", "this")
    finally:
        manifest.write_text(before)
    run_blender_ext("server-generate", "--repo-dir", str(newer.parent))
    shutil.copytree(newer.parent, index.parent, dirs_exist_ok=True)
    assert subscribe(index) == "99.0.0"
