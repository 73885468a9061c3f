from __future__ import annotations

import io
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.frame import BODY_LIMIT, Frame, FrameError, encode, exact_reader, frames_in, read_frame, written
from backends.tensor import Tensor

FRAME = Frame(
    "execute",
    {"folder": "/somewhere/ü", "n": 3, "none": None},
    [
        [Tensor("float", (2,), b"12345678"), None, [Tensor("int4", (), b"\x01"), []]],
        Tensor("string", (1,), b'["x"]'),
    ],
    b"the model",
)


def decode(data: bytes) -> Frame:
    return read_frame(exact_reader(io.BytesIO(data).read))


def frame_bytes(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<4sIQ", b"dnf1", len(text), len(body) if length is None else length) + text + body


def test_what_is_sent_arrives():
    assert decode(b"".join(encode(FRAME))) == FRAME


def test_a_large_message_is_not_copied_together():
    big = Frame("execute", blob=bytes(1 << 20))
    parts = encode(big)
    assert any(part is big.blob for part in parts)
    assert decode(b"".join(parts)).blob == big.blob


def test_several_messages_follow_each_other():
    stream = io.BytesIO(b"".join(encode(FRAME) + encode(Frame("done"))))
    read = exact_reader(stream.read)
    assert read_frame(read) == FRAME
    assert read_frame(read).operation == "done"
    with pytest.raises(EOFError):
        read_frame(read)


def test_frames_of_one_text_are_those_that_are_read_one_by_one():
    done = Frame("done", {}, [])
    data = b"".join(encode(FRAME) + encode(done) + encode(FRAME))
    assert list(frames_in(data)) == [FRAME, done, FRAME]
    cut = frames_in(data[:-1])
    assert [next(cut), next(cut)] == [FRAME, done]
    with pytest.raises(FrameError, match="cut short"):
        next(cut)


def test_fields_that_are_json_already_are_sent_as_they_are():
    assert decode(b"".join(written("done", '{"a":15e-1}', [[None]]))) == Frame("done", {"a": 1.5}, [[None]])


@pytest.mark.parametrize(
    "value", [Tensor("float", (2.0,), b""), Tensor(None, ("2",), b""), Tensor("float", (2,), None)]
)
def test_what_is_no_tensor_is_not_sent(value):
    with pytest.raises(TypeError):
        encode(Frame("done", values=[value]))


def test_a_type_of_an_odd_name_arrives():
    frame = Frame("done", values=[Tensor('o"dd', (True, 2), b"12")])
    assert decode(b"".join(encode(frame))).values == [Tensor('o"dd', (1, 2), b"12")]


def test_every_cut_is_noticed():
    data = b"".join(encode(FRAME))
    for length in range(1, len(data)):
        with pytest.raises((FrameError, EOFError)):
            decode(data[:length])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"Hello, this is printed text", "garbage"),
        (struct.pack("<4sIQ", b"dnf1", 1 << 31, 0), "over the limit"),
        (frame_bytes(["x", {}, 0, []], length=BODY_LIMIT + 1), "over the limit"),
        (struct.pack("<4sIQ", b"dnf1", 3, 0) + b"{{{", "no JSON"),
        (frame_bytes({"operation": "x"}), "another form"),
        (frame_bytes(["x", {}, 7, []], b"123"), "another form"),
        (frame_bytes(["x", {}, 0, []], b"123"), "more bytes than its header"),
        (frame_bytes(["x", {}, 0, [["float", [1], 4]]], b"123"), "describes more bytes"),
        (frame_bytes(["x", {}, 0, [["float", [-1], 0]]]), "no list of sizes"),
        (frame_bytes(["x", {}, 0, [["float", "abc", 0]]]), "does not describe"),
        (frame_bytes(["x", {}, 0, 17]), "another form"),
        (frame_bytes(["x", {}, 0, [{"sequence": 17}]]), "does not describe"),
        (frame_bytes(["x", {}, 0, [["float", [True], 1]]], b"1"), "no list of sizes"),
        (struct.pack("<4sIQ", b"dnf1", 200_000, 0) + b"[" * 200_000, "no JSON"),
        (frame_bytes(["x", {}, 0, [["float", [1], -4]]]), "does not describe"),
    ],
)
def test_garbage_is_refused(data, words):
    with pytest.raises(FrameError, match=words):
        decode(data)


def test_endless_nesting_is_refused():
    form: object = []
    for _ in range(40):
        form = [{"sequence": form}]
    with pytest.raises(FrameError, match="does not describe"):
        decode(frame_bytes(["x", {}, 0, form]))


@given(st.binary(max_size=200))
def test_random_bytes_never_do_worse_than_an_error(data):
    with pytest.raises((FrameError, EOFError)):
        decode(data)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_never_does_worse_than_an_error(position, value):
    data = bytearray(b"".join(encode(FRAME)))
    data[position % len(data)] = value
    try:
        frame = decode(bytes(data))
    except (FrameError, EOFError):
        return
    assert isinstance(frame, Frame)


def test_what_is_over_the_limit_is_not_sent(monkeypatch):
    monkeypatch.setattr("backends.frame.BODY_LIMIT", 10)
    with pytest.raises(FrameError, match="over the limit of 10"):
        encode(Frame("x", blob=bytes(11)))
