"""The shapes of what the API answers about plans, credits and quotes, each with an example."""

from dataclasses import asdict

from rest_framework import serializers

from backend.config.openapi import page_of
from backend.plans.models import LedgerEntry as Entry
from contract.plans import COMMON_MEDIA, Plan

PLANS = [plan.value for plan in Plan]


class PlanMedia(serializers.Serializer):
    containers = serializers.ListField(child=serializers.CharField(), help_text="As in a video's `facts`.")
    codecs = serializers.ListField(child=serializers.CharField(), help_text="As in a video's `facts`.")


class PlanLimits(serializers.Serializer):
    video_seconds = serializers.IntegerField(help_text="The longest video.")
    file_bytes = serializers.IntegerField(help_text="The largest file.")
    stored_bytes = serializers.IntegerField(help_text="All uploads together.")
    concurrent_analyses = serializers.IntegerField(help_text="Queued, waiting or running at a time.")
    monthly_credits = serializers.IntegerField(help_text="A credit is a second of the reference machine.")
    media = PlanMedia(allow_null=True, help_text="Kinds of video; null where all that can be decoded are allowed.")


class Credits(serializers.Serializer):
    balance = serializers.IntegerField(help_text="What can be spent now.")
    reserved = serializers.IntegerField(help_text="Of analyses that are not over; not in the balance.")
    used_this_month = serializers.IntegerField(help_text="Charged for analyses that succeeded this month.")
    next_grant_at = serializers.DateTimeField(help_text="When the plan's next credits come.")


class Account(serializers.Serializer):
    plan = serializers.ChoiceField(PLANS)
    limits = PlanLimits()
    stored_bytes = serializers.IntegerField(help_text="Of all uploads, until they are removed.")
    analyses_under_way = serializers.IntegerField()
    credits = Credits()
    links = serializers.DictField(child=serializers.CharField())


class LedgerEntry(serializers.Serializer):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(Entry.Kind.values)
    credits = serializers.IntegerField(help_text="Negative where they are spent or reserved.")
    balance = serializers.IntegerField(help_text="The sum of this entry and all before it.")
    analysis = serializers.UUIDField(allow_null=True, help_text="It may have been deleted since.")
    month = serializers.DateField(allow_null=True, help_text="Of a grant or a lapse: the first day of the month.")
    plan = serializers.CharField(help_text="Of a grant, else empty.")
    reason = serializers.CharField(help_text="Of an adjustment by staff, else empty.")


class PriceBasis(serializers.Serializer):
    machine = serializers.CharField(help_text="The reference machine; a credit is a second of it.")
    assumed = serializers.ListField(
        child=serializers.ChoiceField(["length", "size"]),
        help_text="What the file does not tell: guessed, or taken as the most that it may be.",
    )


class Quote(serializers.Serializer):
    quote = serializers.CharField(help_text="Send it with the request to be held to this price.")
    credits = serializers.IntegerField(help_text="The most that the analysis will be charged.")
    seconds = serializers.FloatField(help_text="Expected on the reference machine, without waiting for one.")
    stages = serializers.DictField(
        child=serializers.FloatField(), help_text="Expected seconds; fetch, decode, detect and the next overlap."
    )
    basis = PriceBasis()
    valid_until = serializers.DateTimeField()
    balance = serializers.IntegerField(help_text="Your credits now.")


class ReceiptCredits(serializers.Serializer):
    quoted = serializers.IntegerField(allow_null=True, help_text="Reserved when it was asked for.")
    charged = serializers.IntegerField(allow_null=True, help_text="null until it is over.")
    refunded = serializers.IntegerField(allow_null=True, help_text="What came back; null until it is over.")


class ReceiptMachine(serializers.Serializer):
    job_id = serializers.CharField(help_text="AWS Batch's; of an array `parent:index`.")
    attempt = serializers.IntegerField()
    gpu = serializers.BooleanField()
    instance_type = serializers.CharField(allow_null=True)
    market = serializers.CharField(allow_null=True, help_text="`spot` or `on-demand`.")
    zone = serializers.CharField(allow_null=True)
    seconds = serializers.FloatField(help_text="From its claim to its last commit.")
    usd_per_hour = serializers.FloatField(allow_null=True, help_text="What such a machine costs.")
    price_date = serializers.DateField(allow_null=True, help_text="When that price was written down.")
    cost_usd = serializers.FloatField(allow_null=True)


class Receipt(serializers.Serializer):
    analysis = serializers.UUIDField()
    status = serializers.CharField()
    credits = ReceiptCredits()
    gpu_seconds = serializers.FloatField(help_text="Of machines with a GPU.")
    machine_seconds = serializers.FloatField(help_text="Of all machines; this is what is charged.")
    start_up_seconds = serializers.FloatField(
        allow_null=True, help_text="From AWS Batch's acceptance of the job until a container began."
    )
    stage_seconds = serializers.DictField(
        child=serializers.FloatField(), help_text="Busy seconds of the container that finished; stages overlap."
    )
    machines = ReceiptMachine(many=True)
    cost_usd = serializers.FloatField(
        allow_null=True, help_text="null where the price of one of the machines is not known."
    )
    price_region = serializers.CharField(help_text="The AWS region whose prices these are.")


LedgerPage = page_of(LedgerEntry)

LEDGER_PAGE = {
    "results": [
        {
            "id": 31,
            "at": "2026-01-01T12:00:00Z",
            "kind": "reservation",
            "credits": -48,
            "balance": 552,
            "analysis": "6f1f3c52-9d5e-4a53-8f0e-0a4b8a2a9d11",
            "month": None,
            "plan": "",
            "reason": "",
        }
    ],
    "next": None,
}
RECEIPT = {
    "analysis": "6f1f3c52-9d5e-4a53-8f0e-0a4b8a2a9d11",
    "status": "succeeded",
    "credits": {"quoted": 48, "charged": 37, "refunded": 11},
    "gpu_seconds": 36.2,
    "machine_seconds": 36.2,
    "start_up_seconds": 94.5,
    "stage_seconds": {"model": 4.1, "decode": 29.8, "detect": 5.2, "total": 36.4},
    "machines": [
        {
            "job_id": "0f5d1c9a-7c34-4d0c-9f55-1d1c5f0a2b11",
            "attempt": 1,
            "gpu": True,
            "instance_type": "g4dn.xlarge",
            "market": "spot",
            "zone": "us-east-1b",
            "seconds": 36.2,
            "usd_per_hour": 0.22,
            "price_date": "2026-11-21",
            "cost_usd": 0.002212,
        }
    ],
    "cost_usd": 0.002212,
    "price_region": "us-east-1",
}
ACCOUNT = {
    "plan": "free",
    "limits": {
        "video_seconds": 600,
        "file_bytes": 1073741824,
        "stored_bytes": 5368709120,
        "concurrent_analyses": 2,
        "monthly_credits": 600,
        "media": asdict(COMMON_MEDIA),
    },
    "stored_bytes": 734003200,
    "analyses_under_way": 1,
    "credits": {"balance": 552, "reserved": 48, "used_this_month": 0, "next_grant_at": "2026-02-01T00:00:00Z"},
    "links": {"ledger": "/api/account/ledger"},
}
QUOTE = {
    "quote": "eyJjcmVkaXRzIjo0OH0:1tYqXm:abc",
    "credits": 48,
    "seconds": 47.14,
    "stages": {
        "start": 10.0,
        "thumbnails": 0.6,
        "fetch": 0.4,
        "decode": 36.54,
        "detect": 4.44,
        "prepare, track and store": 8.05,
    },
    "basis": {"machine": "g4dn.xlarge", "assumed": []},
    "valid_until": "2026-01-02T12:00:00Z",
    "balance": 600,
}
