"""A user's own clip with a user's own weights, as `make demo VIDEO=clip.mp4 MODEL=yolov8n.pt` runs them."""

from client import Client
from local.stack import StackSettings, running_stack


def test_bottles_are_found_in_a_real_clip(tmp_path, videos, checkpoint):
    """The generated scenes are ours; this is the world."""
    settings = StackSettings(folder=tmp_path / "stack", port=0, own_model=checkpoint)
    with running_stack(settings) as stack, Client(stack.url, stack.api_key) as client:
        assert stack.own_model is not None
        video_id = client.upload(videos / "bottle-detection.mp4")["id"]
        analysis_id = client.request_analysis(video_id, model=stack.own_model.name)["id"]
        state = client.wait(analysis_id, seen=lambda _: stack.keep_alive(), seconds=280)

    assert state["status"] == "succeeded"
    assert state["summary"]["frames"] == 1189
    assert 2600 <= state["summary"]["per_class"]["bottle"]["detections"] <= 3100
