"""A stand-in for AWS Batch: an HTTP service that speaks Batch's own API and runs jobs on this machine.

Played by the book: request checks, job states, queue priority, shares, retries with evaluateOnExit, timeouts,
terminate and cancel, dependencies, arrays, attempts, events. Simplified, and so not to be concluded from:

- state lives in memory and ends with the process;
- a compute environment is one pool of vCPUs, memory and GPUs: no machines start, none is packed, capacity never
  lacks;
- a job that does not fit holds up its own queue, and no job is placed ahead of it;
- the arithmetic of fair share is ours (see `fairshare`), its aim is AWS's;
- events keep the order of the changes and come once; EventBridge promises neither;
- a job in a subprocess has no memory limit, no user of its own and no read-only root (see `subprocess_runner`);
- only EC2 and Spot environments and single-container jobs; secrets only from Secrets Manager.
"""
