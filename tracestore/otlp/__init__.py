"""OpenTelemetry's protocol (OTLP): messages, spans out and in, files, and sending them over HTTP.

Needs nothing of OpenTelemetry's: the protocol's messages are plain dictionaries, in protobuf and in JSON alike.
Source: https://opentelemetry.io/docs/specs/otlp/ and https://github.com/open-telemetry/opentelemetry-proto
"""
