// A stand-in for the part of Flamenco Manager that job types see (internal/manager/job_compilers): `author`, `path`,
// `frameChunker`. Compiles a job: node flamenco.mjs JOBTYPE.js SETTINGS; prints the job type's settings and the tasks.
import fs from "node:fs";
import path from "node:path";
import vm from "node:vm";

const [script, settings] = process.argv.slice(2);

class Task {
    constructor(name, type) {
        if (!name.trim() || !type.trim()) throw new Error("author.Task(name, type): both are required");
        Object.assign(this, { name, type, commands: [], dependencies: [] });
    }
    addCommand(command) { this.commands.push(command); }
    addDependency(task) { this.dependencies.push(task.name); }
}

// Merged as the Manager merges: two frames in a row are named one by one.
function frameChunker(range, size) {
    if (!range.trim() || size < 1) throw new Error(`invalid range or chunk size: ${range}, ${size}`);
    const frames = new Set();
    for (const part of range.replaceAll("..", "-").split(",")) {
        const [first, last] = part.split("-").map(text => parseInt(text.trim(), 10));
        for (let frame = first; frame <= (last ?? first); frame++) frames.add(frame);
    }
    const sorted = [...frames].sort((a, b) => a - b), chunks = [];
    for (let i = 0; i < sorted.length; i += size) chunks.push(merged(sorted.slice(i, i + size)));
    return chunks;
}

function merged(frames) {
    const runs = [];
    for (const frame of frames) {
        const run = runs.at(-1);
        if (run && run[1] === frame - 1) run[1] = frame; else runs.push([frame, frame]);
    }
    return runs.map(([a, b]) => a === b ? `${a}` : a + 1 === b ? `${a},${b}` : `${a}-${b}`).join(",");
}

const author = {
    Task: (name, type) => new Task(name, type),
    Command: (name, parameters) => ({ name, parameters }),
};
const job = { name: "a job", created: new Date(), settings: JSON.parse(settings), tasks: [], addTask(task) { this.tasks.push(task); } };
const world = vm.createContext({ author, path, frameChunker, print() {}, alert() {}, job });
const text = fs.readFileSync(script, "utf-8");
const type = vm.runInContext(`${text}\ncompileJob(job);\nJOB_TYPE`, world);
console.log(JSON.stringify({ settings: type.settings, tasks: job.tasks }));
