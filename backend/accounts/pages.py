from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_required
from django.contrib.messages.views import SuccessMessageMixin
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from backend.accounts import services
from backend.accounts.errors import TooManyApiKeys
from backend.accounts.forms import ForgottenForm, SignInForm, SignUpForm, TooManyAttempts, count_attempt
from backend.accounts.models import User
from backend.accounts.scopes import SENTENCES, Scope


@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("home")
    if not settings.SIGN_UP:
        raise Http404
    form = SignUpForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                user = form.save()
        except IntegrityError:  # somebody else has taken the name since it was looked at
            form.add_error("username", User._meta.get_field("username").error_messages["unique"])
        else:
            login(request, user)
            return redirect("home")
    return _refused(render(request, "registration/sign_up.html", {"form": form}), form)


class SignIn(auth.LoginView):
    authentication_form = SignInForm
    redirect_authenticated_user = True
    extra_context = {"sign_up": settings.SIGN_UP, "mail": settings.MAIL}

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        return _refused(super().form_invalid(form), form)


class PasswordChange(SuccessMessageMixin, auth.PasswordChangeView):
    template_name = "registration/password.html"
    success_url = reverse_lazy("home")
    success_message = "Your password was changed."
    extra_context = {"heading": "Change your password", "button": "Change it"}


class PasswordForgotten(SuccessMessageMixin, auth.PasswordResetView):
    """Says the same whether there is such an account or not."""

    form_class = ForgottenForm
    template_name = "registration/password.html"
    email_template_name = "registration/password_mail.txt"
    subject_template_name = "registration/password_mail_subject.txt"
    success_url = reverse_lazy("login")
    success_message = "If there is an account with this address, a mail is on its way to it."
    extra_context = {"heading": "A new password", "button": "Send me a mail"}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.MAIL:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            count_attempt("password", self.request)
        except TooManyAttempts as exc:
            form.add_error(None, exc)
            return _told_to_wait(self.form_invalid(form), exc.seconds)
        return super().form_valid(form)


class PasswordNew(SuccessMessageMixin, auth.PasswordResetConfirmView):
    template_name = "registration/password.html"
    success_url = reverse_lazy("login")
    success_message = "Your password was changed. Please sign in with it."
    extra_context = {"heading": "A new password", "button": "Take it"}


def _refused(answer: HttpResponse, form: forms.Form) -> HttpResponse:
    faults = [fault for of_field in form.errors.as_data().values() for fault in of_field]
    wait = next((fault.seconds for fault in faults if isinstance(fault, TooManyAttempts)), None)
    return answer if wait is None else _told_to_wait(answer, wait)


def _told_to_wait(answer: HttpResponse, seconds: int) -> HttpResponse:
    answer.status_code = HTTPStatus.TOO_MANY_REQUESTS
    answer["Retry-After"] = str(seconds)
    return answer


class ApiKeyForm(forms.Form):
    name = forms.CharField(max_length=100, label="What is the new key for?")
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{SENTENCES[scope]} ({scope.value})") for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
        label="What may it do?",
        error_messages={"required": "Tick what the key may be used for."},
    )
    days = forms.TypedChoiceField(
        choices=[("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until it is revoked")],
        coerce=int,
        empty_value=None,
        required=False,
        label="How long is it good for?",
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError("The name must not hold control characters.")
        return name


@login_required
@require_http_methods(["GET", "POST"])
def api_keys(request: HttpRequest) -> HttpResponse:
    made = None
    form = ApiKeyForm(request.POST or None, initial={"days": "90"}, label_suffix="")
    if request.method == "POST" and form.is_valid():
        days = form.cleaned_data["days"]
        try:
            made = services.create_api_key(
                user=request.user,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=timezone.now() + timedelta(days=days) if days else None,
            )
        except TooManyApiKeys as exc:
            form.add_error(None, exc.sentence)
        else:
            form = ApiKeyForm(initial={"days": "90"}, label_suffix="")
    context = {"keys": services.api_keys_of(request.user), "made": made, "form": form, "now": timezone.now()}
    response = render(request, "api_keys.html", context)
    response["Cache-Control"] = "no-store"  # the page may show a key
    return response


@login_required
@require_http_methods(["GET", "POST"])
def revoke_api_key(request: HttpRequest, api_key_id: int) -> HttpResponse:
    if request.method == "GET":  # whoever had to sign in first is sent here; the button has to be pressed again
        return redirect("api-keys")
    if not services.revoke_api_key(user=request.user, api_key_id=api_key_id):
        raise Http404
    messages.success(request, "The key was revoked and is refused from now on.")
    return redirect("api-keys")
