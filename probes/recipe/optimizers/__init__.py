"""Optimizers that no library has in the form needed; one file each, needing only torch."""
