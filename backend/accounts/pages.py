from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from backend.accounts import services
from backend.accounts.models import ApiKey, User

NAME_LENGTH = 100


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


@login_required
@require_http_methods(["GET", "POST"])
def api_keys(request: HttpRequest) -> HttpResponse:
    made = None
    if request.method == "POST":
        name = request.POST.get("name", "").strip()
        if name and len(name) <= NAME_LENGTH and name.isprintable():
            made = services.create_api_key(user=request.user, name=name)
        else:
            messages.error(request, f"Please give the key a name of at most {NAME_LENGTH} characters.")
    keys = ApiKey.objects.filter(user=request.user).order_by("-created_at", "-id")
    response = render(request, "api_keys.html", {"keys": keys, "made": made, "name_length": NAME_LENGTH})
    response["Cache-Control"] = "no-store"  # the page may show a key
    return response


@login_required
@require_POST
def revoke_api_key(request: HttpRequest, api_key_id: int) -> HttpResponse:
    if not services.revoke_api_key(user=request.user, api_key_id=api_key_id):
        raise Http404
    messages.success(request, "The key was revoked and is refused from now on.")
    return redirect("api-keys")
