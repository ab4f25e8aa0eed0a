"""Plays Lambda's SQS event source mapping: receives messages, calls the function, deletes what it processed."""
