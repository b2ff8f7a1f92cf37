"""Programs that run unchanged under MLflow and under tracestore; see `tests.peer_mlflow.observing`."""
