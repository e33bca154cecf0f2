#!/usr/bin/env bash
# tensorboard 2.21.0: event files are checked by CRC-32C, which its package computes byte by byte in Python, some 12 MB a second;
# `torch.utils.tensorboard`, tensorboardX's readers and notebooks that read curves with EventAccumulator all come by here where
# TensorFlow is not installed. The writer has a thread of its own, but a thread in Python holds the interpreter: what the program
# itself does in Python takes about twice as long meanwhile. A picture of 4 MB (a figure at print resolution, a few frames, a
# batch of audio) costs a third of a second to write and as much to read again, many times what encoding it as PNG or writing it to
# disk takes; curves cost little more for it (80 microseconds a point of eight numbers).
# What helps: frame records by hand with a compiled CRC-32C (google-crc32c), ten lines, the same bytes.
# Seen on an AMD EPYC: 4 MB written in 0.34 s and read in 0.33 s, by compiled checksums in 0.009 s; a loop in Python takes 2.2 times
# as long while the thread writes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorboard==2.21.0 google-crc32c==1.9.0 numpy==2.4.6 "setuptools<81"
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import glob
import os
import struct
import time

import google_crc32c
import tensorboard.version
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

print("tensorboard", tensorboard.version.VERSION, "google-crc32c", google_crc32c.implementation)
SIZE = 4 * 2**20
image = Summary.Image(encoded_image_string=os.urandom(SIZE), width=1, height=1, colorspace=3)
event = Event(wall_time=1.0, step=1, summary=Summary(value=[Summary.Value(tag="figure", image=image)]))


def seconds(work):
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def best(work, count=3):
    return min(seconds(work) for _ in range(count))


def loop():
    """Some Python of the program's own, some 50 ms."""
    for number in range(3_000_000):
        number + 1


def checksum(data):
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(data):
    length = struct.pack("<Q", len(data))
    return length + checksum(length) + data + checksum(data)


def by_hand():
    with open("by hand", "wb") as file:
        file.write(framed(event.SerializeToString()))
        os.fsync(file.fileno())


writer = EventFileWriter("logs")


def write():
    writer.add_event(event)
    writer.flush()


(path,) = glob.glob("logs/*")
written, alone = best(write), best(loop, 5)
writer.add_event(event)
time.sleep(0.02)
meanwhile = seconds(loop)
writer.close()
ours = best(by_hand)
read = best(lambda: list(LegacyEventFileLoader("by hand").Load()))
assert open(path, "rb").read().endswith(open("by hand", "rb").read()), "the bytes are the same"
print(f"written in {written:.3f} s, read in {read:.3f} s; with compiled checksums written in {ours:.4f} s")
print(f"a loop takes {1e3 * alone:.0f} ms, and {1e3 * meanwhile:.0f} ms while the thread writes")
assert written > 10 * ours and read > 10 * ours, "the behaviour has changed"
assert SIZE / written < 50e6 and SIZE / read < 50e6, "the behaviour has changed"
assert meanwhile > 1.3 * alone, "the behaviour has changed"
PY
