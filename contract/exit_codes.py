"""Exit codes of the job's container. The retry strategy in `contract.jobs` quotes the same numbers."""

EXIT_DONE = 0  # finished, or there was nothing left to do
EXIT_GIVE_UP = 65  # the same request would fail again (EX_DATAERR in sysexits.h)
EXIT_TRY_AGAIN = 75  # a passing fault, or the machine is being taken away (EX_TEMPFAIL)
EXIT_KILLED = 137  # 128 + SIGKILL: killed from outside, by the kernel's out-of-memory killer among others
