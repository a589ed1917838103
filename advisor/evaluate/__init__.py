"""How good the advice is: replay on the knowledge base with the task's data set left out."""

from advisor.evaluate.replay import replay
from advisor.evaluate.report import Method, Report

__all__ = ["Method", "Report", "replay"]
