"""The results of one analysis as files that other tools read; docs/exports.md says what each of them holds.

Imports the contract and the standard library only (pyarrow inside the Parquet writer), so that the backend and the
job's command line write the same files. Every writer is a generator of bytes that holds a few rows at a time.
"""
