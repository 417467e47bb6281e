"""A farm job's bundle: what is tracked, animated and rendered, and every file that it takes, by its hash.

A bundle is a folder. `bundle.json` in it says all, by paths relative to it: nothing knows the machine that made it.
Standard library only: Blender writes bundles and renders from them, the core does the other steps.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from . import protocol
from .errors import UserError
from .files import replacing, sha256, writing
from .protocol import Job

FORMAT = 1
MANIFEST = "bundle.json"
# In the output folder: which bundle's results these are.
OWNER = "bundle.sha256"
# In an animation's folder: how many frames there are, once all of them are.
DONE = "done.json"

REMADE = "Export the farm job again."


@dataclass(frozen=True)
class Clip:
    """A driving video, detected once for all the paintings that it drives.

    Attributes:
        name: of its motion track, without a suffix.
        video, model: paths in the bundle.
        config: the model's configuration, a name or a path in the bundle, where the model carries none.
        driving_region: as in `protocol.Job`; a track depends on it.
    """

    name: str
    video: str
    model: str
    config: str | None = None
    driving_region: str = "auto"


@dataclass(frozen=True)
class Shown:
    """Where the scene shows an animation.

    Attributes:
        image: the image whose texture nodes are to show it; empty for a new picture frame at `location`.
        object: the only object on which they are meant; empty for every one in the file.
        start: the scene's frame at which it begins.
        location: of a new picture frame, in the scene's units.
    """

    image: str
    object: str = ""
    start: int = 1
    location: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Animation:
    """One painting that one clip drives.

    Attributes:
        name: of its folder among the results.
        job: its settings; its paths lie in the bundle, its output is empty.
        clip: the name of the clip whose track drives it; empty where `job.video` is a track already.
        shown: where the scene shows it.
    """

    name: str
    job: Job
    clip: str = ""
    shown: tuple[Shown, ...] = ()


@dataclass(frozen=True)
class Scene:
    """What is rendered: the scene `name` of the .blend `file`, its frames from `first` to `last`.

    Attributes:
        suffix: of the rendered pictures, with the dot.
        film: whether they can be encoded as one.
    """

    file: str
    name: str
    first: int
    last: int
    fps: float
    suffix: str = ".png"
    film: bool = True


@dataclass(frozen=True)
class Manifest:
    """What `bundle.json` says; `files` has the size and SHA-256 of each file, by its path in the bundle."""

    version: str
    clips: tuple[Clip, ...]
    animations: tuple[Animation, ...]
    scene: Scene
    files: dict[str, dict] = field(default_factory=dict)

    def json(self) -> str:
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1, ensure_ascii=False) + "\n"


class Bundle:
    """A bundle on disk.

    Args:
        folder: with `bundle.json`.
        models: the folder where the models are, if they did not travel with the rest.

    Raises:
        UserError: `folder` holds none, or one that contradicts itself.
    """

    def __init__(self, folder: Path, models: Path | None = None):
        self.folder, self._models = folder, models
        try:
            data = (folder / MANIFEST).read_bytes()
        except OSError as error:
            raise UserError(
                "arguments", f"There is no bundle in {folder}: {MANIFEST} cannot be read.", REMADE
            ) from error
        self.digest = hashlib.sha256(data).hexdigest()
        self.manifest = _parsed(data)
        self._checked: set[str] = set()
        _check_names("animations", [animation.name for animation in self.manifest.animations])
        _check_names("clips", [clip.name for clip in self.manifest.clips])

    def file(self, path: str) -> Path:
        """Where a file of the bundle is, once it is known to be what was exported.

        Raises:
            UserError: it leads out of the bundle, does not belong to it, is missing or another one.
        """
        about = self.manifest.files.get(path)
        if not is_inside(path) or not (self.folder / path).resolve().is_relative_to(self.folder.resolve()):
            raise UserError("arguments", f"The path {path} leads out of the bundle.", REMADE)
        if about is None:
            raise UserError("arguments", f"The bundle does not hold {path}.", REMADE)
        found = self.folder / path
        if self._models and path.startswith("models/"):
            found = self._models / path.removeprefix("models/")
        if path in self._checked:
            return found
        try:
            same = found.stat().st_size == about["size"] and sha256(found) == about["sha256"]
        except OSError as error:
            raise UserError(
                _kind(path),
                f"{path} is missing from the bundle: {found}.",
                f"Copy it again. {REMADE}",
            ) from error
        if not same:
            raise UserError(_kind(path), f"{path} is not the file that was exported.", REMADE)
        self._checked.add(path)
        return found

    def clip(self, number: int) -> Clip:
        """A clip by its number, from 1. Raises `UserError`."""
        return _numbered(self.manifest.clips, number, "clip")

    def animation(self, number: int) -> Animation:
        """An animation by its number, from 1. Raises `UserError`."""
        return _numbered(self.manifest.animations, number, "animation")

    def job(self, animation: Animation, output: Path, device: str) -> Job:
        """The job that makes an animation, on this machine. Raises `UserError` as `file` does."""
        job = animation.job
        driving = track_file(output, animation.clip) if animation.clip else self.file(job.video)
        return dataclasses.replace(
            job,
            painting=str(self.file(job.painting)),
            video=str(driving),
            model=str(self.file(job.model)),
            config=self.config(job.config),
            output=str(animation_folder(output, animation.name)),
            device=device,
            resume=True,
        )

    def config(self, name: str | None) -> str | None:
        """A configuration's name as it is, or where its file is. Raises `UserError`."""
        return str(self.file(name)) if name in self.manifest.files else name

    def claim(self, output: Path) -> None:
        """Let the output folder belong to this bundle: results of two never mix.

        Raises:
            UserError: it holds another bundle's, or cannot be written.
        """
        owner = output / OWNER
        with writing(owner):
            output.mkdir(parents=True, exist_ok=True)
            if not owner.exists():
                with replacing(owner) as temporary:
                    temporary.write_text(self.digest + "\n", encoding="ascii")
            found = owner.read_text(encoding="ascii", errors="replace").strip()
        if found != self.digest:
            raise UserError(
                "output", f"{output} holds the results of another bundle.", "Choose another output folder."
            )


def track_file(output: Path, clip: str) -> Path:
    """Where a clip's motion track is among the results."""
    return output / "tracks" / f"{clip}.npz"


def animation_folder(output: Path, name: str) -> Path:
    """The folder of an animation's job among the results."""
    return output / "animations" / name


def picture(output: Path, frame: int, suffix: str) -> Path:
    """Where a rendered picture is among the results."""
    return output / "render" / f"{frame:04d}{suffix}"


def is_inside(path: str) -> bool:
    """Whether a path of a manifest stays in the bundle, on any system."""
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not re.search(r"^/|[\\:]", path)


def numbers(text: str, what: str) -> list[int]:
    """The numbers in a range like `1-4,7,9-20:2`, as Open Job Description writes them. Raises `UserError`."""
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(-?\d+)\s*(?:-\s*(-?\d+)\s*(?::\s*(\d+)\s*)?)?", part)
        if match is None or match[3] == "0":
            raise UserError("arguments", f"{text!r} names no {what}.", "Use numbers such as 1-4,7.")
        first = int(match[1])
        found += range(first, int(match[2] or first) + 1, int(match[3] or 1))
    if not found:
        raise UserError("arguments", f"{text!r} names no {what}.", "Use numbers such as 1-4,7.")
    return found


def frames_of(scene: Scene, text: str) -> list[int]:
    """The scene's frames in a range. Raises `UserError` where it has no such frame."""
    found = numbers(text, "frames")
    for frame in found:
        if not scene.first <= frame <= scene.last:
            raise UserError(
                "arguments",
                f"There is no frame {frame}: the scene has {scene.first} to {scene.last}.",
                "Use frames of that range.",
            )
    return found


def _kind(path: str) -> str:
    """What kind of error a file of the bundle causes."""
    kinds = {"paintings": "image", "clips": "video", "models": "model"}
    return kinds.get(path.partition("/")[0], "runtime")


def _numbered(things: tuple, number: int, what: str):
    if not 1 <= number <= len(things):
        raise UserError(
            "arguments", f"There is no {what} {number}: the bundle has {len(things)}.", "Use its numbers."
        )
    return things[number - 1]


def _check_names(what: str, names: list[str]) -> None:
    """Names become files, on systems that do not tell capitals apart too. Raises `UserError`."""
    seen = set()
    for name in names:
        if not is_inside(name) or "/" in name:
            raise UserError("arguments", f"{name!r} is no name for {what}.", REMADE)
        if name.lower() in seen:
            raise UserError("arguments", f"Two of the {what} are named {name}.", REMADE)
        seen.add(name.lower())


def _parsed(data: bytes) -> Manifest:
    try:
        read = json.loads(data)
        found = read.pop("format")
        if found != FORMAT:
            raise UserError(
                "arguments",
                f"The bundle is of format {found}, this program reads {FORMAT}.",
                "Use the program that it carries.",
            )
        clips = tuple(Clip(**clip) for clip in read.pop("clips"))
        animations = tuple(_animation(**animation) for animation in read.pop("animations"))
        scene = Scene(**read.pop("scene"))
        manifest = Manifest(read["version"], clips, animations, scene, read["files"])
    except (ValueError, TypeError, KeyError, AttributeError, protocol.ProtocolError) as error:
        raise UserError("arguments", f"The bundle's {MANIFEST} is damaged ({error}).", REMADE) from error
    tracked = {clip.name for clip in clips}
    for animation in animations:
        if animation.clip and animation.clip not in tracked:
            raise UserError(
                "arguments",
                f"The bundle has no clip {animation.clip}, which drives {animation.name}.",
                REMADE,
            )
    return manifest


def _animation(name: str, job: dict, clip: str, shown: list[dict]) -> Animation:
    return Animation(name, protocol.job_from_dict(job), clip, tuple(Shown(**place) for place in shown))
