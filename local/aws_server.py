"""Plays S3, SQS and Secrets Manager on a socket that it inherits: `python -m local.aws_server --fd 3`."""

import argparse
import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import MotoRequestHandler
from werkzeug.serving import make_server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fd", type=int, required=True, help="of the socket, which listens already")
    given = parser.parse_args()
    application = DomainDispatcherApplication(create_backend_app)
    # The address is the socket's own, whatever is said here.
    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler, fd=given.fd
    )
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
