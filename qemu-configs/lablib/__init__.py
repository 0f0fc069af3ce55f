# SPDX-License-Identifier: GPL-2.0
"""The parts of qemu-configs/lab."""


class LabError(Exception):
    """Something the user has to know, in one line."""
