"""What Framebatch costs in a month, by `contract/prices.json`: its environments, and the designs compared."""
