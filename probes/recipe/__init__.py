"""The recipe as data, its catalogue, and its build into PyTorch objects."""
