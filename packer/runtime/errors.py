class BakeFailed(Exception):
    """The image cannot be made as it is described; the message is a sentence for whoever bakes it."""
