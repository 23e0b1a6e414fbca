"""Checks for the test cells of exercises: a student's function against an oracle, limits, what training must not move.

A check grades behaviour: any formula, loop or library that gives the same numbers at random points is right. It raises
an ``AssertionError`` of one line that says what was expected, what came, and which notebook to reread; never the right
numbers of a hidden test. Whatever a student's function does, short of ending the process, ends in such a line.

In a student's notebook the visible tests run beside the student's code. The autograder runs all tests in another
process than the student's (:mod:`tlkit.grading.examiner`): there the functions that checks are given are stand-ins.
"""

from tlkit.grading.checks import (
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
from tlkit.grading.limits import fence, limited, limits_here, seed_everything

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
