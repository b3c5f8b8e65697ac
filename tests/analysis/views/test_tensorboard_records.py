from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from tensorboard.summary.writer.record_writer import RecordWriter

from analysis.views.tensorboard_records import frame


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=20))
def test_records_are_framed_as_tensorboard_frames_them(records: list[bytes]) -> None:
    stream = io.BytesIO()
    writer = RecordWriter(stream)
    for record in records:
        writer.write(record)
    assert frame(records) == stream.getvalue()


def test_a_long_record_has_the_same_checksum_too() -> None:
    record = bytes(range(256)) * 20
    stream = io.BytesIO()
    RecordWriter(stream).write(record)
    assert frame([record]) == stream.getvalue()
