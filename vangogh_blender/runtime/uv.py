"""uv: taken out of the wheel that the extension carries, and how it is called so that it harms nobody."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import os
import shutil
import sys
import zipfile
from pathlib import Path

from ...fomm_core.errors import UserError
from .child import clean_environment
from .requirements import platform_name

PROGRAM = "uv.exe" if sys.platform == "win32" else "uv"
_TAGS = {  # in the name of uv's wheel
    "linux-x64": ("manylinux", "x86_64"),
    "linux-arm64": ("manylinux", "aarch64"),
    "windows-x64": ("win_amd64",),
    "windows-arm64": ("win_arm64",),
    "macos-x64": ("macosx", "x86_64"),
    "macos-arm64": ("macosx", "arm64"),
}
# A studio's indexes, proxies and certificates count; nothing else that a user has set for projects of their own.
_KEPT = (
    "UV_CONCURRENT_",
    "UV_CONFIG_FILE",
    "UV_CREDENTIALS_DIR",
    "UV_CUDA_DRIVER_VERSION",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_",
    "UV_INDEX",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_REQUEST_TIMEOUT",
    "UV_SYSTEM_CERTS",
    "UV_TORCH_BACKEND",
)


def find(extension: Path) -> Path:
    """The wheel that carries uv for this platform; or, in a checkout without one, a uv on the PATH.

    Raises:
        UserError: runtime, where there is neither.
    """
    tags = _TAGS.get(platform_name(), ("no such platform",))
    for wheel in sorted(extension.glob("wheels/uv-*.whl")):
        if all(tag in wheel.name for tag in tags):
            return wheel
    if on_path := shutil.which("uv"):
        return Path(on_path)
    raise UserError(
        "runtime",
        f"This copy of the add-on carries no uv for {platform_name()}, which sets up its Python.",
        "Install the add-on's package for this platform, or put uv on the PATH.",
    )


def unpack(found: Path, folder: Path) -> Path:
    """The program, in `folder` where `find` gave a wheel; checked against the wheel's own list.

    Raises:
        UserError: runtime, where the wheel is damaged.
        OSError: where it cannot be written.
    """
    if found.suffix != ".whl":
        return found
    program = folder / PROGRAM
    try:
        with zipfile.ZipFile(found) as wheel:
            name, digest, size = _recorded(wheel)
            if _intact(program, digest, size):
                return program
            content = wheel.read(name)
    except (zipfile.BadZipFile, LookupError, ValueError) as error:
        raise _damaged(found) from error
    if len(content) != size or hashlib.sha256(content).digest() != digest:
        raise _damaged(found)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = program.with_name(f"{PROGRAM}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.chmod(0o755)
        os.replace(temporary, program)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return program


def environment(cache: Path, temporary: Path) -> dict[str, str]:
    """What uv sees: everything that it writes stays in our folder, and it never looks for another Python."""
    clean = {
        name: value
        for name, value in clean_environment().items()
        if not name.startswith("UV_") or name.startswith(_KEPT)
    }
    own = {
        "UV_CACHE_DIR": str(cache),
        "UV_LINK_MODE": "hardlink",  # the cache and the environment share their bytes on the disk
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_MODIFY_PATH": "1",
        "NO_COLOR": "1",
        **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary)),
    }
    return {**clean, **own}


def _recorded(wheel: zipfile.ZipFile) -> tuple[str, bytes, int]:
    """The program's name in the wheel, its sha256 and its size."""
    record = next((n for n in wheel.namelist() if n.endswith(".dist-info/RECORD")), "no RECORD")
    for name, digest, size in csv.reader(wheel.read(record).decode("utf-8").splitlines()):
        if name.endswith(f".data/scripts/{PROGRAM}"):
            encoded = digest.removeprefix("sha256=")
            return name, base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), int(size)
    raise LookupError(PROGRAM)


def _intact(program: Path, digest: bytes, size: int) -> bool:
    if not program.is_file() or program.stat().st_size != size:
        return False
    return hashlib.sha256(program.read_bytes()).digest() == digest


def _damaged(wheel: Path) -> UserError:
    return UserError("runtime", f"The file {wheel} of the add-on is damaged.", "Install the add-on again.")
