"""``python -m advisor``: the command line."""

from advisor.cli import main

if __name__ == "__main__":  # the knowledge base's worker processes import this module too
    main()
