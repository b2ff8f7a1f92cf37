"""Whether an experiment is in use or deleted."""


class LifecycleStage:
    """Whether an experiment is in use or deleted; a deleted one can be restored."""

    ACTIVE = "active"
    DELETED = "deleted"
