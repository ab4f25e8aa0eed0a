"""Bytes on pages, said as everywhere else; Django's own filter calls a KiB a KB."""

from django import template

from backend.plans import wording

register = template.Library()
register.filter("size", wording.size)
