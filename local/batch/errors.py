"""What the service answers instead of a result. Codes and statuses are those of the AWS Batch API reference."""


class ApiError(Exception):
    """The request was not carried out."""

    code = "ServerException"
    http_status = 500


class ClientException(ApiError):
    """The caller's fault: a parameter, a name or a state that AWS Batch would refuse."""

    code = "ClientException"
    http_status = 400


class ServerException(ApiError):
    """The service's fault."""


class UnknownOperation(ApiError):
    """No operation of AWS Batch answers at this method and path."""

    code = "UnknownOperationException"
    http_status = 404


class MissingAuthentication(ApiError):
    """AWS answers no request that is not signed. (The stand-in does not check what the signature says.)"""

    code = "MissingAuthenticationTokenException"
    http_status = 403


class NotImplementedHere(ApiError):
    """AWS Batch has this operation; the stand-in has not. A status that SDKs do not retry."""

    code = "NotImplementedException"
    http_status = 501


class InjectedFault(ApiError):
    """A failure that a test asked for."""

    def __init__(self, code: str, http_status: int) -> None:
        super().__init__(f"injected by a test: {code}")
        self.code = code
        self.http_status = http_status
