"""Looking after the file: prune, retention, check, backup, extract, merge, repair, vacuum.

Knows SQL, the filter language and the file through `file.File`; no threads and no Store, which has a thin method
for each. Invariants: everything is done in transactions of at most about LOCK_S, so that others go on writing;
whatever is interrupted, the file is sound and the same call again goes on; a new file appears under its name
whole, or not at all.
"""

from __future__ import annotations

#: How long a step may hold the file against other writers, about, in seconds.
LOCK_S = 0.025
