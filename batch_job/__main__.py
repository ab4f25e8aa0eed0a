import os
import sys

from batch_job.main import main

if len(sys.argv) > 1:
    from batch_job.command import command

    sys.exit(command(sys.argv[1:]))
sys.exit(main(os.environ))
