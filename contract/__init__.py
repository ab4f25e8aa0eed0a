"""What the backend, the Lambda and the job agree on.

Standard library only; imports nothing of ours. Fields are only added, with defaults; readers ignore fields they do
not know; a breaking change takes a new version, readers deployed first and writers last.
"""
