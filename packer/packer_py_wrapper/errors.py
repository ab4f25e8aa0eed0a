class PackerError(Exception):
    """What was asked for cannot be done; the message is a sentence for whoever asked."""
