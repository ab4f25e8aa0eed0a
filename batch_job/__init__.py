"""One analysis from its request to its stored results; started in a container as `python -m batch_job`.

Settings come from the environment alone (`batch_job.settings`), and nothing here knows who started the process.
"""

import sys

# OpenVINO tells Google of each import, by a process that it forks off the importing one. Where the package that
# does so is missing it has a stand-in. That somebody's videos are analysed is nobody else's business.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
