"""A runtime whose packages are tiny stand-ins, set up by the real uv with no network: for the tests of the runtime.

Run as a program, it sets up and waits for the end: `runtime_stand_in.py FOLDER EXTENSION LOCKS`.
"""

import base64
import hashlib
import importlib.util
import json
import shutil
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TORCH = """
__version__ = "2.13.0+cpu"
class version:
    cuda = None
class cuda:
    is_available = device_count = lambda *_: 0
class backends:
    pass
"""
MODULES = {
    "torch": ("torch", TORCH),
    "numpy": ("numpy", "values = " + repr(list(range(50000)))),
    "scipy": ("scipy", ""),
    "scikit-image": ("skimage", ""),
    "pillow": ("PIL", ""),
    "safetensors": ("safetensors", ""),
    "pyyaml": ("yaml", ""),
    "imageio-ffmpeg": ("imageio_ffmpeg", "def get_ffmpeg_exe():\n    return __file__\n"),
    "tqdm": ("tqdm", ""),
}


def import_package():
    """As the conftest does: the extension's package from the repository."""
    if "vangogh_says_hello" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "vangogh_says_hello", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["vangogh_says_hello"] = module
        spec.loader.exec_module(module)


def write_wheel(folder: Path, name: str, module: str, source: str) -> str:
    """Write the wheel of a package of one module; its sha256."""
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    files = {
        f"{module}/__init__.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    wheel = folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def make_extension(folder: Path) -> tuple[Path, Path]:
    """An extension with offline wheels and a uv, and its folder of locks. Skips where there is no uv."""
    import_package()
    from vangogh_says_hello.vangogh_blender.runtime import requirements

    extension, locks = folder / "extension", folder / "locks"
    offline = extension / "wheels" / "offline"
    offline.mkdir(parents=True)
    locks.mkdir()
    carried = list(ROOT.glob("wheels/uv-*.whl"))
    if not carried and not shutil.which("uv"):
        pytest.skip("there is no uv here: neither in wheels/ nor on the PATH")
    for wheel in carried:
        (extension / "wheels" / wheel.name).symlink_to(wheel)
    stem = f"{requirements.platform_name()}-{requirements.PYTHON}"
    lines = [
        f"{name}==1.0 --hash=sha256:{write_wheel(offline, name, *module)}" for name, module in MODULES.items()
    ]
    (locks / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    sizes = {name: [1000, 2000] for name in MODULES} | {"torch": {"cpu": [3000, 5000]}}
    (locks / "sizes.json").write_text(json.dumps({stem: sizes}))
    return extension, locks


def messages(set_up, seconds: float = 120.0) -> list:
    """All that a set-up says until it ends."""
    deadline, heard = time.monotonic() + seconds, []
    while time.monotonic() < deadline:
        heard += set_up.poll()
        if heard and type(heard[-1]).__name__ in ("Finished", "Failed"):
            return heard
        time.sleep(0.01)
    raise AssertionError(f"the set-up did not end: {heard}")


if __name__ == "__main__":
    import_package()
    from vangogh_says_hello.vangogh_blender.runtime import Runtime

    folder, extension, locks = map(Path, sys.argv[1:])
    runtime = Runtime(folder, extension, Path(sys.executable), locks)
    print("begins", flush=True)
    messages(runtime.set_up("auto", online=False))
