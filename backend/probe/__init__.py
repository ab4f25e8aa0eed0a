"""A look at an uploaded file by a process that can do nothing else. It knows neither Django nor S3."""
