"""What MLflow has beyond tracing, so that asking for it here gets a sentence and not a riddle.

Only names; tests/test_surface.py compares them with MLflow 3.17.2's.
"""

from __future__ import annotations

_NAMES = {
    "module": """
ActiveModel ActiveRun Image active_run agent ai_commands artifacts assistant
azure catboost claude_code config create_external_model create_workspace data
db delete_logged_model_tag delete_prompt_alias delete_run delete_tag delete_workspace demo
deployments diffusers disable_system_metrics_logging doctor enable_system_metrics_logging
end_run environment_variables error_classification finalize_logged_model
flush_artifact_async_logging flush_async_logging gateway genai get_artifact_uri
get_logged_model get_parent_run get_registry_uri get_run get_workspace h2o
import_checkpoints initialize_logged_model johnsnowlabs keras last_active_run
last_logged_model legacy_databricks_cli lightgbm list_workspaces load_prompt
load_table log_artifact log_artifacts log_dict log_figure log_image log_input log_inputs log_issue
log_metric log_metrics log_model_params log_outputs log_param log_params log_stream log_table
log_text login mcp mismatch ml_package_versions models onnx optuna paddle pmdarima projects
prompt prophet protos pyfunc pyspark pytorch register_model register_prompt
restore_run rfunc run runs sagemaker search_logged_models search_model_versions search_prompts
search_registered_models search_runs sentence_transformers server
set_logged_model_tags set_model_version_tag set_prompt_alias set_registry_uri
set_system_metrics_node_id set_system_metrics_samples_before_logging
set_system_metrics_sampling_interval set_tag set_tags set_workspace shap sklearn spacy
spark start_run statsmodels system_metrics telemetry tensorflow transformers types
typesafe update_workspace utils validate_evaluation_results version webhooks xgboost
""",
    "flavour": "ag2 agno autogen haystack pydantic_ai semantic_kernel strands",
    "client": """
add_dataset_to_experiments copy_model_version create_dataset create_logged_model
create_mcp_access_endpoint create_mcp_server create_mcp_server_version create_model_version
create_prompt create_prompt_version create_registered_model create_run create_webhook
create_workspace delete_dataset delete_dataset_tag delete_logged_model delete_logged_model_tag
delete_mcp_access_endpoint delete_mcp_server delete_mcp_server_alias delete_mcp_server_tag
delete_mcp_server_version delete_mcp_server_version_tag delete_model_version
delete_model_version_tag delete_prompt delete_prompt_alias delete_prompt_tag delete_prompt_version
delete_prompt_version_tag delete_registered_model delete_registered_model_alias
delete_registered_model_tag delete_run delete_tag delete_webhook delete_workspace
detach_prompt_from_run download_artifacts finalize_logged_model get_dataset
get_latest_mcp_server_version get_latest_versions get_logged_model get_mcp_access_endpoint
get_mcp_server get_mcp_server_version get_mcp_server_version_by_alias get_metric_history
get_model_version get_model_version_by_alias get_model_version_download_uri get_model_version_stages
get_parent_run get_prompt get_prompt_version get_prompt_version_by_alias get_registered_model
get_run get_webhook get_workspace get_workspace_store_uri link_prompt_version_to_model
link_prompt_version_to_run list_artifacts list_logged_model_artifacts list_logged_prompts
list_webhooks list_workspaces load_prompt load_table log_artifact log_artifacts log_batch log_dict
log_figure log_image log_inputs log_metric log_model_artifact log_model_artifacts log_model_params
log_outputs log_param log_stream log_table log_text parse_prompt_uri
refresh_mcp_server_version_tools register_prompt remove_dataset_from_experiments
rename_registered_model restore_run search_datasets search_logged_models search_mcp_access_endpoints
search_mcp_server_versions search_mcp_servers search_model_versions search_prompt_versions
search_prompts search_registered_models search_runs set_dataset_tags set_logged_model_tags
set_mcp_server_alias set_mcp_server_tag set_mcp_server_version_tag set_model_version_tag
set_prompt_alias set_prompt_tag set_prompt_version_tag set_registered_model_alias
set_registered_model_tag set_tag set_terminated test_webhook transition_model_version_stage
update_mcp_access_endpoint update_mcp_server update_mcp_server_version update_model_version
update_registered_model update_run update_webhook update_workspace
""",
    "entities": """
BudgetAction BudgetDuration BudgetDurationUnit BudgetTargetScope BudgetUnit ConnectOptionSettings
Dataset DatasetInput DatasetRecord DatasetRecordSource DatasetRecordSourceType EntityAssociationType
FallbackConfig FallbackStrategy FileInfo GatewayBudgetPolicy GatewayEndpoint GatewayEndpointBinding
GatewayEndpointModelConfig GatewayEndpointModelMapping GatewayEndpointTag GatewayGuardrail
GatewayGuardrailConfig GatewayModelDefinition GatewayModelLinkageType GatewayResourceType
GatewaySecretInfo GuardrailAction GuardrailStage InferenceTableLocation InputTag Issue
IssueReference IssueSeverity IssueStatus LoggedModel LoggedModelInput LoggedModelOutput
LoggedModelParameter LoggedModelStatus LoggedModelTag MCPAccessEndpoint MCPRemoteTransportType
MCPServer MCPServerVersion MCPStatus MCPTool Metric Param Prompt RoutingStrategy Run RunData RunInfo
RunInputs RunOutputs RunStatus RunTag ScorerVersion SourceType TraceArchivalConfig UCSchemaLocation
UnityCatalog Webhook WebhookEvent WebhookStatus WebhookTestResult Workspace WorkspaceDeletionMode
""",
    "tracing": """
get_bridged_tracer_provider set_databricks_monitoring_sql_warehouse_id
set_experiment_trace_location unset_experiment_trace_location
""",
}

_RUNS = (
    "it belongs to MLflow's runs, models, registry or evaluation; "
    "tracestore has MLflow's tracing only"
)
_WHY = dict.fromkeys(_NAMES, _RUNS) | {
    "flavour": "it is not auto-traced here; tracestore.otel records what its OpenTelemetry instrumentation says",
    "tracing": "it is about Databricks or the inside of MLflow's tracing only; see tracestore.otel for OpenTelemetry",
}

#: Where a name may be among.
_GROUPS = {"module": ("module", "flavour")}


def attribute_error(part: str, owner: str, name: str) -> AttributeError:
    """Return the error for an attribute that is not there.

    Args:
        part: "module", "client", "entities" or "tracing".
        owner: What it was asked of.
        name: What was asked for.
    """
    text = f"{owner} has no attribute {name!r}"
    for group in _GROUPS.get(part, (part,)):
        if name in _NAMES[group].split():
            text += f": {_WHY[group]}"
    return AttributeError(text, name=name)
