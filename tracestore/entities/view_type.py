"""Which experiments a search returns."""


class ViewType:
    """Which experiments a search returns, with MLflow's numbers."""

    ACTIVE_ONLY = 1
    DELETED_ONLY = 2
    ALL = 3
