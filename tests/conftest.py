"""Every test runs torch on one thread: two threads on a shared machine collapse."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)
