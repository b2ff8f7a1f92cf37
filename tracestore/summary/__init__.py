"""What a trace's row says of its spans: previews and usage. Pure functions, for the writer and for recovery."""
