"""Plans, credits and quotes over HTTP."""

import uuid
from dataclasses import asdict
from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictSerializer
from backend.plans import schemas
from backend.plans.credits import balance_of, credits_of
from backend.plans.errors import MediaNotAllowed, VideoTooLong
from backend.plans.estimating import speeds
from backend.plans.limits import analyses_under_way, stored_bytes
from backend.plans.models import LedgerEntry
from backend.plans.receipts import Machine, Receipt
from backend.videos import examples, services
from backend.videos.apis import OptionsField, analysis_asked_for
from backend.videos.errors import VideoNotFound, VideoNotReady, VideoNotUploaded, VideoRefused
from backend.videos.pagination import Keyset, PageQuery, page_size_field
from contract.plans import LIMITS, Plan
from contract.prices import prices

LATEST_FIRST = Keyset(columns=("-id",))


class LedgerQuery(PageQuery):
    page_size = page_size_field(default=50, most=200)


class AccountDetail(APIView):
    @documented(
        "get_account",
        scope=Scope.ACCOUNT_READ,
        summary="Look at your plan and credits",
        tag="Account",
        answers={
            200: Answer(description="The account.", schema=schemas.Account, example=schemas.ACCOUNT),
        },
    )
    def get(self, request: Request) -> Response:
        """Your plan with its limits, and your credits."""
        user = request.user
        return Response(
            {
                "plan": user.plan,
                "limits": asdict(LIMITS[Plan(user.plan)]),
                "stored_bytes": stored_bytes(user),
                "analyses_under_way": analyses_under_way(user),
                "credits": asdict(credits_of(user)),
                "links": {"ledger": reverse("api-account-ledger")},
            }
        )


class LedgerList(APIView):
    @documented(
        "list_ledger",
        scope=Scope.ACCOUNT_READ,
        summary="List what your credits came from and went to",
        tag="Account",
        query=LedgerQuery,
        answers={
            200: Answer(description="A page of entries.", schema=schemas.LedgerPage, example=schemas.LEDGER_PAGE),
        },
    )
    def get(self, request: Request) -> Response:
        """Every entry, newest first. Entries are never changed, and your balance is their sum."""
        query = LedgerQuery.read(request)
        balance_of(request.user)  # what this month has due is in it
        entries = LedgerEntry.objects.owned_by(request.user)
        return Response(LATEST_FIRST.page(request, entries, query).document(_entry))


class QuoteList(APIView):
    class Input(StrictSerializer):
        video = serializers.UUIDField()
        model = serializers.CharField(max_length=200, default=None, allow_null=True)
        options = OptionsField(default=dict)

    @documented(
        "quote_analysis",
        scope=Scope.ANALYSES_READ,
        summary="Ask what an analysis would cost",
        tag="Analyses",
        body=Input,
        body_example=examples.REQUEST,
        answers={200: Answer(description="The quote.", schema=schemas.Quote, example=schemas.QUOTE)},
        refusals=(VideoNotFound, VideoNotUploaded, VideoNotReady, VideoRefused, MediaNotAllowed, VideoTooLong),
    )
    def post(self, request: Request) -> Response:
        """The most that an analysis with these options will be charged. Nothing is reserved by asking.

        A request that names the quote, with the same video, model and options, reserves what it says. After the
        analysis you are charged for the seconds that it took, and never more than the quote.
        """
        given = self.Input.read(request)
        quote = services.quote_analysis(
            owner=request.user, video_id=given["video"], model=given["model"], options=given["options"]
        )
        found = quote.estimate
        return Response(
            {
                "quote": quote.token,
                "credits": found.credits,
                "seconds": found.seconds,
                "stages": found.stages,
                "basis": {"machine": speeds()["machine"], "assumed": found.assumed},
                "valid_until": quote.valid_until,
                "balance": balance_of(request.user),
            }
        )


class AnalysisReceipt(APIView):
    @documented(
        "get_receipt",
        scope=Scope.ANALYSES_READ,
        summary="Look at what an analysis cost",
        tag="Analyses",
        answers={200: Answer(description="The receipt.", schema=schemas.Receipt, example=schemas.RECEIPT)},
    )
    def get(self, request: Request, analysis_id: uuid.UUID) -> Response:
        """What it was quoted and charged, which machines worked on it, for how long and at what price.

        While it is not over, nothing is charged yet. What nobody knows is null: a machine outside of EC2 has no
        type and no price.
        """
        analysis = analysis_asked_for(request, analysis_id)
        receipt = Receipt.of(analysis)
        return Response(
            {
                "analysis": str(analysis.pk),
                "status": analysis.status,
                "credits": {
                    "quoted": receipt.quoted,
                    "charged": receipt.charged,
                    "refunded": receipt.refunded,
                },
                "gpu_seconds": receipt.gpu_seconds,
                "machine_seconds": receipt.machine_seconds,
                "start_up_seconds": receipt.start_up_seconds,
                "stage_seconds": analysis.stage_seconds,
                "machines": [_machine(machine) for machine in receipt.machines],
                "cost_usd": receipt.cost_usd,
                "price_region": prices().region,
            }
        )


def _machine(machine: Machine) -> dict[str, Any]:
    cost = machine.cost_usd
    return {**asdict(machine), "cost_usd": None if cost is None else round(cost, 6)}


def _entry(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "id": entry.pk,
        "at": entry.at,
        "kind": entry.kind,
        "credits": entry.credits,
        "balance": entry.balance,
        "analysis": entry.analysis_id and str(entry.analysis_id),
        "month": entry.month,
        "plan": entry.plan,
        "reason": entry.reason,
    }
