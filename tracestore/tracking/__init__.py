"""MLflow's module path of the client and of where it reads and writes."""

from tracestore.client import MlflowClient
from tracestore.runtime import get_tracking_uri, is_tracking_uri_set, set_tracking_uri

__all__ = ["MlflowClient", "get_tracking_uri", "is_tracking_uri_set", "set_tracking_uri"]
