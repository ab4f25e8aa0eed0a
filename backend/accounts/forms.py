"""Signing in and up. Attempts are counted, so that passwords cannot be tried out one after the other."""

import hashlib
import ipaddress
import math
import threading
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm, UserCreationForm
from django.http import HttpRequest

from backend.accounts.counting import give_back, take
from backend.accounts.models import User

WINDOW = timedelta(minutes=15)
# Failures in a window. The name's is higher: whoever knows a name must not be able to lock its owner out cheaply.
MOST_BY_ADDRESS, MOST_BY_NAME = 20, 100


class TooManyAttempts(forms.ValidationError):
    def __init__(self, seconds: float) -> None:
        minutes = math.ceil(seconds / 60)
        super().__init__(f"Too many attempts. Please try again in {minutes} min.", code="throttled")
        self.seconds = math.ceil(seconds)


def count_attempt(what: str, request: HttpRequest) -> str:
    """The subject that was counted. Raises TooManyAttempts."""
    return _count(f"{what}:address:{address_of(request)}", MOST_BY_ADDRESS)


def address_of(request: HttpRequest) -> str:
    """Of IPv6 the network, all of which one machine may have. Behind a proxy the server has to be told of it."""
    text = request.META.get("REMOTE_ADDR", "")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address  # as a socket for both has it
    return str(address) if address.version == 4 else str(ipaddress.ip_network(f"{address}/64", strict=False))


class _Counted:
    """A failure counts for the address and for the name; what succeeds is given back."""

    request: HttpRequest

    def clean(self) -> dict[str, Any]:
        name = str(self.cleaned_data.get("username", "")).lower()  # type: ignore[attr-defined]
        # Not the name itself: people type their passwords there.
        digest = hashlib.sha256(name.encode()).hexdigest()
        by_address = count_attempt("sign-in", self.request)
        by_name = _count(f"sign-in:name:{digest}", MOST_BY_NAME)
        given: dict[str, Any] = super().clean()  # type: ignore[misc]
        give_back(by_address)
        give_back(by_name)
        return given


class SignInForm(_Counted, AuthenticationForm):
    pass


class AdminSignInForm(_Counted, AdminAuthenticationForm):
    pass


class SignUpForm(UserCreationForm):
    """Tells whether a name is taken, because no two accounts may have it; so every attempt counts."""

    def __init__(self, request: HttpRequest, data: Any = None) -> None:
        self.request = request
        super().__init__(data)

    def clean_username(self) -> Any:
        count_attempt("sign-up", self.request)
        return super().clean_username()

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "email")
        help_texts = {"email": "For a new password, should you forget yours; for nothing else."}


class ForgottenForm(PasswordResetForm):
    """Answers before the mail is sent: how long that takes would tell that there is such an account."""

    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        threading.Thread(target=super().send_mail, args=args, kwargs=kwargs, name="mail").start()


def _count(subject: str, most: int) -> str:
    taken = take(subject, WINDOW)
    if taken.count > most:
        raise TooManyAttempts(taken.seconds_left)
    return subject
