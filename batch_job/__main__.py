import os
import sys

from batch_job.main import main

if sys.argv[1:] == ["check"]:
    from batch_job.checking import check

    sys.exit(check(os.environ))
if len(sys.argv) > 1:
    from batch_job.command import command

    sys.exit(command(sys.argv[1:]))
sys.exit(main(os.environ))
