"""A file system like a network share whose server can die: `hanging_fs.py SOURCE MOUNT HANG`.

Shows SOURCE read-only below MOUNT. While the file HANG exists, every call on it waits.
Runs in the foreground, with the system's Python and Debian's python3-fusepy.
"""

import errno
import os
import sys
import time

import fusepy as fuse  # as Debian names it


class HangingFs(fuse.Operations):
    def __init__(self, source, hang):
        self._source, self._hang = source, hang

    def __call__(self, operation, *arguments):
        while os.path.exists(self._hang):
            time.sleep(0.05)
        return super().__call__(operation, *arguments)

    def _path(self, path):
        return os.path.join(self._source, path.lstrip("/"))

    def getattr(self, path, handle=None):
        stat = os.lstat(self._path(path))
        return {name: getattr(stat, name) for name in (
            "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime", "st_ctime",
            "st_atime", "st_ino")}

    def readdir(self, path, handle):
        return [".", "..", *os.listdir(self._path(path))]

    def open(self, path, flags):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise fuse.FuseOSError(errno.EROFS)
        return os.open(self._path(path), os.O_RDONLY)

    def read(self, path, size, offset, handle):
        return os.pread(handle, size, offset)

    def release(self, path, handle):
        os.close(handle)


if __name__ == "__main__":
    source, mount, hang = sys.argv[1:]
    # Nothing is kept by the kernel, so that every look asks this process.
    fuse.FUSE(HangingFs(source, hang), mount, foreground=True, ro=True, use_ino=True,
              attr_timeout=0, entry_timeout=0, negative_timeout=0)
