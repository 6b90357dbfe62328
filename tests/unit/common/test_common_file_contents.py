"""Files that a configuration names: whatever a path leads to, reading it ends, and says why."""

import errno
import os
import threading
from pathlib import Path

import pytest

from penstock_common.configuration import Configuration, ConfigurationError, Secret, Section
from penstock_common.file_contents import MAX_FILE_BYTES, file_contents
from penstock_common.key_material import read_key_material


class Upstream(Section):
    api_key: Secret = Secret("")


class Document(Section):
    upstream: Upstream = Upstream()


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_pipe_that_nobody_has_opened_is_given_up(pipe):
    with pytest.raises(TimeoutError, match="nobody writes into it"):
        file_contents(pipe, patience=0.0)


def test_a_pipe_is_read_until_its_writer_ends():
    # As <(…) of a shell: both ends are open, and the writer comes in its own time.
    reading, writing = os.pipe()
    writer = threading.Thread(
        target=lambda: (os.write(writing, b"a" * 50_000), os.write(writing, b"b"), os.close(writing))
    )
    writer.start()
    try:
        assert file_contents(Path(f"/proc/self/fd/{reading}")) == b"a" * 50_000 + b"b"
    finally:
        writer.join()
        os.close(reading)


def test_a_pipe_whose_writer_waits_is_given_up(pipe):
    kept = os.open(pipe, os.O_RDWR)
    try:
        with pytest.raises(TimeoutError, match="does not come to an end") as raised:
            file_contents(pipe, patience=0.0)
    finally:
        os.close(kept)
    assert raised.value.errno == errno.ETIMEDOUT


def test_a_device_that_never_ends_is_given_up():
    with pytest.raises(OSError, match="more than 8 MiB"):
        file_contents(Path("/dev/zero"))


def test_a_file_may_hold_as_much_as_the_bound(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * MAX_FILE_BYTES)
    assert len(file_contents(file)) == MAX_FILE_BYTES


def test_a_configuration_that_never_ends_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="/dev/zero: it holds more than 8 MiB"):
        Configuration.load(Path("/dev/zero"), {})


def test_a_reference_to_what_never_ends_is_refused_with_its_key():
    with pytest.raises(ConfigurationError, match=r"'upstream\.api_key': the file /dev/zero: it holds more than 8 MiB"):
        Configuration.parse("upstream: {api_key: '${file:/dev/zero}'}", {}).settings(Document)


def test_a_secret_that_never_ends_is_refused_with_its_setting():
    with pytest.raises(ConfigurationError, match=r"'secrets\.pepper': .*: it holds more than 8 MiB"):
        read_key_material(Path("/dev/zero"), "secrets.pepper")
