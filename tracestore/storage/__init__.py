"""The file: schema, connections, rows, and the thread that writes."""
