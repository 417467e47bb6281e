// SPDX-License-Identifier: GPL-3.0-or-later
//
// Flamenco's job type for a bundle that Export Farm Job wrote on the shared storage. Put this file into the folder
// `scripts` beside flamenco-manager. The same steps as the bundle's template.json: Track, Animate, Render, Encode.

const READ_BUNDLE = "__import__('json').loads((Path(abspath(settings.bundle)) / 'bundle.json').read_text('utf-8'))";

const JOB_TYPE = {
    label: "Van Gogh Says Hello",
    description: "Animates the paintings of a scene and renders it, from a bundle written by Export Farm Job",
    settings: [
        { key: "bundle", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "The folder that Export Farm Job wrote, on the shared storage" },
        { key: "output", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "For tracks, animations, rendered pictures and the film; on the shared storage" },
        { key: "frames", type: "string", required: true, visible: "submission",
          eval: "f'{C.scene.frame_start}-{C.scene.frame_end}'",
          evalInfo: { showLinkButton: true, description: "Scene frame range" },
          description: "Frames to render, of the scene as it was exported. Examples: '47', '1-30', '3, 5-10'" },
        { key: "frames_per_task", type: "int32", default: 8, propargs: { min: 1 }, visible: "submission",
          description: "How many frames one Blender renders" },
        { key: "animations_per_task", type: "int32", default: 1, propargs: { min: 1 }, visible: "submission",
          description: "How many paintings one process animates, the model loaded once" },
        { key: "device", type: "string", default: "auto", visible: "submission",
          description: "What animates: auto, cpu, cuda, cuda:0,cuda:1" },
        { key: "python", type: "string", default: "python3", required: true, visible: "submission",
          description: "A Python on the workers with the requirements of Van Gogh Says Hello" },

        // What the bundle holds.
        { key: "clips", type: "int32", required: true, visible: "hidden",
          eval: `len(${READ_BUNDLE}['clips'])` },
        { key: "animations", type: "int32", required: true, visible: "hidden",
          eval: `len(${READ_BUNDLE}['animations'])` },
        { key: "film", type: "bool", visible: "hidden", eval: `${READ_BUNDLE}['scene']['film']` },
        { key: "scene", type: "string", required: true, visible: "hidden",
          eval: `${READ_BUNDLE}['scene']['file']` },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const tracks = tasks(job, "track", numbered(settings.clips, 1), [], chunk => core(settings, "track", chunk));
    const animations = tasks(
        job, "animate", numbered(settings.animations, settings.animations_per_task), tracks,
        chunk => core(settings, "animate", chunk)
    );
    const frames = frameChunker(settings.frames, settings.frames_per_task);
    const renders = tasks(job, "render", frames, animations, chunk => render(settings, chunk));
    if (settings.film) tasks(job, "encode", [settings.frames.replace(/\s/g, "")], renders, frames => core(settings, "encode", frames));
}

// Chunks of the numbers 1 to `count`; none at all where there is nothing.
function numbered(count, size) {
    return count ? frameChunker(`1-${count}`, size) : [];
}

// A task for each chunk, which waits for all of `before`.
function tasks(job, step, chunks, before, command) {
    return chunks.map(chunk => {
        const task = author.Task(`${step}-${chunk}`, step === "render" ? "blender" : step === "encode" ? "ffmpeg" : "misc");
        task.addCommand(command(chunk));
        for (const other of before) task.addDependency(other);
        job.addTask(task);
        return task;
    });
}

// The core, by the copy of it in the bundle.
function core(settings, step, chunk) {
    const range = step === "encode" ? ["--frames", chunk] : ["--tasks", chunk, "--device", settings.device];
    return author.Command("exec", {
        exe: settings.python,
        args: [path.join(settings.bundle, "task.py"), "farm", step, settings.bundle, "--output", settings.output]
            .concat(range),
    });
}

function render(settings, chunk) {
    const script = path.join(settings.bundle, "vangogh_says_hello", "vangogh_blender", "farm", "render.py");
    return author.Command("blender-render", {
        exe: "{blender}",
        exeArgs: "{blenderArgs}",
        argsBefore: [],
        blendfile: path.join(settings.bundle, settings.scene),
        args: ["--python-exit-code", "1", "--python", script, "--", settings.bundle, "--output", settings.output,
            "--frames", chunk],
    });
}
