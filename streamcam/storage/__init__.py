"""Sources and results in object storage, by fsspec."""
