"""What user code calls while it runs: the decorator, spans, the current trace."""
