"""One analysis from its request to its stored results; started in a container as `python -m batch_job`.

Settings come from the environment alone (`batch_job.settings`), and nothing here knows who started the process.
"""
