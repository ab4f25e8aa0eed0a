"""No view can reach a row without saying whose it is: the source of all of them is looked at."""

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from backend.accounts.models import User
from backend.config.urls import API, PAGES
from backend.videos import exporting, filters, selectors
from backend.videos.models import Analysis, Track, Video
from tests.backend.making import make_analysis, make_track

SCOPED = {"owned_by", "of"}
MANAGERS = {"objects", "_base_manager", "_default_manager"}


def view_modules() -> dict[str, ModuleType]:
    """Those of all views, and those through which they read."""
    views = [getattr(route.callback, "view_class", route.callback) for route in (*API, *PAGES)]
    named = {view.__module__: sys.modules[view.__module__] for view in views}
    ours = {name: module for name, module in named.items() if name.startswith("backend.")}
    return {**ours, **{module.__name__: module for module in (selectors, filters, exporting)}}


def unscoped(source: str) -> Iterator[str]:
    """Each use of a manager that does not say, as the first thing, whose rows are meant."""
    tree = ast.parse(source)
    scoped = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in SCOPED and isinstance(node.value, ast.Attribute)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in MANAGERS and id(node) not in scoped:
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Attribute) and node.attr in {"cursor", "raw"}:
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("name", sorted(view_modules()))
def test_view_says_whose_rows_it_means(name: str):
    found = list(unscoped(inspect.getsource(view_modules()[name])))
    assert not found, (
        f"{name}: {'; '.join(found)}; begin with `.objects.owned_by(user)` or `.objects.of(analysis)`"
    )


@pytest.mark.parametrize(
    "source",
    [
        "Video.objects.get(pk=1)",
        "Video.objects.filter(pk=1).owned_by(user)",
        "rows = Video.objects",
        "connection.cursor()",
    ],
)
def test_what_says_nothing_is_found(source: str):
    assert list(unscoped(source))


@pytest.mark.django_db
def test_rows_are_their_owners(owner: User, stranger: User):
    own, foreign = make_analysis(owner), make_analysis(stranger)
    deleted = make_analysis(owner, deleted_at="2026-01-01T00:00:00Z")
    assert list(Analysis.objects.owned_by(owner)) == [own]
    assert set(Video.objects.owned_by(owner)) == {own.video, deleted.video}
    make_track(own, 1)
    make_track(foreign, 2)
    assert [track.track_id for track in Track.objects.of(own)] == [1]
