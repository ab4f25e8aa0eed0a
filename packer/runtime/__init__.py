"""What lies under /opt/runtime and /opt/models of the machine image.

Runs on the machine that becomes the image, by the very interpreter that is being furnished: standard library and
pip only.
"""
