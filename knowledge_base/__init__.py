"""Everything learned before: benchmark tasks, the builder, the store of runs, the shipped data."""
