"""Threads of the libraries in every process that explains."""

import os
import sys


def set_up_libraries() -> None:
    """Choose the threads of libraries; to be called before torch and OpenCV are used."""
    # OpenMP's threads would otherwise spin while they wait, next to those that decode, draw and
    # encode; OpenCV's would split work that takes 0.1 ms.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
    # Most calls of our threads release the GIL; on return they should not wait Python's usual 5 ms
    # for a thread that draws.
    sys.setswitchinterval(0.0005)
