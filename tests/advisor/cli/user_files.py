"""Files as users write them, right and wrong, and a way to call the command line on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from advisor.cli import main

_HEAD = """
import torch
from torch import nn
from advisor import Task

torch.manual_seed(0)
X, Y = torch.randn(120, 4), torch.randint(0, 3, (120,))
"""

FILES = {
    "good.py": _HEAD
    + """
from neighbour import width

def task():
    return Task(model=lambda: nn.Linear(width, 3), train=(X, Y), test=(X, Y), steps=8,
                batch_size=16, name="good")

def _private():
    return task()

answer = 42
""",
    "talks.py": """
import good

print("printed while loading")

def task():
    print("printed by the function")
    return good.task()
""",
    "noisy.py": """
import atexit
import os

import good

atexit.register(print, "noise at the exit")

def task():
    made = good.task()
    def training_step(model, batch):
        os.write(1, b"noise of a step\\n")
        return model(batch[0]).square().mean()
    made.training_step = training_step
    return made
""",
    "neighbour.py": "width = 4\n",
    "wrong.py": _HEAD
    + """
def raises():
    numbers = []
    return numbers[3]

def leaves():
    raise SystemExit("enough")

def nothing():
    Task(model=nn.Linear(4, 3), train=(X, Y))

def wants(argument):
    return argument

def model():
    return nn.Linear(4, 3)

def output_does_not_fit():
    return Task(model=nn.Linear(4, 2), train=(X, torch.randn(120, 3)), loss="mse", steps=4)

def shape_does_not_fit():
    return Task(model=nn.Linear(5, 3), train=(X, Y), steps=4)

def labels_outside():
    return Task(model=nn.Linear(4, 2), train=(X, Y), steps=4)

def not_a_number():
    broken = X.clone()
    broken[7, 1] = float("nan")
    return Task(model=nn.Linear(4, 3), train=(broken, Y), steps=4)

def empty_loader():
    nobody = torch.utils.data.TensorDataset(X[:0], Y[:0])
    return Task(model=nn.Linear(4, 3), train=torch.utils.data.DataLoader(nobody), steps=4)

def batch_too_large():
    return Task(model=nn.Linear(4, 3), train=(X, Y), batch_size=500, steps=4)

def negative_steps():
    return Task(model=nn.Linear(4, 3), train=(X, Y), steps=-4)

def unknown_loss():
    return Task(model=nn.Linear(4, 3), train=(X, Y), loss="cross_entrpy", steps=4)

def no_such_argument():
    return Task(model=nn.Linear(4, 3), train=(X, Y), setps=4)

async def waits():
    return Task(model=nn.Linear(4, 3), train=(X, Y), steps=4)

class Stop(BaseException):
    pass

def stops():
    raise Stop("of its own")

def closes():
    raise GeneratorExit

def _ending(error):
    def training_step(model, batch):
        raise error
    return Task(model=nn.Linear(4, 3), train=(X, Y), training_step=training_step, steps=4)

def leaves_in_the_loop():
    return _ending(SystemExit(0))

def stops_in_the_loop():
    return _ending(Stop("halfway"))

def closes_in_the_loop():
    return _ending(GeneratorExit())

def leaves_in_the_model():
    def model():
        import sys
        sys.exit(3)
    return Task(model=model, train=(X, Y), steps=4)

def coloured():
    raise ValueError("\x1b[31mred\x1b[0m\x07 " + "long " * 500)

def raises_later():
    calls = []
    def training_step(model, batch):
        calls.append(batch)
        if len(calls) > 3:
            raise RuntimeError("on the fourth\\ncall")
        return model(batch[0]).square().mean()
    return Task(model=nn.Linear(4, 3), train=(X, Y), training_step=training_step, steps=4)
""",
    "syntax.py": "def task(:\n    pass\n",
    "imports.py": "import torch\nimport nowhere_to_be_found\n",
    "explodes.py": "x = 1\nraise ValueError('while loading')\n",
    "empty.py": "",
    "notes.txt": "def task(): ...\n",
    "good.yaml": "optimizer: {name: adamw, lr: 0.01}\nschedule: cosine\nbatch_size: 16\n",
    "no_batch.yaml": "optimizer: {name: adamw, lr: 0.01}\n",
    "torn.json": '{"schema": 1, "optimizer": {"name": "adam',
    "future.json": '{"schema": 99, "optimizer": {"name": "adamw"}}',
    "unknown.yaml": "optimizer: {name: adamwx}\n",
    "negative.yaml": "optimizer: {name: adamw, lr: -0.1}\n",
    "field.yaml": "optimiser: {name: adamw}\n",
    "list.yaml": "- 1\n",
    "deep.json": "[" * 100_000,
    "deep.yaml": "[" * 3000,
    "digits.json": '{"horizon": ' + "9" * 5000 + "}",
    "digits.yaml": "horizon: " + "9" * 5000,
    "hexadecimal.yaml": "horizon: 0x" + "f" * 5000,
    "date.yaml": "horizon: 2024-99-99\n",
    "no_float.yaml": 'horizon: !!float ""\n',
    "laughs.yaml": "a0: &a0 [ha]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    + "optimizer: *a29\n",
    "itself.yaml": "optimizer: &a [*a]\n",
    "marked.yaml": "\ufeffoptimizer: {name: adamwx}\n",
    "tuned.json": '{"schema": 1, "task": {}, "ranking": [], "trials": 0}',
    "large.yaml": "optimizer: {name: adamw}\nbatch_size: 4000\n",
}


@dataclass(frozen=True)
class Answer:
    """What the command line answered."""

    status: int
    out: str
    err: str


class CommandLine:
    """The command line in this process, in a folder with the user's files."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *words: str) -> Answer:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(words))
        captured = self._capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Answer(end.value.code, captured.out, captured.err)
