"""A worker without a network: speaks the protocol, draws frames in plain colours, and misbehaves on demand.

Run as `fake_worker.py SCENARIO[:FRAMES]`, in place of `python -m fomm_core worker`. Frames are 8x8 PNGs,
numbered by their red, so that a test can tell one from the other. Standard library only.

Scenarios: ok; slow (a frame every 200 ms); hello-late; silent; garbage (noise between the messages); no-torch;
old (another protocol); killed, crash, exit (dies after three frames); deaf (ignores cancel and the end of its
input); full (the disk is full at frame 3).
"""

import json
import os
import queue
import signal
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

SCENARIO, _, _frames = sys.argv[1].partition(":")
FRAMES = int(_frames or 12)


def say(kind, /, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)


def png(red):
    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    rows = (b"\0" + bytes((red, 64, 128)) * 8) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def animate(job_id, job, requests):
    if not Path(job["painting"]).is_file():
        return say(
            "error",
            id=job_id,
            kind="image",
            sentence=f"{job['painting']} is not there.",
            hint="Choose it again.",
        )
    folder = Path(job["output"]) / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "job.json").write_text(json.dumps(job))
    say("started", id=job_id, total=FRAMES, fps=job["fps"] or 25.0, width=8, height=8)
    say("progress", id=job_id, stage="motion", done=FRAMES, total=FRAMES)
    for index in range(1, FRAMES + 1):
        path = folder / f"{index:04d}.png"
        path.write_bytes(png(index * 20 % 256))
        say("frame", id=job_id, index=index, path=str(path))
        say(
            "progress",
            id=job_id,
            stage="frames",
            done=index,
            total=FRAMES,
            fps=20.0,
            eta=(FRAMES - index) / 20,
        )
        if index == 3:
            misbehave(job_id)
        if SCENARIO == "slow":
            time.sleep(0.2)
        if SCENARIO == "deaf":
            time.sleep(1000)
        if SCENARIO == "full" and index == 3:
            return None
        while not requests.empty():
            request = requests.get()
            if request is None:
                sys.exit(0)
            if request["type"] == "cancel" and request["id"] == job_id:
                return say("cancelled", id=job_id, frames=index)
    return say("done", id=job_id, path=str(folder), frames=FRAMES, fps=job["fps"] or 25.0, seconds=0.1)


def misbehave(job_id):
    if SCENARIO == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if SCENARIO == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if SCENARIO == "exit":
        sys.exit(3)
    if SCENARIO == "full":
        say(
            "error",
            id=job_id,
            kind="disk_full",
            sentence="The disk is full.",
            hint="Make room and press Resume.",
        )
    if SCENARIO == "garbage":
        print("Downloading: 100%\n{not json\n[1, 2]\n" + json.dumps({"type": "novelty"}), flush=True)
        sys.stdout.buffer.write(b"\xff\xfe\x00\n")


def main():
    requests = queue.Queue()

    def read():
        for line in sys.stdin:
            requests.put(json.loads(line))
        requests.put(None)

    if SCENARIO == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if SCENARIO == "hello-late":
        time.sleep(1)
    if SCENARIO == "silent":
        time.sleep(1000)
    if SCENARIO == "no-torch":
        say("error", id="", kind="runtime", sentence="This Python has no torch.", hint="Install torch.")
        sys.exit(1)
    if SCENARIO == "garbage":
        print("Welcome to this Python!", flush=True)
    devices = [{"name": "cpu", "label": "CPU"}, {"name": "cuda:0", "label": "A fine GPU"}]
    say("hello", protocol=99 if SCENARIO == "old" else 1, version="0.1.0", devices=devices)
    threading.Thread(target=read, daemon=True).start()
    while (request := requests.get()) is not None:
        if request["type"] == "animate":
            animate(request["id"], request["job"], requests)
        elif request["type"] == "prepare":
            with open(request["job"]["video"] + ".prepared", "a") as told:
                told.write(json.dumps(request["job"]) + "\n")
            say("prepared", id=request["id"], ready=True)
        elif request["type"] == "shutdown":
            break


main()
