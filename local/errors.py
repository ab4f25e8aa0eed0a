"""What can keep the local stack from running, each with a sentence for the person at the terminal."""


class StackError(Exception):
    """The local stack cannot run."""


class PortInUse(StackError):
    """Another program listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} is in use by another program; choose one with PORT=, for example PORT={port + 1}."
        )


class AlreadyRunning(StackError):
    """One checkout holds one stack."""


class ServiceFailed(StackError):
    """A service of the stack ended and cannot be started again."""


class ModelUnusable(StackError):
    """The model a person named cannot be added to the runtime manifest."""
