"""`make demo`: a portrait moves in a gallery. Paints, animates, builds, renders; says where the film is.

python examples/demo.py [--output build/demo]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "examples"
sys.path.insert(0, str(ROOT))

from fomm_core import protocol  # noqa: E402

FPS = 24
SECONDS = 5  # of the driving video, at most
LONGEST_SIDE = 800  # of the portrait's frames, in pixels: three times what the film shows of it
# The clip turns its head further than a sitter who already looks to the side can follow without tearing.
STRENGTH = 0.8
STAGES = {"model": "Loading the model", "motion": "Reading the motion", "frames": "Animating the portrait"}


class Failed(Exception):
    """A step did not work; the words are for whoever runs the demo."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Animate the portrait and render it in a gallery.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "demo", metavar="DIR")
    parser.add_argument("--model", default="starter", help="what `animate` takes (default: %(default)s)")
    parser.add_argument("--config", help="the configuration of a published checkpoint")
    options = parser.parse_args()
    output = options.output.resolve()
    began = time.monotonic()
    try:
        painting, video = _example("painting", "png", "jpg"), _example("driving", "mp4")
        _check_packages()
        _make_folder(output)
        frames = animate(painting, video, output / "animation", options.model, options.config)
        stills = paint(output / "paintings")
        blend = build_and_render(frames, stills, output)
        film = encode(output / "render", output / "gallery.mp4")
    except Failed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    print(f"Done in {minutes} min {seconds} s.\n")
    print(f"{film}: the film; open it with any video player.")
    blender = ".".join(version("bpy").split(".")[:2])
    print(
        f"{blend}: the scene; open it with Blender {blender} or later (File > Open) and press the space bar."
    )
    return 0


def animate(painting: Path, video: Path, output: Path, model: str, config: str | None) -> Path:
    """Let the model move the painting; returns the folder of the frames."""
    show = stage = None
    command = [sys.executable, "-m", "fomm_core", "animate", painting, video, "--output", output, "--json"]
    command += ["--fps", FPS, "--end", SECONDS, "--size", LONGEST_SIDE, "--model", model]
    command += ["--reference-frame", "first", "--strength", STRENGTH]
    command += ["--config", config] if config else []
    for line in run(command, output.parent / "animate.log"):
        try:
            event = protocol.decode(line)
        except protocol.ProtocolError:
            continue
        if isinstance(event, protocol.Error):
            raise Failed(f"The portrait could not be animated. {event.sentence} {event.hint}")
        if isinstance(event, protocol.Progress) and event.stage in STAGES:
            if event.stage != stage:
                if show:
                    show.end()
                stage, show = event.stage, Progress(STAGES[event.stage], "frames")
            if event.total > 1:  # the model has no frames to count
                show(event.done, event.total)
        if isinstance(event, protocol.Done):
            frames = Path(event.path)
    show.end()
    return frames


def paint(folder: Path) -> list[Path]:
    """Two landscapes to hang beside the portrait."""
    from landscapes import paint_landscapes

    show = Progress("Painting two landscapes", "paintings")
    paths = []
    for path in paint_landscapes(folder):
        paths.append(path)
        show(len(paths), 2)
    show.end()
    return paths


def build_and_render(frames: Path, stills: list[Path], output: Path) -> Path:
    """Build the gallery in Blender and render it; returns the .blend. Another process: bpy and torch never meet."""
    blend, pictures = output / "gallery.blend", output / "render"
    shutil.rmtree(pictures, ignore_errors=True)
    show = Progress("Rendering the gallery", "pictures")
    command = [sys.executable, HERE / "render_gallery.py", "--frames", frames, "--stills", *stills]
    command += ["--output", blend, "--render", pictures]
    for line in run(command, output / "blender.log"):
        if line.startswith("frame "):
            show(*map(int, line.split()[1:]))
    show.end()
    return blend


def encode(pictures: Path, film: Path) -> Path:
    """The rendered pictures as an H.264 film; behind one that shows only the canvas is the last whole one."""
    import imageio_ffmpeg
    from PIL import Image

    show = Progress("Encoding the film", "pictures")
    files = sorted(pictures.glob("*.png"))
    writer = whole = None
    for done, path in enumerate(files, start=1):
        with Image.open(path) as opened:
            picture = opened.convert("RGBA")
        if picture.getextrema()[3][0] == 255:
            whole = picture
        picture = Image.alpha_composite(whole, picture).convert("RGB")
        if writer is None:
            writer = imageio_ffmpeg.write_frames(
                str(film),
                picture.size,
                fps=FPS,
                quality=None,
                macro_block_size=1,
                output_params=["-crf", "16", "-movflags", "+faststart"],
            )
            writer.send(None)
        writer.send(picture.tobytes())
        show(done, len(files))
    if writer is None:
        raise Failed(f"There are no pictures in {pictures} to make the film of.")
    writer.close()
    show.end()
    return film


def run(command: list, log: Path) -> Iterator[str]:
    """Run a program and yield the lines of its standard output as they come; `log` keeps its standard error."""
    with log.open("w", encoding="utf-8") as kept:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=kept,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        try:
            for line in process.stdout:
                yield line.rstrip("\n")
        except BaseException:  # interrupted, or nobody reads on: the program must not outlive us
            process.terminate()
            process.wait()
            raise
        status = process.wait()
    if status:
        last = [line for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
        reason = last[-1].strip() if last else f"exit status {status}"
        raise Failed(f"{reason} (All it said is in {log}.)")


class Progress:
    """One step's progress: a line that is rewritten on a terminal, a line every few seconds elsewhere."""

    def __init__(self, what: str, unit: str):
        self._what, self._unit = what, unit
        self._began = self._told = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._say(f"{what} …")

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told < (0.2 if self._terminal else 5.0):
            return
        self._told = now
        left = f", {(now - self._began) / done * (total - done):.0f} s left" if done else ""
        self._say(f"{self._what}: {done} of {total} {self._unit}{left}")

    def end(self) -> None:
        self._say(f"{self._what}: {time.monotonic() - self._began:.0f} s")
        if self._terminal:
            print()

    def _say(self, text: str) -> None:
        print(f"\r\033[K{text}" if self._terminal else text, end="" if self._terminal else "\n", flush=True)


def _example(stem: str, *extensions: str) -> Path:
    for extension in extensions:
        if (path := HERE / f"{stem}.{extension}").is_file():
            return path
    raise Failed(
        f"examples/{stem}.{extensions[0]} is missing: the repository carries it, so check out all of it."
    )


def _check_packages() -> None:
    from importlib.util import find_spec

    for package in ("torch", "bpy", "imageio_ffmpeg", "PIL"):
        if find_spec(package) is None:
            raise Failed(f"This Python has no {package}: run `make demo`, which installs what it needs.")


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / ".writable").touch()
        (output / ".writable").unlink()
    except OSError as error:
        raise Failed(
            f"{output} cannot be written: {error.strerror}. Choose another folder with --output."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
