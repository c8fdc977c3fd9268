"""The Python API: labs in programs and in tests.

lab          Lab: a network that is up, from `with` to its end
machine      its machines, and programs that run in them
answers      what is said of flows: Reach, Line, Verification, Matrix
channel      messages between a Lab and its worker
worker       the process that holds a lab: brings it up, asks it, and takes it down when nobody is left
launch       starts programs inside, for the worker

A Lab talks to a process of its own. That one changes namespaces, signals and limits as it needs, becomes root of a user
namespace for those who are not root, does not hear Ctrl-C, and takes the lab down when the connection ends, however the
program ends that has opened it.
"""

from __future__ import annotations

from netemu.api.answers import Counted, Line, Matrix, Reach, Verification
from netemu.api.lab import Lab
from netemu.api.machine import Machine, Process

__all__ = ["Counted", "Lab", "Line", "Machine", "Matrix", "Process", "Reach", "Verification"]
