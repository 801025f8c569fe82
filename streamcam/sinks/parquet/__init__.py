"""Records as Parquet: their tables, the sinks that write them, and how they are read again."""
