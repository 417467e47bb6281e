"""What is in the packages of every platform, and that nothing but the tree decides their bytes."""

import subprocess
import sys
import tomllib
import zipfile

import pytest

from tools.package import blender_ext
from tools.platforms import PLATFORMS, ROOT

pytest.importorskip("bpy")


def manifest_of(package):
    return tomllib.loads(zipfile.ZipFile(package).read("blender_manifest.toml").decode())


def test_each_platform_has_a_package(packages):
    declared = [manifest_of(package)["build"]["generated"]["platforms"] for package in packages]
    assert sorted(declared) == sorted([name] for name in PLATFORMS)


def test_blender_finds_the_packages_valid_and_an_artist_small(packages):
    for package in packages:
        done = subprocess.run(
            [sys.executable, str(blender_ext()), "validate", str(package)], capture_output=True
        )
        assert done.returncode == 0, done.stdout
        assert package.stat().st_size < 60e6


def test_a_package_carries_the_uv_of_its_platform_alone(packages):
    marks = {
        "linux-x64": "manylinux_2_17_x86_64",
        "windows-x64": "win_amd64",
        "windows-arm64": "win_arm64",
        "macos-arm64": "macosx_11_0_arm64",
        "macos-x64": "macosx_10_12_x86_64",
    }
    for package in packages:
        [platform] = manifest_of(package)["build"]["generated"]["platforms"]
        [listed] = manifest_of(package)["build"]["generated"]["wheels"]
        carried = [name for name in zipfile.ZipFile(package).namelist() if name.endswith(".whl")]
        assert carried == [listed.removeprefix("./")]
        assert marks[platform] in listed


def test_a_package_holds_what_an_artist_needs_and_nothing_else(zip_file):
    names = zipfile.ZipFile(zip_file).namelist()
    assert {name.split("/")[0] for name in names} == {
        "__init__.py",
        "blender_manifest.toml",
        "LICENSE",
        "vangogh_blender",
        "fomm_core",
        "wheels",
    }
    assert {
        "vangogh_blender/panels.py",
        "vangogh_blender/runtime/locks/sizes.json",
        "fomm_core/worker.py",
        "fomm_core/weights/starter.safetensors",
    } <= set(names)
    folders = {folder for name in names for folder in name.split("/")[:-1]}
    assert not folders & {"tests", "tools", "portraits", "examples", "docs", "__pycache__"}


def test_the_same_tree_elsewhere_gives_the_same_bytes(zip_file, packages):
    [same] = [package for package in packages if package.name == zip_file.name]
    assert same.read_bytes() == zip_file.read_bytes()


def test_a_checkout_lists_no_wheels_that_are_not_there():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert "wheels" not in manifest
    assert "platforms" not in manifest


def test_the_permissions_are_those_that_are_used():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert set(manifest["permissions"]) == {"files", "network"}


def test_a_platform_without_a_package_is_refused(tree, tmp_path):
    done = tree.run(
        "package.py", "--offline", "--platform", "macos-x64", "--python", "3.13", "--output", tmp_path
    )
    assert done.returncode == 2
    assert "--platform macos-x64 --python 3.11" in done.stderr
    assert not list(tmp_path.iterdir())
