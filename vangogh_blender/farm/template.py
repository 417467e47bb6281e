"""The job as Open Job Description has it (specification 2023-09, with the extension TASK_CHUNKING): plain data.

Deadline Cloud reads a folder with this as `template.json` as it is. Clips, animations and frames are numbers, so
that there may be any number of them: a list of names could have 1024.
"""

from __future__ import annotations

from ...fomm_core.bundle import Manifest

PACKAGE = "vangogh_says_hello"
TASK = "task.py"
# Our two networks and a batch of pictures; in MiB, as the specification counts.
GPU_MEMORY = 4096

# So that a task is worth its start, and a farm has enough tasks to share out: see docs/farms.md.
MOST_ANIMATIONS, ENOUGH_TASKS = 25, 100
# Seconds that a task which is told to stop has for the frame under way.
NOTICE = 60


def animations_per_task(count: int) -> int:
    """How many paintings one process animates, the model loaded once."""
    return max(1, min(MOST_ANIMATIONS, count // ENOUGH_TASKS))


def template(manifest: Manifest, device: str = "auto", frames_per_task: int = 8) -> dict:
    """The job template.

    Args:
        device: what animates; `cpu` asks for no GPU.
    """
    scene = manifest.scene
    steps = []
    if manifest.clips:
        steps.append(_step("Track", _chunks("Clip", f"1-{len(manifest.clips)}", 1), _core("track", "Clip")))
    animate = _core("animate", "Animation")
    chunks = _chunks("Animation", f"1-{len(manifest.animations)}", "{{Param.AnimationsPerTask}}")
    steps.append(_step("Animate", chunks, animate, ["Track"] if manifest.clips else []))
    if device != "cpu":
        for step in steps:
            step["hostRequirements"] = {
                "amounts": [
                    {"name": "amount.worker.gpu", "min": 1},
                    {"name": "amount.worker.gpu.memory", "min": GPU_MEMORY},
                ]
            }
    frames = _chunks("Frame", "{{Param.Frames}}", "{{Param.FramesPerTask}}")
    steps.append(_step("Render", frames, _render(scene.file), ["Animate"]))
    if scene.film:
        steps.append(_step("Encode", None, _core("encode", None, "--frames", "{{Param.Frames}}"), ["Render"]))
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": f"Van Gogh Says Hello: {scene.name}".replace("{", "(").replace("}", ")")[:128],
        "parameterDefinitions": _parameters(manifest, device, frames_per_task),
        "steps": steps,
    }


def _parameters(manifest: Manifest, device: str, frames_per_task: int) -> list[dict]:
    def folder(name: str, flow: str, default: str, about: str) -> dict:
        return {
            "name": name,
            "type": "PATH",
            "objectType": "DIRECTORY",
            "dataFlow": flow,
            "default": default,
            "description": about,
        }

    def text(name: str, default: str, about: str) -> dict:
        return {"name": name, "type": "STRING", "default": default, "description": about}

    def number(name: str, default: int, about: str) -> dict:
        return {"name": name, "type": "INT", "default": default, "minValue": 1, "description": about}

    scene = manifest.scene
    return [
        folder("Bundle", "IN", ".", "This bundle."),
        folder("Models", "IN", "models", "Where the models are: the bundle's, or copies on every machine."),
        folder("Output", "OUT", "output", "Tracks, animations, rendered pictures and the film."),
        text("Frames", f"{scene.first}-{scene.last}", "The frames to render, such as 1-96 or 1,7,20-30."),
        number("FramesPerTask", frames_per_task, "How many frames one Blender renders."),
        number(
            "AnimationsPerTask",
            animations_per_task(len(manifest.animations)),
            "How many paintings one process animates.",
        ),
        text("Device", device, "What animates: auto, cpu, cuda, cuda:N, mps; or several, cuda:0,cuda:1."),
        text("Python", "python", "A Python with this project's requirements."),
        text("Blender", "blender", "The Blender that renders."),
    ]


def _chunks(name: str, range: str, count: int | str) -> dict:
    chunk = {"defaultTaskCount": count, "rangeConstraint": "CONTIGUOUS"}
    return {
        "taskParameterDefinitions": [{"name": name, "type": "CHUNK[INT]", "range": range, "chunks": chunk}]
    }


def _step(name: str, space: dict | None, action: dict, after: list[str] | tuple = ()) -> dict:
    step: dict = {"name": name, "script": {"actions": {"onRun": action}}}
    if space:
        step["parameterSpace"] = space
    if after:
        step["dependencies"] = [{"dependsOn": other} for other in after]
    return step


def _core(action: str, parameter: str | None, *more: str) -> dict:
    """The core's `farm ACTION`, by the copy of it in the bundle."""
    arguments = [f"{{{{Param.Bundle}}}}/{TASK}", "farm", action, "{{Param.Bundle}}"]
    arguments += ["--output", "{{Param.Output}}", "--models", "{{Param.Models}}", "--progress", "openjd"]
    if parameter:
        arguments += ["--tasks", f"{{{{Task.Param.{parameter}}}}}", "--device", "{{Param.Device}}"]
    return _action("{{Param.Python}}", [*arguments, *more])


def _render(scene: str) -> dict:
    arguments = [
        "--background",
        f"{{{{Param.Bundle}}}}/{scene}",
        *(
            "--python-exit-code",
            "1",
            "--python",
            f"{{{{Param.Bundle}}}}/{PACKAGE}/vangogh_blender/farm/render.py",
        ),
        *("--", "{{Param.Bundle}}", "--output", "{{Param.Output}}", "--frames", "{{Task.Param.Frame}}"),
    ]
    return _action("{{Param.Blender}}", arguments)


def _action(command: str, arguments: list[str]) -> dict:
    cancelation = {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": NOTICE}
    return {"command": command, "args": arguments, "cancelation": cancelation}
