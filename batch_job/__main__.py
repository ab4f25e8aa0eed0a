import os
import sys

from batch_job.main import main

sys.exit(main(os.environ))
