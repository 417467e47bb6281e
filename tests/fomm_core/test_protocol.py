# ruff: noqa: PT017 - what is drawn may be a message

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fomm_core import protocol
from fomm_core.protocol import ProtocolError, decode, encode

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
OF_TYPE = {
    "str": st.text(),
    "int": st.integers(),
    "float": NUMBERS,
    "bool": st.booleans(),
    "str | None": st.none() | st.text(),
    "int | None": st.none() | st.integers(),
    "float | None": st.none() | NUMBERS,
}
DEVICES = st.builds(protocol.Device, st.text(), st.text())


def instances(cls: type) -> st.SearchStrategy:
    def of(f: dataclasses.Field) -> st.SearchStrategy:
        if f.type == "Job":
            return instances(protocol.Job)
        return st.lists(DEVICES) if f.type == "list[Device]" else OF_TYPE[f.type]

    return st.builds(cls, **{f.name: of(f) for f in dataclasses.fields(cls)})


MESSAGES = [
    protocol.Animate, protocol.Track, protocol.Cancel, protocol.ListDevices, protocol.FreeMemory,
    protocol.Shutdown, protocol.Hello, protocol.Devices, protocol.Started, protocol.Progress, protocol.Frame,
    protocol.Warning, protocol.Done, protocol.Cancelled, protocol.Error,
]  # fmt: skip


@given(st.one_of([instances(cls) for cls in MESSAGES]))
def test_every_message_survives_the_line(message):
    line = encode(message)
    assert "\n" not in line
    assert decode(line) == message


@given(st.text() | st.binary().map(lambda b: b.decode("utf-8", "replace")))
def test_garbage_is_a_protocol_error(line):
    with pytest.raises(ProtocolError):
        decode(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "job", "video", "output", "total", "fps", "devices", "stage", "painting"])
KINDS = st.sampled_from(["animate", "track", "cancel", "started", "hello", "progress", "device_list", "x"])


@given(KINDS, st.dictionaries(FIELDS, JSON))
def test_wrong_fields_are_a_protocol_error_or_a_message(kind, fields):
    try:
        message = decode(json.dumps({**fields, "type": kind}))
    except ProtocolError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 250
    else:
        assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"type": "cancel"}',
        '{"type": "cancel", "id": 3}',
        '{"type": "cancel", "id": null}',
        '{"type": 3, "id": "a"}',
        '{"type": "dance", "id": "a"}',
        '{"type": "started", "id": "a", "total": true, "fps": 1, "width": 1, "height": 1}',
        '{"type": "started", "id": "a", "total": 1.5, "fps": 1, "width": 1, "height": 1}',
        '{"type": "started", "id": "a", "total": 1, "fps": NaN, "width": 1, "height": 1}',
        '{"type": "started", "id": "a", "total": 1, "fps": 1' + "0" * 400 + ', "width": 1, "height": 1}',
        '{"type": "hello", "protocol": 1, "version": "1", "devices": [{"name": "cpu"}]}',
        '{"type": "animate", "id": "a", "job": []}',
        '{"type": "animate", "id": "a", "job": {"painting": "p", "video": "v"}}',
    ],
)
def test_what_is_no_message(line):
    with pytest.raises(ProtocolError):
        decode(line)


def test_unknown_fields_are_ignored():
    assert decode('{"type": "cancel", "id": "a", "since": 2031}') == protocol.Cancel("a")


def test_a_whole_number_is_a_float_too():
    value = decode('{"type": "done", "id": "a", "path": "p", "frames": 1, "fps": 24, "seconds": 3}')
    assert type(value.fps) is float


def test_numbers_that_json_lacks_are_never_written():
    with pytest.raises(ValueError, match=r"not JSON compliant|Out of range"):
        encode(protocol.Progress("a", "frames", 1, 2, math.nan))


def test_a_job_survives_its_dict():
    job = protocol.Job("p", "v", "o", fps=24, resume=True)
    assert protocol.job_from_dict(dataclasses.asdict(job)) == job
    with pytest.raises(ProtocolError):
        protocol.job_from_dict({"painting": "p"})


def test_importing_the_core_loads_nothing_heavy():
    code = (
        "import sys, fomm_core, fomm_core.protocol, fomm_core.errors, fomm_core.files, fomm_core.cli;"
        "heavy = {'torch', 'numpy', 'scipy', 'PIL', 'skimage', 'yaml', 'safetensors', 'tqdm', 'imageio_ffmpeg'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
