"""The machine image: what changes every month or two, so that the job's container carries only code."""
