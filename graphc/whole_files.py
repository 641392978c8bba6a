"""Files that are whole at every moment: a kill leaves the old one or the new one."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file beside the old one, and put it in its place. OSError as of open().

    What is there and is no file, such as /dev/stdout, is written to as it is.
    """
    target = place_of_file(path)
    if target.exists() and not target.is_file():
        with target.open("wb") as device:
            write(device)
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_mask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def place_of_file(path: str | os.PathLike[str]) -> Path:
    """The path, where a file can be put; OSError as of open() for folders and missing folders.

    Said of the path that was given: `write_whole` makes a file of another name first.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(target.parent))
    return target


def _mask() -> int:
    """The process's mask for new files, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
