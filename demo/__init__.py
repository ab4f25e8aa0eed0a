"""Demo material: generated scenes with ground truth, the demo video, and the demo model's training."""
