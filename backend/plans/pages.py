"""The account's page, and the balance that every page shows."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_safe

from backend.plans.credits import balance_of, credits_of
from backend.plans.limits import analyses_under_way, stored_bytes
from backend.plans.models import LedgerEntry
from backend.plans.wording import kinds, length, size
from backend.videos.models import Analysis
from contract.plans import LIMITS, Plan

ENTRIES_SHOWN = 50


def balance(request: HttpRequest) -> dict[str, Any]:
    """For the header; asked only where it is shown."""
    return {"balance": SimpleLazyObject(lambda: balance_of(request.user))}


@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    user = request.user
    limits = LIMITS[Plan(user.plan)]
    credits = credits_of(user)
    entries = list(LedgerEntry.objects.owned_by(user).order_by("-id")[: ENTRIES_SHOWN + 1])
    named = [entry.analysis_id for entry in entries if entry.analysis_id]
    there = set(Analysis.objects.owned_by(user).filter(pk__in=named).values_list("pk", flat=True))
    context = {
        "plan": Plan(user.plan).name.title(),
        "credits": credits,
        "limits": [
            ("Longest video", length(limits.video_seconds)),
            ("Largest file", size(limits.file_bytes)),
            ("Stored videos", f"{size(limits.stored_bytes)}, {size(stored_bytes(user))} in use"),
            ("Kinds of video", kinds(limits.media)),
            ("Analyses at a time", f"{limits.concurrent_analyses:,}, {analyses_under_way(user):,} under way"),
            ("Credits a month", f"{limits.monthly_credits:,}"),
        ],
        "entries": [{"entry": entry, "linked": entry.analysis_id in there} for entry in entries[:ENTRIES_SHOWN]],
        "more": len(entries) > ENTRIES_SHOWN,
    }
    return render(request, "account.html", context)
