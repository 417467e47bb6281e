"""Runs a command that ends when this process's standard input does: no uv is left behind when Blender is killed."""

import os
import signal
import subprocess
import sys
import threading


def kill(process):
    """With all that it has started."""
    if os.name == "nt":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    else:
        os.killpg(process.pid, signal.SIGKILL)


def watch(process):
    while os.read(0, 4096):
        pass
    if process.poll() is None:
        kill(process)


try:
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
except OSError as error:
    code = getattr(error, "winerror", None) or error.errno
    print(f"error: cannot start {sys.argv[1]}: {error.strerror} (os error {code})", flush=True)
    sys.exit(127)
threading.Thread(target=watch, args=(child,), daemon=True).start()
sys.exit(child.wait() & 0xFF)
