"""Checks for the test cells of exercises: a student's function against an oracle, limits, what training must not move.

A check grades behaviour: any formula, loop or library that gives the same numbers at random points is right. It raises
an ``AssertionError`` of one line that says what was expected, what came, and which notebook to reread; never the right
numbers of a hidden test. Whatever a student's function does, short of ending the process, ends in such a line.

A notebook's cells share one process. Nothing here, :func:`fence` included, keeps out code that is determined to look
at a test that runs beside it; that takes a container for each submission.
"""

import sys

# A test cell drops this package from sys.modules and imports it anew, so that no notebook can have changed its checks
# (tools/build_exercises.py): the files that they are in must not outlive it.
for _file in ("checks", "limits"):
    sys.modules.pop(f"{__name__}.{_file}", None)

from tlkit.grading.checks import (  # noqa: E402
    call_student,
    check_batchnorm_still,
    check_example,
    check_inputs_kept,
    check_logits,
    check_moved,
    check_result,
    check_same,
    check_unmoved,
    copy_weights,
)
from tlkit.grading.limits import fence, limited, limits_here, seed_everything  # noqa: E402

__all__ = [
    "call_student",
    "check_batchnorm_still",
    "check_example",
    "check_inputs_kept",
    "check_logits",
    "check_moved",
    "check_result",
    "check_same",
    "check_unmoved",
    "copy_weights",
    "fence",
    "limited",
    "limits_here",
    "seed_everything",
]
