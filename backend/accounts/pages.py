from datetime import timedelta

from django import forms
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from backend.accounts import services
from backend.accounts.models import ApiKey, User
from backend.accounts.scopes import SENTENCES, Scope


class SignUpForm(UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username",)


@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("home")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.save())
        return redirect("home")
    return render(request, "registration/sign_up.html", {"form": form})


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
        made = services.create_api_key(
            user=request.user,
            name=form.cleaned_data["name"],
            scopes=form.cleaned_data["scopes"],
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        form = ApiKeyForm(initial={"days": "90"}, label_suffix="")
    keys = ApiKey.objects.owned_by(request.user).order_by("-created_at", "-id")
    context = {"keys": keys, "made": made, "form": form, "now": timezone.now()}
    response = render(request, "api_keys.html", context)
    response["Cache-Control"] = "no-store"  # the page may show a key
    return response


@login_required
@require_POST
def revoke_api_key(request: HttpRequest, api_key_id: int) -> HttpResponse:
    if not services.revoke_api_key(user=request.user, api_key_id=api_key_id):
        raise Http404
    messages.success(request, "The key was revoked and is refused from now on.")
    return redirect("api-keys")
