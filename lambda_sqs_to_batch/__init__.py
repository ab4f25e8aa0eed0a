"""Turns analysis requests from SQS into AWS Batch jobs."""
