"""Run by the Python that is examined, whatever version it is: says as one line of JSON what it has."""

import sys

sys.path.pop(0)  # this file's folder, whose modules would hide others

import importlib
import json
import platform
import py_compile
import warnings

MODULES = (
    ("torch", "torch"),
    ("numpy", "numpy"),
    ("scipy", "scipy"),
    ("skimage", "scikit-image"),
    ("PIL", "pillow"),
    ("safetensors", "safetensors"),
    ("yaml", "PyYAML"),
    ("imageio_ffmpeg", "imageio-ffmpeg"),
    ("tqdm", "tqdm"),
)


def missing_modules():
    """Names of the packages that cannot be imported, each with the reason."""
    missing = {}
    for module, package in MODULES:
        try:
            loaded = importlib.import_module(module)
            if module == "imageio_ffmpeg":
                loaded.get_ffmpeg_exe()  # its program, which an antivirus may have taken
        except Exception as error:
            missing[package] = f"{type(error).__name__}: {error}"
    return missing


def graphics(torch):
    """The devices that really compute, the fastest first, and what is wrong with the others."""
    devices, troubles = [], []
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        for i in range(count):
            try:
                (torch.ones(8, device=f"cuda:{i}") + 1).sum().item()
                devices.append(f"cuda:{i} ({torch.cuda.get_device_name(i)})")
            except Exception as error:
                capability = torch.cuda.get_device_capability(i)
                troubles.append("{} sm_{}{}".format(error, *capability))
    if torch.version.cuda and not count:
        troubles += [str(warning.message) for warning in heard]
    if getattr(torch.backends, "mps", None) and torch.backends.mps.is_available():
        devices.append("mps (Apple GPU)")
    return [*devices, "cpu"], troubles


def compile_imported():
    """Bytecode for what was imported from this environment (never Python's own): the worker starts sooner."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None) or ""
        if path.startswith(sys.prefix) and path.endswith(".py"):
            py_compile.compile(path, quiet=2)


found = {
    "version": platform.python_version(),
    "torch": "",
    "devices": [],
    "troubles": [],
    "architectures": [],
}
found["missing"] = missing_modules()
if "torch" not in found["missing"]:
    import torch

    found["torch"] = str(torch.__version__)
    found["devices"], found["troubles"] = graphics(torch)
    found["architectures"] = torch.cuda.get_arch_list() if torch.cuda.is_available() else []
if "compile" in sys.argv[1:]:
    compile_imported()
print("\n" + json.dumps(found))
