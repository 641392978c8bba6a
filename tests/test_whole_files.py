"""Files that are whole or not there: what an error leaves, and who may read them."""

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from graphc.whole_files import write_whole


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a"
    write_whole(target, lambda file: file.write(b"old"))

    def fail(file: BinaryIO) -> None:
        file.write(b"ne")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError):
        write_whole(target, fail)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_others_may_read_what_the_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "a", lambda file: file.write(b""))
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        write_whole(tmp_path, lambda file: None)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_whole(tmp_path / "none" / "a", lambda file: None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, lambda file: file.write(b"text"))
        assert os.read(reader, 10) == b"text" and pipe.is_fifo()
    finally:
        os.close(reader)
