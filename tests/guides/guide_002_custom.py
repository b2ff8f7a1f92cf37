"""Guide 002, custom metadata: any key, its value from an environment variable."""
# mypy: ignore-errors
# ruff: noqa: I001

import tracestore as mlflow
import os
# We suggest populating metadata from environment variables rather than hard coding the values


@mlflow.trace
def my_app(user_question: str) -> dict:
    # Override automatically populated metadata and add custom context
    mlflow.update_current_trace(
        metadata={
            # Use any key
            "app_version": os.getenv("APP_VERSION", "development")
        }
    )

    # Application logic

    return {"response": user_question + "!!"}


my_app("test")
