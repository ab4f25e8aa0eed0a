"""What a whole run is quoted and charged, through every real part."""

import pytest

from contract.prices import prices
from demo.video import make_demo_video


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as it comes"),
        pytest.param({"every_nth": 5, "thumbnails": 0}, id="some frames"),
        pytest.param({"annotated_video": True}, id="with the annotated video"),
    ],
)
def test_a_whole_run_is_charged_its_seconds_and_never_more_than_its_quote(product, tmp_path, options):
    client = product.client
    video_id = client.upload(make_demo_video(tmp_path / "scene.mp4", seconds=2, seed=90_005).path)["id"]
    before = client.account()["credits"]["balance"]
    quote = client.quote(video_id, model="demo-shapes", options=options)
    assert quote["basis"] == {"machine": "g4dn.xlarge", "assumed": []}  # the probe has told everything
    assert quote["basis"]["machine"] in prices().instances

    asked = client.request_analysis(video_id, model="demo-shapes", options=options, quote=quote["quote"])
    state = product.wait(asked["id"])
    receipt = client.receipt(asked["id"])

    assert state["status"] == "succeeded"
    credits, seconds = receipt["credits"], receipt["machine_seconds"]
    assert credits["quoted"] == quote["credits"]
    assert 0 < credits["charged"] <= credits["quoted"]
    # To the next whole second; the receipt's are rounded to a thousandth.
    assert min(seconds - 0.01, credits["quoted"]) <= credits["charged"] <= seconds + 1.01
    assert credits["charged"] + credits["refunded"] == credits["quoted"]
    assert client.account()["credits"]["balance"] == before - credits["charged"]
