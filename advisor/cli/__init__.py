"""The command line: ``advisor COMMAND``.

One file a command; each gives ``add(commands)``, which describes its arguments, and a function
that does the work and returns the text for standard output. While it works, standard output leads
to standard error, so that whatever a user's function prints cannot end up between the results.
Everything heavy is imported inside those functions: ``advisor --help`` starts fast.

Exit status: 0 done; 2 something the user handed over is wrong, their own code raising included;
1 our fault; 130 interrupted; 141 nobody reads the output any more.
"""

from advisor.cli.program import main

__all__ = ["main"]
