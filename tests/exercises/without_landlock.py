"""Run a command on a machine without Landlock, as on an older kernel: ``python without_landlock.py COMMAND ...``.

A filter of system calls (seccomp) answers that there is none, to the command and to all that it starts. Linux alone.
"""

import ctypes
import errno
import os
import sys

LANDLOCK = 444  # landlock_create_ruleset, on every architecture
LOAD, EQUAL, GIVE = 0x20, 0x15, 0x06  # of a filter's instructions
DENIED, ALLOWED = 0x50000 | errno.ENOSYS, 0x7FFF0000
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


class Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(Instruction)))


def hide_landlock() -> None:
    lines = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, LANDLOCK), (GIVE, 0, 0, DENIED), (GIVE, 0, 0, ALLOWED)]
    program = Program(len(lines), (Instruction * len(lines))(*(Instruction(*line) for line in lines)))
    libc = ctypes.CDLL(None)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.prctl(SECCOMP, FILTER, ctypes.byref(program)):
        raise OSError("no filter of system calls")


if __name__ == "__main__":
    hide_landlock()
    os.execv(sys.argv[1], sys.argv[1:])
