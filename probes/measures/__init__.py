"""The probes, one a file; ``probes.profile`` says which are taken at which tier."""
