"""What is on the screen, as pictures: Xvfb keeps it in a file, so looking costs a read."""
import os
import struct
import zlib

import desktop


class Picture:
    """Rows of pixels, four bytes each: blue, green, red, nothing."""

    def __init__(self, width, height, rows):
        self.width, self.height, self.rows = width, height, rows

    def brightness(self, x=0, y=0, width=None, height=None):
        """The mean over a part, 0 … 255, of every fifth row."""
        part = b"".join(row[4 * x:4 * (x + (width or self.width))]
                        for row in self.rows[y:y + (height or self.height):5])
        mean = [sum(part[channel::4]) / (len(part) // 4) for channel in range(3)]
        return 0.114 * mean[0] + 0.587 * mean[1] + 0.299 * mean[2]

    def colours(self):
        """How many differ, of a sample of pixels."""
        return len({row[at:at + 3] for row in self.rows[::4] for at in range(0, len(row), 12)})

    def write(self, path):
        """As PNG."""
        def chunk(kind, data):
            return (struct.pack(">I", len(data)) + kind + data
                    + struct.pack(">I", zlib.crc32(kind + data)))
        lines = bytearray()
        for row in self.rows:
            line = bytearray(3 * self.width)
            for channel in range(3):
                line[channel::3] = row[2 - channel::4]
            lines += b"\0" + line  # no filter
        with open(path, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n"
                       + chunk(b"IHDR", struct.pack(">2I5B", self.width, self.height, 8, 2, 0, 0, 0))
                       + chunk(b"IDAT", zlib.compress(lines, 3)) + chunk(b"IEND", b""))


def take(size=None):
    """The screen's top left part of that size; all of it by default."""
    with open(os.path.join(desktop.folder, "Xvfb_screen0"), "rb") as file:
        data = file.read()
    head = struct.unpack(">25I", data[:100])  # of an XWD file
    start, width, height, stride = head[0] + 12 * head[19], head[4], head[5], head[12]
    width, height = size or (width, height)
    return Picture(width, height, [data[start + y * stride:start + y * stride + 4 * width]
                                   for y in range(height)])
