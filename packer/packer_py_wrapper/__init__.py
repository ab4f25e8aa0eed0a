"""Machine images by content: plan, build, publish, prune, status, over the packer command and AWS' own records.

What an image was made of is a tag on it, so every command can be repeated, and by somebody else. The machine that
builds keeps nothing but the new image's manifest.
"""
