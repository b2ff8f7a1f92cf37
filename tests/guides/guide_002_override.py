"""Guide 002, automatic metadata: a value of one's own in place of what was detected."""
# mypy: ignore-errors
# ruff: noqa: I001

import tracestore as mlflow
import os
# We suggest populating metadata from environment variables rather than hard coding the values

current_env = os.getenv("APP_ENVIRONMENT", "development")


@mlflow.trace
def my_app(user_question: str) -> dict:
    # Override automatically populated metadata and add custom context
    mlflow.update_current_trace(
        metadata={
            # Use any of the keys from above
            "mlflow.source.type": current_env,  # Override default LOCAL/NOTEBOOK
        }
    )

    # Application logic

    return {"response": user_question + "!!"}


my_app("test")
