"""Loads that are caught in the middle."""

import os


def large_cold_file(models, fixtures):
    """A file that takes a while to load, as it has to come from the disk."""
    file = fixtures.make_file(models, 512)
    with open(file) as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return file


def cache_until_midway(session, model):
    """Starts to cache a model and returns the request when a part of it has been read."""
    number = session.send("cache", {"model": model})
    while True:
        message, _ = session.receive()
        progress = message.get("progress")
        assert progress, f"it was over before its first progress: {message}"
        if 0 < int(progress.get("done", 0)) < int(progress["total"]):
            return number
