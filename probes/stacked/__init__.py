"""Many runs of one task in one tensor program, for speed only: the curves are the single loop's.

`loop` trains a stack, `checks` says what can be stacked, `choice` takes the faster form on this
machine. Inside: `member` (one run's course), `program` (the stack as one tensor program), `step`
(one step of it), `losses`, `batches`, `dropout`; `rule` (what an optimizer is here), `rules` (which
one serves), `updates`, `library_updates` and `tensor_updates` (the optimizers themselves).
"""

from probes.stacked.checks import can_stack
from probes.stacked.choice import choose, train_many
from probes.stacked.loop import kind_of_stack, train_stacked

__all__ = ["can_stack", "choose", "kind_of_stack", "train_many", "train_stacked"]
