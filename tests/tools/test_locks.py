"""The locks fit the requirements, name files by hash, and know nothing of the machine that they were made on."""

import json
import re

import pytest
from packaging.requirements import Requirement

from tools import platforms, wheels
from tools.lock import BUILD_ONLY, SIZES, Package, write_locks
from tools.platforms import PLATFORMS, ROOT, TARGETS

TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
SYSTEMS = {"linux": "linux", "windows": "win32", "macos": "darwin"}


def required(target):
    """What requirements.txt asks for on the target: name and version."""
    system, _, machine = target.platform.name.partition("-")
    environment = {
        "sys_platform": SYSTEMS[system],
        "platform_machine": {"x64": "x86_64", "arm64": "arm64"}[machine],
        "python_version": target.python,
    }
    lines = (line.partition("#")[0] for line in (ROOT / "requirements.txt").read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line.strip()]
    return {
        f"{requirement.name.lower()}{requirement.specifier}"
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The locks are written into other folders."""
    monkeypatch.setattr(platforms, "LOCKS", tmp_path / "add-on")
    monkeypatch.setattr(platforms, "TOOL_LOCKS", tmp_path / "tools")


def resolved(*names):
    return [Package(name, "1.0", (f"{number:064x}",)) for number, name in enumerate(names)]


def test_cuda_goes_with_pypis_torch_and_the_add_ons_lock_leaves_the_build_open(elsewhere):
    target = TARGETS[0]
    write_locks(target, resolved("numpy", "nvidia-cublas", "torch", "triton"))
    assert wheels.read_lock(target.lock) == {"numpy==1.0": [f"{0:064x}"], "torch==1.0": []}
    assert list(wheels.read_lock(target.torch_lock)) == ["torch==1.0", "nvidia-cublas==1.0", "triton==1.0"]


def test_a_mac_has_one_torch_locked_with_the_rest(elsewhere):
    target = next(target for target in TARGETS if target.platform.name == "macos-arm64")
    write_locks(target, resolved("numpy", "torch"))
    assert wheels.read_lock(target.lock)["torch==1.0"] == [f"{1:064x}"]
    assert not target.torch_lock.exists()


def test_a_torch_that_the_index_has_not_is_locked_by_its_version_alone(elsewhere):
    target = next(target for target in TARGETS if not target.platform.pypi_torch)
    write_locks(target, [*resolved("numpy"), Package("torch", "1.0")])
    assert wheels.read_lock(target.lock)["torch==1.0"] == []
    assert not target.torch_lock.exists()


def test_each_platform_has_a_lock():
    assert {target.platform.name for target in TARGETS} == set(PLATFORMS)


@TARGET
def test_a_lock_has_what_the_requirements_ask_for(target):
    assert required(target) <= set(wheels.read_lock(target.lock))


@TARGET
def test_all_but_a_torch_whose_build_is_open_is_locked_by_hash(target):
    without = {
        pinned.partition("==")[0] for pinned, hashes in wheels.read_lock(target.lock).items() if not hashes
    }
    assert without == (set() if target.platform.name.startswith("macos") else {"torch"})


@TARGET
def test_a_lock_brings_no_cuda_to_those_who_have_none(target):
    assert not [pinned for pinned in wheels.read_lock(target.lock) if pinned.startswith(BUILD_ONLY)]


@TARGET
def test_a_lock_names_no_place_and_no_local_version(target):
    for lock in (target.lock, target.torch_lock):
        for line in lock.read_text().splitlines() if lock.exists() else []:
            assert re.fullmatch(r"#.*|[\w.-]+==[\w.]+( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?", line)


@TARGET
def test_the_sizes_know_each_package_of_the_lock(target):
    sizes = json.loads(SIZES.read_text())[target.name]
    assert set(sizes) == {pinned.partition("==")[0] for pinned in wheels.read_lock(target.lock)}
    builds = sizes.pop("torch")
    for download, installed in (*sizes.values(), *builds.values()):
        assert 0 < download < installed
    assert target.platform.pypi_torch in builds or not target.platform.pypi_torch


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_packages_carry_the_uv_of_the_requirements(platform):
    development = (ROOT / "requirements-dev.txt").read_text().splitlines()
    [(pinned, hashes)] = wheels.read_lock(wheels.uv_lock(platform)).items()
    assert pinned in development
    assert len(hashes) == 1
