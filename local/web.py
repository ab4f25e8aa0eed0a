"""One of the web processes that answer on a socket they share: `python -m local.web --fd 3`.

The socket is the stack's, so that a request that comes while a process is started again waits instead of being
refused.
"""

import argparse
import socket
import sys

import uvicorn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fd", type=int, required=True, help="of the socket, which listens already")
    config = uvicorn.Config("backend.config.asgi:application", access_log=False, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    with socket.socket(fileno=parser.parse_args().fd) as listening:
        server.run(sockets=[listening])
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
