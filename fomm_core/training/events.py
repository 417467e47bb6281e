"""TensorBoard's event files, for scalars: `tensorboard --logdir OUTPUT` shows them.

Written here, because its own writer would bring a dozen packages to a machine that only trains. A file is a
row of records (length, its checksum, data, its checksum: TensorFlow's TFRecord), each of them a protocol buffer
`Event` (tensorflow/core/util/event.proto).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # of CRC-32C, bits reversed
_BYTES, _DOUBLE, _FLOAT, _VARINT = 2, 1, 5, 0  # the wire types of protocol buffers
_START = 1  # SessionLog.START: what an earlier file says from this step on does not count


class Events:
    """One event file in `folder`, of a sitting whose first step is `step`; every sitting has a file of its own."""

    def __init__(self, folder: Path, step: int):
        name = f"events.out.tfevents.{time.time_ns() // 10**9}.{socket.gethostname()}.{os.getpid()}.{step}"
        self.path = folder / name
        self._waiting = _record(_event(_field(3, _BYTES, b"brain.Event:2")))
        self._waiting += _record(_event(_field(7, _BYTES, _field(1, _VARINT, _START)), step))

    def add(self, step: int, values: dict[str, float]) -> None:
        """Note the values of a step, by name."""
        summary = b"".join(
            _field(1, _BYTES, _field(1, _BYTES, name.encode()) + _field(2, _FLOAT, value))
            for name, value in values.items()
        )
        self._waiting += _record(_event(_field(5, _BYTES, summary), step))

    def flush(self) -> None:
        """Write what was noted. Raises `OSError`."""
        with open(self.path, "ab") as file:
            file.write(self._waiting)
        self._waiting = b""


def _event(what: bytes, step: int = 0) -> bytes:
    return _field(1, _DOUBLE, time.time()) + _field(2, _VARINT, step) + what


def _field(number: int, wire: int, value: float | bytes) -> bytes:
    head = bytes([number << 3 | wire])
    if wire == _BYTES:
        return head + _varint(len(value)) + value
    if wire == _VARINT:
        return head + _varint(value)
    return head + struct.pack("<d" if wire == _DOUBLE else "<f", value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    """CRC-32C, masked as TFRecord masks it: turned by 15 bits, a constant added."""
    crc = _crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]
