from __future__ import annotations

import argparse
import dataclasses
import json
import os

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from fomm_core import baseline, bench, cli, models, protocol
from fomm_core.bench import Measure, Settings, jobs, network, weights
from fomm_core.errors import UserError
from fomm_core.media import VideoReader
from fomm_core.network import Keypoints


def settings(model_file, **changes) -> Settings:
    values = {"model": str(model_file), "device": "cpu", "precision": "fp32", "frames": 2, "rounds": 2}
    return Settings(**{**values, **changes})


def test_a_ratio_is_taken_within_a_round():
    """The machine became slower by the round; ours was twice as fast in each."""
    found = Measure("network", "s", [1.0, 10.0, 2.0], [2.0, 20.0, 4.0]).summary()
    assert found["ratio"] == {"median": 2.0, "quartiles": [2.0, 2.0]}
    assert found["ours"]["median"] == 2.0
    assert found["baseline"]["quartiles"] == [3.0, 12.0]


def test_without_a_baseline_there_is_no_ratio():
    assert Measure("network", "s", [1.0]).summary().keys() == {"name", "unit", "ours"}


@torch.inference_mode()
def test_the_baseline_computes_what_the_plain_networks_do(model):
    """And all that the authors' code returns beside."""
    images = network.driving_images(64, 2)
    loop = baseline.PublishedLoop(model, torch.device("cpu"))
    origin, driving = model.kp_detector(images[:1]), model.kp_detector(images[1:])
    prediction, motion = model.generator(images[:1], driving, origin)
    found = loop.frame(images[:1], images[1:], origin)
    assert found["prediction"] == pytest.approx(prediction, abs=1e-5)
    assert found["mask"] == pytest.approx(motion.mask, abs=1e-5)
    assert found["sparse_deformed"].shape == (11, 3, 16, 16)
    assert found["deformed"].shape == (1, 3, 64, 64)


@torch.inference_mode()
def test_the_baseline_encodes_the_source_for_every_frame(model, picture):
    loop = baseline.PublishedLoop(model, torch.device("cpu"))
    calls = []
    loop.generator.first.register_forward_hook(lambda *_: calls.append(1))
    frames = [picture(64, 64, i / 20) for i in range(3)]
    predictions = baseline.animate(loop, frames[0], frames, 64)
    assert len(calls) == 3
    assert np.stack(predictions).shape == (3, 64, 64, 3)
    source = torch.from_numpy(frames[0] / 255.0).float().permute(2, 0, 1)[None]
    origin: Keypoints = model.kp_detector(source)
    still = model.generator(source, origin, origin)[0][0].permute(1, 2, 0)
    assert predictions[0] == pytest.approx(still.numpy(), abs=1e-3), "the first frame is no motion"


def test_the_baseline_makes_a_movie(model_file, painting, clip, tmp_path):
    arguments = [str(painting), str(clip(4)), "--model", str(model_file), "--frames", "3", "--device", "cpu"]
    assert baseline.main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert imageio_ffmpeg.count_frames_and_secs(tmp_path / "out" / "movie.mp4")[0] == 3


def test_network(model_file, capsys):
    assert bench.main(settings(model_file, baseline=True), as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert [measure["name"].strip() for measure in found["measures"]] == [
        "network", "keypoints, alone", "dense motion, alone", "decoder, alone",
    ]  # fmt: skip
    whole = found["measures"][0]
    assert whole["ours"]["median"] > 0
    assert whole["ratio"]["median"] > 0
    assert found["largest difference"] <= 5e-4, "the same picture, or the ratio compares two different things"
    assert found["PSNR"] > 50
    assert found["precision"] == "fp32"


def test_the_command_takes_its_options_by_name(model_file, capsys):
    options = argparse.Namespace(**dataclasses.asdict(settings(model_file, rounds=1)), json=True)
    assert bench.command(options) == 0
    assert json.loads(capsys.readouterr().out)["rounds"] == 1


def test_the_table_shows_every_measure(model_file, capsys):
    bench.main(settings(model_file), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("medians of 2 rounds (quartiles)")
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 5
    assert all(row.count("|") == 5 for row in rows)


def test_a_configuration_is_measured_with_random_weights():
    model = weights.model_of("starter" if "starter" not in models.registered() else "bair-256")
    assert isinstance(model, models.Model)
    with pytest.raises(UserError) as caught:
        weights.model_of("vox-257")
    assert "vox-256" in caught.value.hint


def test_jobs_run_in_turn(model_file, clip, painting, monkeypatch, tmp_path):
    """Each side's command line is one that it takes; what it takes and holds is reported by side."""
    ran = []

    def process(arguments):
        ran.append(arguments)
        return float(len(ran)), 100.0 * len(ran)

    monkeypatch.setattr(jobs, "_process", process)
    video = clip(6)
    chosen = settings(model_file, painting=painting, video=video, what=("job", "memory"), baseline=True)
    found = jobs.measure_jobs(chosen, tmp_path)
    assert [measure.ours for measure in found] == [[1.0, 3.0], [100.0, 300.0]]
    assert [measure.baseline for measure in found] == [[2.0, 4.0], [200.0, 400.0]]
    job = cli.parser().parse_args(ran[0][2:])
    assert (job.size, job.format, job.region) == (64, "mp4", "full")
    assert job.end * 25 < 2 < job.end * 25 + 1, "two frames at 25 per second"
    assert ran[1][:2] == ["-m", "fomm_core.baseline"]


def test_a_short_video_is_repeated(clip, tmp_path):
    video = clip(10)
    assert jobs._long_enough(video, 9, tmp_path) == (video, 8.5 / 25)
    repeated, end = jobs._long_enough(video, 25, tmp_path)
    assert len(list(VideoReader(repeated, 0, end))) == 25


def test_a_process_is_measured():
    seconds, megabytes = jobs._process(["-c", "import time; x = bytearray(200_000_000); time.sleep(0.3)"])
    assert seconds > 0.3
    assert 200 < megabytes < 400
    with pytest.raises(UserError, match="no luck"):
        jobs._process(["-c", "raise SystemExit('no luck')"])


@pytest.mark.parametrize("changes", [{"frames": 0}, {"rounds": 0}])
def test_nothing_cannot_be_measured(changes, model_file):
    with pytest.raises(UserError) as caught:
        bench.run(settings(model_file, **changes))
    assert caught.value.kind == "arguments"


def test_first_frames(model_file, painting, clip, tmp_path):
    chosen = settings(model_file, painting=painting, video=clip(6), frames=4, rounds=1, what=("first",))
    found = bench.run(chosen)["measures"]
    cold, *others = (measure["ours"]["median"] for measure in found)
    assert len(others) == 3
    assert all(cold > other > 0 for other in others), "only one of them starts a process"


def test_a_first_frame_of_a_new_clip_includes_its_motion(model_file, painting, clip, monkeypatch):
    asked = []
    plain = jobs._Worker.first_frame
    monkeypatch.setattr(
        jobs._Worker,
        "first_frame",
        lambda self, job: asked.append((os.environ["VANGOGH_CACHE"], job.end)) or plain(self, job),
    )
    bench.run(settings(model_file, painting=painting, video=clip(6), frames=4, rounds=2, what=("first",)))
    for cold, before, warm, known, prepared in (asked[:5], asked[5:]):
        assert len({cold[0], warm[0], prepared[0]}) == 3, "what another process has found is not there"
        assert before[0] == warm[0] == known[0]
        assert before[1] != warm[1] == known[1]


def test_a_failed_first_frame_is_said(model_file, painting, clip, tmp_path):
    video = clip(6)
    painting.write_bytes(b"no picture")
    with jobs._Worker() as worker, pytest.raises(UserError) as caught:
        worker.first_frame(
            protocol.Job(str(painting), str(video), str(tmp_path / "out"), model=str(model_file))
        )
    assert caught.value.kind == "image"


def test_a_failed_preparation_is_said(model_file, painting, tmp_path):
    none = protocol.Job(str(painting), str(tmp_path / "none.mp4"), "", model=str(model_file))
    with jobs._Worker() as worker, pytest.raises(UserError, match="could not prepare"):
        worker.prepare(none)
